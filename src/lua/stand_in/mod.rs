//! What stands in for the world while a plugin is tested: a clock that is moved by hand, chance from a seed, answers in
//! the place of other servers and of programs, failures on demand. A server that is not testing has none of it.

mod answers;
mod chance;
mod clock;
mod failures;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use crate::clock::SharedClock;
use crate::error::ScriptFault;

use super::budget::Skipped;
use super::replay::LogLine;

pub use answers::{Answers, Ask, Stub};
use clock::{HeldClock, Timers};
pub use failures::FAILING;
use failures::Failure;

/// Lines of the log that are kept.
const MAX_LINES: usize = 500;

/// The world of one plugin that is tested. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct StandIn(Arc<World>);

struct World {
    seed: u64,
    chance: AtomicU64,
    clock: Arc<HeldClock>,
    began_us: i64,
    timers: Mutex<Timers>,
    skipped: Skipped,
    /// Waits that are over, and whose coroutines have not gone on yet.
    woken: AtomicUsize,
    /// Work of the host that ends by itself.
    working: AtomicUsize,
    failures: Mutex<Vec<Failure>>,
    answers: Answers,
    log: Mutex<Vec<LogLine>>,
    faults: Mutex<Vec<ScriptFault>>,
}

impl StandIn {
    /// A world in which it is `now_us` (microseconds since 1970 UTC) until the clock is moved; `seed` is where chance begins.
    pub fn new(now_us: i64, seed: u64) -> Self {
        StandIn(Arc::new(World {
            seed,
            chance: AtomicU64::new(seed),
            clock: Arc::new(HeldClock::at(now_us)),
            began_us: now_us,
            timers: Mutex::default(),
            skipped: Skipped::default(),
            woken: AtomicUsize::new(0),
            working: AtomicUsize::new(0),
            failures: Mutex::default(),
            answers: Answers::default(),
            log: Mutex::default(),
            faults: Mutex::default(),
        }))
    }

    /// The clock, for all who ask for the time.
    pub fn clock(&self) -> SharedClock {
        Arc::clone(&self.0.clock) as SharedClock
    }

    /// What answers in the place of other servers.
    pub fn answers(&self) -> &Answers {
        &self.0.answers
    }

    /// By how much the clock was moved so far.
    pub(in crate::lua) fn skipped(&self) -> Skipped {
        self.0.skipped.clone()
    }

    /// Notes that the host has begun something that ends by itself; the clock is not to be moved before.
    pub(in crate::lua) fn work(&self) -> AtWork {
        self.0.working.fetch_add(1, Ordering::AcqRel);
        AtWork(self.clone())
    }

    /// How much is under way that ends by itself: waits that are over, and work of the host.
    pub fn under_way(&self) -> (usize, usize) {
        (self.0.woken.load(Ordering::Acquire), self.0.working.load(Ordering::Acquire))
    }

    pub(in crate::lua) fn note_line(&self, level: &str, message: &str, fields: &Value) {
        let mut log = self.0.log.lock();
        if log.len() < MAX_LINES {
            let (level, message) = (level.to_owned(), message.to_owned());
            log.push(LogLine { level, message, fields: fields.clone() });
        }
    }

    /// What the plugin has logged.
    pub fn log(&self) -> Vec<LogLine> {
        self.0.log.lock().clone()
    }

    /// Notes that a call has failed that nobody may be waiting for.
    pub fn note_fault(&self, fault: ScriptFault) {
        self.0.faults.lock().push(fault);
    }

    /// The failures since this was asked last.
    pub fn take_faults(&self) -> Vec<ScriptFault> {
        std::mem::take(&mut *self.0.faults.lock())
    }
}

/// Something is under way; dropped when it is over.
pub(in crate::lua) struct AtWork(StandIn);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.0.working.fetch_sub(1, Ordering::AcqRel);
    }
}

fn microseconds(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
