//! The product, proven from outside: one binary, one harness, a file per noun.

#![allow(clippy::unwrap_used, dead_code, unused_imports)]

mod architecture;
mod common;
mod command_line;
