//! Stores recorded calls in batches, and forgets what is beyond the bounds.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::model::rate::Rate;
use crate::model::time::Timestamp;
use crate::store::TraceBounds;

use super::{Recorded, Traces};

/// How long a batch is gathered.
const GATHER: Duration = Duration::from_millis(200);

/// How often what is beyond the bounds goes.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Bytes of calls of one plugin that are held in memory.
const MAX_HELD_BYTES: usize = 4 << 20;

/// Calls that are written out at once.
const BATCH: usize = 64;

const DAY_US: i64 = 86_400_000_000;

impl Traces {
    /// Stores what comes and tidies up, until the server stops.
    pub async fn run(self) {
        let mut tidy = tokio::time::interval(SWEEP_EVERY);
        tidy.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told = 0;
        let failures = Rate::with(1.0 / SWEEP_EVERY.as_secs_f64(), 1.0);
        loop {
            tokio::select! {
                () = self.0.desk.news.notified() => {
                    tokio::time::sleep(GATHER).await;
                    if let Err(err) = self.flush().await && failures.take().is_some() {
                        log::warn!("recorded calls could not be stored: {err}");
                    }
                }
                _ = tidy.tick() => {
                    self.tidy();
                    let dropped = self.dropped();
                    if dropped > told {
                        log::warn!("{} recorded calls were not stored: too many at once", dropped - told);
                        told = dropped;
                    }
                }
            }
        }
    }

    /// Stores what waits to be stored.
    ///
    /// # Errors
    /// The store's; what could not be stored is lost.
    pub async fn flush(&self) -> Result<()> {
        let calls = std::mem::take(&mut *self.0.desk.waiting.lock());
        for some in calls.chunks(BATCH) {
            let some: Vec<Arc<dyn Recorded>> = some.to_vec();
            // Writing out walks payloads: not on the threads that serve requests.
            let traces =
                tokio::task::spawn_blocking(move || some.iter().map(|it| it.trace()).collect::<Vec<_>>());
            let traces = traces.await.map_err(crate::error::Error::internal)?;
            self.0.store.write(move |tx| traces.iter().try_for_each(|it| tx.keep_trace(it))).await?;
        }
        Ok(())
    }

    /// Forgets what is beyond the bounds, in memory and in the store.
    fn tidy(&self) {
        self.0.desk.look_at_clock(&self.0.clock);
        let plugins: Vec<_> =
            self.0.plugins.read().iter().map(|(name, it)| (Arc::clone(name), Arc::clone(it))).collect();
        let most = self.0.settings.failures_per_second;
        for (name, plugin) in plugins {
            plugin.shrink(MAX_HELD_BYTES);
            let refused = plugin.failures.take_refused();
            if refused > 0 {
                log::warn!(
                    plugin = &*name;
                    "{refused} calls that failed or were refused were not stored: more than {most} a second (traces.failures_per_second)"
                );
            }
        }
        let bounds = self.bounds();
        self.0.store.write_idle(move |tx| tx.sweep_traces(bounds).map(drop));
    }

    pub(super) fn bounds(&self) -> TraceBounds {
        let settings = &self.0.settings;
        let number = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
        let days = number(settings.days);
        let since =
            (days > 0).then(|| Timestamp(self.0.clock.now_us().saturating_sub(days.saturating_mul(DAY_US))));
        TraceBounds { since, per_plugin: number(settings.per_plugin), bytes: number(settings.mib << 20) }
    }
}
