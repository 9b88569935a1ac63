//! One thread of the pool as the others see it: whom it serves, and what kept it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::actor::Actor;

/// One thread's place.
#[derive(Default)]
pub(super) struct Seat {
    /// It serves the heavy plugins, and only those.
    pub(super) is_heavy: bool,
    /// Rung when there is something to do.
    pub(super) bell: Condvar,
    /// Whom it serves at the moment.
    pub(super) serves: Mutex<Option<Arc<Actor>>>,
    /// The VM it serves was given up.
    pub(super) lost: AtomicBool,
    /// The thread is held by one long slice; another one works in its place.
    pub(super) replaced: AtomicBool,
    /// The system's number of the thread.
    thread: Mutex<Option<rustix::thread::Pid>>,
    /// How long it had waited for a core when its VM began to be out of reach.
    had_waited: Mutex<Option<Duration>>,
}

impl Seat {
    pub(super) fn new(is_heavy: bool) -> Self {
        Seat { is_heavy, ..Seat::default() }
    }

    /// The thread that runs this sits here. It is `nice` to all others; where that is not allowed, all are equal.
    pub(super) fn sit_down(&self, nice: i32) {
        *self.thread.lock() = Some(rustix::thread::gettid());
        // Elsewhere this would be the whole process.
        if nice > 0 && cfg!(target_os = "linux") {
            _ = rustix::process::setpriority_process(None, nice);
        }
    }

    /// Of the time its VM has been out of reach, the part in which the thread could have gone on: one that waits for a
    /// core on a busy machine holds nothing up. `begun` is when to start counting.
    pub(super) fn held_for(&self, out_of_reach: Duration, begun: Duration) -> Duration {
        let mut had_waited = self.had_waited.lock();
        if out_of_reach < begun {
            *had_waited = None;
            return out_of_reach;
        }
        let Some(waited) = self.waited_for_core() else { return out_of_reach };
        let since = *had_waited.get_or_insert(waited);
        out_of_reach.saturating_sub(waited.saturating_sub(since))
    }

    /// How long the thread has waited for a core since it began; none where the system does not tell.
    fn waited_for_core(&self) -> Option<Duration> {
        let thread = (*self.thread.lock())?;
        let path = format!("/proc/self/task/{}/schedstat", thread.as_raw_nonzero());
        let told = std::fs::read_to_string(path).ok()?;
        told.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::Instant;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_thread_that_sleeps_is_held_and_one_that_waits_for_a_core_is_not() {
        let seat = Seat::new(false);
        seat.sit_down(0);
        assert_eq!(seat.held_for(50 * MS, 100 * MS), 50 * MS);
        let held = |work: &dyn Fn()| {
            let begun = Instant::now();
            seat.held_for(Duration::ZERO, 100 * MS);
            seat.held_for(100 * MS, 100 * MS);
            work();
            let took = begun.elapsed();
            (took, seat.held_for(took + 100 * MS, 100 * MS))
        };
        let (slept, counted) = held(&|| std::thread::sleep(100 * MS));
        assert!(counted + 90 * MS > slept, "{counted:?} of {slept:?}");
        if !cfg!(target_os = "linux") {
            return;
        }
        // More threads that compute than there are cores: each waits for a good part of the time.
        let stop = AtomicBool::new(false);
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..cores * 6 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        std::hint::spin_loop()
                    }
                });
            }
            let (took, counted) = held(&|| {
                let begun = Instant::now();
                while begun.elapsed() < 1_000 * MS {}
            });
            stop.store(true, Ordering::Relaxed);
            assert!(counted < took * 2 / 3, "{counted:?} of {took:?}");
        });
    }
}
