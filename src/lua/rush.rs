//! Whether far more comes than can be answered, and not just now.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is counted together.
const WINDOW: Duration = Duration::from_millis(100);
/// So many sent away in one window are a rush: 320 a second more than there is room for.
const MANY: u64 = 32;

/// Counts callers that were sent away, in this window and in the one before.
pub(super) struct Rush {
    began: Instant,
    window: AtomicU64,
    now: AtomicU64,
    before: AtomicU64,
}

impl Default for Rush {
    fn default() -> Self {
        Rush {
            began: Instant::now(),
            window: AtomicU64::default(),
            now: AtomicU64::default(),
            before: AtomicU64::default(),
        }
    }
}

impl Rush {
    /// One was sent away.
    pub(super) fn note(&self, now: Instant) {
        self.turn(now);
        self.now.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether many were, this moment or a moment ago.
    pub(super) fn is_on(&self, now: Instant) -> bool {
        self.turn(now);
        self.before.load(Ordering::Relaxed) >= MANY || self.now.load(Ordering::Relaxed) >= MANY
    }

    fn turn(&self, now: Instant) {
        let window = (now.saturating_duration_since(self.began).as_nanos() / WINDOW.as_nanos()) as u64;
        let last = self.window.load(Ordering::Relaxed);
        // Whoever is first turns; a time from before it is counted with the window there is.
        if window > last
            && self.window.compare_exchange(last, window, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            let gone = self.now.swap(0, Ordering::Relaxed);
            self.before.store(if window == last + 1 { gone } else { 0 }, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_sent_away_are_a_rush_until_a_window_has_gone_by_without() {
        let rush = Rush::default();
        let at = |ms| rush.began + Duration::from_millis(ms);
        (0..MANY - 1).for_each(|_| rush.note(at(10)));
        assert!(!rush.is_on(at(20)));
        rush.note(at(30));
        assert!(rush.is_on(at(30)));
        assert!(rush.is_on(at(199)), "of the window before");
        assert!(!rush.is_on(at(200)));
    }

    #[test]
    fn a_few_at_a_time_are_none_however_long_it_goes_on() {
        let rush = Rush::default();
        for ms in (0..10_000).step_by(4) {
            let now = rush.began + Duration::from_millis(ms);
            rush.note(now);
            assert!(!rush.is_on(now));
        }
    }

    #[test]
    fn what_was_long_ago_counts_no_more() {
        let rush = Rush::default();
        (0..2 * MANY).for_each(|_| rush.note(rush.began));
        assert!(!rush.is_on(rush.began + Duration::from_secs(60)));
    }
}
