//! The product, proven from outside: one binary, one harness, a file per noun.

#![allow(clippy::unwrap_used)]

mod architecture;
mod command_line;
