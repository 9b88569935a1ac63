//! Finds what a replay means, a bounded part of the journal at a time.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::error::Result;
use crate::model::event::Event;
use crate::model::replay::Selection;

use super::super::connection::Reader;
use super::super::events::{Row, placed};
use super::super::failure::OrFail;
use super::super::json::to_text;
use super::super::schema::events;
use super::super::statement::{Statement, statement};
use super::super::tx::Tx;

/// Places that are gone through at once at most.
const WINDOW: i64 = 20_000;

impl Reader {
    /// The selected events behind `cursor` and up to `until`, oldest first, of at most `limit` that were read;
    /// and the place up to which the journal was gone through: `until` when there is nothing more.
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
        let low = cursor.max(selection.after.unwrap_or(0));
        let high = until.min(selection.before.map_or(i64::MAX, |it| it - 1));
        let end = match selection.ids.is_empty() {
            true => high.min(low.saturating_add(WINDOW)),
            false => high,
        };
        let mut query = events::table
            .select((events::seq, Row::as_select()))
            .filter(events::seq.gt(low).and(events::seq.le(end)))
            .order(events::seq)
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .into_boxed();
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
        let rows: Vec<(i64, Row)> = query.load(&mut self.conn).or_fail()?;
        let full = rows.len() >= limit;
        let cursor = match rows.last() {
            Some((last, _)) if full => *last,
            _ if end >= high => until,
            _ => end,
        };
        let wanted = rows.into_iter().filter(|(_, row)| selection.wants_type(&row.kind));
        Ok((wanted.map(placed).collect::<Result<_>>()?, cursor))
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
