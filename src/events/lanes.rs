//! What is claimed and does not run yet, for each subscriber: the highest priority first, then the oldest, as many at
//! once as the subscriber takes.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::store::{Claimed, Room};

/// So many deliveries of one subscriber are claimed ahead, so that claims cost one commit for many.
const AHEAD: usize = 256;

/// How long nothing is tried with a subscriber that could not take a delivery (it restarts, its breaker is open).
const PAUSE: Duration = Duration::from_secs(2);

/// The queues of all subscribers.
#[derive(Default)]
pub(super) struct Lanes(Mutex<HashMap<Arc<str>, Lane>>);

#[derive(Default)]
struct Lane {
    at_once: usize,
    queued: BinaryHeap<Queued>,
    running: usize,
    /// Ended, and not yet written down.
    settling: usize,
    /// Queued or running, from a process that died.
    suspects: usize,
    paused_until: Option<Instant>,
}

struct Queued(Claimed);

impl Queued {
    fn place(&self) -> (bool, i16, Reverse<i64>) {
        (!self.0.replay, self.0.event.priority.rank(), Reverse(self.0.id))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Queued {}

impl Lanes {
    /// What `subscriber`, which takes `at_once`, has room for; none when it has enough.
    pub(super) fn room(&self, subscriber: &Arc<str>, at_once: usize) -> Option<Room> {
        let mut lanes = self.0.lock();
        let lane = lanes.entry(Arc::clone(subscriber)).or_default();
        lane.at_once = at_once;
        let taken = lane.queued.len() + lane.running + lane.settling;
        if lane.is_paused() || taken > AHEAD / 2 {
            return None;
        }
        let suspect = usize::from(lane.suspects == 0);
        Some(Room { subscriber: Arc::clone(subscriber), ready: AHEAD - taken, suspect })
    }

    /// Takes in what was claimed.
    pub(super) fn push(&self, delivery: Claimed) {
        let mut lanes = self.0.lock();
        let lane = lanes.entry(Arc::clone(&delivery.subscriber)).or_default();
        lane.suspects += usize::from(delivery.is_suspect);
        lane.queued.push(Queued(delivery));
    }

    /// The next delivery that may begin for `subscriber`; it counts as running until [`Lanes::end`].
    pub(super) fn next(&self, subscriber: &str) -> Option<Claimed> {
        let mut lanes = self.0.lock();
        let lane = lanes.get_mut(subscriber)?;
        if lane.running >= lane.at_once.max(1) || lane.is_paused() {
            return None;
        }
        let Queued(delivery) = lane.queued.pop()?;
        lane.running += 1;
        Some(delivery)
    }

    /// A delivery has ended; `skipped` when its subscriber could not take it.
    pub(super) fn end(&self, delivery: &Claimed, skipped: bool) {
        if let Some(lane) = self.0.lock().get_mut(&delivery.subscriber) {
            lane.running -= 1.min(lane.running);
            lane.settling += 1;
            lane.suspects -= usize::from(delivery.is_suspect).min(lane.suspects);
            if skipped {
                lane.paused_until = Some(Instant::now() + PAUSE);
            }
        }
    }

    /// What came of a delivery has been written down.
    pub(super) fn settled(&self, subscriber: &str) {
        if let Some(lane) = self.0.lock().get_mut(subscriber) {
            lane.settling -= 1.min(lane.settling);
        }
    }

    /// The subscribers with something to begin, and how many may.
    pub(super) fn startable(&self) -> Vec<(Arc<str>, usize)> {
        let lanes = self.0.lock();
        let startable = lanes.iter().filter(|(_, lane)| !lane.is_paused());
        let free = startable.map(|(name, lane)| {
            (Arc::clone(name), lane.at_once.max(1).saturating_sub(lane.running).min(lane.queued.len()))
        });
        free.filter(|(_, count)| *count > 0).collect()
    }

    /// Empties the queues of those that `keeps` does not know any more: what was queued there.
    pub(super) fn drain(&self, keeps: impl Fn(&str) -> bool) -> Vec<i64> {
        let mut ids = Vec::new();
        self.0.lock().retain(|name, lane| {
            if keeps(name) {
                return true;
            }
            ids.extend(lane.queued.drain().map(|Queued(delivery)| {
                lane.suspects -= usize::from(delivery.is_suspect).min(lane.suspects);
                delivery.id
            }));
            lane.running + lane.settling > 0
        });
        ids
    }

    /// Deliveries that run, or have ended and are not yet written down.
    pub(super) fn busy(&self) -> usize {
        self.0.lock().values().map(|it| it.running + it.settling).sum()
    }
}

impl Lane {
    fn is_paused(&self) -> bool {
        self.paused_until.is_some_and(|until| Instant::now() < until)
    }
}
