//! Deliveries that were given up: listed, told again, discarded.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use crate::error::Result;
use crate::model::event::Event;
use crate::model::replay::Selection;
use crate::model::time::Timestamp;

use super::super::connection::Reader;
use super::super::events::{Row as EventRow, placed};
use super::super::failure::OrFail;
use super::super::schema::{deliveries, events};
use super::super::statement::{Statement, prepared, statement};
use super::super::tx::Tx;
use super::{OPEN, REPLAY_RANK, RUNNABLE};

/// Given up. The text is that of the partial indexes, so that they are used.
const GIVEN_UP: &str = "deliveries.state IN ('dead', 'quarantined')";

/// A delivery that was given up.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenUp {
    /// Its number.
    pub id: i64,
    /// The event's place on the journal.
    pub event_seq: i64,
    /// What could not be told.
    pub event: Event,
    /// Who could not be told.
    pub subscriber: String,
    /// A question that was asked in the background.
    pub hook: Option<String>,
    /// `dead` or `quarantined`.
    pub state: String,
    /// Tries.
    pub attempts: i32,
    /// Processes that died meanwhile.
    pub crashes: i32,
    /// What the last try came to.
    pub last_error: Option<String>,
    /// When it was noted.
    pub created_at: Timestamp,
    /// When the last try began.
    pub began_at: Option<Timestamp>,
    /// When it was given up.
    pub ended_at: Option<Timestamp>,
}

/// Which of the deliveries that were given up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WantedGivenUp {
    /// What is narrowed as events are: type, time, subject, source, place, ids, numbers of deliveries.
    pub selection: Selection,
    /// Only to this subscriber.
    pub subscriber: Option<String>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = deliveries)]
struct Row {
    id: i64,
    subscriber: String,
    hook: Option<String>,
    state: String,
    attempts: i32,
    crashes: i32,
    last_error: Option<String>,
    created_at: i64,
    began_at: Option<i64>,
    ended_at: Option<i64>,
}

type Joined = (Row, i64, EventRow);

/// The wanted rows with their events; the caller adds bounds and order. A macro, for the type has no short name.
macro_rules! wanted {
    ($wanted:expr) => {{
        let wanted: &WantedGivenUp = $wanted;
        let selection = &wanted.selection;
        let mut query = deliveries::table
            .inner_join(events::table.on(events::seq.eq(deliveries::event_seq)))
            .select((Row::as_select(), events::seq, EventRow::as_select()))
            .filter(diesel::dsl::sql::<Bool>(GIVEN_UP))
            .into_boxed();
        if let Some(subscriber) = &wanted.subscriber {
            query = query.filter(deliveries::subscriber.eq(subscriber));
        }
        if !selection.deliveries.is_empty() {
            query = query.filter(deliveries::id.eq_any(&selection.deliveries));
        }
        if !selection.ids.is_empty() {
            query = query.filter(events::id.eq_any(&selection.ids));
        }
        if selection.names_types() {
            query = query.filter(events::kind.eq_any(&selection.types));
        }
        if let Some(from) = selection.from {
            query = query.filter(events::time.ge(from.0));
        }
        if let Some(to) = selection.to {
            query = query.filter(events::time.le(to.0));
        }
        if let Some(subject) = &selection.subject {
            query = query.filter(events::subject.eq(subject));
        }
        if let Some(source) = &selection.source {
            query = query.filter(events::source.eq(source));
        }
        if let Some(after) = selection.after {
            query = query.filter(events::seq.gt(after));
        }
        if let Some(before) = selection.before {
            query = query.filter(events::seq.lt(before));
        }
        query
    }};
}

impl Reader {
    /// At most `limit` wanted deliveries before the one with a number, newest first; and the number of the last
    /// one that was looked at, when there may be more.
    ///
    /// # Errors
    /// The database's.
    pub fn given_up(
        &mut self,
        wanted: &WantedGivenUp,
        before: i64,
        limit: i64,
    ) -> Result<(Vec<GivenUp>, Option<i64>)> {
        let query = wanted!(wanted).filter(deliveries::id.lt(before)).order(deliveries::id.desc());
        let rows: Vec<Joined> = query.limit(limit).load(&mut self.conn).or_fail()?;
        let next = rows.last().filter(|_| rows.len() as i64 >= limit).map(|(row, ..)| row.id);
        Ok((given_up(rows, &wanted.selection)?, next))
    }

    /// The wanted deliveries behind `cursor` and up to `until`, oldest first, of at most `limit` that were read;
    /// and how far was gone: `until` when there is nothing more.
    ///
    /// # Errors
    /// The database's.
    pub fn select_given_up(
        &mut self,
        wanted: &WantedGivenUp,
        cursor: i64,
        until: i64,
        limit: usize,
    ) -> Result<(Vec<GivenUp>, i64)> {
        let within = deliveries::id.gt(cursor).and(deliveries::id.le(until));
        let query = wanted!(wanted).filter(within).order(deliveries::id);
        let rows: Vec<Joined> =
            query.limit(i64::try_from(limit).unwrap_or(i64::MAX)).load(&mut self.conn).or_fail()?;
        let cursor = rows.last().filter(|_| rows.len() >= limit).map_or(until, |(row, ..)| row.id);
        Ok((given_up(rows, &wanted.selection)?, cursor))
    }

    /// The number of the newest delivery; 0 before the first.
    ///
    /// # Errors
    /// The database's.
    pub fn last_delivery_id(&mut self) -> Result<i64> {
        let newest = prepared!(BigInt => "SELECT coalesce(max(id), 0) FROM deliveries");
        newest.get_result(&mut self.conn).or_fail()
    }
}

impl Tx {
    /// Lets a delivery that was given up be tried anew, behind everything live; false when it is not given up.
    ///
    /// # Errors
    /// The database's.
    pub fn revive(&mut self, id: i64, replay_id: i64, now: Timestamp) -> Result<bool> {
        let revive = statement(format!(
            "UPDATE deliveries SET replay = 1, rank = {REPLAY_RANK}, replay_id = ?, attempts = 0, crashes = 0, \
             next_at = ?, ended_at = NULL, state = CASE WHEN EXISTS (SELECT 1 FROM deliveries other \
             WHERE other.subscriber = deliveries.subscriber AND other.subject = deliveries.subject \
             AND other.replay = 1 AND {OPEN}) THEN 'waiting' ELSE 'ready' END WHERE id = ? AND {GIVEN_UP}"
        ));
        let revived = revive.bind(replay_id).bind(now.0).bind(id).write(self)?;
        Ok(revived > 0)
    }

    /// Takes back the deliveries of a replay that have not begun; those that were dead before are dead again.
    /// How many.
    ///
    /// # Errors
    /// The database's.
    pub fn take_back(&mut self, replay_id: i64, were_dead: bool, now: Timestamp) -> Result<usize> {
        const NOT_BEGUN: &str = "replay_id = ? AND state IN ('waiting', 'ready', 'suspect', 'delayed')";
        let taken = match were_dead {
            false => {
                let delete = statement(format!("DELETE FROM deliveries WHERE {NOT_BEGUN}"));
                delete.bind(replay_id).write(self)?
            }
            true => {
                let bury = statement(format!(
                    "UPDATE deliveries SET state = 'dead', ended_at = ? WHERE {NOT_BEGUN}"
                ));
                bury.bind(now.0).bind(replay_id).write(self)?
            }
        };
        // What waited behind them in the same lane moves up.
        let move_up = statement(format!(
            "UPDATE deliveries SET state = {RUNNABLE} WHERE id IN (SELECT min(id) FROM deliveries \
             WHERE replay = 1 AND subject IS NOT NULL AND {OPEN} GROUP BY subscriber, subject \
             HAVING sum(state <> 'waiting') = 0)"
        ));
        move_up.write(self)?;
        Ok(taken)
    }

    /// Removes a delivery that was given up: (its subscriber, the place of its event).
    ///
    /// # Errors
    /// The database's.
    pub fn discard(&mut self, id: i64) -> Result<Option<(String, i64, Option<String>)>> {
        let discard: Statement<(Text, BigInt, Nullable<Text>)> = statement(format!(
            "DELETE FROM deliveries WHERE id = ? AND {GIVEN_UP} RETURNING subscriber, event_seq, last_error"
        ));
        discard.bind(id).get_result(&mut self.conn).optional().or_fail()
    }
}

fn given_up(rows: Vec<Joined>, selection: &Selection) -> Result<Vec<GivenUp>> {
    let wanted = rows.into_iter().filter(|(_, _, event)| selection.wants_type(&event.kind));
    wanted
        .map(|(row, seq, event)| {
            let (event_seq, event) = placed((seq, event))?;
            Ok(GivenUp {
                id: row.id,
                event_seq,
                event,
                subscriber: row.subscriber,
                hook: row.hook,
                state: row.state,
                attempts: row.attempts,
                crashes: row.crashes,
                last_error: row.last_error,
                created_at: Timestamp(row.created_at),
                began_at: row.began_at.map(Timestamp),
                ended_at: row.ended_at.map(Timestamp),
            })
        })
        .collect()
}
