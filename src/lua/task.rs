//! A task of a script: a call of its own that outlives the one that started it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use mlua::MultiValue;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::hooks::Given;
use crate::model::call::CallContext;

use super::actor::Actor;
use super::budget::Kill;
use super::context::CallState;

/// What a task came to: its values, or a code and a sentence.
pub type Ended = Result<MultiValue, (&'static str, String)>;

/// A task, from its start until nobody asks for it any more.
pub struct Task {
    /// The context of the call that started it.
    pub ctx: Arc<CallContext>,
    /// What that call was given.
    pub payload: Option<Given>,
    actor: Weak<Actor>,
    call: OnceLock<Arc<CallState>>,
    ended: Mutex<Option<Ended>>,
    changed: Notify,
    cancelled: AtomicBool,
    /// Taken from the plugin's tasks or timers while it lives.
    held: Mutex<Option<Held>>,
}

/// A place among a bounded number; given back when dropped.
pub struct Held(Arc<std::sync::atomic::AtomicUsize>);

impl Held {
    /// A place, unless `max` are taken.
    pub fn take(count: &Arc<std::sync::atomic::AtomicUsize>, max: usize) -> Option<Held> {
        let taken =
            count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |it| (it < max).then_some(it + 1));
        taken.ok().map(|_| Held(Arc::clone(count)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Task {
    /// A task that has not begun.
    pub fn new(actor: &Arc<Actor>, ctx: Arc<CallContext>, payload: Option<Given>, held: Held) -> Arc<Self> {
        Arc::new(Task {
            ctx,
            payload,
            actor: Arc::downgrade(actor),
            call: OnceLock::new(),
            ended: Mutex::default(),
            changed: Notify::new(),
            cancelled: AtomicBool::new(false),
            held: Mutex::new(Some(held)),
        })
    }

    pub(super) fn begin(&self, call: &Arc<CallState>) {
        let _ = self.call.set(Arc::clone(call));
    }

    pub(super) fn end(&self, ended: Ended) {
        self.held.lock().take();
        self.ended.lock().get_or_insert(ended);
        self.changed.notify_waiters();
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Stops it, wherever it is; false when it had ended before.
    pub fn cancel(&self) -> bool {
        if self.ended.lock().is_some() {
            return false;
        }
        self.cancelled.store(true, Ordering::Release);
        if let Some(call) = self.call.get() {
            call.meter.kill(Kill::Cancelled);
            if let Some(actor) = self.actor.upgrade() {
                actor.sweep();
            }
        } else {
            self.end(Err(("cancelled", "the task was cancelled before it began".to_owned())));
        }
        true
    }

    /// What it came to, once it has; to be awaited on the Lua pool alone, for the values are the VM's.
    pub async fn join(&self) -> Ended {
        loop {
            self.ended().await;
            if let Some(ended) = &*self.ended.lock() {
                return ended.clone();
            }
        }
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.ended.lock().is_some() {
                return;
            }
            changed.await;
        }
    }
}
