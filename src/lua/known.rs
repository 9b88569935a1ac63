//! Whether those who tell of events know what a VM subscribed to: what a call publishes after it subscribed is told
//! to that subscription, too, so what it leaves behind waits until they know.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Numbers of subscriptions' changes are those of the process, so that two VMs never have the same one.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// How a VM's subscriptions changed, and how far that is known.
#[derive(Default)]
pub struct Known(watch::Sender<State>);

#[derive(Clone, Copy, Default)]
struct State {
    /// The number of the last change; 0 = there was none.
    change: u64,
    /// The last change that is known; none = nobody looks.
    known: Option<u64>,
}

impl State {
    fn is_known(&self) -> bool {
        self.known.is_none_or(|it| it == self.change)
    }
}

impl Known {
    /// The subscriptions are others now.
    pub fn changed(&self) {
        let change = NEXT.fetch_add(1, Ordering::Relaxed);
        self.0.send_modify(|it| it.change = change);
    }

    /// The subscriptions as they were after `change` are known to whoever tells of events; none = nobody looks any longer.
    pub fn tell(&self, change: Option<u64>) {
        self.0.send_modify(|it| it.known = change);
    }

    /// The number of the last change.
    pub fn last(&self) -> u64 {
        self.0.borrow().change
    }

    /// Ends when the last change is another one than `than`; its number.
    pub fn other(&self, than: u64) -> impl Future<Output = u64> + Send + use<> {
        let mut changes = self.0.subscribe();
        async move {
            let other = changes.wait_for(|it| it.change != than).await.map(|it| it.change);
            match other {
                Ok(change) => change,
                // The VM is gone: nothing changes any more.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// What ends when all of it is known; none = it is.
    pub fn wait(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        if self.0.borrow().is_known() {
            return None;
        }
        let mut changes = self.0.subscribe();
        Some(async move {
            let _ = changes.wait_for(State::is_known).await;
        })
    }
}
