//! How often a key may be used: GCRA, the leaky bucket as a clock. Of each key one number is kept, the moment at which
//! its bucket would be empty again; a request moves it on by one step, and is refused when it would lie further ahead than
//! the whole time of the limit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::config::Settings;
use crate::model::token::{RateLimit, Scope, Token};

/// What is left of a key's limit after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// The limit in force.
    pub limit: RateLimit,
    /// Requests that may follow at once.
    pub left: u64,
    /// Seconds until all of them may again, rounded up.
    pub whole_in_s: u64,
    /// Seconds to wait, rounded up, when this request was one too many.
    pub wait_s: Option<u64>,
}

/// When a key's requests will have been forgotten, in nanoseconds of the [`Stopwatch`].
#[derive(Debug, Default)]
pub(super) struct Bucket(AtomicU64);

impl Bucket {
    /// Takes one request at a moment of the [`Stopwatch`].
    pub(super) fn take_at(&self, limit: RateLimit, now: u64) -> Spent {
        let period = limit.per_seconds.saturating_mul(1_000_000_000);
        let step = (period / limit.requests.max(1)).max(1);
        let mut known = self.0.load(Ordering::Relaxed);
        loop {
            // A limit that was made shorter meanwhile counts from now on.
            let from = known.clamp(now, now.saturating_add(period));
            let next = from.saturating_add(step);
            if next - now > period {
                // What is beyond a limit that was made shorter is forgotten, or the wait would never end.
                if let Err(other) = self.0.compare_exchange(known, from, Ordering::Relaxed, Ordering::Relaxed)
                {
                    known = other;
                    continue;
                }
                let wait_s = Some(seconds_up(next - now - period));
                return Spent { limit, left: 0, whole_in_s: seconds_up(from - now), wait_s };
            }
            match self.0.compare_exchange_weak(known, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    let left = (period - (next - now)) / step;
                    return Spent { limit, left, whole_in_s: seconds_up(next - now), wait_s: None };
                }
                Err(other) => known = other,
            }
        }
    }
}

/// Counts nanoseconds, always onwards.
#[derive(Debug)]
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    /// Nanoseconds since it was made.
    pub(super) fn now_ns(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Default for Stopwatch {
    fn default() -> Self {
        Stopwatch(Instant::now())
    }
}

/// The limit of a key: its own, else that of the settings, which leaves admins alone.
pub(super) fn limit_of(token: &Token, settings: &Settings) -> Option<RateLimit> {
    let default = settings.rate_limit;
    let default = RateLimit { requests: default.requests, per_seconds: default.per_seconds };
    let default = Some(default).filter(|it| it.requests > 0 && !token.allows(Scope::Admin));
    token.rate_limit.or(default)
}

fn seconds_up(ns: u64) -> u64 {
    ns.div_ceil(1_000_000_000)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const S: u64 = 1_000_000_000;

    fn limit(requests: u64, per_seconds: u64) -> RateLimit {
        RateLimit { requests, per_seconds }
    }

    #[test]
    fn so_many_at_once_and_then_as_many_as_time_gives_back() {
        let (bucket, seven) = (Bucket::default(), limit(7, 60));
        let left: Vec<u64> = (0..7).map(|_| bucket.take_at(seven, S).left).collect();
        assert_eq!(left, [6, 5, 4, 3, 2, 1, 0]);
        let refused = bucket.take_at(seven, S);
        assert_eq!((refused.wait_s, refused.left, refused.whole_in_s), (Some(9), 0, 60));
        // A refused request costs nothing.
        assert_eq!(bucket.take_at(seven, S), refused);
        assert_eq!(bucket.take_at(seven, S + 9 * S).wait_s, None);
        assert!(bucket.take_at(seven, S + 9 * S).wait_s.is_some());
        assert_eq!(bucket.take_at(seven, S + 200 * S).left, 6);
    }

    #[test]
    fn over_a_long_time_no_more_than_the_rate_gets_through() {
        let (bucket, ten) = (Bucket::default(), limit(10, 1));
        let passed =
            (0..60_000_u64).filter(|ms| bucket.take_at(ten, ms * 1_000_000).wait_s.is_none()).count();
        assert_eq!(passed, 10 + 10 * 60 - 1);
    }

    #[test]
    fn a_changed_limit_counts_at_once() {
        let bucket = Bucket::default();
        for _ in 0..3600 {
            bucket.take_at(limit(3600, 3600), 0);
        }
        assert_eq!(bucket.take_at(limit(3600, 3600), 0).wait_s, Some(1));
        assert_eq!(bucket.take_at(limit(2, 10), 0).wait_s, Some(5));
        assert_eq!(bucket.take_at(limit(2, 10), 5 * S).wait_s, None);
    }

    #[test]
    fn of_many_at_the_same_moment_exactly_as_many_pass_as_may() {
        let bucket = Arc::new(Bucket::default());
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let bucket = Arc::clone(&bucket);
                std::thread::spawn(move || {
                    (0..100).filter(|_| bucket.take_at(limit(250, 60), S).wait_s.is_none()).count()
                })
            })
            .collect();
        assert_eq!(threads.into_iter().map(|it| it.join().unwrap()).sum::<usize>(), 250);
    }
}
