//! What a body does to a clip: the fields, and the rules of the processing status.

use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::hooks::patch::{merge, pointers};
use crate::model::clip::{Clip, ProcessingStatus};
use crate::services::fields::Checked;

use super::rules::status;

/// Puts the sent fields into the clip; null clears, metadata merges.
///
/// # Errors
/// `IllegalTransition`; `Conflict` for another path of a file that the server keeps.
pub(super) fn apply(clip: &mut Clip, sent: &Checked, by_client: bool) -> Result<()> {
    if let Some(path) = sent.text("file_path") {
        if clip.owns_file && path != clip.file_path {
            let detail = format!("The server keeps the file of clip {}; its path cannot be set.", clip.id);
            return Err(Error::new(Code::Conflict, detail));
        }
        clip.file_path = path;
    }
    if let Some(title) = sent.text("title") {
        clip.title = title;
    }
    let text = |field: &mut Option<String>, name: &str| {
        if sent.has(name) {
            *field = sent.text(name);
        }
    };
    text(&mut clip.recording_id, "recording_id");
    text(&mut clip.description, "description");
    text(&mut clip.game_name, "game_name");
    text(&mut clip.game_id, "game_id");
    text(&mut clip.resolution, "resolution");
    text(&mut clip.codec, "codec");
    if sent.has("tags") {
        clip.tags = sent.texts("tags").unwrap_or_default();
    }
    match sent.get("metadata") {
        Some(Value::Null) => clip.metadata.clear(),
        Some(Value::Object(metadata)) => merge(&mut clip.metadata, metadata),
        _ => {}
    }
    if sent.has("file_size") {
        clip.file_size = sent.integer("file_size");
    }
    if sent.has("duration") {
        clip.duration = sent.number("duration");
    }
    if sent.has("fps") {
        clip.fps = sent.number("fps");
    }
    if sent.has("recorded_at") {
        clip.recorded_at = sent.time("recorded_at");
    }
    if by_client {
        forget_provenance(clip, sent);
    }
    Ok(())
}

/// Moves the processing on, as far as the body says so.
///
/// # Errors
/// `IllegalTransition`, but never for `processed: true`; `Invalid` when the two fields contradict each other.
pub(super) fn advance(clip: &mut Clip, sent: &Checked, is_new: bool) -> Result<()> {
    let wanted = sent.text("processing_status").as_deref().and_then(status);
    let processed = sent.flag("processed");
    let contradicts = match (processed, wanted) {
        (Some(true), Some(wanted)) => wanted != ProcessingStatus::Completed,
        (Some(false), Some(wanted)) => wanted == ProcessingStatus::Completed,
        _ => false,
    };
    if contradicts {
        return Err(Error::field("/processing_status", "contradicts `processed`"));
    }
    if processed == Some(true) {
        clip.processed = true;
        clip.processing_status = ProcessingStatus::Completed;
        return Ok(());
    }
    if processed == Some(false) && clip.processed {
        return Err(illegal(clip, "processed: false"));
    }
    if let Some(wanted) = wanted {
        if !is_new && !clip.processing_status.may_become(wanted) {
            return Err(illegal(clip, wanted.as_str()));
        }
        clip.processing_status = wanted;
        clip.processed |= wanted == ProcessingStatus::Completed;
    }
    Ok(())
}

fn illegal(clip: &Clip, wanted: &str) -> Error {
    let from = clip.processing_status.as_str();
    Error::new(Code::IllegalTransition, format!("Clip {} cannot go from {from} to {wanted}.", clip.id))
        .with_member("from", from)
}

/// What a client sets is no plugin's any more.
fn forget_provenance(clip: &mut Clip, sent: &Checked) {
    if clip.provenance.is_empty() {
        return;
    }
    for pointer in pointers(&sent.to_map()) {
        let below = format!("{pointer}/");
        let above = |known: &str| pointer.starts_with(&format!("{known}/"));
        clip.provenance.retain(|known| known != pointer && !known.starts_with(&below) && !above(known));
    }
}
