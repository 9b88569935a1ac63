//! When a failed delivery comes again.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Seconds after the first, second, … failed attempt; then it is dead.
const DELAYS_S: &[i64] = &[1, 5, 30, 120, 600];

/// Attempts in all when a subscription does not say otherwise.
pub const MAX_ATTEMPTS: i32 = DELAYS_S.len() as i32 + 1;

/// Share of the delay that is left to chance, so that many failures do not come back together.
const JITTER: f64 = 0.2;

/// Microseconds to wait after `attempt` (from 1) failed, `chance` in 0..1; none = give up.
pub fn delay_us(attempt: i32, max_attempts: i32, chance: f64) -> Option<i64> {
    if attempt >= max_attempts {
        return None;
    }
    let step = usize::try_from(attempt - 1).unwrap_or(0).min(DELAYS_S.len() - 1);
    let jitter = 1.0 + JITTER * (chance.clamp(0.0, 1.0) * 2.0 - 1.0);
    Some((DELAYS_S[step] as f64 * 1e6 * jitter) as i64)
}

/// The chance of a delivery's attempt, in 0..1: another for each, and the same for the same, so that a test comes to the
/// same each time.
pub(super) fn chance_of(delivery: i64, attempt: i32) -> f64 {
    let mut hasher = DefaultHasher::new();
    (delivery, attempt).hash(&mut hasher);
    hasher.finish() as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_with_a_fifth_of_chance_and_end() {
        assert_eq!(delay_us(1, MAX_ATTEMPTS, 0.5), Some(1_000_000));
        assert_eq!(delay_us(2, MAX_ATTEMPTS, 0.0), Some(4_000_000));
        assert_eq!(delay_us(5, MAX_ATTEMPTS, 1.0), Some(720_000_000));
        assert_eq!(delay_us(6, MAX_ATTEMPTS, 0.5), None);
        assert_eq!(delay_us(1, 1, 0.5), None);
        assert_eq!(delay_us(9, 20, 0.5), Some(600_000_000));
    }

    #[test]
    fn deliveries_that_failed_together_come_back_apart_and_each_at_the_same_time_again() {
        let all: Vec<f64> = (1..=1000).flat_map(|it| [chance_of(it, 1), chance_of(it, 2)]).collect();
        assert_eq!(all, (1..=1000).flat_map(|it| [chance_of(it, 1), chance_of(it, 2)]).collect::<Vec<_>>());
        for tenth in 0..10 {
            let low = f64::from(tenth) / 10.0;
            let within = all.iter().filter(|it| (low..low + 0.1).contains(*it)).count();
            assert!((120..280).contains(&within), "{within} of 2000 from {low}");
        }
    }
}
