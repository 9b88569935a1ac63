//! Recordings: start, end, read, change, delete.

mod change;
mod end;
mod read;
mod rules;
mod shown;
mod start;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::{Code, Error, Result};
use crate::model::event_data::EventData;
use crate::model::recording::Recording;
use crate::model::time::MissingOffset;

use super::Services;
use super::fields::{Reading, Rule};

pub use crate::store::{PluginTask, RecordingFilter};
pub use change::{delete, patch};
pub use end::end;
pub(super) use end::ended;
pub use read::{Detail, Include, active, events, get, list, tasks};
pub use rules::{END, METADATA_KEYS, PATCH, START};
pub use start::{check_patch, start};

/// Whose words a body is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `/api/v1` and Lua: everything is said exactly.
    V1,
    /// PanottiServer's clients: many names for a field, unknown keys, times without offset, lost starts.
    Older,
}

/// What starting or ending a recording came to.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Told {
    /// The recording as it is stored.
    #[serde(flatten)]
    pub recording: Recording,
    /// It had been told before; nothing was done again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
    /// The event that tells it; none for a duplicate whose event is no longer kept.
    #[serde(skip)]
    pub event_id: Option<String>,
}

impl Dialect {
    fn reading(self, services: &Services, creates: bool) -> Reading {
        Reading {
            creates,
            ignores_unknown: self == Dialect::Older,
            offset: match self {
                Dialect::V1 => MissingOffset::Refused,
                Dialect::Older => MissingOffset::Utc,
            },
            metadata_max_bytes: services.settings.metadata_max_bytes,
        }
    }

    fn rules(self, v1: &'static [Rule], older: &'static [Rule]) -> &'static [Rule] {
        match self {
            Dialect::V1 => v1,
            Dialect::Older => older,
        }
    }
}

/// The subject of a recording's events.
pub fn subject(id: &str) -> String {
    format!("recording/{id}")
}

/// The recording as hooks, events and clients see it.
pub fn to_json(recording: &Recording) -> Result<Map<String, Value>> {
    match serde_json::to_value(recording).map_err(Error::internal)? {
        Value::Object(map) => Ok(map),
        _ => Err(Error::internal("a recording is an object")),
    }
}

/// What an event tells of the recording.
fn as_told(recording: &Recording) -> Result<EventData> {
    let text = serde_json::to_string(recording).map_err(Error::internal)?;
    Ok(EventData::of_text(text.into()))
}

/// There is no recording of this id.
pub(super) fn not_found(id: &str) -> Error {
    Error::new(Code::RecordingNotFound, format!("There is no recording `{}`.", id.escape_debug()))
}

/// The body as it was sent the first time, for comparing with what is sent again.
fn contradicts(id: &str, field: &str) -> Error {
    Error::new(
        Code::ContradictingContent,
        format!("Recording `{id}` was told before with another `{field}`."),
    )
    .with_member("field", field)
}

/// Refuses metadata that has grown beyond the cap by merging.
fn check_metadata_size(services: &Services, metadata: &Map<String, Value>) -> Result<()> {
    let bytes = serde_json::to_vec(metadata).map_err(Error::internal)?.len() as u64;
    match services.settings.metadata_max_bytes {
        max if bytes <= max => Ok(()),
        max => Err(Error::field(
            "/metadata",
            format!("would become {bytes} bytes of JSON, more than {max} (setting `metadata_max_bytes`)"),
        )),
    }
}
