//! All persistence, and the only SQL. One thread writes ([`Store::write`]), a pool reads ([`Store::read`]);
//! each table has a file with what a [`Tx`] may do to it and what a [`Reader`] finds in it.
//!
//! A write that was answered with success survives `kill -9` and a power cut.

mod audit;
mod backup;
mod ballast;
mod call_traces;
mod causes;
mod checkpoint;
#[cfg(test)]
mod clip_list_tests;
mod clip_months;
mod clip_parts;
mod clip_query;
mod clip_row;
#[cfg(test)]
mod clip_tests;
#[cfg(test)]
mod clip_total_tests;
mod clip_totals;
mod clip_words;
mod clips;
mod connection;
mod counters;
mod deliveries;
mod direct;
mod event_kinds;
mod event_pages;
mod event_schemas;
mod events;
mod failure;
mod gather;
mod idempotency;
mod json;
mod kv;
#[cfg(test)]
mod kv_tests;
mod look;
mod migrate;
#[cfg(test)]
mod migrate_tests;
mod new_words;
mod pin;
mod plugin_assets;
mod plugin_configurations;
pub mod plugin_db;
mod plugin_grants;
mod plugin_once;
mod schedules;
mod plugin_tasks;
mod plugin_versions;
mod plugins;
mod private;
mod queue;
mod readers;
mod recordings;
mod replays;
mod retention;
mod room;
#[rustfmt::skip] // in the form that diesel writes
mod schema;
mod stamp;
mod statement;
#[cfg(test)]
mod testing;
mod timing;
mod tokens;
mod traces;
mod tracks;
mod tx;
mod uploads;
mod webhook_attempts;
mod webhooks;
mod words_turn;
mod writer;
#[cfg(test)]
mod writer_tests;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Result;
use crate::model::asked::Asked;

use ballast::Ballast;
use checkpoint::Checkpointer;
use clip_totals::ClipTotals;
use clips::ClipIds;
use new_words::Waiting;
use readers::Readers;
use room::RoomWatch;
use stamp::Stamp;
use words_turn::Turn;
use writer::{Again, Writer, once};

pub use audit::{AuditEntry, DENIED, FAILED, WantedActs};
#[cfg(test)]
pub use backup::pretend_newer;
pub use backup::{
    DatabaseContents, TrackFile, check_database, copy_database, database_contents, empty_log, sealed_values,
};
pub use call_traces::{TraceBounds, TraceFilter};
pub use clip_query::{ClipFilter, ClipOrder, ClipSort};
pub use clips::NewClip;
pub use connection::Reader;
pub use deliveries::{
    Backlog, Claimed, DeliveryCounts, DeliveryRow, DeliveryStates, Freed, GivenUp, Most, Ran, Room,
    WantedGivenUp,
};
pub use event_pages::{EventFilter, EventPage, EventWindow};
pub use events::Stored;
pub use idempotency::KeptAnswer;
pub use kv::KvUsage;
pub use look::{DatabaseLook, damage_of_database, look_at_database, sqlite_version};
pub use plugin_tasks::PluginTask;
pub use plugin_versions::packed;
pub use recordings::RecordingFilter;
pub use replays::{NewReplay, Step};
pub use retention::{JournalSize, Keep, Removable, Removed};
pub use timing::{timed, waited};
pub use traces::TracedDelivery;
pub use tx::Tx;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The database file; its folder must exist.
    pub path: PathBuf,
    /// Connections that read.
    pub readers: u32,
    /// Changes that may wait for the writer; one more is answered `Overloaded`.
    pub queue: usize,
    /// Disk space held back for deletes on a full disk; 0 = none.
    pub ballast_bytes: u64,
    /// Whether what is answered survives a power cut; what is thrown away anyway need not.
    pub durable: bool,
}

impl StoreOptions {
    /// The defaults for the database at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        StoreOptions { path: path.into(), readers: 8, queue: 4096, ballast_bytes: 16 << 20, durable: true }
    }
}

/// The database: cheap to clone, one for the whole server.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    writer: Writer,
    readers: Readers,
    clip_ids: ClipIds,
    without_words: Waiting,
    stamp: Stamp,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("waiting", &self.inner.writer.waiting()).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// It cannot be opened, was written by a newer version, or a migration fails.
    pub fn open(options: &StoreOptions) -> Result<Self> {
        let mut ballast = Ballast::beside(&options.path, options.ballast_bytes);
        ballast.make_way();
        private::make_private(&options.path);
        let mut connection = Reader::open_writer(&options.path)?;
        if !options.durable {
            connection.forgo_durability()?;
        }
        migrate::migrate(&mut connection, &options.path, migrate::MIGRATIONS)?;
        let clip_ids = ClipIds::after_last(&mut connection)?;
        ballast.restore();
        let clip_totals = ClipTotals::default();
        let without_words = Waiting::of(&mut connection)?;
        let readers = Readers::open(options.path.clone(), options.readers, clip_totals.clone())?;
        let checkpointer = Checkpointer::start(&options.path, options.durable)?;
        let stamp = Stamp::default();
        let tx = Tx::new(connection, clip_totals, without_words.clone(), stamp.clone());
        let turn = Turn::new(without_words.clone());
        let writer =
            Writer::start(tx, ballast, RoomWatch::of(&options.path), checkpointer, turn, options.queue)?;
        Ok(Store { inner: Arc::new(Inner { writer, readers, clip_ids, without_words, stamp }) })
    }

    /// Runs `job` on the writer; the answer comes when its changes are durable. It is queued at once: dropping
    /// the future does not undo it. A job that answers an error or panics leaves no change.
    pub fn write<T, F>(&self, job: F) -> impl Future<Output = Result<T>> + Send + 'static + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx) -> Result<T> + Send + 'static,
    {
        let asked = Asked::current();
        let job = move |tx: &mut Tx| {
            tx.works_for(asked);
            job(tx)
        };
        waited(self.inner.writer.write(once(job), Again::Never))
    }

    /// As [`Store::write`] for a job that may run again when one beside it fails: together they cost less. Each run makes
    /// all its changes anew.
    pub fn write_again<T, F>(&self, job: F) -> impl Future<Output = Result<T>> + Send + 'static + use<T, F>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx) -> Result<T> + Send + 'static,
    {
        self.write_repeatable(job, Again::ForOthers)
    }

    fn write_repeatable<T, F>(
        &self,
        mut job: F,
        again: Again,
    ) -> impl Future<Output = Result<T>> + Send + 'static + use<T, F>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx) -> Result<T> + Send + 'static,
    {
        let asked = Asked::current();
        let job = move |tx: &mut Tx| {
            tx.works_for(asked.clone());
            job(tx)
        };
        waited(self.inner.writer.write(job, again))
    }

    /// As [`Store::write`] for a job that makes room: when the disk is full, space held back is released and
    /// the job runs again.
    pub fn write_freeing<T, F>(&self, job: F) -> impl Future<Output = Result<T>> + Send + 'static + use<T, F>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx) -> Result<T> + Send + 'static,
    {
        self.write_repeatable(job, Again::ForRoom)
    }

    /// As [`Store::write`], for a thread that may wait (never an HTTP worker).
    ///
    /// # Errors
    /// The job's own, `Overloaded`, `Stopping`, or `DiskFull`.
    pub fn write_blocking<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx) -> Result<T> + Send + 'static,
    {
        self.inner.writer.write_blocking(once(job))
    }

    /// Runs `job` when no other change waits; it may be dropped when too many such jobs wait.
    pub fn write_idle(&self, job: impl FnOnce(&mut Tx) -> Result<()> + Send + 'static) {
        self.inner.writer.write_idle(once(job));
    }

    /// Reads where the caller is: for point reads, some microseconds each.
    ///
    /// # Errors
    /// The closure's own, or `Overloaded` when no connection comes free.
    pub fn read<T>(&self, f: impl FnOnce(&mut Reader) -> Result<T>) -> Result<T> {
        timing::spent(|| self.inner.readers.read(f))
    }

    /// Reads on the runtime's blocking pool: for lists and searches. At most half of the connections do this.
    ///
    /// # Errors
    /// The closure's own, or `Overloaded` when no connection comes free.
    pub async fn read_async<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader) -> Result<T> + Send + 'static,
    {
        self.inner.readers.read_async(f).await
    }

    /// Waits until a search finds every clip that is stored by now: their words go into the index many at a time, or when
    /// this asks for it. Where that cannot be done (a full disk) what there is is searched: the log says so.
    pub async fn words_are_indexed(&self) {
        let waiting = &self.inner.without_words;
        let newest = waiting.newest();
        if waiting.until(newest) > 0 {
            let asked = waiting.ask(newest);
            self.inner.writer.look();
            let _ = waited(asked).await;
        }
    }

    /// Transactions committed since the start: many changes may share one.
    pub fn commits(&self) -> u64 {
        self.inner.writer.commits()
    }

    /// A number for what is stored at this moment: while it is the same, nothing has changed. None while a commit is under
    /// way.
    pub fn stamp(&self) -> Option<u64> {
        self.inner.stamp.now()
    }

    /// Changes that were not stored because their transaction failed, since the start.
    pub fn failed_changes(&self) -> u64 {
        self.inner.writer.room().failed()
    }

    /// Whether changes are refused because the disk is full or cannot be written.
    pub fn is_disk_full(&self) -> bool {
        self.inner.writer.room().is_full()
    }

    /// Changes that wait for the writer.
    pub fn waiting(&self) -> usize {
        self.inner.writer.waiting()
    }

    /// Whether no change waits or is being made.
    pub fn is_idle(&self) -> bool {
        self.inner.writer.is_idle()
    }

    /// Takes no more changes, runs those that wait, and ends the writer. Reading goes on.
    pub fn close(&self) {
        self.inner.writer.close();
    }
}
