//! Deliveries that are claimed as they are noted: where a subscriber has room and nothing older waits for it, an event that
//! has just been committed is handed on as it is, without being looked for and read again.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::Result;
use crate::model::event::Event;
use crate::store::{Claimed, Stored, Tx};

use super::lanes::Lanes;
use super::subscribers::Subscribers;
use super::told::Told;

/// The deliverer that takes them, while there is one. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Ahead(Arc<Mutex<Option<Taker>>>);

/// Who takes them.
#[derive(Clone)]
pub(super) struct Taker {
    pub(super) lanes: Lanes,
    pub(super) epoch: i64,
    /// Deliveries of one plugin at once.
    pub(super) per_plugin: usize,
}

impl Ahead {
    /// From now on `taker` takes them.
    pub(super) fn open(&self, taker: Taker) {
        *self.0.lock() = Some(taker);
    }

    /// Nobody takes any more. Places that were given out stay good until the jobs that took them have ended.
    pub(super) fn close(&self) {
        *self.0.lock() = None;
    }

    /// Notes deliveries of the event that was just `stored` to those who can be told at once, and hands them on when they
    /// are committed. The others, whom nothing was noted for.
    ///
    /// # Errors
    /// The store's.
    pub(super) fn claim(
        &self,
        tx: &mut Tx,
        stored: Stored,
        event: &Event,
        subscribers: Vec<Arc<str>>,
        (all, told): (&Subscribers, &Told),
    ) -> Result<Vec<Arc<str>>> {
        let mut others = Vec::new();
        for subscriber in subscribers {
            let Some(place) = self.place(all, &subscriber, stored.bytes) else {
                others.push(subscriber);
                continue;
            };
            if let Some(delivery) = tx.insert_claimed(place.epoch, stored, event, &subscriber)? {
                let told = told.clone();
                tx.after_commit(move || place.fill(delivery, &told));
            }
        }
        Ok(others)
    }

    /// A place for a delivery of `bytes` to `subscriber`, if it has one free and nothing older waits for it.
    fn place(&self, all: &Subscribers, subscriber: &Arc<str>, bytes: usize) -> Option<Place> {
        let Taker { lanes, epoch, per_plugin } = self.0.lock().clone()?;
        let at_once = all.at_once(subscriber, per_plugin)?;
        lanes.reserve(subscriber, at_once, bytes).then(|| Place {
            lanes,
            epoch,
            subscriber: Arc::clone(subscriber),
            bytes,
        })
    }

    /// A live delivery to `subscriber` lies ready that nobody has claimed: what comes after it must not overtake it.
    pub(super) fn fall_behind(&self, subscriber: &Arc<str>) {
        if let Some(taker) = &*self.0.lock() {
            taker.lanes.fall_behind(subscriber);
        }
    }
}

/// Room that is kept for one delivery until its transaction has ended.
struct Place {
    lanes: Lanes,
    /// The process that claims.
    epoch: i64,
    subscriber: Arc<str>,
    bytes: usize,
}

impl Place {
    /// The delivery is committed.
    fn fill(self, delivery: Claimed, told: &Told) {
        self.lanes.push(delivery);
        told.note(Vec::new());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lanes.free(&self.subscriber, self.bytes);
    }
}

#[cfg(test)]
#[path = "ahead_tests.rs"]
mod tests;
