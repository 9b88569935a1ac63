//! Reading clips and their media.

use crate::error::Result;
use crate::media::Peak;
use crate::model::clip::{Clip, ClipStats};
use crate::model::page::{Page, Window};
use crate::services::Services;
use crate::services::files::OpenMedia;
use crate::services::tracks::peaks;

use super::{ClipFilter, ClipSort, not_found};

/// A clip.
///
/// # Errors
/// `ClipNotFound`.
pub fn get(services: &Services, id: i64) -> Result<Clip> {
    services.store.read(|r| r.clip(id))?.ok_or_else(|| not_found(id))
}

/// One page of clips; a search waits for the words of those that were just stored.
///
/// # Errors
/// The store's.
pub async fn list(
    services: &Services,
    filter: ClipFilter,
    sort: ClipSort,
    window: Window,
) -> Result<Page<Clip>> {
    if filter.words().is_some() {
        services.store.words_are_indexed().await;
    }
    services.read_long(move |r| r.list_clips(&filter, sort, window)).await
}

/// Totals over all clips.
///
/// # Errors
/// The store's.
pub async fn stats(services: &Services) -> Result<ClipStats> {
    services.read_long(|r| r.clip_stats()).await
}

/// A clip and its open file: one the server wrote, or one below the recordings directory.
///
/// # Errors
/// `ClipNotFound`, `MediaUnavailable`.
pub fn content(services: &Services, id: i64) -> Result<(Clip, OpenMedia)> {
    let clip = get(services, id)?;
    let media = services.files.open_clip(&clip)?;
    Ok((clip, media))
}

/// The waveform of a clip in `points` buckets.
///
/// # Errors
/// As [`content`]; `Invalid` for a wrong number of points, `NoAudio` for what cannot be decoded.
pub async fn waveform(services: &Services, id: i64, points: usize) -> Result<Vec<Peak>> {
    let (_, media) = content(services, id)?;
    peaks(services, media, points).await
}
