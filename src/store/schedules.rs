//! Schedules of plugins and their last runs.

use diesel::prelude::*;

use crate::error::Result;
use crate::model::schedule::{ScheduleRow, ScheduleRun};
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::failure::OrFail;
use super::schema::{schedule_runs as runs, schedules};
use super::tx::Tx;

/// Runs of each schedule that are kept.
const KEPT_RUNS: i64 = 100;

/// Values that one statement is given at most.
const MOST_BOUND: usize = 1000;

/// A run that has not ended.
const RUNNING: &str = "running";

type Row = (i64, String, String, String, String, String, String, String, bool, i64, i64, i64, i64);
type RunRow = (i64, i64, String, i64, i64, Option<i64>, String, Option<String>);

fn schedule_of(row: Row) -> ScheduleRow {
    let (id, plugin, name, kind, when, tz, missed, overlap, paused, next_at, skipped, created_at, updated_at) =
        row;
    let (next_at, created_at, updated_at) =
        (Timestamp(next_at), Timestamp(created_at), Timestamp(updated_at));
    ScheduleRow {
        id,
        plugin,
        name,
        kind,
        when,
        tz,
        missed,
        overlap,
        paused,
        next_at,
        skipped,
        created_at,
        updated_at,
    }
}

fn run_of((id, _, cause, scheduled_at, started_at, ended_at, outcome, error): RunRow) -> ScheduleRun {
    ScheduleRun {
        id,
        cause,
        scheduled_at: Timestamp(scheduled_at),
        started_at: Timestamp(started_at),
        ended_at: ended_at.map(Timestamp),
        outcome,
        error,
    }
}

impl Tx {
    /// Stores a schedule (a new one has the id 0) and answers its number.
    ///
    /// # Errors
    /// The database's.
    pub fn put_schedule(&mut self, row: &ScheduleRow) -> Result<i64> {
        let values = (
            schedules::plugin.eq(&row.plugin),
            schedules::name.eq(&row.name),
            schedules::kind.eq(&row.kind),
            schedules::when_text.eq(&row.when),
            schedules::tz.eq(&row.tz),
            schedules::missed.eq(&row.missed),
            schedules::overlap.eq(&row.overlap),
            schedules::paused.eq(row.paused),
            schedules::next_at.eq(row.next_at.0),
            schedules::skipped.eq(row.skipped),
            schedules::created_at.eq(row.created_at.0),
            schedules::updated_at.eq(row.updated_at.0),
        );
        match row.id {
            0 => diesel::insert_into(schedules::table)
                .values(values)
                .returning(schedules::id)
                .get_result(&mut self.conn)
                .or_fail(),
            id => {
                diesel::update(schedules::table.find(id)).set(values).execute(&mut self.conn).or_fail()?;
                Ok(id)
            }
        }
    }

    /// Sets when a schedule is due next, and how many runs were left out in all.
    ///
    /// # Errors
    /// The database's.
    pub fn advance_schedule(&mut self, id: i64, next_at: Timestamp, skipped: i64) -> Result<()> {
        diesel::update(schedules::table.find(id))
            .set((schedules::next_at.eq(next_at.0), schedules::skipped.eq(skipped)))
            .execute(&mut self.conn)
            .or_fail()
            .map(drop)
    }

    /// Makes a schedule due at `at`.
    ///
    /// # Errors
    /// The database's.
    pub fn make_due(&mut self, id: i64, at: Timestamp) -> Result<()> {
        let set = diesel::update(schedules::table.find(id)).set(schedules::next_at.eq(at.0));
        set.execute(&mut self.conn).or_fail().map(drop)
    }

    /// Holds a schedule or lets it go on; false when there is none.
    ///
    /// # Errors
    /// The database's.
    pub fn pause_schedule(
        &mut self,
        id: i64,
        paused: bool,
        next_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool> {
        let changed = diesel::update(schedules::table.find(id))
            .set((
                schedules::paused.eq(paused),
                schedules::next_at.eq(next_at.0),
                schedules::updated_at.eq(now.0),
            ))
            .execute(&mut self.conn)
            .or_fail()?;
        Ok(changed == 1)
    }

    /// Notes that a run begins, and forgets the oldest ones.
    ///
    /// # Errors
    /// The database's.
    pub fn begin_run(
        &mut self,
        schedule: i64,
        cause: &str,
        scheduled_at: Timestamp,
        now: Timestamp,
    ) -> Result<i64> {
        let id: i64 = diesel::insert_into(runs::table)
            .values((
                runs::schedule_id.eq(schedule),
                runs::cause.eq(cause),
                runs::scheduled_at.eq(scheduled_at.0),
                runs::started_at.eq(now.0),
                runs::outcome.eq(RUNNING),
            ))
            .returning(runs::id)
            .get_result(&mut self.conn)
            .or_fail()?;
        let oldest: Option<i64> = runs::table
            .filter(runs::schedule_id.eq(schedule))
            .order(runs::id.desc())
            .offset(KEPT_RUNS)
            .limit(1)
            .select(runs::id)
            .first(&mut self.conn)
            .optional()
            .or_fail()?;
        if let Some(oldest) = oldest {
            let old = runs::table.filter(runs::schedule_id.eq(schedule)).filter(runs::id.le(oldest));
            diesel::delete(old).execute(&mut self.conn).or_fail()?;
        }
        Ok(id)
    }

    /// Notes how a run ended.
    ///
    /// # Errors
    /// The database's.
    pub fn end_run(&mut self, id: i64, outcome: &str, error: Option<&str>, now: Timestamp) -> Result<()> {
        diesel::update(runs::table.find(id))
            .set((runs::outcome.eq(outcome), runs::error.eq(error), runs::ended_at.eq(now.0)))
            .execute(&mut self.conn)
            .or_fail()
            .map(drop)
    }

    /// Marks the runs that the end of the server cut off; answers the schedules that want them made up for.
    ///
    /// # Errors
    /// The database's.
    pub fn interrupt_runs(&mut self) -> Result<Vec<i64>> {
        let cut = runs::table.filter(runs::outcome.eq(RUNNING)).select(runs::schedule_id);
        let ids: Vec<i64> = schedules::table
            .filter(schedules::missed.eq("once"))
            .filter(schedules::id.eq_any(cut))
            .select(schedules::id)
            .load(&mut self.conn)
            .or_fail()?;
        diesel::update(runs::table.filter(runs::outcome.eq(RUNNING)))
            .set(runs::outcome.eq("interrupted"))
            .execute(&mut self.conn)
            .or_fail()?;
        Ok(ids)
    }

    /// Forgets the schedules of a plugin.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_schedules(&mut self, plugin: &str) -> Result<()> {
        let own = schedules::table.filter(schedules::plugin.eq(plugin));
        diesel::delete(own).execute(&mut self.conn).or_fail().map(drop)
    }
}

impl Reader {
    /// Every schedule, by plugin and name.
    ///
    /// # Errors
    /// The database's.
    pub fn list_schedules(&mut self) -> Result<Vec<ScheduleRow>> {
        let rows: Vec<Row> =
            schedules::table.order((schedules::plugin, schedules::name)).load(&mut self.conn).or_fail()?;
        Ok(rows.into_iter().map(schedule_of).collect())
    }

    /// One schedule.
    ///
    /// # Errors
    /// The database's.
    pub fn schedule(&mut self, id: i64) -> Result<Option<ScheduleRow>> {
        let row: Option<Row> = schedules::table.find(id).first(&mut self.conn).optional().or_fail()?;
        Ok(row.map(schedule_of))
    }

    /// The last runs of a schedule, newest first.
    ///
    /// # Errors
    /// The database's.
    pub fn list_runs(&mut self, schedule: i64) -> Result<Vec<ScheduleRun>> {
        let rows: Vec<RunRow> = runs::table
            .filter(runs::schedule_id.eq(schedule))
            .order(runs::id.desc())
            .load(&mut self.conn)
            .or_fail()?;
        Ok(rows.into_iter().map(run_of).collect())
    }

    /// The last run of every schedule.
    ///
    /// # Errors
    /// The database's.
    pub fn last_runs(&mut self) -> Result<Vec<(i64, ScheduleRun)>> {
        let newest: Vec<Option<i64>> = runs::table
            .group_by(runs::schedule_id)
            .select(diesel::dsl::max(runs::id))
            .load(&mut self.conn)
            .or_fail()?;
        let newest: Vec<i64> = newest.into_iter().flatten().collect();
        let mut rows: Vec<RunRow> = Vec::new();
        for some in newest.chunks(MOST_BOUND) {
            rows.extend(runs::table.filter(runs::id.eq_any(some)).load::<RunRow>(&mut self.conn).or_fail()?);
        }
        Ok(rows.into_iter().map(|it| (it.1, run_of(it))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::store;
    use super::*;

    #[test]
    fn only_the_last_runs_are_kept_and_those_cut_off_are_marked() {
        let (_folder, store) = store();
        let text = str::to_owned;
        let row = ScheduleRow {
            id: 0,
            plugin: text("p"),
            name: text("tick"),
            kind: text("every"),
            when: text("60"),
            tz: text("UTC"),
            missed: text("once"),
            overlap: text("skip"),
            paused: false,
            next_at: Timestamp(9),
            skipped: 0,
            created_at: Timestamp(1),
            updated_at: Timestamp(1),
        };
        let id = store.write_blocking(move |tx| tx.put_schedule(&row)).unwrap();
        store
            .write_blocking(move |tx| {
                for at in 0..150 {
                    let run = tx.begin_run(id, "timer", Timestamp(at), Timestamp(at))?;
                    if at < 149 {
                        tx.end_run(run, "ok", None, Timestamp(at + 1))?;
                    }
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(store.write_blocking(|tx| tx.interrupt_runs()).unwrap(), [id]);
        let kept = store.read(|it| it.list_runs(id)).unwrap();
        assert_eq!(
            (kept.len(), kept[0].outcome.as_str(), kept[1].outcome.as_str()),
            (100, "interrupted", "ok")
        );
        assert_eq!(store.read(|it| it.last_runs()).unwrap()[0].1.scheduled_at, Timestamp(149));
        store.write_blocking(|tx| tx.delete_schedules("p")).unwrap();
        assert!(store.read(|it| it.list_runs(id)).unwrap().is_empty());
    }
}
