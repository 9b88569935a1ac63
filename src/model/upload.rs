//! A file that comes in pieces, over as many connections as it takes.

use serde::Serialize;
use utoipa::ToSchema;

use super::time::Timestamp;

/// A resumable upload: what it will be, and how much of it is there.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Upload {
    /// Names it in its address.
    pub id: String,
    /// The recording it is for.
    pub recording_id: String,
    /// The track it becomes.
    pub track: String,
    /// Whether it may replace a track of a recording that has ended.
    pub replace: bool,
    /// What the client says it is, where the bytes themselves do not tell.
    pub content_type: Option<String>,
    /// `Upload-Metadata` as it was sent.
    #[serde(skip)]
    pub metadata: String,
    /// Bytes of the whole.
    pub length: i64,
    /// Bytes that are there for good; the next piece begins here. It is the length only once the track is stored.
    pub offset: i64,
    /// The name that its file is being given, from the media folder on.
    #[serde(skip)]
    pub path: Option<String>,
    /// When it was announced (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When its last piece was stored (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// When it is forgotten (UTC), unless another piece comes before.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// When it became the track (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub completed_at: Option<Timestamp>,
}
