//! So many a second, after a burst.

use std::time::Instant;

use parking_lot::Mutex;

/// A bucket that fills with time and is taken from one by one.
#[derive(Debug)]
pub struct Rate {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    per_s: f64,
    burst: f64,
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
        let state = State { per_s, burst, left: burst, refilled_at: Instant::now(), refused: 0 };
        Rate { state: Mutex::new(state) }
    }

    /// Goes on with other figures; what was taken stays taken.
    pub fn set(&self, per_s: u64, burst: u64) {
        let mut state = self.state.lock();
        let more = (burst as f64 - state.burst).max(0.0);
        (state.per_s, state.burst) = (per_s as f64, burst as f64);
        state.left = (state.left + more).min(state.burst);
    }

    /// Takes one. `Some(n)`: taken, after `n` had been refused since the last one; `None`: refused.
    pub fn take(&self) -> Option<u64> {
        self.take_at(Instant::now(), 1.0)
    }

    /// Takes so many at once, such as bytes, or none of them; as [`Rate::take`].
    pub fn take_many(&self, amount: u64) -> Option<u64> {
        self.take_at(Instant::now(), amount as f64)
    }

    fn take_at(&self, now: Instant, amount: f64) -> Option<u64> {
        let mut state = self.state.lock();
        let passed = now.saturating_duration_since(state.refilled_at).as_secs_f64();
        state.left = (state.left + passed * state.per_s).min(state.burst);
        state.refilled_at = now;
        if state.left < amount {
            state.refused += 1;
            return None;
        }
        state.left -= amount;
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
        let taken: Vec<_> = (0..5).map(|_| rate.take_at(start, 1.0)).collect();
        assert_eq!(taken, [Some(0), Some(0), Some(0), None, None]);
        assert_eq!(rate.take_at(start + Duration::from_millis(600), 1.0), Some(2));
        assert_eq!(rate.take_at(start + Duration::from_millis(700), 1.0), None);
    }

    #[test]
    fn other_figures_give_nothing_back() {
        let rate = Rate::new(1, 3);
        let start = Instant::now();
        (0..3).for_each(|_| assert!(rate.take_at(start, 1.0).is_some()));
        rate.set(1, 3);
        assert_eq!(rate.take_at(start, 1.0), None);
        rate.set(1, 4);
        assert_eq!((rate.take_at(start, 1.0), rate.take_at(start, 1.0)), (Some(1), None));
    }

    #[test]
    fn many_are_taken_together_or_not_at_all() {
        let rate = Rate::new(10, 100);
        let start = Instant::now();
        assert_eq!(rate.take_at(start, 101.0), None);
        assert_eq!(rate.take_at(start, 95.0), Some(1));
        assert_eq!(rate.take_at(start, 6.0), None);
        assert_eq!(rate.take_at(start + Duration::from_secs(1), 15.0), Some(1));
    }
}
