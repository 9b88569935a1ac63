//! Leaves a plugin out of the questions around requests that makes most of them slow: everybody waits for these.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::config;
use crate::model::call::Outcome;

use super::breaker::{Breaker, BreakerView, Pass};
use super::quiet::{Quiet, Stirs};

/// So many of its last questions are looked at, and so many slow ones among them are too many.
const LOOKED_AT: usize = 20;
const TOO_MANY: usize = 10;

/// Counts slow questions around requests and decides; one per plugin. It opens, doubles and tries as the breaker does.
#[derive(Debug)]
pub struct SlowGuard {
    limit: Duration,
    breaker: Breaker,
    slow: VecDeque<bool>,
}

impl SlowGuard {
    /// A closed one.
    pub fn new(rule: config::Breaker) -> Self {
        let limit = Duration::from_millis(rule.slow_request_ms);
        SlowGuard {
            limit,
            breaker: Breaker::new(config::Breaker { kills: 1, ..rule }),
            slow: VecDeque::new(),
        }
    }

    /// Whether a question may pass at `now`.
    pub fn pass(&mut self, now: Instant) -> Pass {
        self.breaker.pass(now)
    }

    /// Counts how long a question took that had passed; true when this left the plugin out.
    pub fn note(&mut self, pass: Pass, outcome: Outcome, took: Duration, now: Instant) -> bool {
        let is_slow = took > self.limit;
        let counts_as = match outcome {
            Outcome::Skipped => Outcome::Skipped,
            _ if is_slow => Outcome::Deadline,
            _ => Outcome::Ok,
        };
        if counts_as != Outcome::Skipped && pass == Pass::Free {
            self.slow.push_back(is_slow);
            self.slow.drain(..self.slow.len().saturating_sub(LOOKED_AT));
            if self.count() < TOO_MANY {
                return false;
            }
        }
        // Those that were under way when it was left out say nothing new.
        self.slow.clear();
        self.breaker.note(pass, counts_as, now)
    }

    /// A try that was dropped before it ended: the next question tries again.
    pub fn abandon(&mut self, pass: Pass) {
        self.breaker.abandon(pass);
    }

    /// Asks it again and forgets everything.
    pub fn reset(&mut self) {
        self.breaker.reset();
        self.slow.clear();
    }

    /// What the API shows; its `kills` are the slow ones among the last questions.
    pub fn view(&mut self, now: Instant) -> BreakerView {
        BreakerView { kills: self.count(), ..self.breaker.view(now) }
    }

    fn count(&self) -> usize {
        self.slow.iter().filter(|it| **it).count()
    }
}

impl Stirs for SlowGuard {
    fn stirs(&self) -> bool {
        self.breaker.stirs() || self.slow.contains(&true)
    }

    fn patience(&self) -> Duration {
        self.limit
    }
}

impl Quiet<SlowGuard> {
    /// See [`SlowGuard::pass`].
    pub(super) fn pass(&self, now: Instant) -> Pass {
        if self.is_quiet() { Pass::Free } else { self.with(|it| it.pass(now)) }
    }

    /// See [`SlowGuard::note`].
    pub(super) fn note(&self, pass: Pass, outcome: Outcome, took: Duration, now: Instant) -> bool {
        let is_nothing = pass == Pass::Free && self.is_quiet() && took <= self.patience;
        !is_nothing && self.with(|it| it.note(pass, outcome, took, now))
    }

    /// See [`SlowGuard::abandon`].
    pub(super) fn abandon(&self, pass: Pass) {
        if pass != Pass::Free {
            self.with(|it| it.abandon(pass));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::breaker::BreakerState;

    const SLOW: Duration = Duration::from_millis(501);
    const FAST: Duration = Duration::from_millis(2);

    fn guard() -> SlowGuard {
        SlowGuard::new(config::Settings::default().breaker)
    }

    #[test]
    fn one_that_is_mostly_slow_is_left_out_until_a_fast_try() {
        let (mut guard, start) = (guard(), Instant::now());
        let opened: Vec<bool> = (0..10).map(|_| guard.note(Pass::Free, Outcome::Ok, SLOW, start)).collect();
        assert_eq!(opened.iter().position(|it| *it), Some(9));
        // Some were under way meanwhile.
        (0..30).for_each(|_| assert!(!guard.note(Pass::Free, Outcome::Ok, SLOW, start)));
        assert!(matches!(guard.pass(start), Pass::Shut(_)));
        let later = start + Duration::from_secs(31);
        assert_eq!(guard.pass(later), Pass::Probe);
        assert!(guard.note(Pass::Probe, Outcome::Ok, SLOW, later), "slow again: longer");
        let later = later + Duration::from_secs(61);
        assert_eq!(guard.pass(later), Pass::Probe);
        assert!(!guard.note(Pass::Probe, Outcome::Ok, FAST, later));
        assert_eq!((guard.pass(later), guard.view(later).state), (Pass::Free, BreakerState::Closed));
    }

    #[test]
    fn a_few_slow_ones_among_fast_ones_are_nothing() {
        let (mut guard, now) = (guard(), Instant::now());
        for n in 0..1000 {
            let took = if n % 5 < 2 { SLOW } else { FAST };
            assert!(!guard.note(Pass::Free, Outcome::Ok, took, now));
        }
        assert_eq!(guard.view(now).kills, 8);
    }
}
