//! What stands between every call and its plugin, and has nothing to say most of the time: then it is asked without its lock,
//! which all threads that answer requests would hand to each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// Something that is asked before and after every call.
pub(super) trait Stirs {
    /// Whether it may stop a call, or has something to forget.
    fn stirs(&self) -> bool;

    /// A call that took no longer is no news to it.
    fn patience(&self) -> Duration {
        Duration::MAX
    }
}

/// One of these, shared.
#[derive(Debug)]
pub(super) struct Quiet<T> {
    inner: Mutex<T>,
    stirs: AtomicBool,
    pub(super) patience: Duration,
}

impl<T: Stirs> Quiet<T> {
    pub(super) fn new(inner: T) -> Self {
        Quiet { stirs: AtomicBool::new(inner.stirs()), patience: inner.patience(), inner: Mutex::new(inner) }
    }

    /// Whether every call may pass, and one that ends well changes nothing.
    pub(super) fn is_quiet(&self) -> bool {
        !self.stirs.load(Ordering::Acquire)
    }

    /// Asks it, or changes it.
    pub(super) fn with<R>(&self, ask: impl FnOnce(&mut T) -> R) -> R {
        let mut inner = self.inner.lock();
        let answer = ask(&mut inner);
        self.stirs.store(inner.stirs(), Ordering::Release);
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;
    use crate::config;
    use crate::model::call::Outcome;
    use crate::plugins::breaker::{Breaker, Pass};
    use crate::plugins::slow::SlowGuard;

    /// What happens to a plugin, one thing after another: so many milliseconds later a call takes so long and ends so.
    fn story() -> impl Strategy<Value = Vec<(u64, u64, u8)>> {
        prop::collection::vec((0_u64..40_000, prop_oneof![Just(1_u64), Just(600)], 0_u8..8), 0..200)
    }

    fn outcome(number: u8) -> Outcome {
        match number {
            0 | 1 => Outcome::Deadline,
            2 => Outcome::Skipped,
            3 => Outcome::Runtime,
            _ => Outcome::Ok,
        }
    }

    proptest! {
        /// Asked without its lock while it is quiet, each decides as it does when it is always asked.
        #[test]
        fn who_is_not_asked_while_quiet_decides_as_if_it_were(story in story()) {
            let rule = config::Settings::default().breaker;
            let quiet = (Quiet::new(Breaker::new(rule)), Quiet::new(SlowGuard::new(rule)));
            let (mut breaker, mut slow) = (Breaker::new(rule), SlowGuard::new(rule));
            let mut now = Instant::now();
            for (later_ms, took_ms, ended) in story {
                now += Duration::from_millis(later_ms);
                let (took, ended) = (Duration::from_millis(took_ms), outcome(ended));
                let passes = (quiet.0.pass(now), quiet.1.pass(now));
                prop_assert_eq!(passes, (breaker.pass(now), slow.pass(now)));
                if matches!(passes.0, Pass::Shut(_)) || matches!(passes.1, Pass::Shut(_)) {
                    quiet.0.abandon(passes.0);
                    quiet.1.abandon(passes.1);
                    breaker.abandon(passes.0);
                    slow.abandon(passes.1);
                    continue;
                }
                prop_assert_eq!(quiet.0.note(passes.0, ended, now), breaker.note(passes.0, ended, now));
                let told = quiet.1.note(passes.1, ended, took, now);
                prop_assert_eq!(told, slow.note(passes.1, ended, took, now));
            }
        }
    }
}
