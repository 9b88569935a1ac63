//! Finds what a replay means, a bounded part of the journal at a time.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::error::Result;
use crate::model::event::Event;
use crate::model::replay::Selection;

use super::super::connection::Reader;
use super::super::event_pages::{EventFilter, EventWindow};
use super::super::events::{Row, placed};
use super::super::failure::OrFail;
use super::super::json::to_text;
use super::super::schema::events;
use super::super::statement::{Statement, statement};
use super::super::tx::Tx;

/// Bytes of data that are read at once.
const MAX_BYTES: i64 = 8 << 20;

impl Reader {
    /// The selected events behind `cursor` and up to `until`, oldest first, at most `limit`; and the place up to which the
    /// journal was gone through: `until` when there is nothing more.
    ///
    /// # Errors
    /// The database's.
    pub fn select_events(
        &mut self,
        selection: &Selection,
        cursor: i64,
        until: i64,
        limit: usize,
    ) -> Result<(Vec<(i64, Event)>, i64)> {
        let filter = EventFilter {
            patterns: selection.types.clone(),
            source: selection.source.clone(),
            subject: selection.subject.clone(),
            correlation_id: None,
            from: selection.from,
            to: selection.to,
        };
        let window = EventWindow {
            after: cursor.max(selection.after.unwrap_or(0)),
            before: until.saturating_add(1).min(selection.before.unwrap_or(i64::MAX)),
            newest_first: false,
            limit,
            max_bytes: MAX_BYTES,
        };
        if selection.ids.is_empty() {
            let page = self.event_page_of_any_time(&filter, window)?;
            return Ok((page.rows, page.next.unwrap_or(until)));
        }
        let rows: Vec<(i64, Row)> = events::table
            .select((events::seq, Row::as_select()))
            .filter(events::id.eq_any(&selection.ids))
            .filter(events::seq.gt(window.after).and(events::seq.lt(window.before)))
            .order(events::seq)
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .load(&mut self.conn)
            .or_fail()?;
        let reached = rows.last().filter(|_| rows.len() >= limit).map_or(until, |it| it.0);
        let mut named = rows.into_iter().map(placed).collect::<Result<Vec<_>>>()?;
        named.retain(|(_, event)| filter.holds(event));
        Ok((named, reached))
    }

    /// Which of these ids no event has.
    ///
    /// # Errors
    /// The database's.
    pub fn unknown_events(&mut self, ids: &[String]) -> Result<Vec<usize>> {
        let known: Vec<String> =
            events::table.filter(events::id.eq_any(ids)).select(events::id).load(&mut self.conn).or_fail()?;
        let known: std::collections::HashSet<&str> = known.iter().map(String::as_str).collect();
        Ok((0..ids.len()).filter(|it| !known.contains(ids[*it].as_str())).collect())
    }
}

impl Tx {
    /// Those of these places where there is an event still.
    ///
    /// # Errors
    /// The database's.
    pub fn places_taken(&mut self, seqs: &[i64]) -> Result<Vec<i64>> {
        let there: Statement<BigInt> =
            statement("SELECT seq FROM events WHERE seq IN (SELECT value FROM json_each(?))");
        there.bind(to_text(&seqs)?).load(&mut self.conn).or_fail()
    }
}
