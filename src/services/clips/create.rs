//! Making a clip: from fields, or by cutting a recording.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::hooks::Hook;
use crate::model::call::Caller;
use crate::model::clip::{Clip, ProcessingStatus};
use crate::model::event_data::EventData;
use crate::model::time::Timestamp;
use crate::services::fields;
use crate::services::idempotency::{self, Idempotency};
use crate::services::{Services, news};

use super::change::{advance, apply};
use super::pipeline::{self, Pipeline};
use super::rules::{CUT, FIELDS};
use super::written::written;
use super::{cut, reading, subject};

/// Makes a clip. Asks `on_clip_captured`; tells `clip.created`.
///
/// A body with `recording_id` and without `file_path` cuts: the new file is written, probed and shown to the
/// hooks before the answer.
///
/// # Errors
/// `Invalid` with all faults of the body; `Overloaded` when a plugin that would be asked has too much to answer; for a cut `OutOfRange`, `NoAudio`, `MediaUnavailable`, `DiskFull`.
pub async fn create(
    services: &Services,
    caller: &Caller,
    body: Map<String, Value>,
    once: Option<&Idempotency>,
) -> Result<Made> {
    // Before anything is worked on or cut: whoever is sent away costs little.
    services.hooks.make_sure_of_room(Hook::OnClipCaptured, None)?;
    let cuts = ["track", "start", "end", "last"].iter().any(|it| body.contains_key(*it))
        || (body.contains_key("recording_id") && !body.contains_key("file_path"));
    let sent = fields::check(if cuts { CUT } else { FIELDS }, body, reading(services, true))?;
    let plan = if cuts { Some(cut::plan(services, &sent)?) } else { None };
    let (id, created_at) = services.store.reserve_clip(services.now());
    let mut clip = draft(id, created_at);
    apply(&mut clip, &sent, false)?;
    let file = match plan {
        Some(plan) => Some(cut::cut(services, &mut clip, plan).await?),
        None => {
            advance(&mut clip, &sent, true)?;
            None
        }
    };
    let (clip, asked) = pipeline::ask(services, caller, Hook::OnClipCaptured, clip).await?;
    let made = store(services, caller, clip, asked, once).await?;
    if let Some(file) = file {
        file.keep();
    }
    Ok(made)
}

/// A clip that was just made.
#[derive(Debug)]
pub struct Made {
    /// The clip.
    pub clip: Clip,
    /// The same as JSON, as its event tells it.
    pub text: Arc<str>,
}

/// A clip of which nothing is known.
pub(super) fn draft(id: i64, created_at: Timestamp) -> Clip {
    Clip {
        id,
        title: String::new(),
        file_path: String::new(),
        recording_id: None,
        description: None,
        game_name: None,
        game_id: None,
        tags: Vec::new(),
        metadata: Map::new(),
        file_size: None,
        duration: None,
        resolution: None,
        fps: None,
        codec: None,
        recorded_at: None,
        processed: false,
        processing_status: ProcessingStatus::Pending,
        provenance: Default::default(),
        created_at,
        updated_at: created_at,
        owns_file: false,
        version: 1,
    }
}

/// Row, event, deliveries and the hooks' effects, in one transaction.
async fn store(
    services: &Services,
    caller: &Caller,
    mut clip: Clip,
    asked: Option<Pipeline>,
    once: Option<&Idempotency>,
) -> Result<Made> {
    let now = services.now();
    if let Some(asked) = &asked {
        asked.note(&mut clip, now);
    }
    let (text, row) = written(&clip)?;
    let told = news("clip.created", subject(clip.id), EventData::of_text(Arc::clone(&text)));
    let (journal, caller, once) = (services.journal.clone(), caller.clone(), once.cloned());
    let clip = Arc::new(clip);
    let own = Arc::clone(&clip);
    services
        .store
        .write_again(move |tx| {
            if let Some(recording) = &own.recording_id
                && tx.recording(recording)?.is_none()
            {
                return Err(no_recording());
            }
            tx.insert_new_clip(&own, &row)?;
            let event = journal.publish(tx, told.clone(), &caller)?;
            if let Some(Pipeline { asked, .. }) = &asked {
                journal.commit_effects(tx, &asked.effects, &caller)?;
                journal.defer(tx, &event, &asked.unasked, Hook::OnClipCaptured)?;
            }
            idempotency::remember(tx, once.as_ref(), 201, &*own, now)
        })
        .await?;
    Ok(Made { clip: Arc::unwrap_or_clone(clip), text })
}

/// The body names a recording that is not there.
pub(super) fn no_recording() -> Error {
    Error::field("/recording_id", "names no recording")
}
