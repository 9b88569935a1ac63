//! Whether a new version is so much worse than the former one that the former one takes its place again.
//!
//! The rule: while the version is watched, at least [`FEW`] of its calls have failed, and these are more than
//! `error_percent` of its calls, and more than `factor` times the share that failed of the former version's calls.
//! A former version that was never called counts as one that never failed. A call that was refused by a hook has not
//! failed; one that was skipped is no call.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::config::Rollback;
use crate::model::call::Outcome;

/// Fewer failed calls than this say nothing.
pub const FEW: u64 = 5;
/// A version with fewer calls than this adds them to what is known of those before it.
const SHORT_LIFE: u64 = 20;
/// No version is watched for longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// Calls, and how many of them failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Calls that ran to their end.
    pub calls: u64,
    /// Those of them that failed.
    pub failed: u64,
}

impl Rates {
    /// Percent of the calls that failed.
    pub fn percent(self) -> f64 {
        if self.calls == 0 { 0.0 } else { self.failed as f64 * 100.0 / self.calls as f64 }
    }
}

/// Whether a version is so much worse than the former one.
pub fn is_worse(rule: &Rollback, new: Rates, former: Rates) -> bool {
    let wide = |it: u64| u128::from(it);
    let enough = new.failed >= FEW;
    let many = wide(new.failed) * 100 > wide(new.calls) * u128::from(rule.error_percent);
    // failed / calls > factor * former failed / former calls, without a division.
    let more = former.calls == 0
        || wide(new.failed) * wide(former.calls)
            > u128::from(rule.factor) * wide(former.failed) * wide(new.calls);
    enough && many && more
}

/// What is counted of the calls of a version, as long as it runs.
#[derive(Default)]
pub struct Record {
    calls: AtomicU64,
    failed: AtomicU64,
    /// Of the versions before it.
    former: OnceLock<Rates>,
    trial: OnceLock<Trial>,
}

/// A new version that is watched.
struct Trial {
    rule: Rollback,
    began: Instant,
    /// Whether it was found to be worse.
    is_worse: AtomicBool,
    /// Called when it is.
    tell: Box<dyn Fn() + Send + Sync>,
}

impl Record {
    /// From now on the version is watched: it took the place of `former`. `tell` is called once it is found to be worse.
    pub fn watch(&self, rule: Rollback, former: &Record, tell: impl Fn() + Send + Sync + 'static) {
        let _ = self.former.set(former.known());
        if rule.enabled {
            let (began, is_worse) = (Instant::now(), AtomicBool::new(false));
            let _ = self.trial.set(Trial { rule, began, is_worse, tell: Box::new(tell) });
        }
    }

    /// The version runs again in the place of `worse`: what was known before that one is known of it.
    pub fn restore(&self, worse: &Record) {
        let _ = self.former.set(worse.rates().1);
    }

    /// Counts a call.
    pub fn count(&self, outcome: Outcome) {
        if outcome == Outcome::Skipped {
            return;
        }
        let calls = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if matches!(outcome, Outcome::Ok | Outcome::Refused) {
            return;
        }
        let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(trial) = self.trial.get()
            && trial.lasts(trial.began.elapsed(), calls)
            && is_worse(&trial.rule, Rates { calls, failed }, self.rates().1)
            && !trial.is_worse.swap(true, Ordering::Relaxed)
        {
            (trial.tell)();
        }
    }

    /// The calls of the version, and what is known of those before it.
    pub fn rates(&self) -> (Rates, Rates) {
        let load = |it: &AtomicU64| it.load(Ordering::Relaxed);
        let own = Rates { failed: load(&self.failed), calls: load(&self.calls) };
        (own, self.former.get().copied().unwrap_or_default())
    }

    /// What the next version is held against: the own calls, and when these are few those of the former one, too.
    fn known(&self) -> Rates {
        let (own, former) = self.rates();
        match own.calls < SHORT_LIFE {
            true => Rates { calls: own.calls + former.calls, failed: own.failed + former.failed },
            false => own,
        }
    }
}

impl Trial {
    /// Whether the version is still watched, at its call `calls`.
    fn lasts(&self, since: Duration, calls: u64) -> bool {
        since < Duration::from_secs(self.rule.window_s) || (calls <= self.rule.calls && since < LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    const RULE: Rollback = Rollback { enabled: true, window_s: 60, calls: 200, error_percent: 5, factor: 3 };

    fn rates(failed: u64, calls: u64) -> Rates {
        Rates { calls, failed }
    }

    #[test]
    fn a_version_is_worse_when_many_calls_fail_and_many_more_than_before() {
        let worse = |new, former| is_worse(&RULE, new, former);
        assert!(worse(rates(42, 180), rates(2, 1000)));
        assert!(worse(rates(5, 5), rates(0, 0)), "a former version that nobody called");
        assert!(!worse(rates(1, 3), rates(0, 1000)), "one failed call says nothing");
        assert!(!worse(rates(4, 4), rates(0, 1000)), "nor do four");
        assert!(!worse(rates(5, 100), rates(0, 1000)), "5 % is not more than 5 %");
        assert!(worse(rates(6, 100), rates(0, 1000)));
        assert!(!worse(rates(30, 100), rates(10, 100)), "three times as many is not more than that");
        assert!(worse(rates(31, 100), rates(10, 100)));
        assert!(!worse(rates(100, 100), rates(1, 2)), "what failed before may fail");
    }

    /// A record of so many calls, and how often it was told that it is worse.
    fn watched(former: &Record) -> (Record, Arc<AtomicU64>) {
        let (record, told) = (Record::default(), Arc::<AtomicU64>::default());
        let teller = Arc::clone(&told);
        record.watch(RULE, former, move || _ = teller.fetch_add(1, Ordering::Relaxed));
        (record, told)
    }

    fn count(record: &Record, calls: usize, outcome: Outcome) {
        (0..calls).for_each(|_| record.count(outcome));
    }

    #[test]
    fn a_worse_version_is_told_of_once_and_only_when_it_is_watched() {
        let former = Record::default();
        count(&former, 100, Outcome::Ok);
        let (new, told) = watched(&former);
        count(&new, 4, Outcome::Runtime);
        assert_eq!(told.load(Ordering::Relaxed), 0);
        count(&new, 4, Outcome::Runtime);
        assert_eq!((told.load(Ordering::Relaxed), new.rates()), (1, (rates(8, 8), rates(0, 100))));
        let off = Record::default();
        off.watch(Rollback { enabled: false, ..RULE }, &former, || panic!("it is switched off"));
        count(&off, 50, Outcome::Runtime);
    }

    #[test]
    fn refusals_do_not_fail_and_what_was_skipped_is_no_call() {
        let (record, told) = watched(&Record::default());
        for outcome in [Outcome::Refused, Outcome::Skipped, Outcome::Ok] {
            count(&record, 20, outcome);
        }
        assert_eq!((record.rates().0, told.load(Ordering::Relaxed)), (rates(0, 40), 0));
    }

    #[test]
    fn a_version_is_watched_for_a_time_and_for_a_number_of_calls() {
        let trial = Trial {
            rule: RULE,
            began: Instant::now(),
            is_worse: AtomicBool::new(false),
            tell: Box::new(|| ()),
        };
        let at = |since_s: u64, calls| trial.lasts(Duration::from_secs(since_s), calls);
        assert!(at(59, 1_000_000) && at(60, 200) && at(3599, 3));
        assert!(!at(60, 201) && !at(3600, 3));
    }

    #[test]
    fn a_version_of_few_calls_hands_on_what_is_known_of_the_one_before() {
        let first = Record::default();
        count(&first, 50, Outcome::Runtime);
        let (second, _) = watched(&first);
        count(&second, 3, Outcome::Ok);
        let (third, told) = watched(&second);
        assert_eq!(third.rates().1, rates(50, 53));
        count(&third, 100, Outcome::Runtime);
        assert_eq!(told.load(Ordering::Relaxed), 0, "it was always bad");
    }

    #[test]
    fn a_version_that_runs_again_is_known_by_what_it_did_before() {
        let good = Record::default();
        count(&good, 30, Outcome::Ok);
        let (bad, _) = watched(&good);
        count(&bad, 30, Outcome::Runtime);
        let again = Record::default();
        again.restore(&bad);
        let (next, _) = watched(&again);
        assert_eq!(next.rates().1, rates(0, 30));
    }

    proptest! {
        #[test]
        fn another_failure_never_acquits_and_another_success_never_convicts(
            failed in 0u64..2_000, ok in 0u64..2_000, was_failed in 0u64..2_000, was_ok in 0u64..2_000,
        ) {
            let former = rates(was_failed, was_failed + was_ok);
            let new = rates(failed, failed + ok);
            if is_worse(&RULE, new, former) {
                prop_assert!(is_worse(&RULE, rates(failed + 1, failed + ok + 1), former));
                prop_assert!(new.percent() > 5.0 && new.percent() > 3.0 * former.percent() - 1e-9);
            } else {
                prop_assert!(!is_worse(&RULE, rates(failed, failed + ok + 1), former));
            }
        }

        #[test]
        fn no_former_version_is_too_bad_for_a_better_one(
            failed in 0u64..2_000, calls in 1u64..2_000, worse in 0u64..2_000,
        ) {
            let new = rates(failed.min(calls), calls);
            prop_assert!(!is_worse(&RULE, new, rates((new.failed + worse).min(calls), calls)));
        }
    }
}
