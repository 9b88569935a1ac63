//! Claims what is due and calls the handlers: at least once, in order per plugin and subject.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock::SharedClock;
use crate::error::Result;
use crate::hooks::{CallFailure, Hook};
use crate::model::call::{Caller, Outcome, PluginEffects};
use crate::model::event::Event;
use crate::model::time::Timestamp;
use crate::store::{Claimed, PluginTask, Ran, Room, Store, Tx};

use super::Journal;
use super::{done, expiry};

/// What came of a question that was asked after its time: committed with the acknowledgement of its delivery.
pub type LateChange = Arc<dyn Fn(&mut Tx) -> Result<()> + Send + Sync>;

/// A question's handler run after its time, by whoever asked it first.
pub type DeferredFuture =
    Pin<Box<dyn Future<Output = std::result::Result<Option<LateChange>, CallFailure>> + Send>>;

/// Runs handlers of a question that its time did not reach.
pub trait Deferred: Send + Sync + 'static {
    /// Asks `plugin` the question `hook` about the subject of `event`; answers the change it leads to.
    fn run(&self, plugin: Arc<str>, hook: Hook, event: Event, attempt: i32) -> DeferredFuture;
}

/// What a deliverer works with.
pub struct DelivererOptions {
    /// Where deliveries lie.
    pub store: Store,
    /// Where effects are published.
    pub journal: Journal,
    /// Who runs deferred questions.
    pub deferred: Arc<dyn Deferred>,
    /// The wall clock.
    pub clock: SharedClock,
    /// Deliveries of one plugin at once.
    pub per_plugin: usize,
}

/// How often it looks for retries that have become due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long it waits before it tries again to write down what came of a delivery.
const NOTE_AGAIN: Duration = Duration::from_secs(1);

/// Deliveries claimed at once.
const CLAIM_AT_ONCE: usize = 256;

/// Delivers until it is stopped. Cheap to clone.
#[derive(Clone)]
pub struct Deliverer(Arc<Inner>);

struct Inner {
    options: DelivererOptions,
    epoch: i64,
    stopping: AtomicBool,
    running: AtomicUsize,
    by_plugin: Mutex<HashMap<Arc<str>, usize>>,
    changed: Notify,
}

impl Deliverer {
    /// Frees what a dead process had claimed.
    ///
    /// # Errors
    /// The store's.
    pub async fn new(options: DelivererOptions) -> Result<Self> {
        let epoch = options.clock.now_us();
        let now = Timestamp(epoch);
        let freed = options.store.write(move |tx| tx.release_claims_of_other_epochs(epoch, now)).await?;
        if freed.released > 0 {
            log::info!("{} deliveries were under way when the server died: they run again", freed.released);
        }
        for (subscriber, event_id) in freed.quarantined {
            log::error!(
                plugin = &*subscriber, event_id = &*event_id;
                "the server died three times while this was delivered: it is not tried again, see GET /api/v1/events/dead"
            );
        }
        Ok(Deliverer(Arc::new(Inner {
            options,
            epoch,
            stopping: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            by_plugin: Mutex::default(),
            changed: Notify::new(),
        })))
    }

    /// Delivers until [`Deliverer::stop`].
    pub async fn run(&self) {
        let inner = &self.0;
        while !inner.stopping.load(Ordering::Acquire) {
            match self.deliver_some().await {
                Ok(0) => {
                    let wait = tokio::time::sleep(LOOK_EVERY);
                    tokio::select! {
                        () = wait => {}
                        () = inner.options.journal.woken() => {}
                        () = inner.changed.notified() => {}
                    }
                }
                Ok(_) => {}
                Err(err) => {
                    log::error!("deliveries cannot be claimed: {err}");
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        }
    }

    /// Claims no more, and waits for what is under way.
    pub async fn stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
        self.0.changed.notify_waiters();
        while self.0.running.load(Ordering::Acquire) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Claims what is due and lets it run; how many were claimed.
    async fn deliver_some(&self) -> Result<usize> {
        let inner = Arc::clone(&self.0);
        let room = inner.room();
        if room.is_empty() {
            return Ok(0);
        }
        let (epoch, now) = (inner.epoch, Timestamp(inner.options.clock.now_us()));
        let claimed = inner.options.store.write(move |tx| tx.claim(epoch, &room, CLAIM_AT_ONCE, now)).await?;
        let count = claimed.len();
        for delivery in claimed {
            inner.begin(&delivery.subscriber);
            let inner = Arc::clone(&inner);
            tokio::spawn(async move {
                let plugin = Arc::clone(&delivery.subscriber);
                inner.deliver(delivery).await;
                inner.end(&plugin);
            });
        }
        Ok(count)
    }
}

impl Inner {
    /// The running plugins and how many deliveries each may still take.
    fn room(&self) -> Vec<Room> {
        let busy = self.by_plugin.lock();
        let all = self.options.journal.subscribers().all(self.options.per_plugin);
        let room = all.into_iter().map(|(subscriber, at_once)| {
            let taken = busy.get(&subscriber).copied().unwrap_or(0);
            Room { subscriber, ready: at_once.saturating_sub(taken), suspect: usize::from(taken == 0) }
        });
        room.filter(|it| it.ready > 0).collect()
    }

    fn begin(&self, plugin: &Arc<str>) {
        self.running.fetch_add(1, Ordering::AcqRel);
        *self.by_plugin.lock().entry(Arc::clone(plugin)).or_default() += 1;
    }

    fn end(&self, plugin: &Arc<str>) {
        if let Some(count) = self.by_plugin.lock().get_mut(plugin) {
            *count = count.saturating_sub(1);
        }
        self.running.fetch_sub(1, Ordering::AcqRel);
        self.changed.notify_one();
    }

    async fn deliver(&self, delivery: Claimed) {
        let Claimed { subscriber: plugin, event, hook, attempts, replay, .. } = delivery.clone();
        let began = Timestamp(self.options.clock.now_us());
        if expiry::is_over(&delivery, began) {
            return self.expire(delivery).await;
        }
        let result = match hook.as_deref().map(Hook::from_name) {
            None => {
                let told = self.options.journal.subscribers().tell(&plugin, &event, attempts, replay);
                told.await.map(|it| (it, None))
            }
            Some(Some(hook)) => {
                let run = self.options.deferred.run(Arc::clone(&plugin), hook, event.clone(), attempts);
                run.await.map(|late| (Vec::new(), late))
            }
            // A hook of another version of the server: nobody can answer it any more.
            Some(None) => Ok((Vec::new(), None)),
        };
        loop {
            let ended = Timestamp(self.options.clock.now_us());
            let ran = Ran { began, ended };
            let came_to = result.as_ref().map(|(effects, _)| effects.as_slice());
            // Who is switched off or has gone did nothing.
            let did = result.as_ref().err().is_none_or(|it| it.outcome != Outcome::Skipped);
            let task = did.then(|| done::task(&plugin, &event, attempts, came_to, (began, ended))).flatten();
            let written = match &result {
                Ok((effects, late)) => {
                    let done = self.acknowledge(&delivery, effects.clone(), late.clone(), ran, task).await;
                    done.inspect(|()| self.options.journal.count_delivery(&plugin, "ok"))
                }
                Err(failure) => self.failed(&delivery, failure, ran, task).await,
            };
            let Err(err) = written else { return };
            // What comes next for this subject waits for it. A full disk has room again some time; a claim
            // that is left at the stop is freed at the next start, and the handlers run again.
            log::error!(plugin = &*plugin; "a delivery of {} could not be noted yet: {err}", event.kind);
            if self.stopping.load(Ordering::Acquire) {
                return;
            }
            tokio::time::sleep(NOTE_AGAIN).await;
        }
    }

    /// Nobody is told any more, and the next one of the subject moves up.
    async fn expire(&self, delivery: Claimed) {
        self.options.journal.count_delivery(&delivery.subscriber, "expired");
        let plugin = Arc::clone(&delivery.subscriber);
        let delivery = Arc::new(delivery);
        loop {
            let own = Arc::clone(&delivery);
            let written = self.options.store.write(move |tx| tx.expire_delivery(&own)).await;
            let Err(err) = written else { return };
            log::error!(plugin = &*plugin; "an expired delivery could not be noted yet: {err}");
            if self.stopping.load(Ordering::Acquire) {
                return;
            }
            tokio::time::sleep(NOTE_AGAIN).await;
        }
    }

    /// The delivery, the keys and the events of its handlers, and their late change are committed together.
    async fn acknowledge(
        &self,
        delivery: &Claimed,
        effects: Vec<PluginEffects>,
        late: Option<LateChange>,
        ran: Ran,
        task: Option<PluginTask>,
    ) -> Result<()> {
        let delivery = delivery.clone();
        let caller = Caller::of_event(&delivery.event);
        let journal = self.options.journal.clone();
        let publishes = late.is_some() || effects.iter().any(|it| !it.effects.events.is_empty());
        self.options
            .store
            .write(move |tx| {
                journal.commit_effects(tx, effects, &caller)?;
                if let Some(late) = late {
                    late(tx)?;
                }
                if let Some(task) = task {
                    tx.note_task(&task)?;
                }
                tx.acknowledge(&delivery, ran)
            })
            .await?;
        if publishes {
            self.options.journal.wake();
        }
        Ok(())
    }

    async fn failed(
        &self,
        delivery: &Claimed,
        failure: &CallFailure,
        ran: Ran,
        task: Option<PluginTask>,
    ) -> Result<()> {
        let delivery = delivery.clone();
        let (plugin, event, attempt) = (&*delivery.subscriber, &delivery.event, delivery.attempts);
        let chance = f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
        let subscribers = self.options.journal.subscribers();
        let delay = subscribers.retry_us(plugin, event, attempt, failure.outcome, chance);
        let next = delay.map(|delay| Timestamp(ran.ended.0 + delay));
        self.options.journal.count_delivery(plugin, if next.is_some() { "retry" } else { "dead" });
        match next {
            Some(at) => log::warn!(
                plugin = plugin, event_id = &*event.id, attempt = attempt;
                "delivery of {} failed ({}); tried again at {at}", event.kind, failure.outcome.as_str()
            ),
            None => log::error!(
                plugin = plugin, event_id = &*event.id, attempt = attempt;
                "delivery of {} failed for the last time ({}); it is kept as dead", event.kind, failure.outcome.as_str()
            ),
        }
        let error = failure.fault.to_string();
        let write = self.options.store.write(move |tx| {
            if let Some(task) = task {
                tx.note_task(&task)?;
            }
            tx.fail_delivery(&delivery, &error, next, ran)
        });
        write.await
    }
}

#[cfg(test)]
#[path = "deliverer_tests.rs"]
mod tests;
