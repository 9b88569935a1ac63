//! What has gone through one VM, what waits for it, and how long it would keep one more waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::rush::Rush;

/// So many may wait however long each takes: a few people who use a slow plugin at once are no crowd.
const ALWAYS: usize = 32;
/// With more, one that would wait for longer than this had better try again later.
const PATIENCE: Duration = Duration::from_millis(25);
/// In a rush half of both will do: the next is at the door when one is done, so a longer queue keeps the plugin no busier.
const IN_A_RUSH: usize = 2;
/// The newest time counts for one part in so many.
const WEIGHT: u64 = 8;

/// The counts of one VM.
#[derive(Default)]
pub struct Counts {
    /// Calls begun and not yet ended.
    pub in_flight: AtomicUsize,
    /// Of these, calls from outside, which `limits.in_flight` bounds; tasks have a bound of their own.
    pub from_outside: AtomicUsize,
    /// Calls that have ended.
    pub ended: AtomicU64,
    /// CPU time of ended calls.
    pub cpu_ns: AtomicU64,
    /// Calls from outside that were not begun yet.
    waiting: AtomicUsize,
    /// The CPU time of a call from outside, of late.
    each_cpu_ns: AtomicU64,
    /// The time a call from outside waits for each that is before it, of late.
    each_wait_ns: AtomicU64,
    rush: Rush,
}

/// A call's place among those that wait; given up when it begins, or is dropped.
pub struct Place {
    counts: Arc<Counts>,
    before: usize,
    is_left: bool,
}

impl Counts {
    /// One more waits.
    pub fn enter(self: &Arc<Self>) -> Place {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        Place { counts: Arc::clone(self), before, is_left: false }
    }

    /// A call from outside has ended, and used so much.
    pub fn ended(&self, cpu: Duration) {
        if !cpu.is_zero() {
            blend(&self.each_cpu_ns, cpu.as_nanos() as u64);
        }
    }

    /// Whether so many wait that one more is better sent away: each takes what a call of late has used, or more when
    /// other plugins have the threads.
    pub fn is_crowded(&self) -> bool {
        let waiting = self.waiting.load(Ordering::Relaxed);
        waiting >= ALWAYS / IN_A_RUSH && self.is_crowded_by(waiting, Instant::now())
    }

    fn is_crowded_by(&self, waiting: usize, now: Instant) -> bool {
        let each = self.each_cpu_ns.load(Ordering::Relaxed).max(self.each_wait_ns.load(Ordering::Relaxed));
        let wait_ns = each.saturating_mul(waiting as u64);
        let goes_beyond =
            |part: usize| waiting >= ALWAYS / part && wait_ns > PATIENCE.as_nanos() as u64 / part as u64;
        goes_beyond(1) || goes_beyond(IN_A_RUSH) && self.rush.is_on(now)
    }

    /// One was sent away.
    pub fn sent_away(&self) {
        self.rush.note(Instant::now());
    }
}

impl Place {
    /// The call begins, after so much time.
    pub fn begin(&mut self, waited: Duration) {
        self.leave();
        // Of those that find nobody before them it tells nothing but how fast a thread wakes up.
        if let Some(each) = (waited.as_nanos() as u64).checked_div(self.before as u64) {
            blend(&self.counts.each_wait_ns, each);
        }
    }

    fn leave(&mut self) {
        if !std::mem::replace(&mut self.is_left, true) {
            self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A VM serves one thread at a time, so nobody else writes.
fn blend(kept: &AtomicU64, new: u64) {
    let old = kept.load(Ordering::Relaxed);
    kept.store(if old == 0 { new } else { old - old / WEIGHT + new / WEIGHT }, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn calls_that_take_long_make_a_crowd_sooner_but_never_of_a_few() {
        let counts = Arc::new(Counts::default());
        let mut places: Vec<Place> = (0..ALWAYS - 1).map(|_| counts.enter()).collect();
        counts.ended(90 * MS);
        assert!(!counts.is_crowded(), "a few may wait for as long as it takes");
        places.push(counts.enter());
        assert!(counts.is_crowded());
        (0..200).for_each(|_| counts.ended(MS / 10));
        assert!(!counts.is_crowded(), "{ALWAYS} short calls are soon done");
        places.extend((0..300).map(|_| counts.enter()));
        assert!(counts.is_crowded());
        places.clear();
        assert!(!counts.is_crowded());
    }

    #[test]
    fn in_a_rush_fewer_wait() {
        let counts = Arc::new(Counts::default());
        counts.ended(2 * MS);
        let places: Vec<Place> = (0..ALWAYS).map(|_| counts.enter()).collect();
        let half = ALWAYS / IN_A_RUSH;
        let now = Instant::now();
        assert!(!counts.is_crowded_by(half, now));
        (0..100).for_each(|_| assert!(counts.is_crowded_by(ALWAYS, now)));
        assert!(!counts.is_crowded_by(half, now), "nobody was sent away");
        (0..100).for_each(|_| counts.sent_away());
        assert!(counts.is_crowded_by(half, now));
        assert!(!counts.is_crowded_by(half - 1, now));
        assert!(!counts.is_crowded_by(half, now + Duration::from_secs(60)), "the rush is over");
        drop(places);
        assert!(!counts.is_crowded());
    }

    #[test]
    fn calls_that_wait_for_other_plugins_make_a_crowd_too() {
        let counts = Arc::new(Counts::default());
        counts.ended(MS / 100);
        let _places: Vec<Place> = (0..64).map(|_| counts.enter()).collect();
        assert!(!counts.is_crowded());
        counts.enter().begin(64 * MS);
        assert!(counts.is_crowded());
    }
}
