//! Time that passes when a test says so. Whoever sleeps is woken in the order of the times, one after the other.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use crate::clock::Clock;
use crate::lua::effects::{Answered, Door, Work};

use super::{StandIn, microseconds};

/// A clock that stands still.
pub(super) struct HeldClock(AtomicI64);

impl HeldClock {
    pub(super) fn at(now_us: i64) -> Self {
        HeldClock(AtomicI64::new(now_us))
    }
}

impl Clock for HeldClock {
    fn now_us(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }

    fn may_be_set(&self) -> bool {
        false
    }
}

/// Who sleeps, by when that ends and by who began first.
#[derive(Default)]
pub(super) struct Timers {
    last: u64,
    waiting: BTreeMap<(i64, u64), Arc<Timer>>,
}

#[derive(Default)]
struct Timer(Mutex<State>);

#[derive(Default)]
struct State {
    is_over: bool,
    waker: Option<Waker>,
}

/// A wait for the clock.
struct Sleep {
    world: StandIn,
    key: (i64, u64),
    timer: Arc<Timer>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.timer.0.lock();
        if state.is_over {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        // Whoever wakes it looks under the same lock.
        let was_waiting = self.world.0.timers.lock().waiting.remove(&self.key).is_some();
        if !was_waiting {
            self.world.0.woken.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl StandIn {
    /// The time, in microseconds since 1970 UTC.
    pub fn now_us(&self) -> i64 {
        self.0.clock.now_us()
    }

    /// When the next one who sleeps is to be woken.
    pub fn next_wake_us(&self) -> Option<i64> {
        self.0.timers.lock().waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// Moves the clock on, never back; nobody is woken by that alone.
    pub fn move_to(&self, us: i64) {
        let before = self.0.clock.0.fetch_max(us, Ordering::AcqRel);
        let by = us.saturating_sub(before).max(0);
        self.0.skipped.add(Duration::from_micros(by.unsigned_abs()));
    }

    /// Wakes the one whose time has come first; false when nobody's has.
    pub fn wake_next(&self) -> bool {
        let now = self.now_us();
        let timer = {
            let mut timers = self.0.timers.lock();
            match timers.waiting.first_entry().filter(|it| it.key().0 <= now) {
                Some(due) => {
                    self.0.woken.fetch_add(1, Ordering::AcqRel);
                    due.remove()
                }
                None => return false,
            }
        };
        let waker = {
            let mut state = timer.0.lock();
            state.is_over = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

impl Door for StandIn {
    fn now_us(&self) -> i64 {
        StandIn::now_us(self)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(StandIn::now_us(self).saturating_sub(self.0.began_us).max(0).unsigned_abs())
    }

    fn seed(&self) -> u64 {
        self.0.seed
    }

    fn random_bytes(&self) -> [u8; 16] {
        self.0.random_bytes()
    }

    fn sleep(&self, time: Duration) -> Work<()> {
        // A wait for nothing is one, too: others get their turn.
        let due = StandIn::now_us(self).saturating_add(microseconds(time).max(1));
        let timer = Arc::new(Timer::default());
        let mut timers = self.0.timers.lock();
        timers.last += 1;
        let key = (due, timers.last);
        timers.waiting.insert(key, Arc::clone(&timer));
        drop(timers);
        Box::pin(Sleep { world: self.clone(), key, timer })
    }

    fn pass(&self, _: &'static str, _: &Value, work: Work<Answered>) -> Work<Answered> {
        work
    }
}
