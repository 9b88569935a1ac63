//! The rows a page looks at, by the index that narrows the filter best.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::error::Result;

use super::super::connection::Reader;
use super::super::failure::OrFail;
use super::super::statement::{Bind, statement};
use super::{EventFilter, EventWindow};

/// A part of the journal that is so short is walked row by row, whatever the filter.
const SHORT: i64 = 1000;

/// One row without its data.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) seq: i64,
    pub(super) kind: String,
    pub(super) source: String,
    pub(super) subject: Option<String>,
    pub(super) time: i64,
}

type Row = (i64, String, String, Option<String>, i64);

/// The index that is walked, and between which places.
#[derive(Debug)]
pub(super) struct Way {
    by: By,
    /// Both exclusive.
    after: i64,
    before: i64,
    newest_first: bool,
}

#[derive(Debug)]
enum By {
    Place,
    Column(&'static str, &'static str, String),
    Kinds(Vec<String>),
}

impl Way {
    /// Goes on behind `seq`.
    pub(super) fn pass(&mut self, seq: i64) {
        match self.newest_first {
            true => self.before = seq,
            false => self.after = seq,
        }
    }

    /// How far it went.
    pub(super) fn reached(&self) -> i64 {
        if self.newest_first { self.before } else { self.after }
    }

    fn order(&self) -> &'static str {
        if self.newest_first { "DESC" } else { "ASC" }
    }
}

impl Reader {
    /// The way through a window; none when nothing can fit.
    pub(super) fn way(
        &mut self,
        filter: &EventFilter,
        window: EventWindow,
        last: i64,
    ) -> Result<Option<Way>> {
        let (mut after, mut before) = (window.after.max(0), window.before.min(last.saturating_add(1)));
        if let Some(from) = filter.from {
            after = after.max(self.place_before(from.0)?);
        }
        if let Some(to) = filter.to {
            before = before.min(self.place_behind(to.0)?);
        }
        if before.saturating_sub(after) <= 1 {
            return Ok(None);
        }
        let by = match filter {
            EventFilter { correlation_id: Some(id), .. } => {
                By::Column("events_by_correlation", "correlation_id", id.clone())
            }
            _ if before - after <= SHORT => By::Place,
            EventFilter { subject: Some(subject), .. } => {
                By::Column("events_by_subject", "subject", subject.clone())
            }
            _ if filter.patterns.is_empty() => By::Place,
            _ => match self.kinds_like(&filter.patterns)? {
                Some(kinds) if kinds.is_empty() => return Ok(None),
                Some(kinds) => By::Kinds(kinds),
                None => By::Place,
            },
        };
        Ok(Some(Way { by, after, before, newest_first: window.newest_first }))
    }

    /// At most `most` rows on the way, in its order, and whether it ends there.
    pub(super) fn candidates(&mut self, way: &Way, most: usize) -> Result<(Vec<Candidate>, bool)> {
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let (table, wanted, value) = match &way.by {
            By::Place => ("events".to_owned(), String::new(), None),
            By::Column(index, column, value) => {
                (format!("events INDEXED BY {index}"), format!("{column} = ? AND "), Some(value.clone()))
            }
            By::Kinds(kinds) => {
                let places = self.places_of_kinds(kinds, way, limit)?;
                // Some may be removed in between: there may be more nevertheless.
                return Ok((self.candidates_at(&places, way)?, places.len() < most));
            }
        };
        let rows = statement::<(BigInt, Text, Text, Nullable<Text>, BigInt)>(format!(
            "SELECT seq, kind, source, subject, time FROM {table} WHERE {wanted}seq > ? AND seq < ? ORDER BY seq {} LIMIT ?",
            way.order()
        ));
        let rows = rows.binds(value.map(Bind::from)).bind(way.after).bind(way.before).bind(limit);
        let rows: Vec<Row> = rows.load(&mut self.conn).or_fail()?;
        let is_end = rows.len() < most;
        Ok((rows.into_iter().map(Candidate::from).collect(), is_end))
    }

    /// The next `limit` places of some types, merged.
    fn places_of_kinds(&mut self, kinds: &[String], way: &Way, limit: i64) -> Result<Vec<i64>> {
        let mut places = Vec::new();
        for kind in kinds {
            let of_kind = statement::<BigInt>(format!(
                "SELECT seq FROM events INDEXED BY events_by_kind WHERE kind = ? AND seq > ? AND seq < ? ORDER BY seq {} LIMIT ?",
                way.order()
            ));
            let of_kind = of_kind.bind(kind.as_str()).bind(way.after).bind(way.before).bind(limit);
            let found: Vec<i64> = of_kind.load(&mut self.conn).or_fail()?;
            places.extend(found);
        }
        places.sort_unstable();
        if way.newest_first {
            places.reverse();
        }
        places.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(places)
    }

    fn candidates_at(&mut self, places: &[i64], way: &Way) -> Result<Vec<Candidate>> {
        let list = serde_json::to_string(places).or_fail()?;
        let rows = statement::<(BigInt, Text, Text, Nullable<Text>, BigInt)>(format!(
            "SELECT seq, kind, source, subject, time FROM json_each(?) AS it CROSS JOIN events ON seq = it.value ORDER BY seq {}",
            way.order()
        ));
        let rows: Vec<Row> = rows.bind(list).load(&mut self.conn).or_fail()?;
        Ok(rows.into_iter().map(Candidate::from).collect())
    }

    /// A place before the first event of `time` or later, near it. Found from both sides: an event of a wrong clock is the
    /// nearest on one of them at most.
    fn place_before(&mut self, time: i64) -> Result<i64> {
        let outside = self.near_time("time < ?", "DESC", time)?.unwrap_or_default();
        let inside = self.near_time("time >= ?", "ASC", time)?;
        let before =
            "SELECT seq FROM events NOT INDEXED WHERE seq % 64 = 0 AND seq < ? ORDER BY seq DESC LIMIT 1";
        let found: Vec<i64> =
            statement::<BigInt>(before).bind(inside.unwrap_or(i64::MAX)).load(&mut self.conn).or_fail()?;
        Ok(found.first().copied().unwrap_or_default().min(outside))
    }

    /// A place behind the last event of `time` or earlier, as [`Reader::place_before`].
    fn place_behind(&mut self, time: i64) -> Result<i64> {
        let outside = self.near_time("time > ?", "ASC", time)?.unwrap_or(i64::MAX);
        let inside = self.near_time("time <= ?", "DESC", time)?;
        let behind = "SELECT seq FROM events NOT INDEXED WHERE seq % 64 = 0 AND seq > ? ORDER BY seq LIMIT 1";
        let found: Vec<i64> =
            statement::<BigInt>(behind).bind(inside.unwrap_or_default()).load(&mut self.conn).or_fail()?;
        Ok(found.first().copied().unwrap_or(i64::MAX).max(outside))
    }

    /// The place on one side of a time that is nearest to it, of every 64th.
    fn near_time(&mut self, side: &str, order: &str, time: i64) -> Result<Option<i64>> {
        let nearest = statement::<BigInt>(format!(
            "SELECT seq FROM events INDEXED BY events_by_time WHERE seq % 64 = 0 AND {side} \
             ORDER BY time {order}, seq {order} LIMIT 1"
        ));
        let found: Vec<i64> = nearest.bind(time).load(&mut self.conn).or_fail()?;
        Ok(found.first().copied())
    }
}

impl From<Row> for Candidate {
    fn from((seq, kind, source, subject, time): Row) -> Self {
        Candidate { seq, kind, source, subject, time }
    }
}
