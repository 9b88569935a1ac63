//! What a crash left of uploads, and those whose time is over.

use crate::error::Result;
use crate::model::upload::Upload;
use crate::services::Services;
use crate::services::files::{io_error, rename_durably};

use super::{LOCKS, part_path, remove};

/// So many uploads are forgotten at once.
const BATCH: i64 = 100;

/// Puts files and rows in agreement, before files without rows are looked for. A file that was about to become a
/// track is a piece again; an upload that has lost its file, or more of it than it says, is forgotten.
///
/// # Errors
/// The store's, and when files cannot be moved.
pub async fn recover(services: &Services) -> Result<()> {
    for upload in services.store.read(|r| r.unfinished_uploads(i64::MAX))? {
        let own = services.clone();
        let wanted = upload.clone();
        let there = services.blocking.run(move || put_back(&own, &wanted)).await?;
        if there < u64::try_from(upload.offset).unwrap_or_default() {
            log::warn!("upload {} has lost its file: it is forgotten", upload.id);
            remove(services, &upload.id).await?;
        }
    }
    let own = services.clone();
    services.blocking.run(move || forget_strangers(&own)).await
}

/// Forgets uploads whose time is over, and their files.
///
/// # Errors
/// The store's.
pub async fn sweep(services: &Services) -> Result<()> {
    let now = services.now();
    for upload in services.read_long(move |r| r.expired_uploads(now, BATCH)).await? {
        // One that is being sent at this moment has its time prolonged by its next byte.
        let Some(_held) = services.files.live.begin(LOCKS, &upload.id) else { continue };
        remove(services, &upload.id).await?;
        if upload.completed_at.is_none() {
            log::info!("upload {} of {} bytes has expired at {}", upload.id, upload.length, upload.offset);
        }
    }
    Ok(())
}

/// The bytes that are there of an upload. Blocks.
fn put_back(services: &Services, upload: &Upload) -> Result<u64> {
    let part = services.files.own(&part_path(&upload.id));
    if let Some(path) = &upload.path
        && !part.exists()
        && services.files.own(path).exists()
    {
        rename_durably(&services.files.own(path), &part)?;
    }
    match std::fs::metadata(&part) {
        Ok(meta) => Ok(meta.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(io_error(error)),
    }
}

/// Removes pieces that no row names: of uploads that were given up in the moment of a crash. Blocks.
fn forget_strangers(services: &Services) -> Result<()> {
    let Ok(listed) = std::fs::read_dir(services.files.own("uploads")) else { return Ok(()) };
    for file in listed {
        let file = file.map_err(io_error)?;
        let name = file.file_name().to_string_lossy().into_owned();
        let Some(id) = name.strip_suffix(".part") else { continue };
        if services.store.read(|r| r.upload(id))?.is_none_or(|it| it.completed_at.is_some()) {
            std::fs::remove_file(file.path()).map_err(io_error)?;
        }
    }
    Ok(())
}
