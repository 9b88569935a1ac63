//! Who waits for the deliveries of an event.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::error::Result;
use crate::store::Store;

/// Those who wait, by the event's place on the journal.
#[derive(Clone, Default)]
pub(super) struct Waiting(Arc<Mutex<HashMap<i64, Entry>>>);

struct Entry {
    waiters: usize,
    settled: Arc<Notify>,
}

impl Waiting {
    /// Waits until no delivery of the event at `seq` is open, at most until `deadline`; how many are open then.
    pub(super) async fn wait(&self, store: &Store, seq: i64, deadline: Instant) -> Result<i64> {
        let place = Place::take(self, seq);
        loop {
            let settled = place.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            let open = store.read_async(move |reader| reader.open_deliveries_of(seq)).await?;
            if open == 0 || timeout_at(deadline, settled).await.is_err() {
                return Ok(open);
            }
        }
    }

    /// Deliveries of the event at `seq` have been settled.
    pub(super) fn settled(&self, seqs: impl Iterator<Item = i64>) {
        let waiting = self.0.lock();
        if waiting.is_empty() {
            return;
        }
        for seq in seqs {
            if let Some(it) = waiting.get(&seq) {
                it.settled.notify_waiters();
            }
        }
    }
}

/// One who waits.
struct Place {
    of: Waiting,
    seq: i64,
    settled: Arc<Notify>,
}

impl Place {
    fn take(of: &Waiting, seq: i64) -> Self {
        let mut waiting = of.0.lock();
        let it = waiting.entry(seq).or_insert_with(|| Entry { waiters: 0, settled: Arc::default() });
        it.waiters += 1;
        Place { of: of.clone(), seq, settled: Arc::clone(&it.settled) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.of.0.lock();
        if let Some(it) = waiting.get_mut(&self.seq) {
            it.waiters -= 1;
            if it.waiters == 0 {
                waiting.remove(&self.seq);
            }
        }
    }
}
