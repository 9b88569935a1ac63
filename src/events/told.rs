//! For whom something was committed: what the deliverer looks after next.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Cheap to clone; all clones share one list.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Inner>);

#[derive(Default)]
struct Inner {
    subscribers: Mutex<HashSet<Arc<str>>>,
    woken: Notify,
}

impl Told {
    pub(super) fn note(&self, subscribers: Vec<Arc<str>>) {
        self.0.subscribers.lock().extend(subscribers);
        self.0.woken.notify_one();
    }

    pub(super) fn take(&self, wanted: &mut HashSet<Arc<str>>) {
        wanted.extend(self.0.subscribers.lock().drain());
    }

    pub(super) async fn woken(&self) {
        self.0.woken.notified().await;
    }
}
