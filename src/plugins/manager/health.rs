//! Asking plugins for their health, at intervals.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use crate::error::Result;
use crate::hooks::Hook;
use crate::model::time::Timestamp;
use crate::plugins::health::{self, Asked, HealthReport, HealthView};

use super::Manager;
use super::slot::{Live, Slot};

/// The event that tells of a change.
const EVENT: &str = "plugin.health_changed";

impl Manager {
    /// The health of a plugin, now and before.
    ///
    /// # Errors
    /// [`crate::error::Code::PluginNotFound`].
    pub fn health(&self, id: &str) -> Result<HealthReport> {
        let slot = self.slot(id)?;
        let settings = self.0.settings.health;
        let has_health = slot.live().is_some_and(|it| has_health(&it));
        Ok(slot.read(|it| {
            let last = it.live.as_ref().and_then(|live| it.health.of(live.generation)).filter(|_| has_health);
            let nothing = match (&it.live, has_health, last) {
                (None, ..) => Some("It does not run."),
                (_, false, _) => Some("It registers no health hook: nobody can ask it how it is."),
                (_, _, None) => Some("It was not asked yet."),
                _ => None,
            };
            let (failures_in_a_row, failing_since) = it.health.failing();
            HealthReport {
                plugin: slot.name.to_string(),
                state: it.state(),
                has_health,
                ok: last.map(|it| it.ok),
                message: nothing.map(str::to_owned).or_else(|| last?.message.clone()),
                details: last.map(|it| it.details.clone()).unwrap_or_default(),
                at: last.map(|it| it.at),
                latency_ms: last.map(|it| it.latency_ms),
                failures_in_a_row,
                failing_since,
                every_s: settings.every_s,
                timeout_ms: settings.timeout_ms,
                history: it.health.history(),
            }
        }))
    }

    async fn ask_all(&self) {
        let slots: Vec<Arc<Slot>> = self.slots();
        let asked = slots.iter().filter_map(|slot| Some((slot, slot.live()?)));
        join_all(asked.map(|(slot, live)| self.ask_one(slot, live))).await;
    }

    async fn ask_one(&self, slot: &Slot, live: Arc<Live>) {
        if !has_health(&live) {
            slot.change(|it| it.health.has_none());
            return;
        }
        let at = Timestamp(self.0.clock.now_us());
        let begin = Instant::now();
        let patience = begin + Duration::from_millis(self.0.settings.health.timeout_ms);
        let said = self.life(&live, Hook::Health, Value::Null, patience).await;
        let latency_ms = begin.elapsed().as_secs_f64() * 1e3;
        let Some(said) = health::view(said, Asked { at, latency_ms, generation: live.generation }) else {
            return;
        };
        let is_news = slot.change(|it| {
            // Another one has taken over, or none, while it was asked: what it says concerns nobody.
            let runs = it.live.as_ref().is_some_and(|it| it.generation == live.generation);
            runs && it.health.note(said.clone(), self.0.settings.health.history)
        });
        if is_news {
            self.tell_health(slot, &said).await;
        }
    }

    async fn tell_health(&self, slot: &Slot, said: &HealthView) {
        let message = said.message.as_deref().unwrap_or("no message");
        match said.ok {
            true => {
                log::info!(plugin = &*slot.name, generation = said.generation, hook = "health"; "is well again: {message}");
            }
            false => {
                log::warn!(
                    plugin = &*slot.name, generation = said.generation, hook = "health", outcome = said.outcome;
                    "is not well: {message}"
                );
            }
        }
        let detail = json!({
            "ok": said.ok, "message": said.message, "outcome": said.outcome, "generation": said.generation,
            "latency_ms": said.latency_ms,
        });
        self.0.registry.tell(EVENT, &slot.name, detail).await;
    }
}

/// Asks every plugin for its health, for as long as there is a manager.
pub(super) async fn keep_asking(shared: std::sync::Weak<super::Shared>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        if shared.stopping.load(Ordering::Relaxed) {
            return;
        }
        Manager(shared).ask_all().await;
    }
}

fn has_health(live: &Live) -> bool {
    live.script.registrations().iter().any(|it| it.hook == Hook::Health)
}
