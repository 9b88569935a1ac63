//! Schedules as clients see them.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Result;
use crate::model::schedule::{ScheduleRow, ScheduleRun};
use crate::model::time::Timestamp;

use super::super::Manager;
use super::super::registry::Act;
use super::{offered, when_of};

/// A schedule with what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ScheduleView {
    /// Its number.
    pub id: i64,
    /// The plugin's name.
    pub plugin: String,
    /// Its name in the plugin.
    pub name: String,
    /// `every` or `cron`.
    pub kind: String,
    /// Seconds, or a cron expression.
    pub when: String,
    /// The zone the expression is read in.
    pub tz: String,
    /// What happens to missed runs: `skip` or `once`.
    pub missed: String,
    /// What happens to a run while the one before goes on: `skip`, `queue` or `allow`.
    pub overlap: String,
    /// `active`; `paused` by an admin; `resting` while its plugin does not run or does not register it.
    pub state: String,
    /// When it is due next (UTC); null unless it is active.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_at: Option<Timestamp>,
    /// Runs left out because the one before went on.
    pub skipped: i64,
    /// Its last run.
    pub last_run: Option<ScheduleRun>,
    /// The last runs, newest first; only where one schedule is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<Vec<ScheduleRun>>,
}

/// Which schedules.
#[derive(Debug, Clone, Default)]
pub struct ScheduleFilter {
    /// Of this plugin.
    pub plugin: Option<String>,
    /// In this state.
    pub state: Option<String>,
}

impl Manager {
    /// The schedules that `filter` wants, by plugin and name.
    ///
    /// # Errors
    /// The store's.
    pub async fn schedules(&self, filter: &ScheduleFilter) -> Result<Vec<ScheduleView>> {
        let rows = self.0.registry.schedules().await?;
        let mut last: BTreeMap<i64, ScheduleRun> = self.0.registry.last_runs().await?.into_iter().collect();
        let views = rows.into_iter().map(|row| {
            let run = last.remove(&row.id);
            self.schedule_view(row, run, None)
        });
        let wanted = |it: &ScheduleView| {
            filter.plugin.as_ref().is_none_or(|plugin| it.plugin == *plugin)
                && filter.state.as_ref().is_none_or(|state| it.state == *state)
        };
        Ok(views.filter(wanted).collect())
    }

    /// One schedule with its last runs.
    ///
    /// # Errors
    /// `ScheduleNotFound`.
    pub async fn schedule(&self, id: i64) -> Result<ScheduleView> {
        let row = self.0.registry.schedule(id).await?;
        let runs = self.0.registry.runs(id).await?;
        Ok(self.schedule_view(row, runs.first().cloned(), Some(runs)))
    }

    /// Holds a schedule, or lets it go on from now.
    ///
    /// # Errors
    /// `ScheduleNotFound`.
    pub async fn pause_schedule(&self, id: i64, paused: bool, by: &str) -> Result<ScheduleView> {
        let row = self.0.registry.schedule(id).await?;
        if row.paused != paused {
            let now = Timestamp(self.0.clock.now_us());
            // What was due while it was held is not made up for: the admin wanted it so.
            let next_at = Timestamp(when_of(&row).first_after(now.0).unwrap_or(i64::MAX));
            let act = Act {
                by: by.to_owned(),
                action: if paused { "schedule.pause" } else { "schedule.resume" },
                event: None,
                plugin: row.plugin.clone(),
                moved: None,
                detail: serde_json::json!({ "schedule": row.name }),
            };
            self.0.registry.pause_schedule(id, paused, next_at, now, act).await?;
            self.0.schedules.look_again();
        }
        self.schedule(id).await
    }

    fn schedule_view(
        &self,
        row: ScheduleRow,
        last_run: Option<ScheduleRun>,
        runs: Option<Vec<ScheduleRun>>,
    ) -> ScheduleView {
        let live = self.named(&row.plugin).and_then(|it| it.live());
        let is_offered = live.is_some_and(|it| offered(&it).iter().any(|it| it.name == row.name));
        let state = match (row.paused, is_offered) {
            (true, _) => "paused",
            (false, true) => "active",
            (false, false) => "resting",
        };
        ScheduleView {
            id: row.id,
            plugin: row.plugin,
            name: row.name,
            kind: row.kind,
            when: row.when,
            tz: row.tz,
            missed: row.missed,
            overlap: row.overlap,
            next_at: (state == "active").then_some(row.next_at),
            state: state.to_owned(),
            skipped: row.skipped,
            last_run,
            runs,
        }
    }
}
