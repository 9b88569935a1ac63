//! How often a plugin was called, how it went and how long it took.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::hooks::Hook;
use crate::model::call::{EXPORT, Outcome, ROUTE, TIMER};
use crate::model::tally::Tally;

/// What calls are named that no hook stands behind.
const OTHERS: [&str; 5] = ["event", "load", ROUTE, TIMER, EXPORT];

/// Counts and times of one plugin, by hook.
#[derive(Debug)]
pub struct Stats {
    /// Made when they are first needed: most plugins have few hooks.
    hooks: [OnceLock<Box<Tally>>; Hook::ALL.len() + OTHERS.len()],
}

/// How long the calls of a hook took.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Latency {
    /// Calls that ran.
    pub count: u64,
    /// Milliseconds that half of the calls stayed below.
    pub p50_ms: f64,
    /// Milliseconds that 95 of 100 calls stayed below.
    pub p95_ms: f64,
    /// Milliseconds that 99 of 100 calls stayed below.
    pub p99_ms: f64,
    /// Milliseconds of the slowest call.
    pub max_ms: f64,
    /// Seconds of all calls together.
    pub sum_s: f64,
}

impl Default for Stats {
    fn default() -> Self {
        Stats { hooks: std::array::from_fn(|_| OnceLock::new()) }
    }
}

impl Stats {
    /// Counts one call; `took` is none when it did not run.
    pub fn count(&self, hook: &'static str, outcome: Outcome, took: Option<Duration>) {
        if let Some(place) = place(hook) {
            self.hooks[place].get_or_init(Box::default).count(outcome, took);
        }
    }

    /// Calls by outcome, all hooks together; only outcomes that occurred.
    pub fn outcomes(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for (_, tally) in self.by_hook() {
            for (outcome, count) in tally.outcomes() {
                *counts.entry(outcome.as_str()).or_default() += count;
            }
        }
        counts
    }

    /// What was counted, by hook.
    pub fn by_hook(&self) -> impl Iterator<Item = (&'static str, &Tally)> {
        let names = Hook::ALL.iter().map(|it| it.name()).chain(OTHERS);
        names.zip(&self.hooks).filter_map(|(name, tally)| Some((name, &**tally.get()?)))
    }

    /// Times by hook.
    pub fn latencies(&self) -> BTreeMap<&'static str, Latency> {
        self.by_hook().map(|(hook, tally)| (hook, latency(tally))).collect()
    }
}

fn place(hook: &str) -> Option<usize> {
    let found = Hook::from_name(hook).map(|it| it as usize);
    found.or_else(|| OTHERS.iter().position(|it| *it == hook).map(|it| Hook::ALL.len() + it))
}

/// How long what was counted took.
pub fn latency(tally: &Tally) -> Latency {
    let max_ms = tally.max_ms();
    let below = |share| tally.times.percentile_ms(share).min(max_ms);
    Latency {
        count: tally.times.count(),
        p50_ms: below(0.5),
        p95_ms: below(0.95),
        p99_ms: below(0.99),
        max_ms,
        sum_s: tally.times.sum_s(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_stay_within_a_quarter_of_the_truth() {
        let stats = Stats::default();
        for ms in 1..=100 {
            stats.count("on_clip_captured", Outcome::Ok, Some(Duration::from_millis(ms)));
        }
        stats.count("on_clip_captured", Outcome::Skipped, None);
        let latency = &stats.latencies()["on_clip_captured"];
        assert_eq!((latency.count, latency.max_ms), (100, 100.0));
        for (told, truth) in [(latency.p50_ms, 50.0), (latency.p95_ms, 95.0), (latency.p99_ms, 99.0)] {
            assert!(told >= truth && told <= truth * 1.25, "{told} for {truth}");
        }
        assert_eq!(stats.outcomes(), BTreeMap::from([("ok", 100), ("skipped", 1)]));
    }

    #[test]
    fn everything_that_is_called_has_a_place_of_its_own() {
        let names = Hook::ALL.iter().map(|it| it.name()).chain(OTHERS);
        let places: Vec<_> = names.map(|it| place(it).unwrap()).collect();
        assert_eq!(places, (0..Hook::ALL.len() + OTHERS.len()).collect::<Vec<_>>());
    }
}
