//! Works the log into the database file, beside the writer: it may go on while pages are copied and flushed. What SQLite
//! would do itself is left as the last resort, for a log that grew all the same.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Integer};
use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};

use super::connection::Reader;
use super::failure::OrFail;
use super::statement::prepared;

/// Pages in the log that are worth a pass (16 MiB): a page that is written again and again is copied once.
const PASS: i64 = 4000;

/// The writer says that it committed so often.
const EVERY: u32 = 32;

/// The thread, and how it is woken.
pub(super) struct Checkpointer {
    bell: Arc<Bell>,
    since: u32,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Bell {
    rung: Mutex<Rung>,
    signal: Condvar,
}

#[derive(Default)]
struct Rung {
    look: bool,
    stop: bool,
}

impl Checkpointer {
    /// Starts the thread, with a connection of its own.
    ///
    /// # Errors
    /// The database cannot be opened, or the machine gives no thread.
    pub(super) fn start(path: &Path, durable: bool) -> Result<Self> {
        let mut own = Reader::open_writer(path)?;
        if !durable {
            own.forgo_durability()?;
        }
        let bell = Arc::<Bell>::default();
        let heard = Arc::clone(&bell);
        let thread = thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || watch(&heard, &mut own))
            .map_err(Error::internal)?;
        Ok(Checkpointer { bell, since: 0, thread: Some(thread) })
    }

    /// The writer has committed.
    pub(super) fn committed(&mut self) {
        self.since += 1;
        if self.since >= EVERY {
            self.since = 0;
            self.bell.rung.lock().look = true;
            self.bell.signal.notify_one();
        }
    }

    /// Ends the thread.
    pub(super) fn stop(&mut self) {
        self.bell.rung.lock().stop = true;
        self.bell.signal.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("database: the thread that works the log into the file had panicked");
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn watch(bell: &Bell, own: &mut Reader) {
    loop {
        let mut rung = bell.rung.lock();
        while !rung.look && !rung.stop {
            bell.signal.wait(&mut rung);
        }
        if rung.stop {
            return;
        }
        rung.look = false;
        drop(rung);
        if let Err(error) = look(own) {
            // The writer's own connection does it where the log has grown much larger.
            log::debug!("database: the log was not worked into the file: {:?}", error.source);
        }
    }
}

/// A pass, if it is worth one.
fn look(own: &mut Reader) -> Result<()> {
    let size = prepared!((Integer, BigInt, BigInt) => "PRAGMA wal_checkpoint(NOOP)");
    let (_, log, copied): (i32, i64, i64) = size.get_result(&mut own.conn).or_fail()?;
    if log - copied >= PASS {
        let pass = prepared!((Integer, BigInt, BigInt) => "PRAGMA wal_checkpoint(PASSIVE)");
        let _: (i32, i64, i64) = pass.get_result(&mut own.conn).or_fail()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::Store;
    use super::super::testing::{clip, options};
    use super::*;

    /// The `wal_autocheckpoint` of the connection that writes.
    const LAST_RESORT: i64 = 12_000;

    /// Pages in the log, and those of them that are in the file.
    fn log_of(path: &Path) -> (i64, i64) {
        let mut reader = Reader::open_writer(path).unwrap();
        let size = prepared!((Integer, BigInt, BigInt) => "PRAGMA wal_checkpoint(NOOP)");
        let (_, log, copied): (i32, i64, i64) = size.get_result(&mut reader.conn).unwrap();
        (log, copied)
    }

    #[test]
    fn a_long_log_is_worked_into_the_file_while_the_writer_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder);
        let store = Store::open(&options).unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        let mut copied = 0;
        while copied < PASS && Instant::now() < until {
            for _ in 0..2 * EVERY {
                let mut large = clip(store.reserve_clip_id(), "x");
                large.description = Some("long ".repeat(8_000));
                store.write_blocking(move |tx| tx.insert_clip(&large)).unwrap();
            }
            let (log, now) = log_of(&options.path);
            assert!(log < LAST_RESORT, "only the last resort came: {log} pages");
            copied = copied.max(now);
            if log >= PASS {
                // On a busy machine the thread may be late; the writer's own turn comes much later still.
                thread::sleep(Duration::from_millis(50));
            }
        }
        assert!(copied >= PASS, "{copied} pages are in the file");
    }

    #[test]
    fn a_short_log_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder);
        let store = Store::open(&options).unwrap();
        for _ in 0..3 * EVERY {
            let small = clip(store.reserve_clip_id(), "x");
            store.write_blocking(move |tx| tx.insert_clip(&small)).unwrap();
        }
        let (log, copied) = log_of(&options.path);
        assert!(log > 0 && copied == 0, "{copied} of {log}");
    }
}
