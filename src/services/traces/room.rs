//! How many recorded calls of a plugin are stored in a second: a plugin that is called all the time would write a history of
//! a moment, and everybody would pay for it.

use std::sync::atomic::{AtomicU64, Ordering};

/// The bits of the count within a second; the second is in the others.
const COUNT_BITS: u32 = 24;

/// A limit of so many a second.
pub(super) struct PerSecond {
    /// 0 = no limit.
    most: u64,
    /// The second, and how many there were in it.
    taken: AtomicU64,
    /// How many there was no room for, since the start, and those of them that were told.
    refused: AtomicU64,
    told: AtomicU64,
}

impl PerSecond {
    pub(super) fn new(most: u64) -> Self {
        PerSecond { most, taken: AtomicU64::new(0), refused: AtomicU64::new(0), told: AtomicU64::new(0) }
    }

    /// Takes a place in the second of `us`, if there is one; a moment of an earlier second counts as one of the last.
    pub(super) fn take(&self, us: i64) -> bool {
        if self.most == 0 {
            return true;
        }
        let second = u64::try_from(us / 1_000_000).unwrap_or_default();
        let next = |taken: u64| match taken >> COUNT_BITS {
            before if before < second => Some((second << COUNT_BITS) | 1),
            _ if taken & ((1 << COUNT_BITS) - 1) < self.most => Some(taken + 1),
            _ => None,
        };
        let has_room = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok();
        if !has_room {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }

    /// How many there was no room for since this was asked.
    pub(super) fn take_refused(&self) -> u64 {
        let refused = self.refused();
        refused - self.told.swap(refused, Ordering::Relaxed)
    }

    /// How many there was no room for since the start.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_places_and_a_clock_that_was_set_back_makes_none() {
        let limit = PerSecond::new(2);
        let at = |ms: i64| limit.take(1_700_000_000_000_000 + ms * 1_000);
        assert_eq!([at(0), at(1), at(999)], [true, true, false]);
        assert_eq!([at(1_000), at(10), at(1_500), at(20)], [true, true, false, false]);
        assert!(at(2_000));
        assert_eq!((limit.take_refused(), limit.take_refused(), limit.refused()), (3, 0, 3));
        let none = PerSecond::new(0);
        assert!((0..100).all(|_| none.take(0)));
    }
}
