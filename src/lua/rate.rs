//! So many a second, after a burst.

use std::time::Instant;

use parking_lot::Mutex;

/// A bucket that fills with time and is taken from one by one.
pub struct Rate {
    per_s: f64,
    burst: f64,
    state: Mutex<State>,
}

struct State {
    left: f64,
    refilled_at: Instant,
    refused: u64,
}

impl Rate {
    /// A full bucket of `burst` that gets `per_s` back each second.
    pub fn new(per_s: u64, burst: u64) -> Self {
        Rate::with(per_s as f64, burst as f64)
    }

    /// The same with parts of one.
    pub fn with(per_s: f64, burst: f64) -> Self {
        let state = State { left: burst, refilled_at: Instant::now(), refused: 0 };
        Rate { per_s, burst, state: Mutex::new(state) }
    }

    /// Takes one. `Some(n)`: taken, after `n` had been refused since the last one; `None`: refused.
    pub fn take(&self) -> Option<u64> {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        let passed = now.saturating_duration_since(state.refilled_at).as_secs_f64();
        state.left = (state.left + passed * self.per_s).min(self.burst);
        state.refilled_at = now;
        if state.left < 1.0 {
            state.refused += 1;
            return None;
        }
        state.left -= 1.0;
        Some(std::mem::take(&mut state.refused))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_then_the_rest_waits_for_time() {
        let rate = Rate::new(2, 3);
        let start = Instant::now();
        let taken: Vec<_> = (0..5).map(|_| rate.take_at(start)).collect();
        assert_eq!(taken, [Some(0), Some(0), Some(0), None, None]);
        assert_eq!(rate.take_at(start + Duration::from_millis(600)), Some(2));
        assert_eq!(rate.take_at(start + Duration::from_millis(700)), None);
    }
}
