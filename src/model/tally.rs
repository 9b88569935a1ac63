//! Counts and times that are kept while the server runs: atomic numbers, no lock, no allocation.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;

use super::call::Outcome;

/// Buckets of each doubling of the time.
const PER_OCTAVE: usize = 4;
/// Enough for a day in microseconds.
const BUCKETS: usize = 37 * PER_OCTAVE;
/// What names beyond the bound are counted under.
const OTHER: &str = "other";

/// How often things took how long.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

/// A histogram at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Times {
    /// All of them.
    pub count: u64,
    /// Seconds of all together.
    pub sum_s: f64,
    /// An upper bound in seconds, and how many took at most that; in order.
    pub below: Vec<(f64, u64)>,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: std::array::from_fn(|_| AtomicU64::new(0)), sum_us: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Counts one.
    pub fn record(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(us)].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|it| it.load(Ordering::Relaxed)).sum()
    }

    /// Seconds of all together.
    pub fn sum_s(&self) -> f64 {
        self.sum_us.load(Ordering::Relaxed) as f64 / 1e6
    }

    /// Milliseconds that `share` of all stayed below.
    pub fn percentile_ms(&self, share: f64) -> f64 {
        let wanted = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        let found = self.buckets.iter().position(|it| {
            seen += it.load(Ordering::Relaxed);
            seen >= wanted && wanted > 0
        });
        found.map_or(0.0, |index| ceiling_us(index) as f64 / 1e3)
    }

    /// Milliseconds that nothing went beyond.
    pub fn highest_ms(&self) -> f64 {
        let last = self.buckets.iter().rposition(|it| it.load(Ordering::Relaxed) > 0);
        last.map_or(0.0, |index| ceiling_us(index) as f64 / 1e3)
    }

    /// What it holds, in steps of twice and four times the time from 16 µs to 134 s.
    pub fn read(&self) -> Times {
        let mut below = Vec::new();
        let (mut seen, mut octave) = (0, 0);
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += bucket.load(Ordering::Relaxed);
            let is_end = index % PER_OCTAVE == PER_OCTAVE - 1;
            if is_end {
                octave = index / PER_OCTAVE + 1;
            }
            // Hooks are told apart from about a millisecond on.
            let is_step = (4..=10).contains(&octave) && octave % 2 == 0 || (11..=27).contains(&octave);
            if is_end && is_step {
                below.push(((1u64 << octave) as f64 / 1e6, seen));
            }
        }
        Times { count: seen, sum_s: self.sum_s(), below }
    }
}

/// Four buckets to an octave, without a logarithm.
fn bucket(us: u64) -> usize {
    let us = us.max(1);
    let octave = us.ilog2() as usize;
    let within =
        if octave >= 2 { (us >> (octave - 2)) as usize & 3 } else { ((us << (2 - octave)) & 3) as usize };
    (octave * PER_OCTAVE + within).min(BUCKETS - 1)
}

/// What the times of a bucket stay below, in microseconds.
fn ceiling_us(bucket: usize) -> u64 {
    let (octave, within) = (bucket / PER_OCTAVE, (bucket % PER_OCTAVE) as u64);
    ((5 + within) << octave) >> 2
}

/// How calls ended, and how long those that ran took.
#[derive(Debug)]
pub struct Tally {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    /// How long they took.
    pub times: Histogram,
    max_us: AtomicU64,
}

impl Default for Tally {
    fn default() -> Self {
        let outcomes = std::array::from_fn(|_| AtomicU64::new(0));
        Tally { outcomes, times: Histogram::default(), max_us: AtomicU64::new(0) }
    }
}

impl Tally {
    /// Counts one call; `took` is none when it did not run.
    pub fn count(&self, outcome: Outcome, took: Option<Duration>) {
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(took) = took {
            self.times.record(took);
            let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            // Most calls are not the slowest: they only read.
            if us > self.max_us.load(Ordering::Relaxed) {
                self.max_us.fetch_max(us, Ordering::Relaxed);
            }
        }
    }

    /// Calls by outcome; only outcomes that occurred.
    pub fn outcomes(&self) -> Vec<(Outcome, u64)> {
        let counted =
            Outcome::ALL.iter().map(|it| (*it, self.outcomes[*it as usize].load(Ordering::Relaxed)));
        counted.filter(|(_, count)| *count > 0).collect()
    }

    /// Milliseconds of the slowest.
    pub fn max_ms(&self) -> f64 {
        self.max_us.load(Ordering::Relaxed) as f64 / 1e3
    }
}

/// What the script host counts of one plugin.
#[derive(Debug, Default)]
pub struct HostTallies {
    /// How long calls waited for their turn.
    pub queue: Histogram,
    /// Its tasks.
    pub tasks: Tally,
}

/// Counts by name; names beyond a bound are counted together.
#[derive(Debug)]
pub struct NamedCounts {
    most: usize,
    counts: RwLock<BTreeMap<String, AtomicU64>>,
}

impl NamedCounts {
    /// Counts of at most `most` names.
    pub fn new(most: usize) -> Self {
        NamedCounts { most, counts: RwLock::default() }
    }

    /// Counts one.
    pub fn count(&self, name: &str) {
        if let Some(count) = self.counts.read().get(name) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut counts = self.counts.write();
        let is_known = counts.contains_key(name);
        let name = if is_known || counts.len() < self.most { name } else { OTHER };
        counts.entry(name.to_owned()).or_default().fetch_add(1, Ordering::Relaxed);
    }

    /// All of them, by name.
    pub fn read(&self) -> Vec<(String, u64)> {
        let counts = self.counts.read();
        counts.iter().map(|(name, count)| (name.clone(), count.load(Ordering::Relaxed))).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_lies_in_its_bucket(us in 1u64..100_000_000_000) {
            let index = bucket(us);
            prop_assert!(us < ceiling_us(index) || us < 4, "{us} in {index} below {}", ceiling_us(index));
            prop_assert!(index == 0 || ceiling_us(index - 1) <= us || us < 4, "{us} in {index}");
        }
    }

    #[test]
    fn steps_are_cumulative_and_end_with_all() {
        let histogram = Histogram::default();
        for us in [1, 17, 900, 5_000, 40_000_000, u64::MAX / 2] {
            histogram.record(Duration::from_micros(us));
        }
        let times = histogram.read();
        assert_eq!(times.count, 6);
        assert!(times.below.windows(2).all(|it| it[0].0 < it[1].0 && it[0].1 <= it[1].1), "{times:?}");
        assert_eq!((times.below[0], times.below.last().unwrap().1), ((16e-6, 1), 5));
    }

    #[test]
    fn names_beyond_the_bound_are_counted_together() {
        let counts = NamedCounts::new(2);
        ["a", "b", "c", "a", "d"].iter().for_each(|it| counts.count(it));
        assert_eq!(counts.read(), [("a".to_owned(), 2), ("b".to_owned(), 1), ("other".to_owned(), 2)]);
    }
}
