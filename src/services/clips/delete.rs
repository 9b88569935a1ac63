//! Deleting clips.

use std::sync::Arc;

use serde_json::Value;

use crate::error::Result;
use crate::model::call::Caller;
use crate::services::files::MediaFiles;
use crate::services::{Services, check_version, news};

use super::{not_found, subject, to_json};

/// Deletes a clip; with `files`, also the file that the server wrote for it, never another. Tells
/// `clip.deleted`.
///
/// # Errors
/// `ClipNotFound`, `PreconditionFailed`.
pub async fn delete(
    services: &Services,
    caller: &Caller,
    id: i64,
    files: bool,
    if_version: Option<i64>,
) -> Result<()> {
    let (journal, caller) = (services.journal.clone(), caller.clone());
    let gone = services
        .store
        .write_freeing(move |tx| {
            let clip = tx.clip(id)?.ok_or_else(|| not_found(id))?;
            check_version(if_version, clip.version)?;
            let data = Arc::new(Value::Object(to_json(&clip)?));
            tx.delete_clip(id)?;
            journal.publish(tx, news("clip.deleted", subject(id), data), &caller)?;
            Ok(clip)
        })
        .await?;
    if files && let Some(path) = MediaFiles::own_clip_path(&gone) {
        let own = services.files.clone();
        if let Err(error) = services.blocking.run(move || own.remove_own(&path)).await {
            log::error!("the file of the deleted clip {id} stays behind: {error} {:?}", error.source);
        }
    }
    Ok(())
}
