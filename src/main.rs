//! The binary: exit codes, no logic.

fn main() {}
