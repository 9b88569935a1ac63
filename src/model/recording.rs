//! A recording and its tracks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::time::Timestamp;

/// Whether a recording is still running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordingStatus {
    /// Started and not yet ended.
    Active,
    /// Ended; `duration` is known.
    Completed,
}

impl RecordingStatus {
    /// The name in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            RecordingStatus::Active => "active",
            RecordingStatus::Completed => "completed",
        }
    }
}

/// A recording: what was started, when, and the audio that came for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Recording {
    /// The client's id, or one like `20250125100000_4AFEA8B6`.
    pub id: String,
    /// What people call it.
    pub title: Option<String>,
    /// Running or ended.
    pub status: RecordingStatus,
    /// When it started (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it ended (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// `ended_at - started_at`, in seconds.
    pub duration: Option<f64>,
    /// The end came, but no start (older clients only).
    #[serde(default)]
    pub start_missing: bool,
    /// The tracks by name.
    pub tracks: BTreeMap<String, Track>,
    /// Free JSON from the client and from plugins.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// When the row was made (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the row last changed (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// Counts the changes of the row; the ETag.
    #[serde(skip)]
    pub version: i64,
}

/// Where a track's file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrackOrigin {
    /// The server wrote it; it may also remove it.
    Server,
    /// A client on the same machine named it; it is only read.
    Client,
}

/// Whether a track still grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrackState {
    /// Parts are being appended.
    Live,
    /// Whole.
    Stored,
}

/// One audio (or other media) file of a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Track {
    /// Its file: absolute, or relative to the media folder for the server's own.
    pub path: String,
    /// Who wrote the file.
    pub origin: TrackOrigin,
    /// Growing or whole.
    pub state: TrackState,
    /// Acknowledged length in bytes.
    pub size: i64,
    /// Seconds of audio.
    pub duration: Option<f64>,
    /// Codec, such as `pcm_s16le`, `flac`, `mp3`, `vorbis`, `aac`.
    pub codec: Option<String>,
    /// Samples a second.
    pub sample_rate: Option<i32>,
    /// Channels.
    pub channels: Option<i32>,
    /// SHA-256 of the whole file in hex; none while it grows.
    pub sha256: Option<String>,
    /// Why it cannot be decoded, when it cannot.
    pub probe_error: Option<String>,
    /// When its first byte was stored (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it last changed (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}
