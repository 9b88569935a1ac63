//! Publishes events inside the transaction of the change they tell.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::SharedClock;
use crate::error::{Error, Result};
use crate::hooks::{Dispatcher, Hook};
use crate::model::call::{Caller, Emitted, PluginEffects};
use crate::model::event::{Event, OWN_SOURCE, Priority};
use crate::model::event_data::EventData;
use crate::model::id::{new_event_id, random_bytes};
use crate::model::tally::NamedCounts;
use crate::model::time::Timestamp;
use crate::store::{Reader, Store, Tx};

use super::ahead::{Ahead, Taker};
use super::sabotage::{Promise, Sabotage};
use super::told::Told;
use super::waiting::Waiting;
use super::{EventSchemas, Subscribers, cycle};

/// An event that is not yet written.
#[derive(Debug, Clone)]
pub struct EventDraft {
    /// Such as `recording.ended`.
    pub kind: String,
    /// What it is about.
    pub subject: Option<String>,
    /// The snapshot it tells.
    pub data: EventData,
    /// Its lane.
    pub priority: Priority,
    /// How long after its commit it is worth telling; none = always.
    pub ttl: Option<Duration>,
}

impl EventDraft {
    /// A normal event about `subject`.
    pub fn new(kind: &str, subject: impl Into<String>, data: Value) -> Self {
        EventDraft {
            kind: kind.to_owned(),
            subject: Some(subject.into()),
            data: data.into(),
            priority: Priority::Normal,
            ttl: None,
        }
    }
}

/// Writes events and the deliveries they owe. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    subscribers: Subscribers,
    clock: SharedClock,
    max_depth: i16,
    told: Told,
    ahead: Ahead,
    waiting: Waiting,
    committed: Arc<watch::Sender<i64>>,
    counts: Arc<Counts>,
    sabotage: Sabotage,
    schemas: EventSchemas,
}

/// What the journal counts.
struct Counts {
    /// Events by type.
    published: NamedCounts,
    /// Deliveries by `<plugin>/<outcome>`.
    deliveries: NamedCounts,
    /// Events that have had their time.
    removed: AtomicU64,
    /// Events that would have gone in a circle.
    stopped: AtomicU64,
}

/// Types of events that are counted apart.
const MAX_TYPES: usize = 200;

/// Plugins and outcomes that are counted apart.
const MAX_DELIVERIES: usize = 10_000;

impl Journal {
    /// A journal whose subscribers are those of `hooks`; events that lead to events end at `max_depth`.
    pub fn new(hooks: Dispatcher, clock: SharedClock, max_depth: i16) -> Self {
        let counts = Counts {
            published: NamedCounts::new(MAX_TYPES),
            deliveries: NamedCounts::new(MAX_DELIVERIES),
            removed: AtomicU64::new(0),
            stopped: AtomicU64::new(0),
        };
        let subscribers = Subscribers::new(hooks);
        Journal {
            subscribers,
            clock,
            max_depth,
            told: Told::default(),
            ahead: Ahead::default(),
            waiting: Waiting::default(),
            committed: Arc::default(),
            schemas: EventSchemas::default(),
            counts: Arc::new(counts),
            sabotage: Sabotage::default(),
        }
    }

    /// The same, but it breaks a promise.
    pub fn sabotaged(self, sabotage: Sabotage) -> Self {
        Journal { sabotage, ..self }
    }

    /// Whether `promise` is to be broken.
    pub fn breaks(&self, promise: Promise) -> bool {
        self.sabotage.breaks(promise)
    }

    /// Writes an event and one delivery for each plugin that subscribed to it.
    ///
    /// # Errors
    /// The store's.
    pub fn publish(&self, tx: &mut Tx, draft: EventDraft, caller: &Caller) -> Result<Event> {
        self.publish_as(tx, draft, OWN_SOURCE.to_owned(), caller)
    }

    /// Writes what plugins left behind: their keys, and their events under their own name.
    ///
    /// An event that would exceed the depth is dropped, and the circle it would go in named in the log.
    ///
    /// # Errors
    /// The store's.
    pub fn commit_effects(&self, tx: &mut Tx, effects: &[PluginEffects], caller: &Caller) -> Result<()> {
        let now = Timestamp(self.clock.now_us());
        for PluginEffects { plugin, effects } in effects {
            tx.hold(effects.hold.clone());
            if !effects.kv.is_empty() {
                tx.kv_apply(plugin, &effects.kv, now)?;
            }
            let told = caller.through(plugin);
            for Emitted { kind, subject, data, priority, ttl } in &effects.events {
                if depth(caller) > self.max_depth {
                    let path = self.cycle(tx, caller, kind, plugin)?;
                    log::error!(
                        plugin = &**plugin,
                        correlation_id = caller.correlation_id.as_deref().unwrap_or_default();
                        "event `{kind}` is not published: events answer each other more than limits.event_depth = {} deep: {path}",
                        self.max_depth,
                    );
                    continue;
                }
                let draft = EventDraft {
                    kind: kind.clone(),
                    subject: subject.clone(),
                    data: Arc::clone(data).into(),
                    priority: *priority,
                    ttl: *ttl,
                };
                self.publish_as(tx, draft, format!("plugin/{plugin}"), &told)?;
            }
        }
        Ok(())
    }

    /// Notes handlers of a question that its time did not reach: they run later, from the journal.
    ///
    /// # Errors
    /// The store's; the event must have been published in the same transaction.
    pub fn defer(&self, tx: &mut Tx, event: &Event, unasked: &[(Arc<str>, u32)], hook: Hook) -> Result<()> {
        if unasked.is_empty() {
            return Ok(());
        }
        let mut plugins: Vec<Arc<str>> = unasked.iter().map(|(plugin, _)| Arc::clone(plugin)).collect();
        plugins.dedup();
        let Some((seq, _)) = tx.event(&event.id)? else {
            return Err(Error::internal(format!("event {} was not published in this transaction", event.id)));
        };
        tx.insert_deliveries(seq, event, &plugins, Some(hook.name()))?;
        self.told(tx, plugins);
        Ok(())
    }

    /// Who is told.
    pub fn subscribers(&self) -> &Subscribers {
        &self.subscribers
    }

    /// What the data of events must be like; whoever publishes for somebody else than the product asks here.
    pub fn schemas(&self) -> &EventSchemas {
        &self.schemas
    }

    /// Events written since the start, by type.
    pub fn published(&self) -> Vec<(String, u64)> {
        self.counts.published.read()
    }

    /// Deliveries to a subscriber since the start, by how they ended: `ok`, `retry`, `dead` or `expired`.
    pub fn deliveries(&self, subscriber: &str) -> Vec<(String, u64)> {
        let all = self.counts.deliveries.read().into_iter();
        let own = |(name, count): (String, u64)| {
            let (whose, outcome) = name.rsplit_once('/')?;
            (whose == subscriber).then(|| (outcome.to_owned(), count))
        };
        all.filter_map(own).collect()
    }

    /// Names the circle in which the event `kind` of `plugin` would go, which may not be published for `caller`
    /// because too many events led to each other; and counts it.
    ///
    /// # Errors
    /// The store's.
    pub fn cycle(&self, reader: &mut Reader, caller: &Caller, kind: &str, plugin: &str) -> Result<String> {
        self.counts.stopped.fetch_add(1, Ordering::Relaxed);
        cycle::path(reader, caller, kind, &format!("plugin/{plugin}"))
    }

    /// Events that were not published since the start because too many had led to each other.
    pub fn stopped(&self) -> u64 {
        self.counts.stopped.load(Ordering::Relaxed)
    }

    /// Events removed since the start because they have had their time.
    pub fn removed(&self) -> u64 {
        self.counts.removed.load(Ordering::Relaxed)
    }

    pub(super) fn count_removed(&self, events: u64) {
        self.counts.removed.fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn count_delivery(&self, plugin: &str, outcome: &str) {
        self.counts.deliveries.count(&format!("{plugin}/{outcome}"));
    }

    /// The place of the event that was committed last; 0 before the first one since the start.
    pub(super) fn committed(&self) -> watch::Receiver<i64> {
        self.committed.subscribe()
    }

    /// Waits until no delivery of the event at `seq` is open, at most until `deadline`; how many are open then.
    ///
    /// # Errors
    /// The store's.
    pub async fn wait(&self, store: &Store, seq: i64, deadline: Instant) -> Result<i64> {
        self.waiting.wait(store, seq, deadline).await
    }

    /// Deliveries of the events at these places have been settled.
    pub(super) fn settled(&self, seqs: impl Iterator<Item = i64>) {
        self.waiting.settled(seqs);
    }

    /// Has the deliverer look after `subscribers` when the transaction is committed: something is due for them.
    pub fn told(&self, tx: &mut Tx, subscribers: Vec<Arc<str>>) {
        subscribers.iter().for_each(|it| self.ahead.fall_behind(it));
        let told = self.told.clone();
        tx.after_commit(move || told.note(subscribers));
    }

    /// Has the deliverer look after `subscribers` now.
    pub(super) fn look_after(&self, subscribers: Vec<Arc<str>>) {
        if !subscribers.is_empty() {
            self.told.note(subscribers);
        }
    }

    /// From now on `taker` is handed what can begin at once.
    pub(super) fn hand_to(&self, taker: Taker) {
        self.ahead.open(taker);
    }

    /// From now on nobody is.
    pub(super) fn hand_to_nobody(&self) {
        self.ahead.close();
    }

    /// Moves those for whom something was committed to `wanted`.
    pub(super) fn take_told(&self, wanted: &mut HashSet<Arc<str>>) {
        self.told.take(wanted);
    }

    /// Waits until something was committed.
    pub(super) async fn woken(&self) {
        self.told.woken().await;
    }

    /// As [`Journal::publish`], told by `source`.
    ///
    /// # Errors
    /// The store's.
    pub fn publish_as(
        &self,
        tx: &mut Tx,
        draft: EventDraft,
        source: String,
        caller: &Caller,
    ) -> Result<Event> {
        let id = new_event_id();
        let time = Timestamp(self.clock.now_us());
        let expires_at = draft.ttl.map(|it| time.after(it));
        let correlation = caller.correlation_id.as_deref().or(caller.request_id.as_deref());
        let event = Event {
            kind: draft.kind,
            source,
            subject: draft.subject,
            time,
            data: draft.data,
            correlation_id: correlation.unwrap_or(&id).to_owned(),
            causation_id: caller.causation_id.as_deref().map(str::to_owned),
            priority: draft.priority,
            depth: depth(caller),
            expires_at,
            plugins: caller.plugins.as_slice().into(),
            // Without random numbers the event goes untraced.
            traceparent: caller
                .trace
                .as_ref()
                .and_then(|it| Some(it.child(u64::from_ne_bytes(random_bytes()?)))),
            id,
        };
        let stored = tx.insert_event(&event)?;
        let (counts, kind) = (Arc::clone(&self.counts), event.kind.clone());
        let committed = Arc::clone(&self.committed);
        tx.after_commit(move || {
            counts.published.count(&kind);
            committed.send_replace(stored.seq);
        });
        let subscribers = self.subscribers.of(&event);
        if !subscribers.is_empty() {
            let unordered = self.breaks(Promise::Order).then(|| Event { subject: None, ..event.clone() });
            let later = match &unordered {
                Some(_) => subscribers,
                None => self.ahead.claim(tx, stored, &event, subscribers, (&self.subscribers, &self.told))?,
            };
            if !later.is_empty() {
                tx.insert_deliveries(stored.seq, unordered.as_ref().unwrap_or(&event), &later, None)?;
                self.told(tx, later);
            }
        }
        Ok(event)
    }
}

/// How many events lead to what `caller` publishes now.
fn depth(caller: &Caller) -> i16 {
    match caller.causation_id {
        Some(_) => caller.event_depth.saturating_add(1),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::SystemClock;
    use crate::error::Code;
    use crate::store::{Store, StoreOptions};

    #[tokio::test]
    async fn an_event_counts_when_its_change_is_committed_and_never_when_it_is_rolled_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreOptions::at(folder.path().join("t.db"))).unwrap();
        let journal = Journal::new(Dispatcher::new(Duration::from_secs(1)), Arc::new(SystemClock), 8);
        for (kind, fails) in [("kept", false), ("lost", true)] {
            let own = journal.clone();
            let written = store.write(move |tx| {
                own.publish(tx, EventDraft::new(kind, "1", Value::Null), &Caller::server())?;
                assert!(own.published().iter().all(|(it, _)| it != kind), "not before the commit");
                if fails { Err(Error::new(Code::Conflict, "no")) } else { Ok(()) }
            });
            assert_eq!(written.await.is_err(), fails);
        }
        assert_eq!(journal.published(), [("kept".to_owned(), 1)]);
    }
}
