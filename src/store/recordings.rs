//! Recordings, with what the client sent first for their start and end.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::Sqlite;
use serde_json::{Map, Value};

use crate::error::{Code, Error, Result};
use crate::model::page::{COUNT_LIMIT, Page, Window};
use crate::model::recording::{Recording, RecordingStatus, Track};
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::counters;
use super::failure::OrFail;
use super::json::{from_text, named, to_text};
use super::schema::recordings;
use super::statement::{built_once, statement};
use super::tx::Tx;

/// Which recordings a list shows; everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordingFilter {
    /// Running or ended.
    pub status: Option<RecordingStatus>,
    /// Started at this time or later.
    pub from: Option<Timestamp>,
    /// Started at this time or earlier.
    pub to: Option<Timestamp>,
    /// Part of the title or of the id, in any case of ASCII letters.
    pub q: Option<String>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = recordings)]
struct Row {
    id: String,
    title: Option<String>,
    status: String,
    started_at: i64,
    ended_at: Option<i64>,
    duration: Option<f64>,
    start_missing: bool,
    metadata: String,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn into_recording(self, version: i64, tracks: BTreeMap<String, Track>) -> Result<Recording> {
        let status = [RecordingStatus::Active, RecordingStatus::Completed];
        Ok(Recording {
            status: named(&status, RecordingStatus::as_str, &self.status)?,
            id: self.id,
            title: self.title,
            started_at: Timestamp(self.started_at),
            ended_at: self.ended_at.map(Timestamp),
            duration: self.duration,
            start_missing: self.start_missing,
            tracks,
            metadata: from_text(&self.metadata)?,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
            version,
        })
    }
}

impl Tx {
    /// Stores a new recording (not its tracks) and what the client sent for its start, if it sent one.
    ///
    /// # Errors
    /// `Conflict` when the id is taken.
    pub fn insert_recording<'a>(
        &mut self,
        recording: &Recording,
        sent_start: impl Into<Option<&'a Map<String, Value>>>,
    ) -> Result<()> {
        statement(
            "INSERT INTO recordings (id, title, status, started_at, ended_at, duration, start_missing, metadata, \
             created_at, updated_at, version, sent_start) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        .bind(&*recording.id)
        .bind(recording.title.as_deref())
        .bind(recording.status.as_str())
        .bind(recording.started_at.0)
        .bind(recording.ended_at.map(|it| it.0))
        .bind(recording.duration)
        .bind(recording.start_missing)
        .bind(to_text(&recording.metadata)?)
        .bind(recording.created_at.0)
        .bind(recording.updated_at.0)
        .bind(recording.version)
        .bind(sent_start.into().map(to_text).transpose()?)
        .write(self)?;
        self.count(counters::RECORDINGS, 1);
        Ok(())
    }

    /// Stores the recording's own fields (not its tracks, nor what it began with: its start never changes) over those that were
    /// read in the same transaction, and answers the new version.
    ///
    /// # Errors
    /// `RecordingNotFound`.
    pub fn update_recording(&mut self, recording: &Recording) -> Result<i64> {
        self.update(recording, None)?.ok_or_else(|| not_found(&recording.id))
    }

    /// As [`Tx::update_recording`], and keeps what the client sent for the end. The fields may have been read before the
    /// transaction: no version is answered when there is no such row of their version any more.
    ///
    /// # Errors
    /// The database's.
    pub fn end_recording(
        &mut self,
        recording: &Recording,
        sent_end: &Map<String, Value>,
    ) -> Result<Option<i64>> {
        self.update(recording, Some(to_text(sent_end)?))
    }

    fn update(&mut self, recording: &Recording, sent_end: Option<String>) -> Result<Option<i64>> {
        let version = recording.version + 1;
        let updated = statement(
            "UPDATE recordings SET title = ?, status = ?, ended_at = ?, duration = ?, metadata = ?, \
             updated_at = ?, version = ?, sent_end = coalesce(?, sent_end) WHERE id = ? AND version = ?",
        )
        .bind(recording.title.as_deref())
        .bind(recording.status.as_str())
        .bind(recording.ended_at.map(|it| it.0))
        .bind(recording.duration)
        .bind(to_text(&recording.metadata)?)
        .bind(recording.updated_at.0)
        .bind(version)
        .bind(sent_end)
        .bind(&*recording.id)
        .bind(recording.version)
        .write(self)?;
        Ok((updated == 1).then_some(version))
    }

    /// Notes that something of the recording beside its row has changed: a new version, at `now`.
    ///
    /// # Errors
    /// The database's.
    pub fn touch_recording(&mut self, id: &str, now: Timestamp) -> Result<()> {
        diesel::update(recordings::table.find(id))
            .set((recordings::updated_at.eq(now.0), recordings::version.eq(recordings::version + 1)))
            .execute(&mut self.conn)
            .or_fail()?;
        Ok(())
    }

    /// Removes a recording and its tracks' rows; clips stay without a recording. False when there was none.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_recording(&mut self, id: &str) -> Result<bool> {
        let deleted = diesel::delete(recordings::table.find(id)).execute(&mut self.conn).or_fail()? == 1;
        self.count(counters::RECORDINGS, -i64::from(deleted));
        // Those that were cut from it are not any more.
        self.changes_clips();
        Ok(deleted)
    }
}

impl Reader {
    /// A recording with its tracks.
    ///
    /// # Errors
    /// The database's.
    pub fn recording(&mut self, id: &str) -> Result<Option<Recording>> {
        let by_id = built_once!(recordings::table.find("").select((Row::as_select(), recordings::version)));
        let found: Option<(Row, i64)> = by_id.bind(id).get_result(&mut self.conn).optional().or_fail()?;
        found.map(|(row, version)| row.into_recording(version, self.tracks_of(id)?)).transpose()
    }

    /// What the client sent first for the start, if it sent one.
    ///
    /// # Errors
    /// The database's.
    pub fn sent_start(&mut self, id: &str) -> Result<Option<Map<String, Value>>> {
        let found: Option<Option<String>> = recordings::table
            .find(id)
            .select(recordings::sent_start)
            .first(&mut self.conn)
            .optional()
            .or_fail()?;
        found.flatten().as_deref().map(from_text).transpose()
    }

    /// What the client sent first for the end, if it sent one.
    ///
    /// # Errors
    /// The database's.
    pub fn sent_end(&mut self, id: &str) -> Result<Option<Map<String, Value>>> {
        let found: Option<Option<String>> = recordings::table
            .find(id)
            .select(recordings::sent_end)
            .first(&mut self.conn)
            .optional()
            .or_fail()?;
        found.flatten().as_deref().map(from_text).transpose()
    }

    /// Ids and starts of the recordings that run, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub fn active_recordings(&mut self) -> Result<Vec<(String, Timestamp)>> {
        let rows: Vec<(String, i64)> = recordings::table
            .filter(diesel::dsl::sql::<diesel::sql_types::Bool>("status = 'active'"))
            .order((recordings::started_at, recordings::id))
            .select((recordings::id, recordings::started_at))
            .load(&mut self.conn)
            .or_fail()?;
        Ok(rows.into_iter().map(|(id, at)| (id, Timestamp(at))).collect())
    }

    /// A page of the list, latest start first.
    ///
    /// # Errors
    /// The database's.
    pub fn list_recordings(&mut self, filter: &RecordingFilter, window: Window) -> Result<Page<Recording>> {
        let rows: Vec<(Row, i64)> = filtered(filter)
            .order((recordings::started_at.desc(), recordings::id.desc()))
            .offset(window.offset)
            .limit(window.limit)
            .select((Row::as_select(), recordings::version))
            .load(&mut self.conn)
            .or_fail()?;
        let ids: Vec<_> = rows.iter().map(|(row, _)| row.id.clone()).collect();
        let mut tracks: HashMap<_, _> = self.tracks_of_all(&ids)?;
        let items = rows
            .into_iter()
            .map(|(row, version)| {
                let own = tracks.remove(&row.id).unwrap_or_default();
                row.into_recording(version, own)
            })
            .collect::<Result<_>>()?;
        let (total, more) = self.count_recordings(filter)?;
        Ok(Page::new(items, total, more, window))
    }

    fn count_recordings(&mut self, filter: &RecordingFilter) -> Result<(i64, bool)> {
        if *filter == RecordingFilter::default() {
            return Ok((self.counter(counters::RECORDINGS)?, false));
        }
        let some: Vec<i64> = filtered(filter)
            .select(diesel::dsl::sql::<BigInt>("1"))
            .limit(COUNT_LIMIT + 1)
            .load(&mut self.conn)
            .or_fail()?;
        let counted = some.len() as i64;
        Ok((counted.min(COUNT_LIMIT), counted > COUNT_LIMIT))
    }
}

fn filtered(filter: &RecordingFilter) -> recordings::BoxedQuery<'_, Sqlite> {
    let mut query = recordings::table.into_boxed();
    if let Some(status) = filter.status {
        query = query.filter(recordings::status.eq(status.as_str()));
    }
    if let Some(from) = filter.from {
        query = query.filter(recordings::started_at.ge(from.0));
    }
    if let Some(to) = filter.to {
        query = query.filter(recordings::started_at.le(to.0));
    }
    if let Some(part) = filter.q.as_deref().filter(|it| !it.is_empty()) {
        let pattern = format!("%{}%", part.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
        let in_id = recordings::id.like(pattern.clone()).escape('\\');
        query = query.filter(in_id.or(recordings::title.like(pattern).escape('\\').assume_not_null()));
    }
    query
}

fn not_found(id: &str) -> Error {
    Error::new(Code::RecordingNotFound, format!("There is no recording {id}."))
}
