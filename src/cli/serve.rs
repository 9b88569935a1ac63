//! `panotti serve`: settings, log, then the server until it is told to stop.

use tokio::runtime::Builder;

use super::Failure;
use super::flags::ServerFlags;
use crate::app;

/// Threads that wait for the journal, for timers of scripts and for files; requests and Lua have their own.
const BACKGROUND_THREADS: usize = 2;

pub(super) fn run(flags: ServerFlags) -> Result<(), Failure> {
    let settings = flags.settings()?;
    app::logging::init(&settings);
    let mut background = Builder::new_multi_thread();
    background.worker_threads(BACKGROUND_THREADS).thread_name("panotti-background").enable_all();
    let background = background.build().map_err(|err| Failure::Failed(err.to_string()))?;
    let system = actix_rt::System::with_tokio_rt(|| background);
    system.block_on(app::run(settings)).map_err(|err| {
        let cause = err.source.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
        Failure::Failed(format!("{}{cause}", err.detail))
    })
}
