//! The product, proven from outside: one binary, one harness, a file per noun.

#![allow(clippy::unwrap_used, dead_code)]

mod architecture;
mod common;
mod crash;
mod first_recording;
mod hooks;
mod limits;
mod command_line;
