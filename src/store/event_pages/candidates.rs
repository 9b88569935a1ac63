//! The rows a page looks at, by what narrows the filter best.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::error::Result;

use super::super::connection::Reader;
use super::super::event_kinds::BLOCK;
use super::super::failure::OrFail;
use super::super::statement::{Bind, statement};
use super::{CHUNK, EventFilter, EventWindow};

/// A part of the journal that is so short is walked row by row, whatever the filter.
const SHORT: i64 = 1000;

/// To pass over the other rows of a block takes as long as to give so many rows, when each holds a few hundred bytes.
const PASSED_OVER: usize = 32;

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
type Columns = (BigInt, Text, Text, Nullable<Text>, BigInt);

/// Some rows on a way.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) rows: Vec<Candidate>,
    /// How far the way was gone beyond the last of them, if it was.
    pub(super) passed: Option<i64>,
    /// What it took to find them, in rows.
    pub(super) looked: usize,
    /// Whether the way ends there.
    pub(super) is_end: bool,
}

/// What is walked, and between which places.
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
    /// The part of a window where events of the filter's time are, unless the clock was set back.
    pub(super) fn narrowed(&mut self, filter: &EventFilter, mut window: EventWindow) -> Result<EventWindow> {
        if let Some(from) = filter.from {
            window.after = window.after.max(self.place_before(from.0)?);
        }
        if let Some(to) = filter.to {
            window.before = window.before.min(self.place_behind(to.0)?);
        }
        Ok(window)
    }

    /// The way through a window; none when nothing can fit.
    pub(super) fn way(
        &mut self,
        filter: &EventFilter,
        window: EventWindow,
        last: i64,
    ) -> Result<Option<Way>> {
        let (after, before) = (window.after.max(0), window.before.min(last.saturating_add(1)));
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

    /// At most `most` rows on the way, in its order; where it leads past all rows, those alone of them that may fit.
    pub(super) fn candidates(&mut self, way: &Way, filter: &EventFilter, most: usize) -> Result<Chunk> {
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let (table, wanted, value) = match &way.by {
            By::Place if filter.asks_for_values() => return self.candidates_among(filter, way, most),
            By::Place => ("events".to_owned(), String::new(), None),
            By::Column(index, column, value) => {
                (format!("events INDEXED BY {index}"), format!("{column} = ? AND "), Some(value.clone()))
            }
            By::Kinds(kinds) => return self.candidates_of(kinds, way, most),
        };
        let rows = statement::<Columns>(format!(
            "SELECT seq, kind, source, subject, time FROM {table} WHERE {wanted}seq > ? AND seq < ? ORDER BY seq {} LIMIT ?",
            way.order()
        ));
        let rows = rows.binds(value.map(Bind::from)).bind(way.after).bind(way.before).bind(limit);
        let rows: Vec<Row> = rows.load(&mut self.conn).or_fail()?;
        let (looked, is_end) = (rows.len(), rows.len() < most);
        Ok(Chunk { rows: rows.into_iter().map(Candidate::from).collect(), looked, passed: None, is_end })
    }

    /// Of the next `most` rows, whatever they are, those with the values that the filter asks for.
    fn candidates_among(&mut self, filter: &EventFilter, way: &Way, most: usize) -> Result<Chunk> {
        let order = way.order();
        let last = statement::<BigInt>(format!(
            "SELECT seq FROM events WHERE seq > ? AND seq < ? ORDER BY seq {order} LIMIT 1 OFFSET {}",
            most.saturating_sub(1)
        ));
        let last: Vec<i64> = last.bind(way.after).bind(way.before).load(&mut self.conn).or_fail()?;
        let last = last.first().copied();
        let (mut after, mut before) = (way.after, way.before);
        match (last, way.newest_first) {
            (Some(last), true) => after = last - 1,
            (Some(last), false) => before = last + 1,
            (None, _) => {}
        }
        let mut wanted = String::new();
        let mut values = Vec::new();
        let asked = [
            ("source = ?", filter.source.as_deref().map(Bind::from)),
            ("subject = ?", filter.subject.as_deref().map(Bind::from)),
            ("time >= ?", filter.from.map(|it| Bind::from(it.0))),
            ("time <= ?", filter.to.map(|it| Bind::from(it.0))),
        ];
        for (is_wanted, value) in asked {
            if let Some(value) = value {
                wanted += is_wanted;
                wanted += " AND ";
                values.push(value);
            }
        }
        let fitting = statement::<Columns>(format!(
            "SELECT seq, kind, source, subject, time FROM events NOT INDEXED WHERE {wanted}seq > ? AND seq < ? ORDER BY seq {order}"
        ));
        let fitting = fitting.binds(values).bind(after).bind(before);
        let rows: Vec<Row> = fitting.load(&mut self.conn).or_fail()?;
        let rows = rows.into_iter().map(Candidate::from).collect();
        Ok(Chunk { rows, looked: most, passed: last, is_end: last.is_none() })
    }

    /// Of the blocks that have events of some types, those events.
    fn candidates_of(&mut self, kinds: &[String], way: &Way, most: usize) -> Result<Chunk> {
        let at_once = most.min(CHUNK / PASSED_OVER) + 1;
        let blocks = self.blocks_of_kinds(kinds, (way.after, way.before), way.newest_first, at_once)?;
        let wanted = match kinds {
            [_] => "kind = ?".to_owned(),
            _ => format!("kind IN ({})", vec!["?"; kinds.len()].join(", ")),
        };
        let sql = format!(
            "SELECT seq, kind, source, subject, time FROM events WHERE seq BETWEEN ? AND ? AND {wanted} ORDER BY seq {}",
            way.order()
        );
        let is_end = blocks.len() < at_once;
        let mut chunk = Chunk { rows: Vec::new(), looked: 0, passed: None, is_end };
        for block in blocks {
            let first = (block * BLOCK).max(way.after + 1);
            let last = (block * BLOCK + BLOCK - 1).min(way.before - 1);
            let of_block = statement::<Columns>(sql.clone()).bind(first).bind(last);
            let of_block = of_block.binds(kinds.iter().map(|it| Bind::from(it.as_str())));
            let rows: Vec<Row> = of_block.load(&mut self.conn).or_fail()?;
            chunk.looked += rows.len() + PASSED_OVER;
            chunk.rows.extend(rows.into_iter().map(Candidate::from));
            if chunk.rows.len() >= most {
                chunk.rows.truncate(most);
                (chunk.passed, chunk.is_end) = (None, false);
                break;
            }
            // Also where such events are no more: whoever goes on does not come back here.
            chunk.passed = Some(if way.newest_first { first } else { last });
            if chunk.looked >= CHUNK {
                chunk.is_end = false;
                break;
            }
        }
        Ok(chunk)
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
