//! Uploads begin: what will come is announced, and room for it is kept.

use crate::disk;
use crate::error::{Code, Error, Result};
use crate::model::id::check_id;
use crate::model::upload::Upload;
use crate::services::Services;
use crate::services::files::{io_error, sync_folder};
use crate::services::tracks;

use super::expiry;

/// What a client says of an upload before its first byte.
#[derive(Debug, Clone, Default)]
pub struct Announced {
    /// The recording it is for.
    pub recording_id: String,
    /// The track it becomes.
    pub track: String,
    /// Replace a track of a recording that has ended.
    pub replace: bool,
    /// What it is, where the bytes themselves do not tell.
    pub content_type: Option<String>,
    /// `Upload-Metadata` as it was sent.
    pub metadata: String,
    /// Bytes of the whole.
    pub length: u64,
}

/// Announces an upload.
///
/// # Errors
/// `BadPath`, `RecordingNotFound`; `RecordingCompleted` as for a whole track; `TooLarge` when it never fits;
/// `UploadsFull` and `DiskFull` when it does not fit now.
pub async fn create(services: &Services, announced: Announced) -> Result<Upload> {
    let Announced { recording_id, track, replace, content_type, metadata, length } = announced;
    check_id(&recording_id)
        .map_err(|why| Error::new(Code::BadHeader, format!("Upload-Metadata: recording {why}.")))?;
    tracks::check_upload(services, &recording_id, &track, replace)?;
    services.files.check_size(length)?;
    let most = services.settings.uploads.max_mib << 20;
    if most > 0 && length > most {
        let detail = format!(
            "The upload is larger than {most} bytes, all that unfinished uploads may have (setting `uploads.max_mib`)."
        );
        return Err(Error::new(Code::TooLarge, detail).with_member("limit_bytes", most));
    }
    let length = i64::try_from(length)
        .map_err(|_| Error::new(Code::TooLarge, "No file is as large as Upload-Length says."))?;
    let free = free_bytes(services).await?;
    let now = services.now();
    let upload = Upload {
        id: random_id()?,
        recording_id,
        track,
        replace,
        content_type,
        metadata,
        length,
        offset: 0,
        path: None,
        created_at: now,
        updated_at: now,
        expires_at: expiry(services),
        completed_at: None,
    };
    let (row, spare) = (upload.clone(), services.settings.uploads.spare_mib << 20);
    // A refusal is no failure of the store, which a full disk would be.
    let announced = services.store.write(move |tx| {
        // Counted where nobody else announces one at the same time.
        let (announced, to_come) = tx.announced_bytes()?;
        let count = |bytes: i64| u64::try_from(bytes).unwrap_or_default();
        if most > 0 && count(announced) + count(length) > most {
            let detail = format!(
                "Unfinished uploads have {announced} bytes; with this one it would be more than {most} (setting `uploads.max_mib`)."
            );
            return Ok(Err(Error::new(Code::UploadsFull, detail).with_member("limit_bytes", most)));
        }
        if count(to_come) + count(length) + spare > free {
            let detail = format!(
                "The disk has {free} bytes free; {to_come} are to come of other uploads, and {spare} stay free (setting `uploads.spare_mib`)."
            );
            return Ok(Err(Error::new(Code::DiskFull, detail).with_member("free_bytes", free)));
        }
        tx.put_upload(&row).map(Ok)
    });
    announced.await??;
    Ok(upload)
}

/// Bytes free on the disk of the media; the folder of uploads is made when it is missing.
async fn free_bytes(services: &Services) -> Result<u64> {
    let folder = services.files.own("uploads");
    services
        .blocking
        .run(move || {
            if !folder.is_dir() {
                std::fs::create_dir_all(&folder).map_err(io_error)?;
                folder.parent().map_or(Ok(()), sync_folder).map_err(io_error)?;
            }
            // A system that does not tell has room, until a write says otherwise.
            Ok(disk::free_bytes(&folder).unwrap_or(u64::MAX))
        })
        .await
}

fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
