//! Whether the disk takes changes, for those who look after the server.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::model::rate::Rate;

use super::failure::is_full;

/// What is refused is told so often; a full disk refuses every change.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// While nobody changes anything the disk is tried so often.
const TRIED_EVERY: Duration = Duration::from_secs(5);
/// What is written to try it: more than the smallest change takes.
const TRIED_BYTES: usize = 256 << 10;

/// What others see of it.
#[derive(Debug, Default)]
pub(super) struct RoomState {
    is_full: AtomicBool,
    failed: AtomicU64,
}

impl RoomState {
    /// Whether the last change was refused because the disk was full or could not be written.
    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// Changes that were not stored because their transaction failed, since the start.
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// The writer's side.
#[derive(Debug)]
pub(super) struct RoomWatch {
    state: Arc<RoomState>,
    probe: PathBuf,
    try_at: Option<Instant>,
    told: Rate,
    untold: usize,
}

impl RoomWatch {
    pub(super) fn of(database: &Path) -> Self {
        let mut probe = database.as_os_str().to_owned();
        probe.push(".room.part");
        let told = Rate::with(1.0 / TOLD_EVERY.as_secs_f64(), 1.0);
        RoomWatch { state: Arc::default(), probe: probe.into(), try_at: None, told, untold: 0 }
    }

    pub(super) fn state(&self) -> Arc<RoomState> {
        Arc::clone(&self.state)
    }

    /// A change met a full disk, though it may be stored in what is held back.
    pub(super) fn full(&mut self) {
        self.state.is_full.store(true, Ordering::Relaxed);
        self.try_at.get_or_insert_with(|| Instant::now() + TRIED_EVERY);
    }

    /// So many changes were not stored.
    pub(super) fn lost(&mut self, changes: usize, error: &Error) {
        self.state.failed.fetch_add(changes as u64, Ordering::Relaxed);
        if is_full(error) {
            self.full();
        }
        self.untold += changes;
        if self.told.take().is_some() {
            let changes = match std::mem::take(&mut self.untold) {
                1 => "a change was".to_owned(),
                many => format!("{many} changes were"),
            };
            let why = if is_full(error) { "the disk is full or cannot be written" } else { &error.detail };
            let cause = error.source.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
            log::error!("database: {changes} not stored: {why}{cause}");
        }
    }

    /// How long to wait before the disk is tried; none while it takes changes.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.try_at.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Tries the disk when it is time, and whether `commits`: room for a file proves nothing of the database, and a
    /// transaction that went well nothing of the room, as it may have had nothing to store.
    pub(super) fn look(&mut self, commits: impl FnOnce() -> bool) {
        if self.patience() != Some(Duration::ZERO) {
            return;
        }
        let tried = File::create(&self.probe)
            .and_then(|mut it| it.write_all(&vec![0xA5; TRIED_BYTES]).and_then(|()| it.sync_all()));
        // It may not have been made at all.
        let _ = fs::remove_file(&self.probe);
        if tried.is_ok() && commits() {
            self.try_at = None;
            self.state.is_full.store(false, Ordering::Relaxed);
            log::info!("database: the disk has room again");
        } else {
            self.try_at = Some(Instant::now() + TRIED_EVERY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::failure::disk_full;

    #[test]
    fn a_disk_that_was_full_counts_as_such_until_it_takes_something() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut room = RoomWatch::of(&data.join("panotti.db"));
        let state = room.state();
        room.lost(3, &Error::internal("something else"));
        assert_eq!((state.is_full(), state.failed(), room.patience()), (false, 3, None));
        room.lost(2, &disk_full(None));
        assert_eq!((state.is_full(), state.failed()), (true, 5));
        assert!(room.patience().is_some_and(|it| it > Duration::ZERO && it <= TRIED_EVERY));
        // Without a folder nothing can be written.
        room.try_at = Some(Instant::now());
        room.look(|| true);
        assert!(state.is_full());
        fs::create_dir(&data).unwrap();
        room.look(|| true);
        assert!(state.is_full(), "it is not time");
        room.try_at = Some(Instant::now());
        room.look(|| false);
        assert!(state.is_full(), "the database takes nothing");
        room.try_at = Some(Instant::now());
        room.look(|| true);
        assert_eq!((state.is_full(), room.patience()), (false, None));
        assert_eq!(fs::read_dir(&data).unwrap().count(), 0);
    }
}
