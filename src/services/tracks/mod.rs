//! Tracks: whole uploads, live appends, what a client on the same machine named, and reading them.

mod append;
mod closing;
mod measure;
mod read;
mod lost_found;
mod recover;
mod upload;

use std::sync::Arc;

use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::events::EventDraft;
use crate::model::id::check_track_name;
use crate::model::recording::{Recording, Track};

use super::recordings::subject;
use super::{Services, news};

pub use append::{TrackAppend, begin_append};
pub use closing::{Closing, close_live};
pub use measure::{Measured, named_by_client};
pub(super) use read::peaks;
pub use read::{delete, open, waveform};
pub use recover::{Recovered, recover};
pub use upload::{TrackUpload, Upload, begin_upload};
pub(super) use upload::{check_upload, store_whole};

/// The news that a track is whole.
pub fn stored_news(recording_id: &str, name: &str, track: &Track) -> EventDraft {
    let mut data = serde_json::to_value(track).unwrap_or_default();
    if let Value::Object(data) = &mut data {
        data.insert("recording_id".to_owned(), recording_id.into());
        data.insert("name".to_owned(), name.into());
    }
    news("track.stored", subject(recording_id), Arc::new(data))
}

/// The recording of a track that is to be written.
fn recording_for(services: &Services, id: &str, track: &str) -> Result<Recording> {
    check_track_name(track).map_err(|why| Error::new(Code::BadPath, format!("The track's name {why}.")))?;
    services.store.read(|r| r.recording(id))?.ok_or_else(|| super::recordings::not_found(id))
}

fn track_not_found(id: &str, track: &str) -> Error {
    Error::new(
        Code::TrackNotFound,
        format!("Recording `{}` has no track `{}`.", id.escape_debug(), track.escape_debug()),
    )
}

pub(super) fn busy(track: &str) -> Error {
    let detail = format!("Somebody else is writing the track `{track}` at this moment.");
    Error { retry_after: Some(1), ..Error::new(Code::Conflict, detail) }
}
