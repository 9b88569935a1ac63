//! How much of a thread a plugin took lately: what tells those that compute from those that have little to do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Whoever was heavy is light again this long after it took nothing more.
const FORGOTTEN_NS: u64 = 100_000_000;

/// How much of what it took a rest makes up for: who takes more than three quarters of a thread grows heavy.
const REST: u64 = 3;

/// CPU time it had on a thread, less what it made up for by wanting none: who takes more than three quarters of a thread,
/// or would if it got one, grows heavy. A thread that waits for a core takes nothing: on a busy machine a plugin that is
/// asked often, and answers at once, is not one that computes. Written by the thread that serves the plugin, read by all.
#[derive(Debug)]
pub(super) struct Share {
    epoch: Instant,
    taken_ns: AtomicU64,
    /// When that was so.
    at_ns: AtomicU64,
    /// Since when it waits for a thread; 0 while it does not.
    waits_since_ns: AtomicU64,
}

impl Share {
    /// Of one that has taken nothing yet.
    pub(super) fn new(now: Instant) -> Self {
        Share {
            epoch: now,
            taken_ns: AtomicU64::new(0),
            at_ns: AtomicU64::new(0),
            waits_since_ns: AtomicU64::new(0),
        }
    }

    /// It wants a thread, and there is none.
    pub(super) fn wait(&self, now: Instant) {
        self.waits_since_ns.store(self.ns(now).max(1), Ordering::Relaxed);
    }

    /// It has got one: the time it waited was no rest.
    pub(super) fn end_wait(&self, now: Instant) {
        let since = self.waits_since_ns.swap(0, Ordering::Relaxed);
        if since > 0 {
            self.at_ns.fetch_add(self.ns(now).saturating_sub(since), Ordering::Relaxed);
        }
    }

    /// It had a thread from `counted` until now, which is `counted` from then on, and computed for `cpu` of that.
    pub(super) fn add(&self, counted: &mut Instant, now: Instant, cpu: Duration) {
        let before = self.at(self.ns(*counted));
        let taken = before + cpu.as_nanos() as u64;
        self.taken_ns.store(taken.min(FORGOTTEN_NS * REST), Ordering::Relaxed);
        self.at_ns.store(self.ns(now), Ordering::Relaxed);
        *counted = now;
    }

    /// Goes on where the VM in whose place this one was put left off.
    pub(super) fn take_over(&self, former: &Share, now: Instant) {
        self.taken_ns.store(former.at(former.ns(now)), Ordering::Relaxed);
        self.at_ns.store(self.ns(now), Ordering::Relaxed);
    }

    /// Whether it took more than three quarters by `patience`.
    pub(super) fn is_heavy(&self, patience: Duration, now: Instant) -> bool {
        self.at(self.ns(now)) >= patience.as_nanos() as u64
    }

    fn at(&self, now_ns: u64) -> u64 {
        let since = now_ns.saturating_sub(self.at_ns.load(Ordering::Relaxed));
        self.taken_ns.load(Ordering::Relaxed).saturating_sub(since.saturating_mul(REST))
    }

    fn ns(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.epoch).as_nanos() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(4);
    const MS: Duration = Duration::from_millis(1);

    /// Whether turns of `turn`, one each `every`, make a plugin heavy within a second.
    fn becomes_heavy(turn: Duration, every: Duration) -> bool {
        let begin = Instant::now();
        let share = Share::new(begin);
        (1..1_000 * MS.as_nanos() / every.as_nanos()).any(|it| {
            let mut counted = begin + every * it as u32;
            let end = counted + turn;
            share.add(&mut counted, end, turn);
            share.is_heavy(PATIENCE, counted)
        })
    }

    #[test]
    fn who_takes_more_than_three_quarters_of_a_thread_is_heavy_however_short_its_turns_are() {
        assert!(becomes_heavy(4 * MS, 500 * MS));
        assert!(becomes_heavy(3 * MS, 3 * MS) && becomes_heavy(MS / 100, MS / 80));
        assert!(!becomes_heavy(3 * MS, 5 * MS) && !becomes_heavy(MS / 100, MS / 60));
    }

    #[test]
    fn to_wait_for_a_core_is_not_to_compute() {
        let mut now = Instant::now();
        let share = Share::new(now);
        for _ in 0..100 {
            let end = now + 3 * MS;
            share.add(&mut now, end, MS / 100);
            now += MS / 10;
        }
        assert!(!share.is_heavy(PATIENCE, now));
    }

    #[test]
    fn who_was_heavy_is_light_a_tenth_of_a_second_later() {
        let mut now = Instant::now();
        let share = Share::new(now);
        for _ in 0..100 {
            let end = now + 4 * MS;
            share.add(&mut now, end, 4 * MS);
        }
        assert!(share.is_heavy(PATIENCE, now));
        assert!(!share.is_heavy(PATIENCE, now + 100 * MS));
    }

    #[test]
    fn to_wait_for_a_thread_is_no_rest() {
        let mut now = Instant::now();
        let share = Share::new(now);
        // A turn of 1 ms, and 9 ms until there is a thread for the next one.
        for _ in 0..20 {
            share.wait(now);
            now += 9 * MS;
            share.end_wait(now);
            let end = now + MS;
            share.add(&mut now, end, MS);
        }
        assert!(share.is_heavy(PATIENCE, now));
        let fresh = Share::new(now);
        fresh.take_over(&share, now);
        assert!(fresh.is_heavy(PATIENCE, now) && !fresh.is_heavy(PATIENCE, now + 100 * MS));
    }
}
