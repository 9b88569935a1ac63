//! The journal: past facts in the order of their commits.

use std::borrow::Cow;
use std::sync::Arc;

use diesel::dsl::SqlTypeOf;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::Sqlite;
use serde_json::Value;

use crate::error::Result;
use crate::model::event::{Event, Priority};
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::counters::{EVENTS, EVENTS_BYTES, EVENTS_COUNT, EVENTS_REMOVED_THROUGH};
use super::failure::OrFail;
use super::json::{from_text, to_text};
use super::plugin_db::{JournalPage, JournalRow};
use super::retention;
use super::schema::events;
use super::statement::{built_once, prepared, statement};
use super::tx::Tx;

#[derive(Queryable, Selectable)]
#[diesel(table_name = events)]
pub(super) struct Row {
    id: String,
    pub(super) kind: String,
    source: String,
    subject: Option<String>,
    time: i64,
    data: String,
    correlation_id: String,
    causation_id: Option<String>,
    priority: i16,
    depth: i16,
    expires_at: Option<i64>,
    plugins: Option<String>,
    traceparent: Option<String>,
}

/// The types of the columns of a row, in its order.
type Columns = SqlTypeOf<<Row as Selectable<Sqlite>>::SelectExpression>;

impl Row {
    fn into_event(self) -> Result<Event> {
        Ok(Event {
            data: from_text::<Value>(&self.data)?.into(),
            id: self.id,
            kind: self.kind,
            source: self.source,
            subject: self.subject,
            time: Timestamp(self.time),
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            priority: Priority::from_rank(self.priority),
            depth: self.depth,
            expires_at: self.expires_at.map(Timestamp),
            plugins: self.plugins.iter().flat_map(|it| it.split(',')).map(Arc::from).collect(),
            traceparent: self.traceparent,
        })
    }
}

/// An event that was put on the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its place there.
    pub seq: i64,
    /// Bytes of its data as they are stored.
    pub bytes: usize,
}

impl Tx {
    /// Puts an event on the journal.
    ///
    /// # Errors
    /// `Conflict` when the id is taken.
    pub fn insert_event(&mut self, event: &Event) -> Result<Stored> {
        let data = match event.data.text() {
            Some(text) => Cow::from(&**text),
            None => Cow::from(to_text(event.data.value())?),
        };
        self.count_of(EVENTS, &event.kind, 1);
        self.count(EVENTS_COUNT, 1);
        self.count(EVENTS_BYTES, retention::bytes_of(event, &data));
        let seq = self.next_event_seq()?;
        // Not RETURNING: that builds a table of its own for every row.
        statement(
            "INSERT INTO events (seq, id, kind, source, subject, time, data, correlation_id, causation_id, priority, \
             depth, expires_at, plugins, traceparent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        .bind(seq)
        .bind(&*event.id)
        .bind(&*event.kind)
        .bind(&*event.source)
        .bind(event.subject.as_deref())
        .bind(event.time.0)
        .bind(&*data)
        .bind(&*event.correlation_id)
        .bind(event.causation_id.as_deref())
        .bind(event.priority.rank())
        .bind(event.depth)
        .bind(event.expires_at.map(|it| it.0))
        .bind((!event.plugins.is_empty()).then(|| event.plugins.join(",")))
        .bind(event.traceparent.as_deref())
        .write(self)?;
        self.last.event = Some(seq);
        self.note_kind(seq, &event.kind)?;
        Ok(Stored { seq, bytes: data.len() })
    }

    /// No place is given twice, also not that of an event that was removed.
    fn next_event_seq(&mut self) -> Result<i64> {
        let last = match self.last.event {
            Some(last) => last,
            None => self.newest_event_seq()?.max(self.counter_now(EVENTS_REMOVED_THROUGH)?),
        };
        Ok(last + 1)
    }
}

impl Reader {
    /// An event and its place on the journal.
    ///
    /// # Errors
    /// The database's.
    pub fn event(&mut self, id: &str) -> Result<Option<(i64, Event)>> {
        let found: Option<(i64, Row)> = events::table
            .filter(events::id.eq(id))
            .select((events::seq, Row::as_select()))
            .first(&mut self.conn)
            .optional()
            .or_fail()?;
        found.map(placed).transpose()
    }

    /// The place of an event on the journal.
    ///
    /// # Errors
    /// The database's.
    pub fn event_seq(&mut self, id: &str) -> Result<Option<i64>> {
        events::table.filter(events::id.eq(id)).select(events::seq).first(&mut self.conn).optional().or_fail()
    }

    /// The last `limit` events about `subject`, newest first.
    ///
    /// # Errors
    /// The database's.
    pub fn events_about(&mut self, subject: &str, limit: i64) -> Result<Vec<Event>> {
        let rows: Vec<Row> = events::table
            .filter(events::subject.eq(subject))
            .order(events::seq.desc())
            .limit(limit)
            .select(Row::as_select())
            .load(&mut self.conn)
            .or_fail()?;
        rows.into_iter().map(Row::into_event).collect()
    }

    /// The id of the first event of a kind about `subject`.
    ///
    /// # Errors
    /// The database's.
    pub fn event_of(&mut self, subject: &str, kind: &str) -> Result<Option<String>> {
        events::table
            .filter(events::subject.eq(subject).and(events::kind.eq(kind)))
            .order(events::seq)
            .select(events::id)
            .first(&mut self.conn)
            .optional()
            .or_fail()
    }

    /// At most `limit` events after `seq`, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub fn events_after(&mut self, seq: i64, limit: i64) -> Result<Vec<(i64, Event)>> {
        let rows: Vec<(i64, Row)> = events::table
            .filter(events::seq.gt(seq))
            .order(events::seq)
            .limit(limit)
            .select((events::seq, Row::as_select()))
            .load(&mut self.conn)
            .or_fail()?;
        rows.into_iter().map(placed).collect()
    }

    /// The place of the newest event there is, or was; 0 before the first.
    ///
    /// # Errors
    /// The database's.
    pub fn last_event_seq(&mut self) -> Result<i64> {
        Ok(self.newest_event_seq()?.max(self.counter(EVENTS_REMOVED_THROUGH)?))
    }

    /// The place of the newest event that is kept, 0 when there is none.
    fn newest_event_seq(&mut self) -> Result<i64> {
        let newest = prepared!(BigInt => "SELECT coalesce(max(seq), 0) FROM events");
        newest.get_result(&mut self.conn).or_fail()
    }

    /// At most `limit` events after `seq`, oldest first, with their data as text; and how far the journal reaches.
    ///
    /// # Errors
    /// The database's.
    pub fn journal_page(&mut self, seq: i64, limit: i64) -> Result<JournalPage> {
        let rows: Vec<(i64, String, i64, String)> = events::table
            .filter(events::seq.gt(seq))
            .order(events::seq)
            .limit(limit)
            .select((events::seq, events::kind, events::time, events::data))
            .load(&mut self.conn)
            .or_fail()?;
        let row = |(seq, kind, time, data)| JournalRow { seq, kind, time: Timestamp(time), data };
        let first = self.journal_size()?.removed_through + 1;
        let last = self.last_event_seq()?;
        Ok(JournalPage { rows: rows.into_iter().map(row).collect(), first, last })
    }

    /// The events at these places, in order.
    pub(super) fn events_at(&mut self, seqs: &[i64]) -> Result<Vec<(i64, Event)>> {
        self.rows_at(seqs)?.into_iter().map(placed).collect()
    }

    /// The same with the bytes of their data.
    pub(super) fn sized_events_at(&mut self, seqs: &[i64]) -> Result<Vec<(i64, usize, Event)>> {
        let sized = |(seq, row): (i64, Row)| Ok((seq, row.data.len(), row.into_event()?));
        self.rows_at(seqs)?.into_iter().map(sized).collect()
    }

    fn rows_at(&mut self, seqs: &[i64]) -> Result<Vec<(i64, Row)>> {
        if let [seq] = seqs {
            let by_seq = built_once!(events::table.find(0).select(Row::as_select()));
            let row = by_seq.bind(*seq).get_result(&mut self.conn).optional();
            return Ok(row.or_fail()?.map(|row| (*seq, row)).into_iter().collect());
        }
        // Not a list of `?`: one of any length cannot be prepared once.
        let wanted = prepared!((BigInt, Columns) =>
            "SELECT seq, id, kind, source, subject, time, data, correlation_id, causation_id, priority, depth, \
             expires_at, plugins, traceparent FROM events WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq"
        );
        wanted.bind(to_text(&seqs)?).load(&mut self.conn).or_fail()
    }
}

pub(super) fn placed((seq, row): (i64, Row)) -> Result<(i64, Event)> {
    Ok((seq, row.into_event()?))
}
