//! The one task that knows when every schedule is due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::error::Result;
use crate::hooks::ScheduleWhen;
use crate::model::schedule::ScheduleRow;
use crate::model::time::Timestamp;

use super::super::{Manager, Shared};
use super::{fill, offered, when_of};

/// How long the timer trusts the wall clock at most: it may be set in between.
const LONGEST: Duration = Duration::from_secs(20);

/// A run later than this was missed, not late: the server or the plugin was down, or the clock was set.
const LATE_US: i64 = 30_000_000;

/// How many missed runs are counted at most.
const MOST_MISSED: u32 = 10_000;

/// The schedules of running plugins, by when they are due.
#[derive(Default)]
struct Timetable {
    rows: BTreeMap<i64, ScheduleRow>,
    due: BTreeSet<(i64, i64)>,
}

/// Calls what is due for as long as there is a manager.
pub(in crate::plugins::manager) async fn keep_time(shared: Weak<Shared>) {
    let mut table = Timetable::default();
    match shared.upgrade().map(Manager) {
        Some(manager) => manager.make_up_for_the_interrupted().await,
        None => return,
    }
    loop {
        let Some(shared_now) = shared.upgrade() else { return };
        if shared_now.stopping.load(Ordering::Relaxed) {
            return;
        }
        let manager = Manager(shared_now);
        // Taken before looking: what changes meanwhile wakes the wait below.
        let changed = {
            let schedules = manager.0.schedules.clone();
            async move { schedules.changed.notified().await }
        };
        match manager.timetable().await {
            Ok(fresh) => table = fresh,
            Err(fault) => log::error!("the schedules cannot be read: {fault}"),
        }
        let mut changed = std::pin::pin!(changed);
        loop {
            manager.call_due(&mut table).await;
            if manager.0.stopping.load(Ordering::Relaxed) {
                return;
            }
            let wait = table.wait(manager.0.clock.now_us());
            tokio::select! {
                () = &mut changed => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

impl Timetable {
    fn put(&mut self, row: ScheduleRow) {
        self.due.insert((row.next_at.0, row.id));
        self.rows.insert(row.id, row);
    }

    fn wait(&self, now_us: i64) -> Duration {
        let next = self.due.first().map_or(i64::MAX, |(at, _)| *at);
        Duration::from_micros(next.saturating_sub(now_us).max(0).unsigned_abs()).min(LONGEST)
    }

    /// Those due at `now_us`, taken out; and those whose time lies where no time of theirs can lie.
    fn take_due(&mut self, now_us: i64) -> Vec<ScheduleRow> {
        let astray =
            |it: &&(i64, i64)| self.rows.get(&it.1).is_some_and(|row| when_of(row).is_astray(it.0, now_us));
        // Only a clock that was set back leads astray: the last one shows it.
        let lost: Vec<(i64, i64)> = match self.due.last().filter(astray) {
            Some(_) => self.due.iter().filter(astray).copied().collect(),
            None => Vec::new(),
        };
        for (at, id) in lost {
            self.due.remove(&(at, id));
            if let Some(row) = self.rows.get_mut(&id) {
                row.next_at = Timestamp(when_of(row).first_after(now_us).unwrap_or(i64::MAX));
                self.due.insert((row.next_at.0, id));
            }
        }
        let mut taken = Vec::new();
        while let Some(&(at, id)) = self.due.first().filter(|(at, _)| *at <= now_us) {
            self.due.remove(&(at, id));
            taken.extend(self.rows.remove(&id));
        }
        taken
    }
}

impl Manager {
    /// Brings the stored schedules and those of running plugins together.
    async fn timetable(&self) -> Result<Timetable> {
        let stored = self.0.registry.schedules().await?;
        let mut known: BTreeMap<(String, String), ScheduleRow> =
            stored.into_iter().map(|row| ((row.plugin.clone(), row.name.clone()), row)).collect();
        let now = Timestamp(self.0.clock.now_us());
        let mut table = Timetable::default();
        for slot in self.slots() {
            let Some(live) = slot.live() else { continue };
            for offer in offered(&live) {
                let former = known.remove(&(slot.name.to_string(), offer.name.clone()));
                let mut row = former.clone().unwrap_or_else(|| ScheduleRow {
                    id: 0,
                    plugin: slot.name.to_string(),
                    name: offer.name.clone(),
                    kind: String::new(),
                    when: String::new(),
                    tz: String::new(),
                    missed: String::new(),
                    overlap: String::new(),
                    paused: false,
                    next_at: now,
                    skipped: 0,
                    created_at: now,
                    updated_at: now,
                });
                fill(&mut row, &offer);
                // The beat goes on unless it is another one.
                if former.as_ref().is_none_or(|it| when_of(it) != offer.when) {
                    row.next_at = Timestamp(offer.when.first_after(now.0).unwrap_or(i64::MAX));
                }
                if former.as_ref() != Some(&row) {
                    row.updated_at = now;
                    row.id = self.0.registry.save_schedule(row.clone()).await?;
                }
                if !row.paused {
                    table.put(row);
                }
            }
        }
        Ok(table)
    }

    /// Begins every run that is due, and sets the time of the next one first.
    async fn call_due(&self, table: &mut Timetable) {
        let now_us = self.0.clock.now_us();
        for mut row in table.take_due(now_us) {
            let when = when_of(&row);
            let due = row.next_at;
            let is_missed = now_us - due.0 > LATE_US.max(late_us(&when));
            let missed = if is_missed { when.count_due(due.0, now_us, MOST_MISSED) } else { 0 };
            row.next_at = Timestamp(when.next(due.0, now_us).unwrap_or(i64::MAX));
            match is_missed && row.missed == "skip" {
                true => {
                    log::info!(plugin = row.plugin.as_str(); "schedule {}: {missed} missed runs are left out", row.name);
                    if let Err(fault) =
                        self.0.registry.advance_schedule(row.id, row.next_at, row.skipped).await
                    {
                        log::error!(plugin = row.plugin.as_str(); "schedule {}: {fault}", row.name);
                    }
                }
                false => self.run_due(&mut row, due, missed).await,
            }
            table.put(row);
        }
    }

    /// What the end of the server cut off is due again, where its plugin wants that.
    async fn make_up_for_the_interrupted(&self) {
        if let Err(fault) = self.0.registry.interrupt_runs(Timestamp(self.0.clock.now_us())).await {
            log::error!("interrupted runs of schedules cannot be read: {fault}");
        }
    }
}

/// How late a run may be for its own beat: a plugin that runs daily is not "late" after half a minute only.
fn late_us(when: &ScheduleWhen) -> i64 {
    match when {
        ScheduleWhen::Every(seconds) => (seconds * 1e6) as i64,
        ScheduleWhen::Cron { .. } => 60_000_000,
    }
}
