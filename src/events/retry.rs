//! When a failed delivery comes again.

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
}
