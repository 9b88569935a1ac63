//! What one request set off: its events and their deliveries.

use diesel::prelude::*;

use crate::error::Result;
use crate::model::event::Event;
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::events::{Row, placed};
use super::failure::OrFail;
use super::schema::{deliveries, events};

/// Values bound at once.
const MOST_BOUND: usize = 500;

/// A delivery as a trace shows it.
#[derive(Debug, Clone, PartialEq, Queryable)]
pub struct TracedDelivery {
    /// Its number.
    pub id: i64,
    /// The event's place on the journal.
    pub event_seq: i64,
    /// Who is told.
    pub subscriber: String,
    /// A question that is asked in the background.
    pub hook: Option<String>,
    /// The state it is in.
    pub state: String,
    /// Whether it is told again.
    pub replay: bool,
    /// Tries.
    pub attempts: i32,
    /// When the last try began, in microseconds.
    pub began_at: Option<i64>,
    /// When it was over, in microseconds.
    pub ended_at: Option<i64>,
    /// What the last failure was.
    pub last_error: Option<String>,
}

impl TracedDelivery {
    /// When the last try began.
    pub fn began(&self) -> Option<Timestamp> {
        self.began_at.map(Timestamp)
    }
}

impl Reader {
    /// The first `limit` events of a correlation.
    ///
    /// # Errors
    /// The database's.
    pub fn events_of_correlation(&mut self, id: &str, limit: i64) -> Result<Vec<(i64, Event)>> {
        let rows: Vec<(i64, Row)> = events::table
            .filter(events::correlation_id.eq(id))
            .order(events::seq)
            .limit(limit)
            .select((events::seq, Row::as_select()))
            .load(&mut self.conn)
            .or_fail()?;
        rows.into_iter().map(placed).collect()
    }

    /// The first `limit` deliveries of the events at these places.
    ///
    /// # Errors
    /// The database's.
    pub fn deliveries_of_events(&mut self, seqs: &[i64], limit: usize) -> Result<Vec<TracedDelivery>> {
        let mut found: Vec<TracedDelivery> = Vec::new();
        for some in seqs.chunks(MOST_BOUND) {
            let rows: Vec<TracedDelivery> = deliveries::table
                .filter(deliveries::event_seq.eq_any(some))
                .order((deliveries::event_seq, deliveries::id))
                .limit(i64::try_from(limit - found.len()).unwrap_or(i64::MAX))
                .select((
                    deliveries::id,
                    deliveries::event_seq,
                    deliveries::subscriber,
                    deliveries::hook,
                    deliveries::state,
                    deliveries::replay,
                    deliveries::attempts,
                    deliveries::began_at,
                    deliveries::ended_at,
                    deliveries::last_error,
                ))
                .load(&mut self.conn)
                .or_fail()?;
            found.extend(rows);
        }
        Ok(found)
    }
}
