//! Keys that were used lately, so that a request costs no read.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::error::Result;
use crate::model::time::Timestamp;
use crate::model::token::Token;
use crate::services::Services;

use super::rate::{Bucket, Stopwatch};

/// The cache: read without a lock, replaced as a whole. It holds nothing that has no row.
#[derive(Clone, Default)]
pub(in crate::services) struct Cache(Arc<Inner>);

#[derive(Default)]
struct Inner {
    known: ArcSwap<HashMap<String, Arc<Known>>>,
    /// Counts what was forgotten, so that an older read does not come back.
    epoch: Mutex<u64>,
    /// What was counted of keys that are read anew; at most one entry for each key there is.
    buckets: Mutex<HashMap<String, Arc<Bucket>>>,
    watch: Stopwatch,
    /// Whether any key has a limit, or may have one.
    limited: AtomicBool,
}

/// A key and the hash of its secret.
pub(super) struct Known {
    pub(super) token: Arc<Token>,
    pub(super) hash: String,
    /// What is counted of it.
    pub(super) bucket: Arc<Bucket>,
    noted_at: AtomicI64,
}

impl Known {
    /// Whether its use is to be noted now; true once in `every` microseconds.
    pub(super) fn noted(&self, now: Timestamp, every: i64) -> bool {
        let last = self.noted_at.load(Ordering::Relaxed);
        now.0.saturating_sub(last) >= every
            && self.noted_at.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Cache {
    /// The key of an id, from here or from its row.
    pub(super) fn find(&self, services: &Services, id: &str) -> Result<Option<Arc<Known>>> {
        if let Some(known) = self.0.known.load().get(id) {
            return Ok(Some(Arc::clone(known)));
        }
        let before = *self.0.epoch.lock();
        let Some((token, hash)) = services.store.read(|r| r.token(id))? else { return Ok(None) };
        let noted_at = AtomicI64::new(token.last_used_at.map_or(i64::MIN, |it| it.0));
        let bucket = self.0.buckets.lock().get(id).map(Arc::clone).unwrap_or_default();
        let known = Arc::new(Known { token: Arc::new(token), hash, bucket, noted_at });
        let epoch = self.0.epoch.lock();
        if *epoch == before {
            let mut all = HashMap::clone(&self.0.known.load());
            all.insert(id.to_owned(), Arc::clone(&known));
            self.0.known.store(Arc::new(all));
        }
        Ok(Some(known))
    }

    /// From now on requests are counted.
    pub(super) fn has_limits(&self) {
        self.0.limited.store(true, Ordering::Relaxed);
    }

    /// Whether any key has a limit.
    pub(super) fn any_limited(&self) -> bool {
        self.0.limited.load(Ordering::Relaxed)
    }

    /// The moment at which requests are counted.
    pub(super) fn now_ns(&self) -> u64 {
        self.0.watch.now_ns()
    }

    /// Reads the key of an id anew from now on.
    pub(super) fn forget(&self, id: &str) {
        let mut epoch = self.0.epoch.lock();
        *epoch += 1;
        let mut all = HashMap::clone(&self.0.known.load());
        if let Some(known) = all.remove(id) {
            // A change of a key gives nothing back that it has used up.
            self.0.buckets.lock().insert(id.to_owned(), Arc::clone(&known.bucket));
            self.0.known.store(Arc::new(all));
        }
    }
}
