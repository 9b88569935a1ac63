//! What waits for the writer: bounded, in order, with a lane for what can wait until nothing else does.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::error::{Code, Error, Result};

use super::tx::Tx;

/// A job as the writer sees it.
pub(super) trait Work: Send {
    /// Runs it and keeps its result; true when its changes are to stay.
    fn run(&mut self, tx: &mut Tx) -> bool;
    /// Takes the place of a result: the job panicked.
    fn panicked(&mut self);
    /// Whether it may run more than once.
    fn runs_again(&self) -> bool;
    /// Whether a full disk stopped it.
    fn met_full_disk(&self) -> bool;
    /// Whether it may run again after a full disk stopped it.
    fn wants_room(&self, group_lost: bool) -> bool;
    /// Gives the result to whoever waits: the job's own, or `lost` when the group did not commit.
    fn answer(self: Box<Self>, lost: Option<Error>);
}

/// What the writer finds when it looks.
pub(super) enum Taken {
    /// Run these in one transaction.
    Jobs(Vec<Box<dyn Work>>),
    /// Nothing came in time, or something else is to be looked after.
    Nothing,
    /// Nothing will come any more.
    Closed,
}

#[derive(Default)]
struct Lanes {
    jobs: VecDeque<Box<dyn Work>>,
    idle: VecDeque<Box<dyn Work>>,
    /// Jobs that were taken and are not answered yet.
    taken: usize,
    closed: bool,
    /// There is something to look after that is no job.
    look: bool,
}

/// The queue of the writer.
pub(super) struct Queue {
    lanes: Mutex<Lanes>,
    filled: Condvar,
    bound: usize,
}

impl Queue {
    pub(super) fn new(bound: usize) -> Self {
        Queue { lanes: Mutex::default(), filled: Condvar::new(), bound: bound.max(1) }
    }

    /// Adds a job; `idle` ones run when there is no other.
    ///
    /// # Errors
    /// `Overloaded` when full, `Stopping` when closed: the job was not taken and never runs.
    pub(super) fn push(&self, job: Box<dyn Work>, idle: bool) -> Result<()> {
        let mut lanes = self.lanes.lock();
        if lanes.closed {
            return Err(Error::new(Code::Stopping, "The database is closing."));
        }
        let lane = if idle { &mut lanes.idle } else { &mut lanes.jobs };
        if lane.len() >= self.bound {
            let detail = format!("{} changes wait for the database already.", self.bound);
            return Err(Error { retry_after: Some(1), ..Error::new(Code::Overloaded, detail) });
        }
        lane.push_back(job);
        drop(lanes);
        self.filled.notify_one();
        Ok(())
    }

    /// Has the writer look after what is no job.
    pub(super) fn look(&self) {
        self.lanes.lock().look = true;
        self.filled.notify_one();
    }

    /// Takes what is there, at most `max`; waits only when there is nothing, at most for `patience`.
    pub(super) fn take(&self, max: usize, patience: Duration) -> Taken {
        let mut lanes = self.lanes.lock();
        // Whoever takes more has answered what it took before.
        lanes.taken = 0;
        loop {
            let Lanes { jobs, idle, closed, taken, look } = &mut *lanes;
            let lane = if jobs.is_empty() { idle } else { jobs };
            if !lane.is_empty() {
                let count = lane.len().min(max);
                *taken = count;
                return Taken::Jobs(lane.drain(..count).collect());
            }
            if *closed {
                return Taken::Closed;
            }
            if std::mem::take(look) {
                return Taken::Nothing;
            }
            if self.filled.wait_for(&mut lanes, patience).timed_out() {
                return Taken::Nothing;
            }
        }
    }

    /// Jobs that wait.
    pub(super) fn len(&self) -> usize {
        self.lanes.lock().jobs.len()
    }

    /// Whether nothing waits and all that was taken is answered.
    pub(super) fn is_idle(&self) -> bool {
        let lanes = self.lanes.lock();
        lanes.jobs.is_empty() && lanes.idle.is_empty() && lanes.taken == 0
    }

    /// Takes no more; what waits is still run.
    pub(super) fn close(&self) {
        self.lanes.lock().closed = true;
        self.filled.notify_all();
    }
}
