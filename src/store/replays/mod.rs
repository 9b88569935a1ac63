//! Replays: what was asked for, how far each has come, and who was given the past already.

mod select;
#[cfg(test)]
mod tests;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::error::Result;
use crate::model::replay::{Replay, Selection};
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::failure::OrFail;
use super::json::{from_text, to_text};
use super::schema::{backfills, replays};
use super::statement::{Statement, statement};
use super::tx::Tx;

/// A replay that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct NewReplay {
    /// Which events.
    pub selection: Selection,
    /// Who is told; none = all who subscribe to the event.
    pub subscriber: Option<String>,
    /// Who asks for it.
    pub asked_by: String,
}

/// What a replay met between two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Where it stood.
    pub from: i64,
    /// Where it stands now.
    pub to: i64,
    /// Events that were selected.
    pub matched: i64,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = replays)]
struct Row {
    id: i64,
    state: String,
    selection: String,
    subscriber: Option<String>,
    asked_by: String,
    cursor: i64,
    until: i64,
    matched: i64,
    queued: i64,
    done: i64,
    failed: i64,
    created_at: i64,
    ended_at: Option<i64>,
}

impl Tx {
    /// Notes a replay; it ends where the journal ends now.
    ///
    /// # Errors
    /// The database's.
    pub fn insert_replay(&mut self, new: &NewReplay, now: Timestamp) -> Result<i64> {
        let until = match new.selection.is_of_deliveries() {
            true => self.last_delivery_id()?,
            false => self.last_event_seq()?,
        };
        diesel::insert_into(replays::table)
            .values((
                replays::state.eq("running"),
                replays::selection.eq(to_text(&new.selection)?),
                replays::subscriber.eq(&new.subscriber),
                replays::asked_by.eq(&new.asked_by),
                replays::cursor.eq(0),
                replays::until.eq(until),
                replays::created_at.eq(now.0),
            ))
            .returning(replays::id)
            .get_result(&mut self.conn)
            .or_fail()
    }

    /// Moves a running replay on; false when it is not where it was thought to be, and nothing may be noted for it.
    ///
    /// # Errors
    /// The database's.
    pub fn advance_replay(&mut self, id: i64, step: Step) -> Result<bool> {
        let here = replays::table
            .filter(replays::id.eq(id))
            .filter(replays::state.eq("running"))
            .filter(replays::cursor.eq(step.from));
        let moved = diesel::update(here)
            .set((replays::cursor.eq(step.to), replays::matched.eq(replays::matched + step.matched)))
            .execute(&mut self.conn)
            .or_fail()?;
        Ok(moved > 0)
    }

    /// Counts deliveries that a replay has made, or taken back.
    ///
    /// # Errors
    /// The database's.
    pub fn count_queued(&mut self, id: i64, by: i64) -> Result<()> {
        diesel::update(replays::table.find(id))
            .set(replays::queued.eq(replays::queued + by))
            .execute(&mut self.conn)
            .or_fail()
            .map(drop)
    }

    /// A running replay is over, with the numbers of this moment; false when it is over already.
    ///
    /// # Errors
    /// The database's.
    pub fn end_replay(&mut self, id: i64, state: &str, now: Timestamp) -> Result<bool> {
        let Some(replay) = self.replay(id)?.filter(|it| it.state == "running") else { return Ok(false) };
        diesel::update(replays::table.find(id))
            .set((
                replays::state.eq(state),
                replays::done.eq(replay.done),
                replays::failed.eq(replay.failed),
                replays::ended_at.eq(now.0),
            ))
            .execute(&mut self.conn)
            .or_fail()?;
        Ok(true)
    }

    /// Notes that a plugin is given the past for a pattern; false when it was given it before.
    ///
    /// # Errors
    /// The database's.
    pub fn note_backfill(&mut self, plugin: &str, pattern: &str, replay_id: i64) -> Result<bool> {
        let values = (
            backfills::plugin.eq(plugin),
            backfills::pattern.eq(pattern),
            backfills::replay_id.eq(replay_id),
        );
        let noted = diesel::insert_or_ignore_into(backfills::table).values(values).execute(&mut self.conn);
        Ok(noted.or_fail()? > 0)
    }

    /// Forgets which past a plugin was given.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_backfills(&mut self, plugin: &str) -> Result<()> {
        let own = backfills::table.filter(backfills::plugin.eq(plugin));
        diesel::delete(own).execute(&mut self.conn).or_fail().map(drop)
    }
}

impl Reader {
    /// A replay and how far it is.
    ///
    /// # Errors
    /// The database's.
    pub fn replay(&mut self, id: i64) -> Result<Option<Replay>> {
        let row: Option<Row> =
            replays::table.find(id).select(Row::as_select()).first(&mut self.conn).optional().or_fail()?;
        row.map(|it| self.with_progress(it)).transpose()
    }

    /// At most `limit` replays before the one with a number, newest first.
    ///
    /// # Errors
    /// The database's.
    pub fn list_replays(&mut self, before: i64, limit: i64) -> Result<Vec<Replay>> {
        let rows: Vec<Row> = replays::table
            .filter(replays::id.lt(before))
            .order(replays::id.desc())
            .limit(limit)
            .select(Row::as_select())
            .load(&mut self.conn)
            .or_fail()?;
        rows.into_iter().map(|it| self.with_progress(it)).collect()
    }

    /// The replays that are not over, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub fn running_replays(&mut self) -> Result<Vec<Replay>> {
        let rows: Vec<Row> = replays::table
            .filter(diesel::dsl::sql::<diesel::sql_types::Bool>("state = 'running'"))
            .order(replays::id)
            .select(Row::as_select())
            .load(&mut self.conn)
            .or_fail()?;
        rows.into_iter().map(replay_of).collect()
    }

    /// How many deliveries of a replay are not final yet, by subscriber.
    ///
    /// # Errors
    /// The database's.
    pub fn open_of_replay(&mut self, id: i64) -> Result<Vec<(String, i64)>> {
        let open: Statement<(Text, BigInt)> = statement(format!(
            "SELECT subscriber, count(*) FROM deliveries WHERE replay_id = ? AND {} GROUP BY subscriber",
            super::deliveries::OPEN
        ));
        open.bind(id).load(&mut self.conn).or_fail()
    }

    /// The patterns for which a plugin was given the past.
    ///
    /// # Errors
    /// The database's.
    pub fn backfilled(&mut self, plugin: &str) -> Result<Vec<String>> {
        let own = backfills::table.filter(backfills::plugin.eq(plugin));
        own.select(backfills::pattern).load(&mut self.conn).or_fail()
    }

    fn with_progress(&mut self, row: Row) -> Result<Replay> {
        if row.state != "running" {
            return replay_of(row);
        }
        let given_up: Statement<BigInt> = statement(
            "SELECT count(*) FROM deliveries WHERE replay_id = ? AND state IN ('dead', 'quarantined')",
        );
        let failed: i64 = given_up.bind(row.id).get_result(&mut self.conn).or_fail()?;
        let open: i64 = self.open_of_replay(row.id)?.iter().map(|(_, count)| count).sum();
        replay_of(Row { failed, done: (row.queued - open - failed).max(0), ..row })
    }
}

fn replay_of(row: Row) -> Result<Replay> {
    let selection: Selection = from_text(&row.selection)?;
    Ok(Replay {
        id: row.id,
        state: row.state,
        selection,
        plugin: row.subscriber,
        asked_by: row.asked_by,
        cursor: row.cursor,
        until: row.until,
        matched: row.matched,
        queued: row.queued,
        done: row.done,
        failed: row.failed,
        created_at: Timestamp(row.created_at),
        ended_at: row.ended_at.map(Timestamp),
    })
}
