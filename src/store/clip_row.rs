//! A clip as its row holds it.

use diesel::prelude::*;

use crate::error::Result;
use crate::model::clip::{Clip, ProcessingStatus};
use crate::model::time::Timestamp;

use super::json::{from_text, named, to_text};
use super::schema::clips;

/// The columns in the table's order.
#[derive(Queryable, Selectable, AsChangeset)]
#[diesel(table_name = clips, treat_none_as_null = true)]
pub(super) struct ClipRow {
    id: i64,
    title: String,
    file_path: String,
    recording_id: Option<String>,
    description: Option<String>,
    game_name: Option<String>,
    game_id: Option<String>,
    tags: String,
    metadata: String,
    file_size: Option<i64>,
    duration: Option<f64>,
    resolution: Option<String>,
    fps: Option<f64>,
    codec: Option<String>,
    recorded_at: Option<i64>,
    processed: bool,
    processing_status: String,
    provenance: String,
    created_at: i64,
    updated_at: i64,
    owns_file: bool,
    version: i64,
}

impl ClipRow {
    pub(super) fn of(clip: &Clip) -> Result<Self> {
        Ok(ClipRow {
            id: clip.id,
            title: clip.title.clone(),
            file_path: clip.file_path.clone(),
            recording_id: clip.recording_id.clone(),
            description: clip.description.clone(),
            game_name: clip.game_name.clone(),
            game_id: clip.game_id.clone(),
            tags: to_text(&clip.tags)?,
            metadata: to_text(&clip.metadata)?,
            file_size: clip.file_size,
            duration: clip.duration,
            resolution: clip.resolution.clone(),
            fps: clip.fps,
            codec: clip.codec.clone(),
            recorded_at: clip.recorded_at.map(|it| it.0),
            processed: clip.processed,
            processing_status: clip.processing_status.as_str().to_owned(),
            provenance: to_text(&clip.provenance)?,
            created_at: clip.created_at.0,
            updated_at: clip.updated_at.0,
            owns_file: clip.owns_file,
            version: clip.version,
        })
    }

    pub(super) fn with_version(mut self, version: i64) -> Self {
        self.version = version;
        self
    }

    pub(super) fn into_clip(self) -> Result<Clip> {
        use ProcessingStatus::{Completed, Failed, Pending, Processing};
        let status = [Pending, Processing, Completed, Failed];
        Ok(Clip {
            id: self.id,
            title: self.title,
            file_path: self.file_path,
            recording_id: self.recording_id,
            description: self.description,
            game_name: self.game_name,
            game_id: self.game_id,
            tags: from_text(&self.tags)?,
            metadata: from_text(&self.metadata)?,
            file_size: self.file_size,
            duration: self.duration,
            resolution: self.resolution,
            fps: self.fps,
            codec: self.codec,
            recorded_at: self.recorded_at.map(Timestamp),
            processed: self.processed,
            processing_status: named(&status, ProcessingStatus::as_str, &self.processing_status)?,
            provenance: from_text(&self.provenance)?,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
            owns_file: self.owns_file,
            version: self.version,
        })
    }
}
