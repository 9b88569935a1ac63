//! Lines that share one rate, and how many of them were too many.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::rate::Rate;

/// One rate with its counts.
pub(super) struct Lane {
    rate: Rate,
    per_s: AtomicU64,
    dropped: AtomicU64,
    told: AtomicU64,
}

impl Default for Lane {
    /// As the settings say when nobody changes them.
    fn default() -> Self {
        Lane::new(50, 500)
    }
}

impl Lane {
    pub(super) fn new(per_s: u64, burst: u64) -> Self {
        Lane {
            rate: Rate::new(per_s, burst),
            per_s: AtomicU64::new(per_s),
            dropped: AtomicU64::new(0),
            told: AtomicU64::new(0),
        }
    }

    pub(super) fn set(&self, per_s: u64, burst: u64) {
        self.rate.set(per_s, burst);
        self.per_s.store(per_s, Ordering::Relaxed);
    }

    /// Whether one more may pass.
    pub(super) fn take(&self) -> bool {
        let may = self.rate.take().is_some();
        if !may {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        may
    }

    /// Those that were dropped, since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Those that were dropped since this was asked last, if any, and how many may pass a second.
    pub(super) fn untold(&self) -> Option<(u64, u64)> {
        let dropped = self.dropped();
        let told = self.told.swap(dropped, Ordering::Relaxed);
        (dropped > told).then(|| (dropped - told, self.per_s.load(Ordering::Relaxed)))
    }
}
