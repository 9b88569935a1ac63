//! Removes what the journal is not to keep any longer: the oldest first, a small batch at a time, when nothing else is
//! to be written. What somebody is still to be told of stays.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::clock::SharedClock;
use crate::config;
use crate::error::Result;
use crate::model::time::Timestamp;
use crate::store::{JournalSize, Keep, Reader, Removed, Store};

use super::Journal;

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Events removed at once.
const BATCH: i64 = 500;

/// How long a batch waits for a moment in which nothing else is written, before it takes its turn.
const PATIENCE: Duration = Duration::from_secs(1);

/// The shortest pause between two batches; else it rests as long as the last one took.
const PAUSE: Duration = Duration::from_millis(10);

/// How often it also looks at what was held when it passed by.
const FROM_THE_START_EVERY: Duration = Duration::from_secs(600);

/// How often it is told in the log.
const TOLD_EVERY: Duration = Duration::from_secs(86_400);

/// Keeps the journal within its bounds.
pub struct Retention {
    store: Store,
    journal: Journal,
    clock: SharedClock,
    settings: config::Retention,
    /// Where it goes on: what lies before was removed, or is held.
    from: i64,
    looked_from_the_start: Option<Instant>,
    told: Option<Instant>,
    untold: Removed,
}

impl Retention {
    /// The keeper of `journal`, whose events lie in `store`.
    pub fn new(store: Store, journal: Journal, clock: SharedClock, settings: config::Retention) -> Self {
        let (untold, looked_from_the_start) = (Removed::default(), None);
        Retention { store, journal, clock, settings, from: 0, looked_from_the_start, told: None, untold }
    }

    /// Looks after the journal without end.
    pub async fn run(mut self) {
        loop {
            sleep(LOOK_EVERY).await;
            if let Err(err) = self.sweep().await {
                log::warn!("old events cannot be removed now: {err}");
            }
        }
    }

    /// Removes all that is not to be kept at this moment.
    ///
    /// # Errors
    /// The store's; what was removed before is gone.
    pub async fn sweep(&mut self) -> Result<Removed> {
        let keep = self.keep();
        let now = Instant::now();
        if self.looked_from_the_start.is_none_or(|it| now - it >= FROM_THE_START_EVERY) {
            (self.from, self.looked_from_the_start) = (0, Some(now));
        }
        let mut removed = Removed::default();
        let mut is_idle = true;
        loop {
            let from = self.from;
            let old = self.store.read_async(move |r| r.removable_events(from, &keep, BATCH)).await?;
            let Some(last) = old.seqs.last().copied() else { break };
            let began = Instant::now();
            let batch = self.remove(old.seqs, keep, &mut is_idle).await?;
            add(&mut removed, &batch);
            add(&mut self.untold, &batch);
            self.journal.count_removed(batch.events);
            self.from = last;
            if old.next.is_none() {
                break;
            }
            sleep(began.elapsed().max(PAUSE)).await;
        }
        self.tell(&keep)?;
        Ok(removed)
    }

    /// What the settings say at this moment.
    fn keep(&self) -> Keep {
        let now = self.clock.now_us();
        let since = |days: u64| {
            let us = i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(86_400_000_000);
            (days > 0).then(|| Timestamp(now.saturating_sub(us)))
        };
        let most = |most: u64| (most > 0).then(|| i64::try_from(most).unwrap_or(i64::MAX));
        Keep {
            since: since(self.settings.events_days),
            max_events: most(self.settings.events_max),
            max_bytes: most(self.settings.events_mib.saturating_mul(1 << 20)),
            dead_since: since(self.settings.dead_days),
        }
    }

    /// Removes a batch in an idle moment; where there is none, it takes its turn with all others, and so do those
    /// that follow. On a full disk it is given the room that is held back for this.
    async fn remove(&self, seqs: Vec<i64>, keep: Keep, is_idle: &mut bool) -> Result<Removed> {
        if *is_idle {
            let (sender, receiver) = oneshot::channel();
            let own = seqs.clone();
            self.store.write_idle(move |tx| {
                let removed = tx.remove_events(&own, &keep)?;
                tx.after_commit(move || {
                    sender.send(removed).ok();
                });
                Ok(())
            });
            if let Ok(Ok(removed)) = timeout(PATIENCE, receiver).await {
                return Ok(removed);
            }
            *is_idle = false;
        }
        self.store.write_freeing(move |tx| tx.remove_events(&seqs, &keep)).await
    }

    /// Says in the log once a day what was removed, and what is kept above the bounds because it is held.
    fn tell(&mut self, keep: &Keep) -> Result<()> {
        let JournalSize { events, bytes, .. } = self.store.read(Reader::journal_size)?;
        let is_above = keep.max_events.is_some_and(|most| events > most)
            || keep.max_bytes.is_some_and(|most| bytes > most);
        let is_due = self.told.is_none_or(|it| it.elapsed() >= TOLD_EVERY);
        if !is_due || (self.untold.events == 0 && !is_above) {
            return Ok(());
        }
        self.told = Some(Instant::now());
        let Removed { events: gone, deliveries, bytes: gone_bytes } = std::mem::take(&mut self.untold);
        log::info!(
            events = gone, deliveries = deliveries, bytes = gone_bytes;
            "journal: {gone} old events were removed; {events} are kept, {} MiB", bytes >> 20
        );
        if is_above {
            log::warn!(
                "journal: {events} events ({} MiB) are more than retention.events_max = {} or retention.events_mib = {} \
                 allow, but somebody is still to be told of the oldest, see GET /api/v1/events/stats",
                bytes >> 20,
                self.settings.events_max,
                self.settings.events_mib
            );
        }
        Ok(())
    }
}

fn add(sum: &mut Removed, more: &Removed) {
    sum.events += more.events;
    sum.deliveries += more.deliveries;
    sum.bytes += more.bytes;
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
