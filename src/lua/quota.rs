//! What a plugin has taken of what it may have: counted once for all its VMs and generations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use tokio::sync::{Mutex, Notify, Semaphore};

use crate::config::PluginLimits;
use crate::model::rate::Rate;

use super::under_way::Pending;

/// One thing a plugin may have so much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Quota {
    /// HTTP requests at once.
    HttpRequests,
    /// Processes at once.
    Processes,
    /// Files in its own folder.
    Files,
    /// Bytes of these.
    FileBytes,
    /// Assets.
    Assets,
    /// Bytes of these.
    AssetBytes,
    /// Bytes of its own database.
    DatabaseBytes,
    /// Keys it keeps.
    Keys,
    /// Bytes of keys and values it keeps.
    KeyBytes,
    /// Schedules.
    Schedules,
    /// Routes.
    Routes,
    /// Bytes its scripts handed over and the host still works on: copies that no VM's memory counts.
    HeldBytes,
}

impl Quota {
    /// All of them.
    pub const ALL: [Quota; 12] = [
        Quota::HttpRequests,
        Quota::Processes,
        Quota::Files,
        Quota::FileBytes,
        Quota::Assets,
        Quota::AssetBytes,
        Quota::DatabaseBytes,
        Quota::Keys,
        Quota::KeyBytes,
        Quota::Schedules,
        Quota::Routes,
        Quota::HeldBytes,
    ];

    /// What status and metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Quota::HttpRequests => "http_requests",
            Quota::Processes => "processes",
            Quota::Files => "files",
            Quota::FileBytes => "file_bytes",
            Quota::Assets => "assets",
            Quota::AssetBytes => "asset_bytes",
            Quota::DatabaseBytes => "database_bytes",
            Quota::Keys => "keys",
            Quota::KeyBytes => "key_bytes",
            Quota::Schedules => "schedules",
            Quota::Routes => "routes",
            Quota::HeldBytes => "held_bytes",
        }
    }

    /// The setting that limits it.
    pub fn setting(self) -> &'static str {
        match self {
            Quota::HttpRequests => "limits.http_requests",
            Quota::Processes => "limits.processes",
            Quota::Files => "limits.files",
            Quota::FileBytes => "limits.files_mib",
            Quota::Assets => "limits.assets",
            Quota::AssetBytes => "limits.assets_mib",
            Quota::DatabaseBytes => "limits.db_mib",
            Quota::Keys => "limits.kv_keys",
            Quota::KeyBytes => "limits.kv_mib",
            Quota::Schedules => "limits.schedules",
            Quota::Routes => "limits.routes",
            Quota::HeldBytes => "limits.memory_mib",
        }
    }

    /// How much of it a plugin with these limits may have, in pieces or bytes.
    pub fn limit(self, limits: &PluginLimits) -> u64 {
        match self {
            Quota::HttpRequests => limits.http_requests as u64,
            Quota::Processes => limits.processes as u64,
            Quota::Files => limits.files,
            Quota::FileBytes => limits.files_mib << 20,
            Quota::Assets => limits.assets,
            Quota::AssetBytes => limits.assets_mib << 20,
            Quota::DatabaseBytes => limits.db_mib << 20,
            Quota::Keys => limits.kv_keys,
            Quota::KeyBytes => limits.kv_mib << 20,
            Quota::Schedules => limits.schedules as u64,
            Quota::Routes => limits.routes as u64,
            Quota::HeldBytes => limits.memory_mib << 20,
        }
    }
}

/// How much of one thing a plugin has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Use {
    /// At this moment.
    pub used: u64,
    /// The most since the server started.
    pub peak: u64,
    /// How often it was refused more.
    pub refused: u64,
}

#[derive(Debug, Default)]
struct Gauge {
    used: AtomicU64,
    peak: AtomicU64,
    refused: AtomicU64,
}

/// What one plugin has of everything.
#[derive(Debug, Default)]
pub struct Quotas {
    gauges: [Gauge; Quota::ALL.len()],
    /// Keys that are written and not committed yet.
    pub pending: Pending,
    emitted: parking_lot::Mutex<Option<EmitRate>>,
    emitted_bytes: parking_lot::Mutex<Option<EmitRate>>,
    /// Held by the one who is next to wait for a place, so that places go to whoever came first.
    queue: Mutex<()>,
    freed: Notify,
    turns: [OnceLock<Arc<Semaphore>>; Quota::ALL.len()],
}

/// So much a second, and at once; and what is left of it.
type EmitRate = ((u64, u64), Arc<Rate>);

impl Quotas {
    /// Takes one of `quota` until the place is dropped, unless `max` are taken.
    pub fn take(self: &Arc<Self>, quota: Quota, max: u64) -> Option<Place> {
        self.take_many(quota, 1, max)
    }

    /// Takes `amount` of `quota` until it is dropped, unless that makes more than `max`.
    pub fn take_many(self: &Arc<Self>, quota: Quota, amount: u64, max: u64) -> Option<Place> {
        let place = self.try_take(quota, amount, max);
        if place.is_none() {
            self.refuse(quota);
        }
        place
    }

    /// Takes one of `quota` as soon as fewer than `max` (at least 1) are taken; whoever came first is first.
    pub async fn wait(self: &Arc<Self>, quota: Quota, max: u64) -> Place {
        let _turn = self.queue.lock().await;
        loop {
            // A place given back before this is waited for is remembered by it.
            let freed = self.freed.notified();
            if let Some(place) = self.try_take(quota, 1, max) {
                return place;
            }
            freed.await;
        }
    }

    fn try_take(self: &Arc<Self>, quota: Quota, amount: u64, max: u64) -> Option<Place> {
        let gauge = &self.gauges[quota as usize];
        let more = |used: u64| used.checked_add(amount).filter(|it| *it <= max);
        let before = gauge.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        gauge.peak.fetch_max(before + amount, Ordering::Relaxed);
        Some(Place { quotas: Arc::clone(self), quota, amount })
    }

    /// How many more bytes of events it may publish: one for all VMs and generations whose limits are the same.
    pub fn emit_bytes(&self, limits: &PluginLimits) -> Arc<Rate> {
        shared(&self.emitted_bytes, (limits.emit_mib_per_s << 20, limits.emit_burst_mib << 20))
    }

    /// How many more events it may publish, for all of them in the same way.
    pub fn emits(&self, limits: &PluginLimits) -> Arc<Rate> {
        shared(&self.emitted, (limits.emits_per_s, limits.emits_burst))
    }

    /// The turns of those who wait for a place: `most` at once, for all VMs of the plugin together; the first call says
    /// how many.
    pub fn turns(&self, quota: Quota, most: usize) -> Arc<Semaphore> {
        Arc::clone(self.turns[quota as usize].get_or_init(|| Arc::new(Semaphore::new(most.max(1)))))
    }

    /// Notes how much of `quota` there is now.
    pub fn set(&self, quota: Quota, used: u64) {
        let gauge = &self.gauges[quota as usize];
        gauge.used.store(used, Ordering::Relaxed);
        gauge.peak.fetch_max(used, Ordering::Relaxed);
    }

    /// Notes that more of `quota` was refused.
    pub fn refuse(&self, quota: Quota) {
        self.gauges[quota as usize].refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How much of `quota` there is.
    pub fn read(&self, quota: Quota) -> Use {
        let gauge = &self.gauges[quota as usize];
        Use {
            used: gauge.used.load(Ordering::Relaxed),
            peak: gauge.peak.load(Ordering::Relaxed),
            refused: gauge.refused.load(Ordering::Relaxed),
        }
    }
}

/// The rate that is `wanted`: the one there is, or a new one when the limits have changed.
fn shared(kept: &parking_lot::Mutex<Option<EmitRate>>, wanted: (u64, u64)) -> Arc<Rate> {
    let mut kept = kept.lock();
    match &*kept {
        Some((has, rate)) if *has == wanted => Arc::clone(rate),
        _ => {
            let rate = Arc::new(Rate::new(wanted.0, wanted.1));
            *kept = Some((wanted, Arc::clone(&rate)));
            rate
        }
    }
}

/// One of what a plugin may have at once; given back when dropped.
#[derive(Debug)]
pub struct Place {
    quotas: Arc<Quotas>,
    quota: Quota,
    amount: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.quotas.gauges[self.quota as usize].used.fetch_sub(self.amount, Ordering::AcqRel);
        self.quotas.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quota_has_a_place_of_its_own_and_a_setting_that_exists() {
        let limits = serde_json::to_value(PluginLimits::default()).unwrap();
        for (index, quota) in Quota::ALL.into_iter().enumerate() {
            assert_eq!(quota as usize, index);
            let key = quota.setting().trim_start_matches("limits.");
            assert!(limits.get(key).is_some(), "{}", quota.setting());
        }
    }

    #[test]
    fn a_place_is_given_back_and_the_peak_stays() {
        let quotas = Arc::new(Quotas::default());
        let first = quotas.take(Quota::Processes, 1).unwrap();
        assert!(quotas.take(Quota::Processes, 1).is_none());
        drop(first);
        assert_eq!(quotas.read(Quota::Processes), Use { used: 0, peak: 1, refused: 1 });
        assert!(quotas.take(Quota::Processes, 1).is_some());
        let held = quotas.take_many(Quota::HeldBytes, 60, 64).unwrap();
        assert!(quotas.take_many(Quota::HeldBytes, 5, 64).is_none());
        assert!(quotas.take_many(Quota::HeldBytes, u64::MAX, 64).is_none());
        drop(held);
        assert_eq!(quotas.read(Quota::HeldBytes), Use { used: 0, peak: 60, refused: 2 });
    }

    #[test]
    fn all_vms_of_a_plugin_publish_at_one_rate() {
        let (quotas, mut limits) = (Quotas::default(), PluginLimits::default());
        (limits.emits_per_s, limits.emits_burst) = (1, 2);
        let (one, other) = (quotas.emits(&limits), quotas.emits(&limits));
        assert!(one.take_many(2).is_some() && other.take_many(1).is_none());
        limits.emits_burst = 5;
        assert!(quotas.emits(&limits).take_many(5).is_some(), "new limits, a new rate");
    }

    #[tokio::test]
    async fn whoever_waits_for_a_place_gets_one_when_it_is_given_back_and_never_more_than_there_are() {
        let quotas = Arc::new(Quotas::default());
        let waiting: Vec<_> = (0..6)
            .map(|_| {
                let quotas = Arc::clone(&quotas);
                tokio::spawn(async move {
                    let _place = quotas.wait(Quota::Processes, 2).await;
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                })
            })
            .collect();
        for it in waiting {
            tokio::time::timeout(std::time::Duration::from_secs(20), it).await.unwrap().unwrap();
        }
        assert_eq!(quotas.read(Quota::Processes), Use { used: 0, peak: 2, refused: 0 });
    }
}
