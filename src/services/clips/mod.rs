//! Clips: create or cut, ask the plugins, change, read, delete.

mod change;
mod content;
mod create;
mod cut;
mod deferred;
mod delete;
mod pipeline;
mod read;
mod rules;
mod shown;
mod update;
mod written;

use serde_json::{Map, Value};

use crate::error::{Code, Error, Result};
use crate::hooks::Hook;
use crate::model::clip::Clip;
use crate::model::time::MissingOffset;

use super::Services;
use super::fields::Reading;

pub use crate::store::{ClipFilter, ClipOrder, ClipSort};
pub use content::{ClipUpload, begin_content};
pub use create::{Made, create};
pub(super) use deferred::run as run_deferred;
pub use delete::delete;
pub use read::{content, get, list, stats, waveform};
pub use rules::{CUT, FIELDS, create_schema};
pub use update::update;

/// Judges what a plugin made of a clip that `hook` is asked about.
///
/// # Errors
/// What is wrong with it.
pub fn check_patch(
    services: &Services,
    hook: Hook,
    clip: &Map<String, Value>,
) -> std::result::Result<(), String> {
    pipeline::check_payload(services, hook, clip)
}

/// The subject of a clip's events.
pub fn subject(id: i64) -> String {
    format!("clip/{id}")
}

/// The clip as events and clients see it.
///
/// # Errors
/// When it cannot be told as JSON.
pub fn to_json(clip: &Clip) -> Result<Map<String, Value>> {
    match serde_json::to_value(clip).map_err(Error::internal)? {
        Value::Object(map) => Ok(map),
        _ => Err(Error::internal("a clip is an object")),
    }
}

fn reading(services: &Services, creates: bool) -> Reading {
    Reading {
        creates,
        ignores_unknown: false,
        offset: MissingOffset::Refused,
        metadata_max_bytes: services.settings.metadata_max_bytes,
    }
}

fn not_found(id: i64) -> Error {
    Error::new(Code::ClipNotFound, format!("There is no clip {id}."))
}
