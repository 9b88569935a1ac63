//! The tracks of recordings: where their files are and how many of their bytes were acknowledged.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;

use crate::error::Result;
use crate::model::recording::{Track, TrackOrigin, TrackState};
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::failure::OrFail;
use super::json::named;
use super::schema::tracks;
use super::statement::built_once;
use super::tx::Tx;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = tracks, treat_none_as_null = true)]
struct Row {
    recording_id: String,
    name: String,
    path: String,
    origin: String,
    state: String,
    size: i64,
    duration: Option<f64>,
    codec: Option<String>,
    sample_rate: Option<i32>,
    channels: Option<i32>,
    sha256: Option<String>,
    probe_error: Option<String>,
    created_at: i64,
    updated_at: i64,
}

fn origin_name(origin: TrackOrigin) -> &'static str {
    match origin {
        TrackOrigin::Server => "server",
        TrackOrigin::Client => "client",
    }
}

fn state_name(state: TrackState) -> &'static str {
    match state {
        TrackState::Live => "live",
        TrackState::Stored => "stored",
    }
}

impl Row {
    fn of(recording_id: &str, name: &str, track: &Track) -> Self {
        Row {
            recording_id: recording_id.to_owned(),
            name: name.to_owned(),
            path: track.path.clone(),
            origin: origin_name(track.origin).to_owned(),
            state: state_name(track.state).to_owned(),
            size: track.size,
            duration: track.duration,
            codec: track.codec.clone(),
            sample_rate: track.sample_rate,
            channels: track.channels,
            sha256: track.sha256.clone(),
            probe_error: track.probe_error.clone(),
            created_at: track.created_at.0,
            updated_at: track.updated_at.0,
        }
    }

    fn into_track(self) -> Result<Track> {
        Ok(Track {
            path: self.path,
            origin: named(&[TrackOrigin::Server, TrackOrigin::Client], origin_name, &self.origin)?,
            state: named(&[TrackState::Live, TrackState::Stored], state_name, &self.state)?,
            size: self.size,
            duration: self.duration,
            codec: self.codec,
            sample_rate: self.sample_rate,
            channels: self.channels,
            sha256: self.sha256,
            probe_error: self.probe_error,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
        })
    }
}

impl Tx {
    /// Stores a track, over the one of the same name if there is one.
    ///
    /// # Errors
    /// The recording does not exist.
    pub fn put_track(&mut self, recording_id: &str, name: &str, track: &Track) -> Result<()> {
        let row = Row::of(recording_id, name, track);
        diesel::insert_into(tracks::table)
            .values(&row)
            .on_conflict((tracks::recording_id, tracks::name))
            .do_update()
            .set(&row)
            .execute(&mut self.conn)
            .or_fail()?;
        Ok(())
    }

    /// Removes a track's row; false when there was none.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_track(&mut self, recording_id: &str, name: &str) -> Result<bool> {
        let row = tracks::table.find((recording_id, name));
        Ok(diesel::delete(row).execute(&mut self.conn).or_fail()? == 1)
    }
}

impl Reader {
    /// One track.
    ///
    /// # Errors
    /// The database's.
    pub fn track(&mut self, recording_id: &str, name: &str) -> Result<Option<Track>> {
        let row: Option<Row> = tracks::table
            .find((recording_id, name))
            .select(Row::as_select())
            .first(&mut self.conn)
            .optional()
            .or_fail()?;
        row.map(Row::into_track).transpose()
    }

    /// The tracks of a recording by name.
    ///
    /// # Errors
    /// The database's.
    pub fn tracks_of(&mut self, recording_id: &str) -> Result<BTreeMap<String, Track>> {
        let of_recording =
            built_once!(tracks::table.filter(tracks::recording_id.eq("")).select(Row::as_select()));
        let rows: Vec<Row> = of_recording.bind(recording_id).load(&mut self.conn).or_fail()?;
        rows.into_iter().map(|row| Ok((row.name.clone(), row.into_track()?))).collect()
    }

    /// Recording, name and row of every track that still grows.
    ///
    /// # Errors
    /// The database's.
    pub fn live_tracks(&mut self) -> Result<Vec<(String, String, Track)>> {
        let rows: Vec<Row> = tracks::table
            .filter(tracks::state.eq(state_name(TrackState::Live)))
            .select(Row::as_select())
            .load(&mut self.conn)
            .or_fail()?;
        rows.into_iter()
            .map(|row| Ok((row.recording_id.clone(), row.name.clone(), row.into_track()?)))
            .collect()
    }

    /// The tracks of several recordings.
    pub(super) fn tracks_of_all(
        &mut self,
        recordings: &[String],
    ) -> Result<HashMap<String, BTreeMap<String, Track>>> {
        let rows: Vec<Row> = tracks::table
            .filter(tracks::recording_id.eq_any(recordings))
            .select(Row::as_select())
            .load(&mut self.conn)
            .or_fail()?;
        let mut found: HashMap<String, BTreeMap<String, Track>> = HashMap::new();
        for row in rows {
            let of_recording = found.entry(row.recording_id.clone()).or_default();
            of_recording.insert(row.name.clone(), row.into_track()?);
        }
        Ok(found)
    }
}
