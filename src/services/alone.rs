//! One operation at a time on one thing: the start and the end of a recording, the update of a clip.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

type Locks = Arc<Mutex<HashMap<String, Arc<AsyncMutex<()>>>>>;

/// Locks by name; those that nobody holds take no room. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Alone(Locks);

/// Held while one works alone on something.
pub struct Turn {
    locks: Locks,
    name: String,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Alone {
    /// Waits for one's turn.
    pub(super) async fn turn(&self, name: &str) -> Turn {
        let mut turn = Turn { locks: Arc::clone(&self.0), name: name.to_owned(), guard: None };
        let lock = self.lock(name);
        turn.guard = Some(lock.lock_owned().await);
        turn
    }

    /// A turn without waiting for it.
    pub(super) fn turn_now(&self, name: &str) -> Option<Turn> {
        let guard = self.lock(name).try_lock_owned().ok()?;
        Some(Turn { locks: Arc::clone(&self.0), name: name.to_owned(), guard: Some(guard) })
    }

    fn lock(&self, name: &str) -> Arc<AsyncMutex<()>> {
        Arc::clone(self.0.lock().entry(name.to_owned()).or_default())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut locks = self.locks.lock();
        self.guard = None;
        // The map's own is the last one: nobody waits.
        if locks.get(&self.name).is_some_and(|it| Arc::strong_count(it) == 1) {
            locks.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_nothing_is_left_behind() {
        let alone = Alone::default();
        let first = alone.turn("a").await;
        assert!(alone.turn_now("a").is_none());
        assert!(alone.turn_now("b").is_some());
        let other = alone.clone();
        let waiting = tokio::spawn(async move { drop(other.turn("a").await) });
        tokio::task::yield_now().await;
        drop(first);
        waiting.await.unwrap();
        assert!(alone.0.lock().is_empty());
    }
}
