//! Changing and deleting recordings.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::{Code, Error, Result};
use crate::hooks::patch::merge;
use crate::model::call::Caller;
use crate::model::recording::{Recording, RecordingStatus, TrackOrigin};
use crate::services::fields;
use crate::services::{Services, check_version, news};

use super::rules::PATCH;
use super::{Dialect, check_metadata_size, not_found, subject, to_json};

/// Changes title and metadata (a merge patch). Tells `recording.updated` when something changed.
///
/// # Errors
/// `Invalid`, `RecordingNotFound`, `PreconditionFailed` when `if_version` is not the row's.
pub async fn patch(
    services: &Services,
    caller: &Caller,
    id: &str,
    body: Map<String, Value>,
    if_version: Option<i64>,
) -> Result<Recording> {
    let sent = fields::check(PATCH, body, Dialect::V1.reading(services, false))?;
    let (own, caller, id) = (services.clone(), caller.clone(), id.to_owned());
    let changed = services
        .store
        .write(move |tx| {
            let before = tx.recording(&id)?.ok_or_else(|| not_found(&id))?;
            check_version(if_version, before.version)?;
            let mut after = before.clone();
            if sent.has("title") {
                after.title = sent.text("title");
            }
            match sent.get("metadata") {
                Some(Value::Null) => after.metadata.clear(),
                Some(Value::Object(metadata)) => merge(&mut after.metadata, metadata),
                _ => {}
            }
            check_metadata_size(&own, &after.metadata)?;
            if after == before {
                return Ok(before);
            }
            after.updated_at = own.now();
            after.version = tx.update_recording(&after)?;
            let data = Arc::new(Value::Object(to_json(&after)?));
            own.journal.publish(tx, news("recording.updated", subject(&id), data), &caller)?;
            Ok(after)
        })
        .await?;
    Ok(changed)
}

/// Deletes a recording that has ended; its clips stay. With `files`, what the server wrote for it goes too;
/// without, the next start moves it to `lost+found`. Tells `recording.deleted`.
///
/// # Errors
/// `RecordingNotFound`; `RecordingActive` while it runs; `PreconditionFailed`.
pub async fn delete(
    services: &Services,
    caller: &Caller,
    id: &str,
    files: bool,
    if_version: Option<i64>,
) -> Result<()> {
    let _alone = services.alone(caller, &subject(id)).await?;
    let (journal, caller, key) = (services.journal.clone(), caller.clone(), id.to_owned());
    let gone = services
        .store
        .write_freeing(move |tx| {
            let recording = tx.recording(&key)?.ok_or_else(|| not_found(&key))?;
            check_version(if_version, recording.version)?;
            if recording.status == RecordingStatus::Active {
                return Err(Error::new(
                    Code::RecordingActive,
                    format!("Recording `{key}` is still running."),
                ));
            }
            let data = Arc::new(Value::Object(to_json(&recording)?));
            tx.delete_recording(&key)?;
            journal.publish(tx, news("recording.deleted", subject(&key), data), &caller)?;
            Ok(recording)
        })
        .await?;
    if files {
        remove_files(services, gone).await;
    }
    Ok(())
}

/// The row is gone and stays gone; a file that cannot be removed is told in the log and swept later.
async fn remove_files(services: &Services, gone: Recording) {
    let files = services.files.clone();
    let id = gone.id.clone();
    let removed = services.blocking.run(move || {
        for track in gone.tracks.values().filter(|it| it.origin == TrackOrigin::Server) {
            files.remove_own(&track.path)?;
        }
        files.remove_folder_if_empty(&gone.id);
        Ok(())
    });
    if let Err(error) = removed.await {
        log::error!(recording = &*id; "files of a deleted recording stay behind: {error} {:?}", error.source);
    }
}
