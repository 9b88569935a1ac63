//! How often a plugin was called, how it went and how long it took.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::call::Outcome;

/// Every outcome, in the order they are told.
pub const OUTCOMES: [Outcome; 11] = [
    Outcome::Ok,
    Outcome::Refused,
    Outcome::Runtime,
    Outcome::Convert,
    Outcome::Limit,
    Outcome::Denied,
    Outcome::Stack,
    Outcome::Memory,
    Outcome::Deadline,
    Outcome::Syntax,
    Outcome::Skipped,
];
/// Buckets per doubling of the time.
const PER_OCTAVE: f64 = 4.0;
/// Enough for an hour in microseconds.
const BUCKETS: usize = 128;

/// Counts and times of one plugin, by hook.
#[derive(Debug, Default)]
pub struct Stats {
    hooks: RwLock<BTreeMap<&'static str, Arc<HookStats>>>,
}

/// Counts and times of one hook.
#[derive(Debug)]
pub struct HookStats {
    outcomes: [AtomicU64; OUTCOMES.len()],
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
    max_us: AtomicU64,
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

impl Stats {
    /// Counts one call; `took` is none when it did not run.
    pub fn count(&self, hook: &'static str, outcome: Outcome, took: Option<Duration>) {
        let known = self.hooks.read().get(hook).cloned();
        let stats = known.unwrap_or_else(|| Arc::clone(self.hooks.write().entry(hook).or_default()));
        stats.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(took) = took {
            let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            stats.buckets[bucket(us)].fetch_add(1, Ordering::Relaxed);
            stats.sum_us.fetch_add(us, Ordering::Relaxed);
            stats.max_us.fetch_max(us, Ordering::Relaxed);
        }
    }

    /// Calls by outcome, all hooks together; only outcomes that occurred.
    pub fn outcomes(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for stats in self.hooks.read().values() {
            for (outcome, count) in stats.counts() {
                *counts.entry(outcome.as_str()).or_default() += count;
            }
        }
        counts
    }

    /// Calls by hook and outcome.
    pub fn by_hook(&self) -> Vec<(&'static str, Vec<(Outcome, u64)>)> {
        self.hooks.read().iter().map(|(hook, stats)| (*hook, stats.counts())).collect()
    }

    /// Times by hook.
    pub fn latencies(&self) -> BTreeMap<&'static str, Latency> {
        self.hooks.read().iter().map(|(hook, stats)| (*hook, stats.latency())).collect()
    }
}

impl Default for HookStats {
    fn default() -> Self {
        HookStats {
            outcomes: std::array::from_fn(|_| AtomicU64::new(0)),
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            sum_us: AtomicU64::new(0),
            max_us: AtomicU64::new(0),
        }
    }
}

impl HookStats {
    fn counts(&self) -> Vec<(Outcome, u64)> {
        let counted = OUTCOMES.iter().map(|it| (*it, self.outcomes[*it as usize].load(Ordering::Relaxed)));
        counted.filter(|(_, count)| *count > 0).collect()
    }

    fn latency(&self) -> Latency {
        let counts: Vec<u64> = self.buckets.iter().map(|it| it.load(Ordering::Relaxed)).collect();
        let count: u64 = counts.iter().sum();
        let max_us = self.max_us.load(Ordering::Relaxed);
        let below = |share: f64| {
            let wanted = (count as f64 * share).ceil() as u64;
            let mut seen = 0;
            let found = counts.iter().position(|it| {
                seen += it;
                seen >= wanted && wanted > 0
            });
            found.map_or(0.0, |index| ceiling_us(index).min(max_us as f64) / 1e3)
        };
        Latency {
            count,
            p50_ms: below(0.5),
            p95_ms: below(0.95),
            p99_ms: below(0.99),
            max_ms: max_us as f64 / 1e3,
            sum_s: self.sum_us.load(Ordering::Relaxed) as f64 / 1e6,
        }
    }
}

fn bucket(us: u64) -> usize {
    let index = (us.max(1) as f64).log2() * PER_OCTAVE;
    (index as usize).min(BUCKETS - 1)
}

fn ceiling_us(bucket: usize) -> f64 {
    ((bucket as f64 + 1.0) / PER_OCTAVE).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_stay_within_a_fifth_of_the_truth() {
        let stats = Stats::default();
        for ms in 1..=100 {
            stats.count("on_clip_captured", Outcome::Ok, Some(Duration::from_millis(ms)));
        }
        stats.count("on_clip_captured", Outcome::Skipped, None);
        let latency = &stats.latencies()["on_clip_captured"];
        assert_eq!((latency.count, latency.max_ms), (100, 100.0));
        for (told, truth) in [(latency.p50_ms, 50.0), (latency.p95_ms, 95.0), (latency.p99_ms, 99.0)] {
            assert!(told >= truth && told <= truth * 1.2, "{told} for {truth}");
        }
        assert_eq!(stats.outcomes(), BTreeMap::from([("ok", 100), ("skipped", 1)]));
    }

    #[test]
    fn every_outcome_has_its_own_place() {
        let places: Vec<usize> = OUTCOMES.iter().map(|it| *it as usize).collect();
        assert_eq!(places, (0..OUTCOMES.len()).collect::<Vec<_>>());
        assert!(bucket(u64::MAX) < BUCKETS && bucket(0) == 0);
    }
}
