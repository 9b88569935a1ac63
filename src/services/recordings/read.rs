//! Reading recordings.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::Result;
use crate::model::clip::Clip;
use crate::model::page::{Page, Window};
use crate::model::recording::Recording;
use crate::model::time::Timestamp;
use crate::services::Services;
use crate::store::{ClipFilter, ClipSort, PluginTask, RecordingFilter};

use super::{not_found, subject};

/// So many of each are included.
const INCLUDED: i64 = 50;

/// What is wanted beside the recording itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Include {
    /// The last clips cut from it.
    pub clips: bool,
    /// The last events about it.
    pub events: bool,
    /// What plugins did last for it.
    pub tasks: bool,
}

impl Include {
    /// Reads `clips,events,tasks`.
    ///
    /// # Errors
    /// A sentence that names the unknown word.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut include = Include::default();
        for word in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            match word {
                "clips" => include.clips = true,
                "events" => include.events = true,
                "tasks" => include.tasks = true,
                other => {
                    return Err(format!("knows clips, events and tasks, not `{}`", other.escape_debug()));
                }
            }
        }
        Ok(include)
    }
}

/// A recording with what was asked for beside it, the last 50 of each, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Detail {
    /// The recording.
    #[serde(flatten)]
    pub recording: Recording,
    /// Clips cut from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clips: Option<Vec<Clip>>,
    /// Events about it, as CloudEvents.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub events: Option<Vec<Value>>,
    /// What plugins did for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub tasks: Option<Vec<PluginTask>>,
}

/// A recording with its tracks, and what is asked for beside it.
///
/// # Errors
/// `RecordingNotFound`.
pub fn get(services: &Services, id: &str, include: Include) -> Result<Detail> {
    services.store.read(|r| {
        let recording = r.recording(id)?.ok_or_else(|| not_found(id))?;
        let mut detail = Detail { recording, clips: None, events: None, tasks: None };
        if include.clips {
            let filter = ClipFilter { recording_id: Some(id.to_owned()), ..ClipFilter::default() };
            let window = Window { offset: 0, limit: INCLUDED };
            detail.clips = Some(r.list_clips(&filter, ClipSort::default(), window)?.items);
        }
        if include.events {
            let events = r.events_about(&subject(id), INCLUDED)?;
            detail.events = Some(events.iter().map(|it| it.to_cloud_event()).collect());
        }
        if include.tasks {
            detail.tasks = Some(r.tasks_of(id, INCLUDED)?);
        }
        Ok(detail)
    })
}

/// The last events about a recording, newest first, as CloudEvents; also of one that was deleted.
///
/// # Errors
/// The store's.
pub async fn events(services: &Services, id: &str, limit: i64) -> Result<Vec<Value>> {
    let about = subject(id);
    let events = services.read_long(move |r| r.events_about(&about, limit)).await?;
    Ok(events.iter().map(|it| it.to_cloud_event()).collect())
}

/// What plugins did last for a recording, newest first.
///
/// # Errors
/// `RecordingNotFound`.
pub async fn tasks(services: &Services, id: &str, limit: i64) -> Result<Vec<PluginTask>> {
    let id = id.to_owned();
    services
        .read_long(move |r| match r.recording(&id)? {
            Some(_) => r.tasks_of(&id, limit),
            None => Err(not_found(&id)),
        })
        .await
}

/// One page of recordings, newest first.
///
/// # Errors
/// The store's.
pub async fn list(services: &Services, filter: RecordingFilter, window: Window) -> Result<Page<Recording>> {
    services.read_long(move |r| r.list_recordings(&filter, window)).await
}

/// The running recordings and when they started.
///
/// # Errors
/// The store's.
pub async fn active(services: &Services) -> Result<BTreeMap<String, Timestamp>> {
    let rows = services.read_long(|r| r.active_recordings()).await?;
    Ok(rows.into_iter().collect())
}
