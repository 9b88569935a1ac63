//! Deliveries as they are shown: those of one event, and how many there are in each state.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::error::Result;
use crate::model::time::Timestamp;

use super::super::connection::Reader;
use super::super::counters;
use super::super::failure::OrFail;
use super::super::schema::deliveries;
use super::super::statement::statement;
use super::OPEN;

/// One event for one subscriber.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryRow {
    /// Its row.
    pub id: i64,
    /// Who is told: a plugin, or `webhook/<id>`.
    pub subscriber: String,
    /// A question that is asked in the background; none = whoever subscribed.
    pub hook: Option<String>,
    /// The state it is in.
    pub state: String,
    /// Tries so far.
    pub attempts: i32,
    /// What came of the last one that failed.
    pub last_error: Option<String>,
    /// The replay that asked for it.
    pub replay_id: Option<i64>,
    /// Whether it goes behind the live ones.
    pub replay: bool,
    /// When it was noted.
    pub created_at: Timestamp,
    /// When the last try began.
    pub began_at: Option<Timestamp>,
    /// When the last try ended.
    pub ended_at: Option<Timestamp>,
    /// When it may run next; it means nothing once it is final.
    pub next_at: Timestamp,
}

/// How many deliveries are in each state that is told apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryStates {
    /// By name of the state, in the order of their life.
    pub by_state: Vec<(&'static str, i64)>,
    /// Acknowledged since the database was made.
    pub delivered: i64,
    /// When the oldest one was noted that is not final yet.
    pub oldest_open_at: Option<Timestamp>,
}

/// What is still to be told to one subscriber, and what it was told in vain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Deliveries that are not final.
    pub open: i64,
    /// When the oldest of them was noted.
    pub oldest_open_at: Option<Timestamp>,
    /// Deliveries that are not tried again.
    pub given_up: i64,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = deliveries)]
struct Row {
    id: i64,
    subscriber: String,
    hook: Option<String>,
    state: String,
    attempts: i32,
    last_error: Option<String>,
    replay_id: Option<i64>,
    replay: bool,
    created_at: i64,
    began_at: Option<i64>,
    ended_at: Option<i64>,
    next_at: i64,
}

impl From<Row> for DeliveryRow {
    fn from(row: Row) -> Self {
        DeliveryRow {
            id: row.id,
            subscriber: row.subscriber,
            hook: row.hook,
            state: row.state,
            attempts: row.attempts,
            last_error: row.last_error,
            replay_id: row.replay_id,
            replay: row.replay,
            created_at: Timestamp(row.created_at),
            began_at: row.began_at.map(Timestamp),
            ended_at: row.ended_at.map(Timestamp),
            next_at: Timestamp(row.next_at),
        }
    }
}

impl Reader {
    /// The first `limit` deliveries of the event at `seq`, in the order in which they were noted.
    ///
    /// # Errors
    /// The database's.
    pub fn deliveries_of(&mut self, seq: i64, limit: i64) -> Result<Vec<DeliveryRow>> {
        let rows: Vec<Row> = deliveries::table
            .filter(deliveries::event_seq.eq(seq))
            .order(deliveries::id)
            .limit(limit)
            .select(Row::as_select())
            .load(&mut self.conn)
            .or_fail()?;
        Ok(rows.into_iter().map(DeliveryRow::from).collect())
    }

    /// How many deliveries are in each state. Each is counted by an index of its own: what is done is never walked.
    ///
    /// # Errors
    /// The database's.
    pub fn delivery_states(&mut self) -> Result<DeliveryStates> {
        let (open, oldest) = self.counted(OPEN)?;
        let mut by_state = vec![("waiting", open)];
        for state in ["ready", "suspect", "claimed", "delayed"] {
            let (count, _) = self.counted(&format!("state = '{state}'"))?;
            by_state.push((state, count));
            by_state[0].1 -= count;
        }
        let (given_up, _) = self.counted("state IN ('dead', 'quarantined')")?;
        let (dead, _) = self.counted("state IN ('dead', 'quarantined') AND state = 'dead'")?;
        by_state.extend([("dead", dead), ("quarantined", given_up - dead)]);
        let oldest_open_at = oldest.map(|id| self.noted_at(id)).transpose()?.flatten();
        Ok(DeliveryStates {
            by_state: by_state.into_iter().map(|(state, count)| (state, count.max(0))).collect(),
            delivered: self.counter(counters::DELIVERED)?,
            oldest_open_at,
        })
    }

    /// What is left to be told, by subscriber; those for whom nothing is are not in it. Walks what is open and what was
    /// given up.
    ///
    /// # Errors
    /// The database's.
    pub fn backlogs(&mut self) -> Result<BTreeMap<String, Backlog>> {
        let mut all: BTreeMap<String, Backlog> = BTreeMap::new();
        for (subscriber, open, oldest) in self.counted_by_subscriber(OPEN)? {
            let oldest_open_at = self.noted_at(oldest)?;
            all.insert(subscriber, Backlog { open, oldest_open_at, given_up: 0 });
        }
        for (subscriber, given_up, _) in self.counted_by_subscriber("state IN ('dead', 'quarantined')")? {
            all.entry(subscriber).or_default().given_up = given_up;
        }
        Ok(all)
    }

    fn noted_at(&mut self, id: i64) -> Result<Option<Timestamp>> {
        let row = deliveries::table.find(id).select(deliveries::created_at);
        Ok(row.first(&mut self.conn).optional().or_fail()?.map(Timestamp))
    }

    /// Of each subscriber how many rows fit, and the first of them.
    fn counted_by_subscriber(&mut self, which: &str) -> Result<Vec<(String, i64, i64)>> {
        let count = statement::<(Text, BigInt, BigInt)>(format!(
            "SELECT subscriber, count(*), min(id) FROM deliveries WHERE {which} GROUP BY subscriber"
        ));
        count.load(&mut self.conn).or_fail()
    }

    /// How many rows fit, and the first of them.
    fn counted(&mut self, which: &str) -> Result<(i64, Option<i64>)> {
        let count = statement::<(BigInt, Nullable<BigInt>)>(format!(
            "SELECT count(*), min(id) FROM deliveries WHERE {which}"
        ));
        let rows: Vec<(i64, Option<i64>)> = count.load(&mut self.conn).or_fail()?;
        Ok(rows.first().copied().unwrap_or_default())
    }
}
