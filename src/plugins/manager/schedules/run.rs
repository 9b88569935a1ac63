//! One run of a schedule: noted, called, its writes and its end stored together.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::future::BoxFuture;
use serde_json::json;

use crate::error::{Code, Error, Result};
use crate::hooks::{CallFailure, HookCall, HookHandler, Reply, Target};
use crate::model::call::{CallContext, Caller, PluginEffects, TIMER};
use crate::model::schedule::{ScheduleRow, ScheduleRun};
use crate::model::time::Timestamp;

use super::super::Manager;
use super::super::slot::Live;
use super::offered;

/// A run that is to begin.
struct Run {
    schedule: ScheduleRow,
    due: Timestamp,
    cause: &'static str,
    missed: u32,
    /// Whether the schedule moves on to its next time.
    advances: bool,
}

impl Manager {
    /// Begins a run that is due, unless the one before goes on and the plugin does not want two.
    pub(super) async fn run_due(&self, row: &mut ScheduleRow, due: Timestamp, missed: u32) {
        let under_way = self.0.schedules.under_way(row.id);
        let is_busy = under_way.count.load(Ordering::Acquire) > 0;
        let run = Run { schedule: row.clone(), due, cause: cause_of(missed), missed, advances: true };
        let done = match (is_busy, row.overlap.as_str()) {
            (true, "skip") => {
                row.skipped += 1;
                self.0.registry.advance_schedule(row.id, row.next_at, row.skipped).await
            }
            (true, "queue") => {
                if !under_way.wait(due, missed) {
                    row.skipped += 1;
                }
                self.0.registry.advance_schedule(row.id, row.next_at, row.skipped).await
            }
            _ => self.begin(run).await.map(drop),
        };
        if let Err(fault) = done {
            log::error!(plugin = row.plugin.as_str(), schedule = row.name.as_str(); "a run was not begun: {fault}");
        }
    }

    /// Runs a schedule now, whatever its time.
    ///
    /// # Errors
    /// `ScheduleNotFound`; `PluginNotRunning` when its plugin does not run or does not register it any more.
    pub async fn run_schedule(&self, id: i64) -> Result<ScheduleRun> {
        let row = self.0.registry.schedule(id).await?;
        let now = Timestamp(self.0.clock.now_us());
        self.begin(Run { schedule: row, due: now, cause: "manual", missed: 0, advances: false }).await
    }

    /// Notes a run and calls its function; answers when it is noted.
    fn begin(&self, run: Run) -> BoxFuture<'static, Result<ScheduleRun>> {
        let manager = self.clone();
        Box::pin(async move {
            let (live, slot) = manager.behind(&run.schedule)?;
            let now = Timestamp(manager.0.clock.now_us());
            let id =
                manager.0.registry.begin_run(&run.schedule, run.advances, run.cause, run.due, now).await?;
            let begun = ScheduleRun {
                id,
                cause: run.cause.to_owned(),
                scheduled_at: run.due,
                started_at: now,
                ended_at: None,
                outcome: "running".to_owned(),
                error: None,
            };
            let under_way = manager.0.schedules.under_way(run.schedule.id);
            under_way.count.fetch_add(1, Ordering::AcqRel);
            let own = manager.clone();
            manager.spawn(async move {
                let answer = call(&live, slot, &run).await;
                own.end(&live, id, &run.schedule.name, answer).await;
                let was_last = under_way.count.fetch_sub(1, Ordering::AcqRel) == 1;
                let waiting = if was_last { under_way.waiting.lock().take() } else { None };
                if let Some((due, missed)) = waiting {
                    let again = Run { due, cause: cause_of(missed), missed, advances: false, ..run };
                    // A plugin that is gone meanwhile has nothing to run.
                    let _ = own.begin(again).await;
                }
            });
            Ok(begun)
        })
    }

    /// The running generation behind a schedule, and the slot of its function.
    fn behind(&self, row: &ScheduleRow) -> Result<(Arc<Live>, u32)> {
        let live = self.named(&row.plugin).and_then(|it| it.live());
        let found = live.and_then(|live| {
            let offer = offered(&live).into_iter().find(|it| it.name == row.name)?;
            Some((live, offer.slot))
        });
        found.ok_or_else(|| {
            let detail = format!(
                "The plugin `{}` does not run, or has no schedule `{}` any more.",
                row.plugin, row.name
            );
            Error::new(Code::PluginNotRunning, detail)
        })
    }

    async fn end(
        &self,
        live: &Live,
        run: i64,
        schedule: &str,
        answer: std::result::Result<Reply, CallFailure>,
    ) {
        let (outcome, error, effects) = match answer {
            Ok(reply) => (reply.outcome.as_str(), None, reply.effects),
            Err(failure) => (failure.outcome.as_str(), Some(failure.fault.to_string()), Default::default()),
        };
        let effects = PluginEffects { plugin: Arc::clone(live.handler.plugin()), effects };
        let now = Timestamp(self.0.clock.now_us());
        if let Err(fault) = self.0.registry.end_run(run, outcome, error, effects, now).await {
            log::error!(plugin = &**live.handler.plugin(), schedule = schedule; "what a run left behind is lost: {fault}");
        }
    }
}

/// Why a run begins at its time.
fn cause_of(missed: u32) -> &'static str {
    if missed > 0 { "missed" } else { "timer" }
}

async fn call(live: &Live, slot: u32, run: &Run) -> std::result::Result<Reply, CallFailure> {
    let payload = json!({
        "name": run.schedule.name, "scheduled_at": run.due.0 as f64 / 1e6, "cause": run.cause, "missed_count": run.missed,
    });
    let call = HookCall {
        target: Target::Slot(slot),
        payload: payload.into(),
        ctx: Arc::new(CallContext {
            schedule: Some(run.schedule.name.as_str().into()),
            ..CallContext::new(TIMER, Caller::server())
        }),
        asked_at: Instant::now(),
        timeout: None,
        deadline: None,
        is_question: false,
        then: None,
    };
    live.handler.call(call).await
}
