//! Bounds on what a crowd can ask of the server.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

/// Asks of the plugins that one address may cause without a key, per second and at once.
const ASKS_PER_S: f64 = 5.0;
const ASKS_AT_ONCE: f64 = 20.0;
/// Requests of admins that are worked on when all other places are taken.
const ADMINS: usize = 64;
/// Addresses remembered; beyond it the longest silent ones are forgotten.
const ADDRESSES: usize = 4096;

/// How many requests are being worked on, and how many may be.
#[derive(Clone)]
pub struct Admission {
    busy: Arc<AtomicUsize>,
    limit: usize,
}

/// A place among the admitted, given back on drop.
pub struct Place(Arc<AtomicUsize>);

impl Admission {
    /// Room for `limit` requests.
    pub fn new(limit: usize) -> Self {
        Admission { busy: Arc::default(), limit }
    }

    /// A place, or none when all are taken.
    pub fn enter(&self) -> Option<Place> {
        self.enter_below(self.limit)
    }

    /// The same for an admin who looks after plugins: a crowd leaves some places for it.
    pub fn enter_as_admin(&self) -> Option<Place> {
        self.enter_below(self.limit.saturating_add(ADMINS))
    }

    fn enter_below(&self, limit: usize) -> Option<Place> {
        let before = self.busy.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&self.busy));
        (before < limit).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts the asks that callers without a key cause, by remote address.
#[derive(Default)]
pub struct Strangers(Mutex<HashMap<IpAddr, (f64, Instant)>>);

impl Strangers {
    /// Whether one more ask for this address is in order.
    pub fn may_ask(&self, address: IpAddr) -> bool {
        self.may_ask_at(address, Instant::now())
    }

    fn may_ask_at(&self, address: IpAddr, now: Instant) -> bool {
        let mut known = self.0.lock();
        if known.len() >= ADDRESSES && !known.contains_key(&address) {
            let mut seen: Vec<Instant> = known.values().map(|(_, at)| *at).collect();
            let middle = seen.len() / 2;
            let (_, limit, _) = seen.select_nth_unstable(middle);
            let limit = *limit;
            known.retain(|_, (_, at)| *at > limit);
        }
        let (left, at) = known.entry(address).or_insert((ASKS_AT_ONCE, now));
        *left = (*left + now.saturating_duration_since(*at).as_secs_f64() * ASKS_PER_S).min(ASKS_AT_ONCE);
        *at = now;
        let may = *left >= 1.0;
        if may {
            *left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_left() {
        let admission = Admission::new(1);
        let place = admission.enter().unwrap();
        assert!(admission.enter().is_none());
        let admin = admission.enter_as_admin().unwrap();
        drop(place);
        assert!(admission.enter().is_none(), "an admin counts, too");
        drop(admin);
        assert!(admission.enter().is_some());
        assert_eq!(admission.busy.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_stranger_that_asks_too_much_waits_and_others_do_not() {
        let strangers = Strangers::default();
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let now = Instant::now();
        let granted = (0..100).filter(|_| strangers.may_ask_at(one, now)).count();
        assert_eq!(granted, ASKS_AT_ONCE as usize);
        assert!(strangers.may_ask_at(other, now));
        assert!(strangers.may_ask_at(one, now + Duration::from_secs(1)));
    }

    #[test]
    fn the_addresses_remembered_are_bounded() {
        let strangers = Strangers::default();
        let now = Instant::now();
        for n in 0..10_000_u32 {
            strangers.may_ask_at(IpAddr::from(n.to_be_bytes()), now + Duration::from_micros(u64::from(n)));
        }
        assert!(strangers.0.lock().len() <= ADDRESSES);
    }
}
