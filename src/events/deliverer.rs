//! Claims what is due and calls the handlers: at least once, in order per plugin and subject.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use crate::clock::SharedClock;
use crate::error::Result;
use crate::hooks::{CallFailure, Hook};
use crate::model::call::Outcome;
use crate::model::event::Event;
use crate::model::time::Timestamp;
use crate::store::{Claimed, Most, Ran, Room, Store, Tx};

use super::Journal;
use super::ahead::Taker;
use super::lanes::Lanes;
use super::retry::chance_of;
use super::settle::{self, Settled, Verdict};
use super::telling::Telling;
use super::wall::Wall;
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

/// How often it looks for what nobody told of: retries that have become due, subscribers that are back.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Deliveries claimed at once.
const CLAIM_AT_ONCE: usize = 512;

/// Bytes of events' data claimed at once.
const CLAIM_BYTES: usize = 8 << 20;

/// When a subscriber that could not take a delivery is tried again, in microseconds.
const BACK_US: i64 = 2_000_000;

/// Delivers until it is stopped. Cheap to clone.
#[derive(Clone)]
pub struct Deliverer(Arc<Inner>);

pub(super) struct Inner {
    pub(super) options: DelivererOptions,
    pub(super) epoch: i64,
    stopping: AtomicBool,
    lanes: Lanes,
    ended: UnboundedSender<Settled>,
    settling: Mutex<Option<UnboundedReceiver<Settled>>>,
    changed: Notify,
    telling: Telling,
}

impl Deliverer {
    /// Frees what a dead process had claimed.
    ///
    /// # Errors
    /// The store's.
    pub async fn new(options: DelivererOptions) -> Result<Self> {
        let epoch = options.clock.now_us();
        let now = Timestamp(epoch);
        let freed = options.store.write(move |tx| {
            tx.shift_delayed(0, now)?;
            tx.release_claims_of_other_epochs(epoch, now)
        });
        let freed = freed.await?;
        if freed.released > 0 {
            log::info!("{} deliveries were under way when the server died: they run again", freed.released);
        }
        for (subscriber, event_id) in freed.quarantined {
            log::error!(
                plugin = &*subscriber, event_id = &*event_id;
                "the server died three times while this was delivered: it is not tried again, see GET /api/v1/events/dead"
            );
        }
        let (ended, settling) = unbounded_channel();
        let lanes = Lanes::default();
        let taker = Taker { lanes: lanes.clone(), epoch, per_plugin: options.per_plugin };
        options.journal.hand_to(taker);
        Ok(Deliverer(Arc::new(Inner {
            options,
            epoch,
            stopping: AtomicBool::new(false),
            lanes,
            ended,
            settling: Mutex::new(Some(settling)),
            changed: Notify::new(),
            telling: Telling::default(),
        })))
    }

    /// Delivers until [`Deliverer::stop`].
    pub async fn run(&self) {
        let inner = &self.0;
        if let Some(settling) = inner.settling.lock().take() {
            tokio::spawn(settle::run(Arc::clone(inner), settling));
        }
        let mut wall = Wall::new(&inner.options.clock);
        let mut wanted = HashSet::new();
        let mut look_at = Instant::now();
        while !inner.is_stopping() {
            if Instant::now() >= look_at {
                look_at = Instant::now() + LOOK_EVERY;
                inner.logged("looked through", inner.look(&mut wall, &mut wanted).await);
            }
            inner.options.journal.take_told(&mut wanted);
            if inner.logged("claimed", inner.claim(&mut wanted).await) == Some(CLAIM_AT_ONCE) {
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep_until(look_at) => {}
                () = inner.options.journal.woken() => {}
                () = inner.changed.notified() => {}
            }
        }
    }

    /// Claims no more, gives back what has not begun, and waits for what is under way until `deadline`; what is not
    /// done then is let go of and runs again at the next start.
    pub async fn stop(&self, deadline: Instant) {
        let inner = &self.0;
        inner.stopping.store(true, Ordering::Release);
        inner.changed.notify_one();
        inner.options.journal.hand_to_nobody();
        // Twice: what was handed on by changes that were under way is there when the first job has been done.
        for _ in 0..2 {
            let queued = inner.lanes.drain(|_| false);
            inner.logged("given back", inner.options.store.write(move |tx| tx.unclaim(&queued)).await);
        }
        while inner.lanes.busy() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let epoch = inner.epoch;
        let left = inner.options.store.write(move |tx| tx.let_go(epoch)).await;
        if let Some(left @ 1..) = inner.logged("let go of", left) {
            log::warn!("{left} deliveries were not waited for any longer: they run again at the next start");
        }
    }
}

impl Inner {
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Whether as many bytes are held as may be.
    pub(super) fn is_full(&self) -> bool {
        self.lanes.free_bytes() == 0
    }

    /// Finds out for whom something is due, and gives back what was claimed for those that are gone.
    async fn look(&self, wall: &mut Wall, wanted: &mut HashSet<Arc<str>>) -> Result<usize> {
        let store = &self.options.store;
        if let Some(by) = wall.jumped(&self.options.clock) {
            log::warn!("the clock jumped by {} s: what is tried again later is moved along", by / 1_000_000);
            let now = Timestamp(self.options.clock.now_us());
            store.write(move |tx| tx.shift_delayed(by, now)).await?;
        }
        let all = self.options.journal.subscribers().names();
        let known: HashSet<&str> = all.iter().map(|it| &**it).collect();
        let gone = self.lanes.drain(|name| known.contains(name));
        if !gone.is_empty() {
            store.write(move |tx| tx.unclaim(&gone)).await?;
        }
        let now = Timestamp(self.options.clock.now_us());
        let due = store
            .read_async(move |reader| {
                let names: Vec<&str> = all.iter().map(|it| &**it).collect();
                reader.subscribers_due(&names, now)
            })
            .await?;
        due.iter().for_each(|it| self.lanes.fall_behind(it));
        wanted.extend(due.into_iter().map(Arc::from));
        Ok(wanted.len())
    }

    /// Claims what those of `wanted` have room for, and lets it begin; how many.
    async fn claim(self: &Arc<Self>, wanted: &mut HashSet<Arc<str>>) -> Result<usize> {
        let all = self.options.journal.subscribers();
        wanted.retain(|name| all.at_once(name, self.options.per_plugin).is_some());
        let room: Vec<Room> = wanted
            .iter()
            .filter_map(|name| self.lanes.room(name, all.at_once(name, self.options.per_plugin)?))
            .collect();
        let mut count = 0;
        if !room.is_empty() {
            let (epoch, now, lanes) =
                (self.epoch, Timestamp(self.options.clock.now_us()), self.lanes.clone());
            let most = Most { count: CLAIM_AT_ONCE, bytes: self.lanes.free_bytes().min(CLAIM_BYTES) };
            let claimed = self.options.store.write_again(move |tx| {
                let claimed = tx.claim(epoch, &room, most, now)?;
                let left = Left::of(&room, &claimed, most);
                // Now, not after the commit: a job behind this one may leave something ready.
                room.iter()
                    .for_each(|it| lanes.claimed(&it.subscriber, left.none_live.contains(&it.subscriber)));
                Ok((claimed, left.nothing))
            });
            let (claimed, nothing) = claimed.await?;
            count = claimed.len();
            wanted.retain(|it| !nothing.contains(it));
            claimed.into_iter().for_each(|it| self.lanes.push(it));
        }
        self.begin();
        Ok(count)
    }

    /// Lets begin what may.
    fn begin(self: &Arc<Self>) {
        for (subscriber, count) in self.lanes.startable() {
            for _ in 0..count {
                let (own, subscriber) = (Arc::clone(self), Arc::clone(&subscriber));
                tokio::spawn(async move { own.work(&subscriber).await });
            }
        }
    }

    /// Tells a subscriber of one event after another while there are any.
    async fn work(&self, subscriber: &str) {
        while let Some(delivery) = self.lanes.next(subscriber) {
            let settled = self.deliver(delivery).await;
            self.lanes.end(&settled.delivery, matches!(settled.verdict, Verdict::Back { .. }));
            // The receiver lives as long as this does.
            let _ = self.ended.send(settled);
        }
    }

    async fn deliver(&self, delivery: Claimed) -> Settled {
        let Claimed { subscriber, event, hook, attempts, replay, .. } = &delivery;
        let began = Timestamp(self.options.clock.now_us());
        if expiry::is_over(&delivery, began) {
            let ran = Ran { began, ended: began };
            return Settled { delivery, ran, verdict: Verdict::Expired, task: None };
        }
        let result = match hook.as_deref().map(Hook::from_name) {
            None => {
                let told = self.options.journal.subscribers().tell(subscriber, event, *attempts, *replay);
                told.await.map(|it| (it, None))
            }
            Some(Some(hook)) => {
                let run = self.options.deferred.run(Arc::clone(subscriber), hook, event.clone(), *attempts);
                run.await.map(|late| (Vec::new(), late))
            }
            // A hook of another version of the server: nobody can answer it any more.
            Some(None) => Ok((Vec::new(), None)),
        };
        let ran = Ran { began, ended: Timestamp(self.options.clock.now_us()) };
        let came_to = result.as_ref().map(|(effects, _)| effects.as_slice());
        let task = done::task(subscriber, event, *attempts, came_to, (ran.began, ran.ended));
        match result {
            Ok((effects, late)) => Settled { delivery, ran, verdict: Verdict::Done { effects, late }, task },
            Err(failure) if failure.outcome == Outcome::Skipped => {
                let next = Timestamp(ran.ended.0 + BACK_US);
                let verdict = Verdict::Back { why: failure.fault.to_string(), next };
                Settled { delivery, ran, verdict, task: None }
            }
            Err(failure) => {
                let next = self.next_try(&delivery, ran.ended);
                self.telling.failed(&delivery, &failure, next);
                let verdict = Verdict::Failed { error: failure.fault.to_string(), next };
                Settled { delivery, ran, verdict, task }
            }
        }
    }

    /// When a delivery that failed is tried again; none = never.
    pub(super) fn next_try(&self, delivery: &Claimed, now: Timestamp) -> Option<Timestamp> {
        let chance = chance_of(delivery.id, delivery.attempts);
        let subscribers = self.options.journal.subscribers();
        let delay = subscribers.retry_us(&delivery.subscriber, &delivery.event, delivery.attempts, chance)?;
        Some(Timestamp(now.0 + delay))
    }

    /// What was written down is over; what follows begins.
    pub(super) fn settled(self: &Arc<Self>, settled: &[Arc<Settled>], followers: Vec<Claimed>) {
        for it in settled {
            self.lanes.settled(&it.delivery);
        }
        // Suspects are claimed one at a time: there may be a next.
        let suspects = settled.iter().filter(|it| it.delivery.is_suspect);
        self.options.journal.look_after(suspects.map(|it| Arc::clone(&it.delivery.subscriber)).collect());
        self.options.journal.settled(settled.iter().map(|it| it.delivery.event_seq));
        followers.into_iter().for_each(|it| self.lanes.push(it));
        self.begin();
        self.changed.notify_one();
    }

    fn logged<T>(&self, what: &str, result: Result<T>) -> Option<T> {
        result.inspect_err(|err| log::error!("deliveries cannot be {what}: {err}")).ok()
    }
}

/// Those for whom a claim has left nothing.
struct Left {
    /// No live one.
    none_live: Vec<Arc<str>>,
    /// And none that is told again.
    nothing: Vec<Arc<str>>,
}

impl Left {
    fn of(room: &[Room], claimed: &[Claimed], most: Most) -> Self {
        let mut left = Left { none_live: Vec::new(), nothing: Vec::new() };
        // What was too much to hold has been given back.
        let was_short = claimed.iter().map(|it| it.bytes).sum::<usize>() * 2 >= most.bytes;
        if was_short || claimed.len() >= most.count {
            return left;
        }
        for Room { subscriber, ready, replayed, .. } in room {
            let got = |replay| {
                claimed.iter().filter(|it| it.replay == replay && it.subscriber == *subscriber).count()
            };
            // More may be left for whom everything asked for was there, or not asked for.
            if got(false) < *ready {
                left.none_live.push(Arc::clone(subscriber));
                if got(true) < *replayed {
                    left.nothing.push(Arc::clone(subscriber));
                }
            }
        }
        left
    }
}

#[cfg(test)]
#[path = "deliverer_tests.rs"]
mod tests;
