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

/// So many of those are told again: what is live finds room beside them.
const REPLAYED_AHEAD: usize = 32;

/// So many bytes of events' data are held for all subscribers together; then each has one at a time.
const HELD_BYTES: usize = 64 << 20;

/// How long nothing is tried with a subscriber that could not take a delivery (it restarts, its breaker is open).
const PAUSE: Duration = Duration::from_secs(2);

/// The queues of all subscribers. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Lanes(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    lanes: HashMap<Arc<str>, Lane>,
    held_bytes: usize,
}

#[derive(Default)]
struct Lane {
    at_once: usize,
    queued: BinaryHeap<Queued>,
    /// Places kept for deliveries whose transactions have not ended.
    reserved: usize,
    running: usize,
    /// Ended, and not yet written down.
    settling: usize,
    /// Of all these: told again.
    replayed: usize,
    /// Claimed and not yet written down, from a process that died.
    suspects: usize,
    /// No live one lies ready that is not claimed.
    caught_up: bool,
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
        let mut inner = self.0.lock();
        let is_full = inner.held_bytes >= HELD_BYTES;
        let lane = inner.lanes.entry(Arc::clone(subscriber)).or_default();
        lane.at_once = at_once;
        let taken = lane.taken();
        let free = |most: usize, taken: usize| match taken {
            0 if is_full => 1,
            _ if is_full || taken > most / 2 => 0,
            _ => most - taken,
        };
        let room = Room {
            subscriber: Arc::clone(subscriber),
            ready: free(AHEAD, taken - lane.replayed),
            replayed: free(REPLAYED_AHEAD, lane.replayed),
            suspect: usize::from(lane.suspects == 0),
        };
        (!lane.is_paused() && room.ready + room.replayed > 0).then_some(room)
    }

    /// Keeps a place for a delivery that is not committed yet: for a subscriber that has claimed all that lies ready for it
    /// and has less to do than it would claim at once. More is left to [`Lanes::room`].
    pub(super) fn reserve(&self, subscriber: &Arc<str>, at_once: usize, bytes: usize) -> bool {
        let mut inner = self.0.lock();
        let is_full = inner.held_bytes + bytes > HELD_BYTES;
        let Some(lane) = inner.lanes.get_mut(subscriber) else { return false };
        if is_full || !lane.caught_up || lane.is_paused() || lane.taken() - lane.replayed >= AHEAD / 2 {
            return false;
        }
        lane.at_once = at_once;
        lane.reserved += 1;
        inner.held_bytes += bytes;
        true
    }

    /// Gives up a place that was kept.
    pub(super) fn free(&self, subscriber: &str, bytes: usize) {
        let mut inner = self.0.lock();
        inner.held_bytes -= bytes.min(inner.held_bytes);
        if let Some(lane) = inner.lanes.get_mut(subscriber) {
            lane.reserved -= 1.min(lane.reserved);
        }
    }

    /// A live delivery lies ready for `subscriber` and is not claimed.
    pub(super) fn fall_behind(&self, subscriber: &str) {
        if let Some(lane) = self.0.lock().lanes.get_mut(subscriber) {
            lane.caught_up = false;
        }
    }

    /// A claim for `subscriber` has left none of the live ones that lay ready, or some.
    pub(super) fn claimed(&self, subscriber: &str, all: bool) {
        if let Some(lane) = self.0.lock().lanes.get_mut(subscriber) {
            lane.caught_up = all;
        }
    }

    /// Bytes that may still be taken in.
    pub(super) fn free_bytes(&self) -> usize {
        HELD_BYTES.saturating_sub(self.0.lock().held_bytes)
    }

    /// Takes in what was claimed.
    pub(super) fn push(&self, delivery: Claimed) {
        let mut inner = self.0.lock();
        inner.held_bytes += delivery.bytes;
        let lane = inner.lanes.entry(Arc::clone(&delivery.subscriber)).or_default();
        lane.suspects += usize::from(delivery.is_suspect);
        lane.replayed += usize::from(delivery.replay);
        lane.queued.push(Queued(delivery));
    }

    /// The next delivery that may begin for `subscriber`; it counts as running until [`Lanes::end`].
    pub(super) fn next(&self, subscriber: &str) -> Option<Claimed> {
        let mut inner = self.0.lock();
        let lane = inner.lanes.get_mut(subscriber)?;
        if lane.running >= lane.at_once.max(1) || lane.is_paused() {
            return None;
        }
        let Queued(delivery) = lane.queued.pop()?;
        lane.running += 1;
        Some(delivery)
    }

    /// A delivery has ended; `skipped` when its subscriber could not take it.
    pub(super) fn end(&self, delivery: &Claimed, skipped: bool) {
        if let Some(lane) = self.0.lock().lanes.get_mut(&delivery.subscriber) {
            lane.running -= 1.min(lane.running);
            lane.settling += 1;
            if skipped {
                lane.paused_until = Some(Instant::now() + PAUSE);
            }
        }
    }

    /// What came of a delivery has been written down. Until then a suspect stays one: if the process died now, its
    /// crash would count.
    pub(super) fn settled(&self, delivery: &Claimed) {
        let mut inner = self.0.lock();
        inner.held_bytes -= delivery.bytes.min(inner.held_bytes);
        if let Some(lane) = inner.lanes.get_mut(&delivery.subscriber) {
            lane.settling -= 1.min(lane.settling);
            lane.replayed -= usize::from(delivery.replay).min(lane.replayed);
            lane.suspects -= usize::from(delivery.is_suspect).min(lane.suspects);
        }
    }

    /// The subscribers with something to begin, and how many may.
    pub(super) fn startable(&self) -> Vec<(Arc<str>, usize)> {
        let inner = self.0.lock();
        let startable = inner.lanes.iter().filter(|(_, lane)| !lane.is_paused());
        let free = startable.map(|(name, lane)| {
            (Arc::clone(name), lane.at_once.max(1).saturating_sub(lane.running).min(lane.queued.len()))
        });
        free.filter(|(_, count)| *count > 0).collect()
    }

    /// Empties the queues of those that `keeps` does not know any more: what was queued there.
    pub(super) fn drain(&self, keeps: impl Fn(&str) -> bool) -> Vec<i64> {
        let (mut ids, mut bytes) = (Vec::new(), 0);
        let mut inner = self.0.lock();
        inner.lanes.retain(|name, lane| {
            if keeps(name) {
                return true;
            }
            for Queued(delivery) in lane.queued.drain() {
                lane.suspects -= usize::from(delivery.is_suspect).min(lane.suspects);
                lane.replayed -= usize::from(delivery.replay).min(lane.replayed);
                bytes += delivery.bytes;
                ids.push(delivery.id);
            }
            // What is given back lies ready again.
            lane.caught_up = false;
            lane.running + lane.settling + lane.reserved > 0
        });
        inner.held_bytes -= bytes.min(inner.held_bytes);
        ids
    }

    /// Deliveries that run, or have ended and are not yet written down.
    pub(super) fn busy(&self) -> usize {
        self.0.lock().lanes.values().map(|it| it.running + it.settling).sum()
    }
}

impl Lane {
    /// Deliveries that it has, or has room kept for.
    fn taken(&self) -> usize {
        self.queued.len() + self.reserved + self.running + self.settling
    }

    fn is_paused(&self) -> bool {
        self.paused_until.is_some_and(|until| Instant::now() < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::Event;

    fn claimed(id: i64, replay: bool, bytes: usize) -> Claimed {
        let event = Event { id: id.to_string(), ..Event::default() };
        Claimed {
            id,
            subscriber: "one".into(),
            event_seq: id,
            event,
            bytes,
            hook: None,
            attempts: 1,
            replay,
            is_suspect: false,
        }
    }

    #[test]
    fn what_is_told_again_leaves_room_for_what_is_live() {
        let lanes = Lanes::default();
        let name: Arc<str> = "one".into();
        let room = lanes.room(&name, 4).unwrap();
        assert_eq!((room.ready, room.replayed), (AHEAD, REPLAYED_AHEAD));
        (0..REPLAYED_AHEAD as i64).for_each(|id| lanes.push(claimed(id, true, 1)));
        let room = lanes.room(&name, 4).unwrap();
        assert_eq!((room.ready, room.replayed), (AHEAD, 0));
        lanes.push(claimed(99, false, 1));
        assert_eq!(lanes.next("one").unwrap().id, 99, "live ones go first");
    }

    #[test]
    fn a_place_is_kept_only_where_nothing_older_lies_ready() {
        let lanes = Lanes::default();
        let name: Arc<str> = "one".into();
        assert!(!lanes.reserve(&name, 4, 1), "nobody has looked yet");
        lanes.room(&name, 4).unwrap();
        lanes.claimed("one", true);
        assert!(lanes.reserve(&name, 4, 1));
        lanes.free("one", 1);
        lanes.fall_behind("one");
        assert!(!lanes.reserve(&name, 4, 1));
        lanes.claimed("one", true);
        lanes.push(claimed(1, false, 1));
        lanes.push(claimed(2, false, 1));
        lanes.next("one").unwrap();
        assert_eq!(lanes.drain(|_| false), [2]);
        assert!(!lanes.reserve(&name, 4, 1), "one was given back");
        lanes.claimed("one", false);
        assert!(!lanes.reserve(&name, 4, 1), "a claim has left some");
    }

    #[test]
    fn large_events_are_held_one_at_a_time_for_each() {
        let lanes = Lanes::default();
        let large = claimed(1, false, HELD_BYTES);
        lanes.push(large.clone());
        assert_eq!(lanes.free_bytes(), 0);
        assert_eq!(lanes.room(&"two".into(), 4).unwrap().ready, 1);
        assert_eq!(lanes.room(&"one".into(), 4).map(|it| it.ready), Some(0), "only what is told again, one");
        let delivery = lanes.next("one").unwrap();
        lanes.end(&delivery, false);
        lanes.settled(&delivery);
        assert_eq!((lanes.free_bytes(), lanes.busy()), (HELD_BYTES, 0));
    }
}
