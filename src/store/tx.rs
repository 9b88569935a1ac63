//! What a job of the writer works on.

use std::ops::{Deref, DerefMut};

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;

use crate::error::Result;
use crate::model::asked::Asked;
use crate::model::call::Hold;

use super::clip_totals::ClipTotals;
use super::connection::Reader;
use super::counters::Differences;
use super::event_kinds::NewestBlock;
use super::failure::OrFail;
use super::new_words::{NewWords, Waiting};
use super::stamp::Stamp;
use super::statement::{prepared, statement};

/// The writing side of a job: its changes become visible together, when the group commits, or not at all.
/// What it reads, it reads within the transaction.
#[derive(Debug)]
pub struct Tx {
    reader: Reader,
    /// Of the job that runs.
    job: Differences,
    /// Of the jobs of this group that succeeded.
    group: Differences,
    /// Of clips that were stored in this transaction.
    words: NewWords,
    /// Let go of when the group has been committed, or is lost.
    holds: Vec<Hold>,
    /// Done when the group has been committed, by the jobs that succeeded.
    afterwards: Vec<Afterwards>,
    /// The request that the job works for.
    asked: Option<Asked>,
    clip_totals: ClipTotals,
    stamp: Stamp,
    /// Some job of this group changed clips, or tried to.
    changed_clips: bool,
    /// No job and no part of one has a savepoint; what fails spoils the whole.
    together: bool,
    spoiled: bool,
    pub(super) last: Last,
    /// What SQLite calls the state of the database: another one when another connection has changed it. As it was
    /// when the last transaction was committed, and as this one has found it.
    version: Option<i64>,
    found: Option<i64>,
    /// Up to which place the types of events are written down for sure; none at the start.
    typed_through: Option<i64>,
}

/// The numbers that rows were given last: the next has one more; and what is written down of the newest events. Nothing is
/// known at the start, where a row may have been taken back, and when another connection has changed the database.
#[derive(Debug, Default)]
pub(super) struct Last {
    pub(super) event: Option<i64>,
    pub(super) delivery: Option<i64>,
    pub(super) block: NewestBlock,
}

struct Afterwards(Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Afterwards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Afterwards")
    }
}

impl Deref for Tx {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Reader {
        &mut self.reader
    }
}

impl Tx {
    /// Over the connection that writes; `clip_totals` hears of changes of clips, `waiting` of those without words, `stamp` of
    /// commits.
    pub(super) fn new(reader: Reader, clip_totals: ClipTotals, waiting: Waiting, stamp: Stamp) -> Self {
        Tx {
            reader,
            job: Differences::default(),
            group: Differences::default(),
            words: NewWords::new(waiting),
            holds: Vec::new(),
            afterwards: Vec::new(),
            asked: None,
            clip_totals,
            stamp,
            changed_clips: false,
            together: false,
            spoiled: false,
            last: Last::default(),
            version: None,
            found: None,
            typed_through: None,
        }
    }

    /// Notes that the counter `name` changes by `by` if the job succeeds.
    pub(super) fn count(&mut self, name: impl Into<std::borrow::Cow<'static, str>>, by: i64) {
        self.job.add(name, by);
    }

    /// The same for a counter of `kind` that is named after something.
    pub(super) fn count_of(&mut self, kind: &'static str, of: &str, by: i64) {
        self.job.add_to(kind, of, by);
    }

    /// Notes that totals of clips that were counted before are worthless once the group has been committed.
    pub(super) fn changes_clips(&mut self) {
        self.changed_clips = true;
    }

    /// The job works for this request.
    pub(super) fn works_for(&mut self, asked: Option<Asked>) {
        self.asked = asked;
    }

    /// The request that the job works for, if it is an act of somebody.
    pub(super) fn asked(&self) -> Option<&Asked> {
        self.asked.as_ref()
    }

    /// Keeps `hold` until the changes are visible to everybody, or lost.
    pub fn hold(&mut self, hold: Hold) {
        self.holds.push(hold);
    }

    /// Does `act` once the changes are visible to everybody; never when they are lost. It must be quick: it runs on the
    /// writer's thread.
    pub fn after_commit(&mut self, act: impl FnOnce() + Send + 'static) {
        self.afterwards.push(Afterwards(Box::new(act)));
    }

    /// A clip was stored: its words wait for their turn. Those of one that comes late are in the index when the transaction
    /// ends, or at once where a job may still fail alone.
    pub(super) fn new_words(&mut self, id: i64) -> Result<()> {
        self.words.add(&mut self.reader, id)?;
        if self.together { Ok(()) } else { self.settle_words() }
    }

    /// Puts words of clips that came late into the index before they change there.
    pub(super) fn settle_words(&mut self) -> Result<()> {
        self.words.settle(&mut self.reader)
    }

    /// Puts words of clips into the index that are not there yet; of very many only the first.
    pub(super) fn index_words(&mut self) -> Result<()> {
        if !self.words.is_any() {
            return Ok(());
        }
        // What was counted of a search before knows nothing of them.
        self.changes_clips();
        self.words.write(&mut self.reader)
    }

    /// The counter as it will be if the job succeeds.
    pub(super) fn counter_now(&mut self, name: &str) -> Result<i64> {
        Ok(self.reader.counter(name)? + self.group.get(name) + self.job.get(name))
    }

    /// Begins a transaction whose jobs have a savepoint each.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.open(false)
    }

    /// Begins one whose jobs stay or go together.
    pub(super) fn begin_together(&mut self) -> Result<()> {
        self.open(true)
    }

    fn open(&mut self, together: bool) -> Result<()> {
        (self.together, self.spoiled) = (together, false);
        self.asked = None;
        self.words.begin();
        self.job = Differences::default();
        self.group = Differences::default();
        self.run("BEGIN IMMEDIATE")?;
        self.forget_if_changed()
    }

    /// Others do not write here, but an admin with a tool of his own may: what was known goes by what is there now.
    fn forget_if_changed(&mut self) -> Result<()> {
        self.found = statement("PRAGMA data_version").number(&self.reader)?;
        if self.found != self.version {
            self.last = Last::default();
            self.words.forget();
            let through = match self.typed_through {
                Some(through) => through,
                None => self.last_known_kind()?,
            };
            self.note_kinds_after(through)?;
        }
        Ok(())
    }

    /// Whether a part of a job failed in a transaction that is whole or nothing.
    pub(super) fn is_spoiled(&self) -> bool {
        self.spoiled
    }

    /// Runs `work` so that it leaves nothing behind when it fails.
    ///
    /// # Errors
    /// The transaction itself is gone (a full disk may do that): the whole group is lost.
    pub(super) fn job(&mut self, work: impl FnOnce(&mut Tx) -> bool) -> Result<()> {
        self.run("SAVEPOINT job")?;
        self.job = Differences::default();
        self.asked = None;
        let kept = self.afterwards.len();
        if work(self) {
            let differences = std::mem::take(&mut self.job);
            self.group.merge(differences);
            self.run("RELEASE job")
        } else {
            self.job = Differences::default();
            self.afterwards.truncate(kept);
            self.last = Last::default();
            self.words.forget();
            self.run("ROLLBACK TO job")?;
            self.run("RELEASE job")
        }
    }

    /// Runs a part of a job that may fail alone: its error leaves nothing of the part behind, and the job goes on.
    ///
    /// # Errors
    /// The transaction itself is gone, or goes with the part: then the whole job is run again.
    pub fn part<T>(&mut self, work: impl FnOnce(&mut Tx) -> Result<T>) -> Result<Result<T>> {
        if self.together {
            // The job ends here and is run again by itself: nobody has been told of the failure yet.
            let result = work(self);
            self.spoiled |= result.is_err();
            return result.map(Ok);
        }
        self.run("SAVEPOINT part")?;
        let (differences, kept) = (self.job.clone(), self.afterwards.len());
        let result = work(self);
        if result.is_ok() {
            self.run("RELEASE part")?;
        } else {
            self.job = differences;
            self.afterwards.truncate(kept);
            self.last = Last::default();
            self.words.forget();
            self.run("ROLLBACK TO part")?;
            self.run("RELEASE part")?;
        }
        Ok(result)
    }

    pub(super) fn commit(&mut self) -> Result<()> {
        // Of jobs without savepoints all differences are still here.
        let last = std::mem::take(&mut self.job);
        self.group.merge(last);
        std::mem::take(&mut self.group).write(&mut self.reader)?;
        self.settle_words()?;
        self.words.announce();
        let stamp = self.stamp.clone();
        stamp.during(|| self.run("COMMIT"))?;
        if std::mem::take(&mut self.changed_clips) {
            self.clip_totals.changed();
        }
        // After the totals: who sees that no words wait shall not be told what was counted without them.
        self.words.committed();
        self.version = self.found;
        self.typed_through = self.last.event.or(self.typed_through);
        self.holds.clear();
        for Afterwards(act) in self.afterwards.drain(..) {
            act();
        }
        Ok(())
    }

    /// Ends a transaction that failed, if the database has not done so itself.
    pub(super) fn roll_back(&mut self) {
        self.holds.clear();
        self.afterwards.clear();
        self.last = Last::default();
        self.words.forget();
        if let Err(error) = self.execute("ROLLBACK") {
            log::debug!("database: nothing to roll back: {:?}", error.source);
        }
    }

    /// Stores something that changes nothing, as a change is stored: a page of the file goes through the log.
    pub(super) fn try_out(&mut self) -> Result<()> {
        self.begin()?;
        self.execute("PRAGMA user_version = 0")?;
        self.commit()
    }

    /// From now on the connection reads what there is at this moment, until [`Tx::end_reading`].
    pub(super) fn begin_reading(&mut self) -> Result<()> {
        self.run("BEGIN")?;
        let read =
            prepared!(BigInt => "SELECT count(*) FROM (SELECT 1 FROM __diesel_schema_migrations LIMIT 1)");
        let read: Result<i64> = read.get_result(&mut self.reader.conn).or_fail();
        read.map(drop).inspect_err(|_| self.end_reading())
    }

    /// Ends what [`Tx::begin_reading`] began: nothing could be written in it.
    pub(super) fn end_reading(&mut self) {
        if let Err(error) = self.run("COMMIT") {
            log::debug!("database: what was read did not end: {:?}", error.source);
            self.roll_back();
        }
    }

    /// Runs a statement of every transaction: prepared once.
    fn run(&mut self, sql: &'static str) -> Result<()> {
        statement::<()>(sql).write(&self.reader).map(drop)
    }

    /// Runs statements without parameters.
    pub(super) fn execute(&mut self, sql: &str) -> Result<()> {
        self.reader.conn.batch_execute(sql).or_fail()
    }
}
