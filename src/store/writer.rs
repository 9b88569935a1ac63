//! The one thread that writes. It runs all jobs that queued while the former commit ran in one transaction, and answers
//! them after the commit: durability costs one flush a group.
//!
//! A savepoint lets a job fail alone, and has its price: the pages it touches are copied. Jobs that can run again do without:
//! when one of them fails, the group is rolled back and run again with a savepoint for each.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::error::{Error, Result};

use super::ballast::Ballast;
use super::checkpoint::Checkpointer;
use super::failure::{disk_full, is_full};
use super::pin::Pin;
use super::queue::{Queue, Taken, Work};
use super::room::{RoomState, RoomWatch};
use super::tx::Tx;
use super::words_turn::Turn;

/// The most jobs in one transaction.
const GROUP_MAX: usize = 64;

/// The queue's end that callers hold.
pub(super) struct Writer {
    queue: Arc<Queue>,
    commits: Arc<AtomicU64>,
    room: Arc<RoomState>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread; at most `bound` jobs may wait for it.
    pub(super) fn start(
        tx: Tx,
        ballast: Ballast,
        room: RoomWatch,
        checkpointer: Checkpointer,
        words: Turn,
        bound: usize,
    ) -> Result<Self> {
        let queue = Arc::new(Queue::new(bound));
        let commits = Arc::new(AtomicU64::new(0));
        let state = room.state();
        let mut thread = WriterThread {
            tx,
            ballast,
            room,
            checkpointer,
            pin: Pin::new(),
            words,
            queue: queue.clone(),
            commits: commits.clone(),
        };
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || thread.run())
            .map_err(Error::internal)?;
        Ok(Writer { queue, commits, room: state, thread: Mutex::new(Some(thread)) })
    }

    /// Transactions committed since the start.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Whether the disk takes changes.
    pub(super) fn room(&self) -> &RoomState {
        &self.room
    }

    /// Queues `job` now; the future waits for its commit. Dropping the future does not undo the job.
    pub(super) fn write<T, R>(
        &self,
        run: R,
        again: Again,
    ) -> impl Future<Output = Result<T>> + Send + 'static + use<T, R>
    where
        T: Send + 'static,
        R: FnMut(&mut Tx) -> Result<T> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let answer = move |result, run: R| drop(sender.send((result, run)));
        let queued = self.queue.push(Job::boxed(run, answer, again), false);
        async move {
            queued?;
            // What the job worked with is dropped here, where nobody else waits for it.
            let (result, _run) = receiver.await.map_err(|_| lost_writer())?;
            result
        }
    }

    /// As [`Writer::write`], for a thread that may wait.
    pub(super) fn write_blocking<T: Send + 'static>(
        &self,
        run: impl FnMut(&mut Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let answer = move |result, _| drop(sender.send(result));
        self.queue.push(Job::boxed(run, answer, Again::Never), false)?;
        receiver.recv().map_err(|_| lost_writer())?
    }

    /// Queues a job that runs when no other waits; nobody hears of it but the log.
    pub(super) fn write_idle(&self, run: impl FnMut(&mut Tx) -> Result<()> + Send + 'static) {
        let answer = |result: Result<()>, _| {
            if let Err(error) = result {
                log::debug!("database: a job that could wait was not done: {error} {:?}", error.source);
            }
        };
        if let Err(error) = self.queue.push(Job::boxed(run, answer, Again::Never), true) {
            log::debug!("database: a job that could wait was not taken: {error}");
        }
    }

    /// Has the thread look after what is no job.
    pub(super) fn look(&self) {
        self.queue.look();
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_idle()
    }

    /// Runs what waits and ends the thread.
    pub(super) fn close(&self) {
        self.queue.close();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            log::error!("database: the writer's thread had panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn lost_writer() -> Error {
    Error::internal("the writer's thread is gone")
}

struct WriterThread {
    tx: Tx,
    ballast: Ballast,
    room: RoomWatch,
    checkpointer: Checkpointer,
    pin: Pin,
    words: Turn,
    queue: Arc<Queue>,
    commits: Arc<AtomicU64>,
}

impl WriterThread {
    fn run(&mut self) {
        loop {
            let others =
                [self.ballast.patience(), self.room.patience(), self.words.patience()].into_iter().flatten();
            let patience = others.fold(self.pin.patience(), Duration::min);
            match self.queue.take(GROUP_MAX, patience) {
                Taken::Jobs(jobs) => {
                    self.pin.give_up(&mut self.tx);
                    self.group(jobs);
                    self.checkpointer.committed(&mut self.tx);
                    self.pin.written();
                    self.words.written();
                    self.look_at_room();
                }
                Taken::Nothing => {
                    self.ballast.restore();
                    self.look_at_room();
                    self.pin.turn(&mut self.tx);
                }
                Taken::Closed => break,
            }
            if self.words.is_due() {
                self.pin.give_up(&mut self.tx);
                self.index_words();
                self.pin.written();
            }
        }
        self.pin.give_up(&mut self.tx);
        while self.words.is_any() && self.index_words() {}
        self.checkpointer.stop();
        if let Err(error) = self.tx.execute("PRAGMA wal_checkpoint(TRUNCATE)") {
            log::warn!("database: the log was not folded in at the end: {:?}", error.source);
        }
    }

    /// Whether a full disk takes changes again. What was held back for deletes must be there again, too: what else is
    /// written until then uses it up.
    fn look_at_room(&mut self) {
        if self.room.patience() != Some(Duration::ZERO) {
            return;
        }
        self.ballast.restore();
        self.pin.give_up(&mut self.tx);
        let (tx, ballast) = (&mut self.tx, &self.ballast);
        self.room.look(|| ballast.is_there() && tx.try_out().inspect_err(|_| tx.roll_back()).is_ok());
        self.pin.written();
    }

    /// Puts words of clips that wait into their index; false when that failed.
    fn index_words(&mut self) -> bool {
        let indexed =
            self.tx.begin_together().and_then(|()| self.tx.index_words()).and_then(|()| self.tx.commit());
        if let Err(error) = &indexed {
            log::warn!(
                "database: words of clips could not be put into their index, searches may miss the newest: {error} {:?}",
                error.source
            );
            self.tx.roll_back();
        } else {
            self.commits.fetch_add(1, Ordering::Relaxed);
            self.checkpointer.committed(&mut self.tx);
        }
        self.words.took(indexed.is_err());
        indexed.is_ok()
    }

    fn group(&mut self, mut jobs: Vec<Box<dyn Work>>) {
        let lost = self.attempt(&mut jobs).err();
        let (again, done): (Vec<_>, Vec<_>) =
            jobs.into_iter().partition(|job| job.wants_room(lost.as_ref().is_some_and(is_full)));
        self.answer(done, lost);
        if !again.is_empty() {
            // What makes room gets a second chance, now that the ballast has.
            self.ballast.release();
            let mut jobs = again;
            let lost = self.attempt(&mut jobs).err();
            self.answer(jobs, lost);
        }
    }

    /// Tells whoever waits, and counts what was not stored.
    fn answer(&mut self, jobs: Vec<Box<dyn Work>>, lost: Option<Error>) {
        let refused = jobs.iter().filter(|it| it.met_full_disk()).count();
        match &lost {
            Some(error) if !jobs.is_empty() => self.room.lost(jobs.len(), error),
            None if refused > 0 => self.room.lost(refused, &disk_full(None)),
            _ => {}
        }
        for job in jobs {
            job.answer(lost.as_ref().map(for_each));
        }
    }

    /// Runs jobs in one transaction. An error means that none of them happened.
    fn attempt(&mut self, jobs: &mut [Box<dyn Work>]) -> Result<()> {
        let ran = self.transaction(jobs);
        if ran.as_ref().is_err_and(is_full) || jobs.iter().any(|it| it.met_full_disk()) {
            self.room.full();
        }
        if ran.is_err() {
            self.tx.roll_back();
        }
        ran
    }

    fn transaction(&mut self, jobs: &mut [Box<dyn Work>]) -> Result<()> {
        if !jobs.iter().all(|it| it.runs_again()) || !self.all_or_none(jobs)? {
            self.tx.begin()?;
            for job in jobs {
                // A full disk may end the transaction itself; what is told then is the disk, not its end.
                self.tx.job(|tx| run(job, tx)).map_err(|lost| match job.met_full_disk() {
                    true => disk_full(None),
                    false => lost,
                })?;
            }
        }
        self.tx.commit()?;
        self.commits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Runs jobs without savepoints, up to the commit. False, and nothing has happened, when any part of one failed.
    fn all_or_none(&mut self, jobs: &mut [Box<dyn Work>]) -> Result<bool> {
        self.tx.begin_together()?;
        let all = jobs.iter_mut().all(|job| run(job, &mut self.tx)) && !self.tx.is_spoiled();
        if !all {
            self.tx.roll_back();
        }
        Ok(all)
    }
}

/// Whether the changes of `job` are to stay.
fn run(job: &mut Box<dyn Work>, tx: &mut Tx) -> bool {
    catch_unwind(AssertUnwindSafe(|| job.run(tx))).unwrap_or_else(|_| {
        job.panicked();
        false
    })
}

/// When a job may run more than once; what it leaves is that of its last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It runs once.
    Never,
    /// When a job beside it failed.
    ForOthers,
    /// Also when the disk was full: it makes room.
    ForRoom,
}

/// The error of the group, for one of its jobs.
fn for_each(error: &Error) -> Error {
    if is_full(error) {
        return disk_full(None);
    }
    Error { retry_after: error.retry_after, ..Error::new(error.code, error.detail.clone()) }
}

/// A job with the result it had and the one who waits for it, and who gets back what it ran.
struct Job<T, R, A> {
    run: R,
    answer: A,
    result: Option<Result<T>>,
    again: Again,
}

impl<T, R, A> Job<T, R, A>
where
    T: Send + 'static,
    R: FnMut(&mut Tx) -> Result<T> + Send + 'static,
    A: FnOnce(Result<T>, R) + Send + 'static,
{
    fn boxed(run: R, answer: A, again: Again) -> Box<dyn Work> {
        Box::new(Job { run, answer, result: None, again })
    }
}

impl<T, R, A> Work for Job<T, R, A>
where
    T: Send,
    R: FnMut(&mut Tx) -> Result<T> + Send,
    A: FnOnce(Result<T>, R) + Send,
{
    fn run(&mut self, tx: &mut Tx) -> bool {
        let result = (self.run)(tx);
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn panicked(&mut self) {
        self.result = Some(Err(Error::internal("a change panicked")));
    }

    fn met_full_disk(&self) -> bool {
        matches!(&self.result, Some(Err(error)) if is_full(error))
    }

    fn wants_room(&self, group_lost: bool) -> bool {
        self.again == Again::ForRoom && (group_lost || self.met_full_disk())
    }

    fn runs_again(&self) -> bool {
        self.again != Again::Never
    }

    fn answer(self: Box<Self>, lost: Option<Error>) {
        let result = match lost {
            Some(error) => Err(error),
            None => self.result.unwrap_or_else(|| Err(lost_writer())),
        };
        (self.answer)(result, self.run);
    }
}

/// Lets a job that runs once pass as one that may run again.
pub(super) fn once<T>(
    job: impl FnOnce(&mut Tx) -> Result<T> + Send + 'static,
) -> impl FnMut(&mut Tx) -> Result<T> + Send + 'static {
    let mut job = Some(job);
    move |tx| match job.take() {
        Some(job) => job(tx),
        None => Err(Error::internal("a change that runs once was asked to run again")),
    }
}
