//! Where the time of one request goes: noted only for a client that asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The most calls of plugins that are noted of one request.
const MAX_CALLS: usize = 100;

/// What one request took so far.
#[derive(Debug, Default)]
pub struct Timing {
    calls: Mutex<Vec<PluginTime>>,
    db_ns: AtomicU64,
}

/// One call of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginTime {
    /// Whom.
    pub plugin: Arc<str>,
    /// The hook, or `route`.
    pub hook: &'static str,
    /// Which generation answered; 0 when none did.
    pub generation: u64,
    /// How long it took, its place in the plugin's queue included.
    pub took: Duration,
}

/// A call that is being measured; noted when this is dropped, however the call ends.
#[derive(Debug)]
pub struct Span {
    timing: Arc<Timing>,
    call: PluginTime,
    began: Instant,
}

impl Timing {
    /// Begins to measure a call.
    pub fn begin(self: &Arc<Self>, plugin: &Arc<str>, hook: &'static str) -> Span {
        let call = PluginTime { plugin: Arc::clone(plugin), hook, generation: 0, took: Duration::ZERO };
        Span { timing: Arc::clone(self), call, began: Instant::now() }
    }

    /// Adds time that was spent waiting for the database.
    pub fn add_db(&self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.db_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// The calls in their order.
    pub fn calls(&self) -> Vec<PluginTime> {
        self.calls.lock().clone()
    }

    /// Time spent waiting for the database.
    pub fn db(&self) -> Duration {
        Duration::from_nanos(self.db_ns.load(Ordering::Relaxed))
    }
}

impl Span {
    /// Notes which generation answered.
    pub fn answered_by(&mut self, generation: u64) {
        self.call.generation = generation;
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        self.call.took = self.began.elapsed();
        let mut calls = self.timing.calls.lock();
        if calls.len() < MAX_CALLS {
            calls.push(self.call.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_noted_in_their_order_and_up_to_a_bound() {
        let timing = Arc::<Timing>::default();
        let plugin: Arc<str> = "p".into();
        for generation in 0..200 {
            let mut span = timing.begin(&plugin, "on_clip_captured");
            span.answered_by(generation);
        }
        let generations: Vec<u64> = timing.calls().iter().map(|it| it.generation).collect();
        assert_eq!(generations, (0..100).collect::<Vec<_>>());
        timing.add_db(Duration::from_millis(2));
        timing.add_db(Duration::from_millis(3));
        assert_eq!(timing.db(), Duration::from_millis(5));
    }
}
