//! `panotti serve`: settings, log, then the server until it is told to stop.

use std::sync::Arc;

use tokio::runtime::Builder;

use super::Failure;
use super::flags::ServerFlags;
use crate::app;
use crate::clock::SystemClock;
use crate::services::plugin_logs::PluginLogs;

/// Threads that wait for the journal, for timers of scripts and for files; requests and Lua have their own.
const BACKGROUND_THREADS: usize = 2;

pub(super) fn run(flags: ServerFlags) -> Result<(), Failure> {
    let settings = flags.settings()?;
    let logs = PluginLogs::new(settings.logs, Arc::new(SystemClock));
    app::logging::init(&settings, logs.clone());
    let mut background = Builder::new_multi_thread();
    background.worker_threads(BACKGROUND_THREADS).thread_name("panotti-background").enable_all();
    let background = background.build().map_err(|err| Failure::Failed(err.to_string()))?;
    let system = actix_rt::System::with_tokio_rt(|| background);
    system.block_on(app::run(settings, logs)).map_err(|err| Failure::Failed(err.with_cause()))
}
