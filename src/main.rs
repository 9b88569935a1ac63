//! The binary: exit codes, no logic.

use std::process::ExitCode;

// Many small values cross between plugins and host: the system's allocator is the slower one there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(panotti::cli::run(std::env::args_os()))
}
