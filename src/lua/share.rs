//! How much of a thread a plugin took lately: what tells those that compute from those that have little to do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Whoever was heavy is light again this long after it took nothing more.
const FORGOTTEN_NS: u64 = 100_000_000;

/// Time it had a thread, less the time it had none: who takes more than half a thread grows heavy. Written by the thread that serves the plugin, read by all.
#[derive(Debug, Default)]
pub(super) struct Share {
    taken_ns: AtomicU64,
    /// When that was so.
    at_ns: AtomicU64,
}

impl Share {
    /// The plugin had a thread for `turn_ns` until `now_ns`, both counted from one moment.
    pub(super) fn add(&self, turn_ns: u64, now_ns: u64) {
        let before = self.at(now_ns.saturating_sub(turn_ns));
        self.taken_ns.store((before + turn_ns).min(FORGOTTEN_NS), Ordering::Relaxed);
        self.at_ns.store(now_ns, Ordering::Relaxed);
    }

    /// Whether it took more than half by `patience`.
    pub(super) fn is_heavy(&self, patience: Duration, now_ns: u64) -> bool {
        self.at(now_ns) >= patience.as_nanos() as u64
    }

    fn at(&self, now_ns: u64) -> u64 {
        let since = now_ns.saturating_sub(self.at_ns.load(Ordering::Relaxed));
        self.taken_ns.load(Ordering::Relaxed).saturating_sub(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(4);
    const MS: u64 = 1_000_000;

    /// Whether turns of `turn_ns`, one each `every_ns`, make a plugin heavy within a second.
    fn becomes_heavy(turn_ns: u64, every_ns: u64) -> bool {
        let share = Share::default();
        (1..1_000 * MS / every_ns).any(|it| {
            share.add(turn_ns, it * every_ns + turn_ns);
            share.is_heavy(PATIENCE, it * every_ns + turn_ns)
        })
    }

    #[test]
    fn who_takes_more_than_half_a_thread_is_heavy_however_short_its_turns_are() {
        assert!(becomes_heavy(4 * MS, 1_000 * MS / 2));
        assert!(becomes_heavy(3 * MS, 3 * MS) && becomes_heavy(MS / 100, MS / 60));
        assert!(!becomes_heavy(3 * MS, 8 * MS) && !becomes_heavy(MS / 100, MS / 40));
    }

    #[test]
    fn who_was_heavy_is_light_a_tenth_of_a_second_later() {
        let share = Share::default();
        (1..=100).for_each(|it| share.add(4 * MS, it * 4 * MS));
        assert!(share.is_heavy(PATIENCE, 400 * MS));
        assert!(!share.is_heavy(PATIENCE, 500 * MS));
    }
}
