//! While nothing is written, the writer's connection stays within a transaction that reads. Whoever reads then shares its
//! lock on the log's index; without it, each read asks the system for a lock of the file and gives it back, and readers
//! wait for each other meanwhile.
//!
//! What is read so holds up nobody who writes: it ends before the next change, and now and then for those who want the log
//! to themselves (backups, `sqlite3`).

use std::time::{Duration, Instant};

use super::tx::Tx;

/// The writer has had nothing to do for so long when it is worth it.
const QUIET: Duration = Duration::from_millis(10);
/// How long it lasts.
const HELD: Duration = Duration::from_secs(1);
/// The pause after that: who waits for the log asks every 100 ms.
const PAUSE: Duration = Duration::from_millis(150);

/// Whether the writer's connection reads.
#[derive(Debug)]
pub(super) struct Pin {
    is_held: bool,
    turns_at: Instant,
}

impl Pin {
    /// Not held yet.
    pub(super) fn new() -> Self {
        Pin { is_held: false, turns_at: Instant::now() + QUIET }
    }

    /// How long until it is taken or given up.
    pub(super) fn patience(&self) -> Duration {
        self.turns_at.saturating_duration_since(Instant::now())
    }

    /// Takes it or gives it up, when it is time.
    pub(super) fn turn(&mut self, tx: &mut Tx) {
        if !self.patience().is_zero() {
            return;
        }
        if self.is_held {
            self.give_up(tx);
            self.turns_at = Instant::now() + PAUSE;
            return;
        }
        self.turns_at = Instant::now() + HELD;
        match tx.begin_reading() {
            Ok(()) => self.is_held = true,
            Err(error) => log::debug!("database: nothing is read while nothing is written: {error:?}"),
        }
    }

    /// Something is to be written.
    pub(super) fn give_up(&mut self, tx: &mut Tx) {
        if std::mem::take(&mut self.is_held) {
            tx.end_reading();
        }
    }

    /// Something was written.
    pub(super) fn written(&mut self) {
        self.turns_at = Instant::now() + QUIET;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::testing::{clip, options};
    use super::super::{Store, empty_log};
    use super::*;

    /// Whether somebody reads what is in the log at this moment.
    fn is_read(path: &Path) -> bool {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.busy_timeout(Duration::ZERO).unwrap();
        connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get::<_, i64>(0)).unwrap() == 1
    }

    fn write(store: &Store) {
        let small = clip(store.reserve_clip_id(), "x");
        store.write_blocking(move |tx| tx.insert_clip(&small)).unwrap();
    }

    #[test]
    fn a_quiet_database_is_read_all_the_time_and_written_to_and_emptied_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder);
        let store = Store::open(&options).unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        let mut written = 0;
        // A look works the log into the file: what is read then is not in the log, and nobody can tell.
        while written < 3 || !is_read(&options.path) {
            assert!(Instant::now() < end);
            write(&store);
            written += 1;
            assert_eq!(store.read(|reader| reader.clip_stats()).unwrap().total_clips, written);
            std::thread::sleep(5 * QUIET);
        }
        empty_log(&options.path).unwrap();
        store.close();
    }
}
