//! Runs tests again whenever a file of their plugins is saved.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::Failure;
use super::print::print;

/// For so long nothing must have been saved before the tests run.
const QUIET: Duration = Duration::from_millis(100);

/// Runs `run` at once, and then after each save below the folders that `plugins` names; does not come back by itself.
pub(super) fn watch(
    plugins: impl Fn() -> BTreeMap<String, PathBuf>,
    run: impl Fn(&BTreeMap<String, PathBuf>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (saved, saves) = channel();
    let failed = |fault: notify::Error| Failure::Failed(format!("cannot watch the folders: {fault}"));
    let tell = move |event: notify::Result<Event>| {
        if event.is_ok_and(|it| matters(&it)) {
            // Nobody listens any more when the program ends.
            _ = saved.send(());
        }
    };
    let mut watcher: RecommendedWatcher = notify::recommended_watcher(tell).map_err(failed)?;
    let mut watched: Vec<PathBuf> = Vec::new();
    loop {
        let found = plugins();
        for folder in found.values().filter(|it| !watched.contains(it)).cloned().collect::<Vec<_>>() {
            watcher.watch(&folder, RecursiveMode::Recursive).map_err(failed)?;
            watched.push(folder);
        }
        match run(&found) {
            Ok(()) => {}
            Err(fault @ Failure::Usage(_)) => return Err(fault),
            Err(fault) => print(&format!("{fault}\n"))?,
        }
        print("waiting for the next save\n\n")?;
        if !wait(&saves) {
            return Ok(());
        }
    }
}

/// Whether an event may be a save: reading files, as the tests do, is none.
fn matters(event: &Event) -> bool {
    let is_change = matches!(event.kind, EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_));
    // Editors' swap files are hidden or end in a tilde.
    let is_temporary = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with('.') || name.ends_with('~')
    };
    is_change && event.paths.iter().any(|it| !is_temporary(it))
}

/// Waits for a save, and until no other follows; false when none can come.
fn wait(saves: &Receiver<()>) -> bool {
    if saves.recv().is_err() {
        return false;
    }
    loop {
        match saves.recv_timeout(QUIET) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}
