//! Works the log into the database file, beside the writer: it may go on while pages are copied and flushed. Only to begin
//! the log anew the writer has to do the rest itself, and whoever writes waits for it: it is told to when the rest is small.
//! What SQLite would do by itself is left as the last resort, for a log that grew all the same.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Integer};
use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};

use super::connection::Reader;
use super::failure::OrFail;
use super::gather;
use super::statement::prepared;

/// Pages in the log that are worth a pass (16 MiB): a page that is written again and again is copied once.
const PASS: i64 = 4000;

/// A log of so many pages (48 MiB) is to begin anew.
const LONG: i64 = 12_000;

/// Before it does, passes follow each other until no more than this is left, or so often.
const REST: i64 = 500;
const PASSES: usize = 3;

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
    /// The log is long, and nearly all of it is in the file.
    is_nearly_done: AtomicBool,
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
            .spawn(move || watch(&heard, &mut own, durable))
            .map_err(Error::internal)?;
        Ok(Checkpointer { bell, since: 0, thread: Some(thread) })
    }

    /// The writer has committed: it does the rest of a long log when little is left, and lets the thread look now and then.
    pub(super) fn committed(&mut self, writer: &mut Reader) {
        if self.bell.is_nearly_done.load(Ordering::Relaxed) {
            // When that is all, and nobody reads from the log just then, the next change begins it anew.
            match writer.pass() {
                // The thread is at it: next time.
                Ok(is_busy) => self.bell.is_nearly_done.store(is_busy, Ordering::Relaxed),
                Err(error) => {
                    self.bell.is_nearly_done.store(false, Ordering::Relaxed);
                    log::debug!(
                        "database: the rest of the log was not worked into the file: {:?}",
                        error.source
                    );
                }
            }
            return;
        }
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

fn watch(bell: &Bell, own: &mut Reader, durable: bool) {
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
        if bell.is_nearly_done.load(Ordering::Relaxed) {
            continue;
        }
        match look(own, durable) {
            Ok(is_nearly_done) => bell.is_nearly_done.store(is_nearly_done, Ordering::Relaxed),
            // The writer's own connection does it where the log has grown much larger.
            Err(error) => log::debug!("database: the log was not worked into the file: {:?}", error.source),
        }
    }
}

/// A pass, if it is worth one; several where the log is long. Whether it is nearly done then.
fn look(own: &mut Reader, durable: bool) -> Result<bool> {
    let (mut log, mut copied) = own.log_pages()?;
    if log < LONG {
        if log - copied >= PASS {
            own.pass()?;
        }
        return Ok(false);
    }
    for _ in 0..PASSES {
        if log - copied < REST {
            break;
        }
        let before = copied;
        own.pass()?;
        (log, copied) = own.log_pages()?;
        if copied <= before {
            // Somebody reads what was there before; or it has begun anew.
            return Ok(false);
        }
    }
    if log < LONG || log - copied >= PASS {
        return Ok(false);
    }
    if durable {
        // Else all that was copied since the last time would be flushed with the rest, and everybody waits for that.
        own.conn.batch_execute(gather::FLUSH).or_fail().inspect_err(|error| {
            log::error!("database: its file could not be flushed: {:?}", error.source);
        })?;
    }
    Ok(true)
}

impl Reader {
    /// Pages in the log, and those of them that are in the file.
    fn log_pages(&mut self) -> Result<(i64, i64)> {
        let size = prepared!((Integer, BigInt, BigInt) => "PRAGMA wal_checkpoint(NOOP)");
        let (_, log, copied): (i32, i64, i64) = size.get_result(&mut self.conn).or_fail()?;
        Ok((log, copied))
    }

    /// Works the log into the file, as far as nobody reads what was there before; true when somebody else is at it.
    fn pass(&mut self) -> Result<bool> {
        let pass = prepared!((Integer, BigInt, BigInt) => "PRAGMA wal_checkpoint(PASSIVE)");
        let (is_busy, _, _): (i32, i64, i64) = pass.get_result(&mut self.conn).or_fail()?;
        Ok(is_busy != 0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::Store;
    use super::super::testing::{clip, options};
    use super::*;

    /// The `wal_autocheckpoint` of the connection that writes.
    const LAST_RESORT: i64 = 48_000;

    fn log_of(path: &Path) -> (i64, i64) {
        Reader::open_writer(path).unwrap().log_pages().unwrap()
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

    #[test]
    fn a_log_that_is_long_begins_anew_before_the_last_resort() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder);
        let store = Store::open(&options).unwrap();
        let mut looks = Reader::open_writer(&options.path).unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        let (mut most, mut log) = (0, 0);
        // After each change: the next one may be the one that begins it anew.
        while log >= most && Instant::now() < until {
            let mut large = clip(store.reserve_clip_id(), "x");
            large.description = Some("long ".repeat(32_000));
            store.write_blocking(move |tx| tx.insert_clip(&large)).unwrap();
            most = most.max(log);
            log = looks.log_pages().unwrap().0;
        }
        assert!(log < most, "it is as long as ever, {log} pages");
        assert!((LONG..LAST_RESORT).contains(&most), "{most}");
    }

    #[test]
    fn a_log_that_somebody_reads_is_not_nearly_done_before_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder);
        let store = Store::open(&options).unwrap();
        let mut reader = Reader::open_reader(&options.path).unwrap();
        reader.conn.batch_execute("BEGIN; SELECT count(*) FROM clips").unwrap();
        while log_of(&options.path).0 < LONG {
            let mut large = clip(store.reserve_clip_id(), "x");
            large.description = Some("long ".repeat(100_000));
            store.write_blocking(move |tx| tx.insert_clip(&large)).unwrap();
        }
        let mut own = Reader::open_writer(&options.path).unwrap();
        assert!(!look(&mut own, true).unwrap());
        reader.conn.batch_execute("COMMIT").unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while !look(&mut own, true).unwrap() {
            assert!(Instant::now() < until, "{:?}", log_of(&options.path));
            thread::sleep(Duration::from_millis(10));
        }
        let (log, copied) = log_of(&options.path);
        assert!(log - copied < PASS, "{copied} of {log}");
    }
}
