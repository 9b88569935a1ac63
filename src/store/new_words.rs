//! The words of new clips on their way into the index. It writes out what it has collected with every commit, and whenever
//! an id comes before the last one: clips get there many at a time, in the order of ids, when so many wait, when nothing
//! is written for a while, or when somebody who searches waits for them. The writer does it between the changes of others, in
//! transactions of their own: what fails there fails nobody's change.
//!
//! [`WORDS_THROUGH`] says how far the index has come: it has the words of every clip with an id up to that, and of none
//! after it. A clip that is changed or removed before its turn is no matter of the index (its triggers look at it as well),
//! and after a crash it goes on from there.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::error::{Error, Result};

use super::connection::Reader;
use super::counters::WORDS_THROUGH;
use super::failure::OrFail;
use super::statement::{prepared, statement};

/// So many have it at once: others who write wait meanwhile.
const MOST: i64 = 1024;

/// Which clips have no words in the index yet: one for the writer and all who search.
#[derive(Debug, Clone)]
pub(super) struct Waiting(Arc<Ends>);

#[derive(Debug)]
struct Ends {
    /// No clip is newer, by its id.
    newest: AtomicI64,
    /// [`WORDS_THROUGH`] as it is on the disk, or was.
    through: AtomicI64,
    /// Those who wait; none once nobody writes any more.
    asked: Mutex<Option<Vec<Asked>>>,
}

/// Somebody waits until the index has all clips up to this one. True is told when it has, false when it could not be done.
#[derive(Debug)]
struct Asked {
    newest: i64,
    answer: oneshot::Sender<bool>,
}

impl Waiting {
    /// What a former server left.
    pub(super) fn of(reader: &mut Reader) -> Result<Self> {
        let newest = prepared!(BigInt => "SELECT coalesce(max(id), 0) FROM clips");
        let newest: i64 = newest.get_result(&mut reader.conn).or_fail()?;
        let through = reader.counter(WORDS_THROUGH)?;
        Ok(Waiting(Arc::new(Ends {
            newest: AtomicI64::new(newest),
            through: AtomicI64::new(through),
            asked: Mutex::new(Some(Vec::new())),
        })))
    }

    /// The newest clip there is now.
    pub(super) fn newest(&self) -> i64 {
        self.0.newest.load(Ordering::Acquire)
    }

    /// Nobody writes any more: who waits or asks is told so.
    pub(super) fn close(&self) {
        self.0.asked.lock().take();
    }

    /// Waits until the index has all clips up to this one; the writer has to look for it. Ends at once with an error when nobody
    /// writes any more.
    pub(super) fn ask(&self, newest: i64) -> oneshot::Receiver<bool> {
        let (answer, answered) = oneshot::channel();
        if let Some(asked) = &mut *self.0.asked.lock() {
            asked.push(Asked { newest, answer });
        }
        answered
    }

    /// Whether anybody waits.
    pub(super) fn is_asked(&self) -> bool {
        self.0.asked.lock().as_ref().is_some_and(|it| !it.is_empty())
    }

    /// Answers those who need not wait any more, or, when it `failed`, all.
    pub(super) fn answer(&self, failed: bool) {
        let mut all = self.0.asked.lock();
        let asked =
            all.iter_mut().flat_map(|it| it.extract_if(.., |it| failed || self.until(it.newest) == 0));
        for Asked { answer, .. } in asked {
            let _ = answer.send(!failed);
        }
    }

    /// How many wait up to this one, at most.
    pub(super) fn until(&self, newest: i64) -> u64 {
        newest.saturating_sub(self.0.through.load(Ordering::Acquire)).max(0).unsigned_abs()
    }
}

/// What a transaction knows of them.
#[derive(Debug)]
pub(super) struct NewWords {
    waiting: Waiting,
    /// How far the index has come; none when it has not been looked up, or may have been changed or taken back since.
    through: Option<i64>,
    /// The newest clip of this transaction that waits.
    newest: i64,
    /// How far it has come in this transaction.
    written: Option<i64>,
    /// Clips that came when the index was past their ids.
    late: Vec<i64>,
}

impl NewWords {
    pub(super) fn new(waiting: Waiting) -> Self {
        NewWords { waiting, through: None, newest: 0, written: None, late: Vec::new() }
    }

    /// A transaction begins.
    pub(super) fn begin(&mut self) {
        *self = NewWords { through: self.through, ..NewWords::new(self.waiting.clone()) };
    }

    /// A part of the transaction was taken back, perhaps one that wrote the index.
    pub(super) fn forget(&mut self) {
        (self.through, self.written) = (None, None);
    }

    /// No clip is newer than this, in this transaction or outside.
    fn newest(&self) -> i64 {
        self.newest.max(self.waiting.newest())
    }

    /// Whether any may wait.
    pub(super) fn is_any(&self) -> bool {
        self.waiting.until(self.newest()) > 0
    }

    /// A clip was stored.
    pub(super) fn add(&mut self, reader: &mut Reader, id: i64) -> Result<()> {
        let through = match self.through {
            Some(through) => through,
            None => *self.through.insert(reader.counter(WORDS_THROUGH)?),
        };
        if id > through {
            self.newest = self.newest.max(id);
        } else {
            self.late.push(id);
        }
        Ok(())
    }

    /// Puts the words of those that came late into the index.
    pub(super) fn settle(&mut self, reader: &mut Reader) -> Result<()> {
        self.late.sort_unstable();
        for id in self.late.drain(..) {
            statement(
                "INSERT INTO clips_fts (rowid, title, description, tags) \
                 SELECT id, title, description, tags FROM clips WHERE id = ?",
            )
            .bind(id)
            .write(reader)?;
        }
        Ok(())
    }

    /// Puts the words of the next ones that wait into the index.
    pub(super) fn write(&mut self, reader: &mut Reader) -> Result<()> {
        self.settle(reader)?;
        let before = reader.counter(WORDS_THROUGH)?;
        let most = statement("SELECT id FROM clips WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?");
        let most = most.bind(before).bind(MOST - 1).number(reader)?;
        // All of them: also those that were lost with their transaction are not waited for any more.
        let through = most.unwrap_or_else(|| before.max(self.newest()));
        statement(
            "INSERT INTO clips_fts (rowid, title, description, tags) \
             SELECT id, title, description, tags FROM clips WHERE id > ? AND id <= ? ORDER BY id",
        )
        .bind(before)
        .bind(through)
        .write(reader)?;
        let moved = statement("UPDATE counters SET value = ? WHERE name = ?")
            .bind(through)
            .bind(WORDS_THROUGH)
            .write(reader)?;
        if moved != 1 {
            return Err(Error::internal("the database does not say how far its index of words has come"));
        }
        (self.through, self.written) = (Some(through), Some(through));
        Ok(())
    }

    /// Before the commit: who sees a clip of it shall also see that its words wait.
    pub(super) fn announce(&self) {
        self.waiting.0.newest.fetch_max(self.newest, Ordering::AcqRel);
    }

    pub(super) fn committed(&mut self) {
        if let Some(through) = self.written {
            self.waiting.0.through.store(through, Ordering::Release);
        }
    }
}

#[cfg(test)]
#[path = "new_words_tests.rs"]
mod tests;
