//! A clip: a piece of media worth keeping, with what people and plugins know about it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::provenance::Provenance;
use super::time::Timestamp;

/// How far the processing of a clip is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProcessingStatus {
    /// Nobody has begun.
    Pending,
    /// Somebody is at it.
    Processing,
    /// Done.
    Completed,
    /// Given up.
    Failed,
}

impl ProcessingStatus {
    /// The name in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            ProcessingStatus::Pending => "pending",
            ProcessingStatus::Processing => "processing",
            ProcessingStatus::Completed => "completed",
            ProcessingStatus::Failed => "failed",
        }
    }

    /// Whether a client may move a clip from `self` to `next`.
    pub fn may_become(self, next: ProcessingStatus) -> bool {
        use ProcessingStatus::{Completed, Failed, Pending, Processing};
        self == next
            || matches!((self, next), (Pending, Processing) | (Processing, Completed) | (Processing, Failed))
    }
}

/// A clip as it is kept and answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Clip {
    /// Counts up from 1; never used twice.
    pub id: i64,
    /// What people call it, 1..255 characters.
    pub title: String,
    /// Where the media lies, up to 500 characters; text unless the server wrote it.
    pub file_path: String,
    /// The recording it was cut from.
    pub recording_id: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Name of the game, up to 255 characters.
    pub game_name: Option<String>,
    /// Id of the game elsewhere, up to 255 characters.
    pub game_id: Option<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// Free JSON from the client and from plugins.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// Bytes.
    pub file_size: Option<i64>,
    /// Seconds.
    pub duration: Option<f64>,
    /// Such as `1920x1080`.
    pub resolution: Option<String>,
    /// Frames a second.
    pub fps: Option<f64>,
    /// Such as `h264` or `pcm_s16le`.
    pub codec: Option<String>,
    /// When the clip was recorded (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub recorded_at: Option<Timestamp>,
    /// Whether processing is done.
    pub processed: bool,
    /// How far the processing is.
    pub processing_status: ProcessingStatus,
    /// Which plugin changed which field (JSON pointer) and when: field -> {plugin, hook, at}.
    #[schema(value_type = Object)]
    pub provenance: Provenance,
    /// When the row was made (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the row last changed (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// Whether the server wrote the file and may remove it.
    #[serde(skip)]
    pub owns_file: bool,
    /// Counts the changes of the row; the ETag.
    #[serde(skip)]
    pub version: i64,
}

/// Totals over all clips.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct ClipStats {
    /// All clips.
    pub total_clips: i64,
    /// Those processed.
    pub processed_clips: i64,
    /// Those not processed.
    pub unprocessed_clips: i64,
    /// Different game names.
    pub total_games: i64,
    /// The game names, sorted.
    pub games: Vec<String>,
    /// Seconds.
    pub total_duration: f64,
    /// Bytes.
    pub total_size: i64,
}

#[cfg(test)]
mod tests {
    use super::ProcessingStatus::{Completed, Failed, Pending, Processing};

    #[test]
    fn processing_moves_forward_only() {
        assert!(Pending.may_become(Processing) && Processing.may_become(Failed));
        assert!(
            !Pending.may_become(Completed)
                && !Completed.may_become(Pending)
                && !Failed.may_become(Processing)
        );
    }
}
