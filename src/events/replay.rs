//! Tells past events again: goes through the journal in small steps and notes deliveries in the lane behind the
//! live ones, so many at a time that a large replay never floods the table.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::SharedClock;
use crate::error::Result;
use crate::model::event::Event;
use crate::model::replay::{Past, Replay};
use crate::model::time::Timestamp;
use crate::store::{NewReplay, Step, Store, Tx, WantedGivenUp};

use super::Journal;

/// Deliveries of one replay that are open at once, to subscribers that run.
pub const MAX_OPEN: usize = 1000;

/// Events that are looked at in one step.
const STEP: usize = 250;

/// How soon a replay that waits for its deliveries is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How soon it goes on after the store refused.
const AGAIN: Duration = Duration::from_secs(1);

/// Makes replays and lets them run. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Replays {
    store: Store,
    journal: Journal,
    clock: SharedClock,
    asked: Arc<Notify>,
}

/// What a replay would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// Events (or dead deliveries) that are selected.
    pub matched: i64,
    /// Deliveries by subscriber.
    pub by_subscriber: BTreeMap<String, i64>,
}

/// What is to be told next, and to whom.
enum Found {
    Events(Vec<(i64, Event, Vec<Arc<str>>)>),
    GivenUp(Vec<i64>),
}

/// A part of what is selected.
struct Slice {
    step: Step,
    found: Found,
    /// The subscribers of each delivery that it makes.
    told: Vec<Arc<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Moved,
    Waits,
}

impl Replays {
    /// Replays of the events of `store`, to those who subscribe at `journal`.
    pub fn new(store: Store, journal: Journal, clock: SharedClock) -> Self {
        Replays { store, journal, clock, asked: Arc::default() }
    }

    /// Begins a replay; `also` happens in the same transaction.
    ///
    /// # Errors
    /// The store's.
    pub async fn begin(
        &self,
        new: NewReplay,
        also: impl FnOnce(&mut Tx, i64) -> Result<()> + Send + 'static,
    ) -> Result<i64> {
        let now = self.now();
        let begun = self.store.write(move |tx| {
            let id = tx.insert_replay(&new, now)?;
            also(tx, id)?;
            Ok(id)
        });
        let id = begun.await?;
        self.asked.notify_one();
        Ok(id)
    }

    /// Gives `plugin` the past that its patterns want, those of them that it was not given before.
    ///
    /// # Errors
    /// The store's.
    pub async fn backfill(&self, plugin: Arc<str>, wanted: Vec<(String, Past)>) -> Result<()> {
        let own = Arc::clone(&plugin);
        let known = self.store.read_async(move |it| it.backfilled(&own)).await?;
        if wanted.iter().all(|(pattern, _)| known.contains(pattern)) {
            return Ok(());
        }
        let now = self.now();
        let begun = self.store.write(move |tx| {
            let known = tx.backfilled(&plugin)?;
            let mut left: Vec<(String, Past)> =
                wanted.into_iter().filter(|(pattern, _)| !known.contains(pattern)).collect();
            // One replay for all patterns of one past, so that an event that fits several comes once.
            while let Some((_, past)) = left.first().cloned() {
                let (together, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|it| it.1 == past);
                left = others;
                let types: Vec<String> = together.into_iter().map(|(pattern, _)| pattern).collect();
                let new = NewReplay {
                    selection: past.selection(types.clone()),
                    subscriber: Some(plugin.to_string()),
                    asked_by: format!("plugin/{plugin}"),
                };
                let id = tx.insert_replay(&new, now)?;
                for pattern in types {
                    tx.note_backfill(&plugin, &pattern, id)?;
                }
                log::info!(plugin = &*plugin; "it is given past events as replay {id}");
            }
            Ok(())
        });
        begun.await?;
        self.asked.notify_one();
        Ok(())
    }

    /// What a replay would do now.
    ///
    /// # Errors
    /// The store's.
    pub async fn preview(&self, new: &NewReplay) -> Result<Preview> {
        let deliveries = new.selection.is_of_deliveries();
        let until =
            self.store.read(|it| if deliveries { it.last_delivery_id() } else { it.last_event_seq() })?;
        let (mut cursor, mut preview) = (0, Preview::default());
        while cursor < until {
            let slice = self.slice(new, cursor, until, STEP * 4).await?;
            cursor = slice.step.to;
            preview.matched += slice.step.matched;
            for name in slice.told {
                *preview.by_subscriber.entry(name.to_string()).or_default() += 1;
            }
        }
        Ok(preview)
    }

    /// Ends a running replay: what it has made and what has not begun is taken back. False when it is over.
    ///
    /// # Errors
    /// The store's.
    pub async fn cancel(
        &self,
        id: i64,
        also: impl FnOnce(&mut Tx) -> Result<()> + Send + 'static,
    ) -> Result<bool> {
        let now = self.now();
        let cancelled = self.store.write(move |tx| {
            let Some(replay) = tx.replay(id)?.filter(|it| it.state == "running") else { return Ok(false) };
            let taken = tx.take_back(id, replay.selection.is_of_deliveries(), now)?;
            tx.count_queued(id, -i64::try_from(taken).unwrap_or_default())?;
            also(tx)?;
            tx.end_replay(id, "cancelled", now)
        });
        cancelled.await
    }

    /// Lets replays run, also those of an earlier process. Never ends; it may be dropped at any moment.
    pub async fn run(&self) {
        loop {
            match self.look().await {
                Ok(None) => self.asked.notified().await,
                Ok(Some(Progress::Moved)) => tokio::task::yield_now().await,
                Ok(Some(Progress::Waits)) => {
                    tokio::select! {
                        () = tokio::time::sleep(LOOK_EVERY) => {}
                        () = self.asked.notified() => {}
                    }
                }
                Err(err) => {
                    log::error!("replays do not get on: {err}");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// One step of each running replay; none when none runs.
    async fn look(&self) -> Result<Option<Progress>> {
        let running = self.store.read_async(|it| it.running_replays()).await?;
        let mut progress = None;
        for replay in running {
            match self.step(replay).await? {
                Progress::Moved => progress = Some(Progress::Moved),
                Progress::Waits => progress = progress.or(Some(Progress::Waits)),
            }
        }
        Ok(progress)
    }

    async fn step(&self, replay: Replay) -> Result<Progress> {
        let id = replay.id;
        let open = self.store.read_async(move |it| it.open_of_replay(id)).await?;
        if replay.has_met_all() {
            if !open.is_empty() {
                return Ok(Progress::Waits);
            }
            let now = self.now();
            self.store.write(move |tx| tx.end_replay(id, "done", now)).await?;
            return Ok(Progress::Moved);
        }
        let present: HashSet<Arc<str>> = self.journal.subscribers().names().into_iter().collect();
        if replay.plugin.as_deref().is_some_and(|it| !present.contains(it)) {
            return Ok(Progress::Waits);
        }
        // Who was stopped meanwhile keeps what is noted for it, and holds nobody up.
        let open: i64 = open.iter().filter(|(name, _)| present.contains(name.as_str())).map(|it| it.1).sum();
        let each = if replay.plugin.is_some() { 1 } else { present.len().max(1) };
        let room = MAX_OPEN.saturating_sub(usize::try_from(open).unwrap_or_default());
        // A few large steps cost less than many small ones.
        if open > 0 && room < (MAX_OPEN / 2).max(each) {
            return Ok(Progress::Waits);
        }
        let new =
            NewReplay { selection: replay.selection, subscriber: replay.plugin, asked_by: replay.asked_by };
        let slice = self.slice(&new, replay.cursor, replay.until, (room / each).clamp(1, STEP)).await?;
        let (step, now, journal) = (slice.step, self.now(), self.journal.clone());
        let told: HashSet<Arc<str>> = slice.told.into_iter().collect();
        let written = self.store.write(move |tx| {
            if !tx.advance_replay(id, step)? {
                return Ok(());
            }
            let made = match slice.found {
                Found::Events(events) => note(tx, id, &events, now)?,
                Found::GivenUp(ids) => revive(tx, id, &ids, now)?,
            };
            journal.told(tx, told.into_iter().collect());
            tx.count_queued(id, made)
        });
        written.await?;
        Ok(Progress::Moved)
    }

    /// The next part of what is selected, with those who are told.
    async fn slice(&self, new: &NewReplay, from: i64, until: i64, limit: usize) -> Result<Slice> {
        let subscribers = self.journal.subscribers();
        let selection = new.selection.clone();
        if selection.is_of_deliveries() {
            let wanted = WantedGivenUp { selection, subscriber: new.subscriber.clone() };
            let (rows, to) =
                self.store.read_async(move |it| it.select_given_up(&wanted, from, until, limit)).await?;
            let step = Step { from, to, matched: count(rows.len()) };
            let present = subscribers.names();
            let (mut ids, mut told) = (Vec::new(), Vec::new());
            for row in rows {
                let running = present.iter().find(|it| ***it == *row.subscriber);
                // A question is put to whoever runs; an event is told to whoever subscribes to it now.
                let wanted =
                    running.filter(|it| row.hook.is_some() || subscribers.of(&row.event).contains(it));
                if let Some(name) = wanted {
                    ids.push(row.id);
                    told.push(Arc::clone(name));
                }
            }
            return Ok(Slice { step, found: Found::GivenUp(ids), told });
        }
        let (rows, to) =
            self.store.read_async(move |it| it.select_events(&selection, from, until, limit)).await?;
        let step = Step { from, to, matched: count(rows.len()) };
        let events: Vec<(i64, Event, Vec<Arc<str>>)> = rows
            .into_iter()
            .map(|(seq, event)| {
                let mut names = subscribers.of(&event);
                if let Some(only) = &new.subscriber {
                    names.retain(|it| **it == **only);
                }
                (seq, event, names)
            })
            .collect();
        let told = events.iter().flat_map(|(_, _, names)| names.iter().map(Arc::clone)).collect();
        Ok(Slice { step, found: Found::Events(events), told })
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.clock.now_us())
    }
}

/// Notes deliveries of what is still on the journal; how many.
fn note(tx: &mut Tx, id: i64, events: &[(i64, Event, Vec<Arc<str>>)], now: Timestamp) -> Result<i64> {
    let seqs: Vec<i64> = events.iter().map(|(seq, ..)| *seq).collect();
    let there: HashSet<i64> = tx.places_taken(&seqs)?.into_iter().collect();
    let mut made = 0;
    for (seq, event, names) in events.iter().filter(|(seq, ..)| there.contains(seq)) {
        for name in names {
            tx.insert_replayed(*seq, event, name, id, now)?;
            made += 1;
        }
    }
    Ok(made)
}

fn revive(tx: &mut Tx, id: i64, deliveries: &[i64], now: Timestamp) -> Result<i64> {
    let mut made = 0;
    for delivery in deliveries {
        made += i64::from(tx.revive(*delivery, id, now)?);
    }
    Ok(made)
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
