//! Reading and removing tracks.

use std::sync::Arc;

use serde_json::Value;

use crate::error::Result;
use crate::media::{self, Peak};
use crate::model::call::Caller;
use crate::model::recording::{Track, TrackOrigin};
use crate::services::files::{OpenMedia, media_error};
use crate::services::recordings::{not_found, subject, to_json};
use crate::services::{Services, news};

use super::{busy, recording_for, track_not_found};

/// A track's row and its open file; of a live track, what was acknowledged.
///
/// # Errors
/// `RecordingNotFound`, `TrackNotFound`, `MediaUnavailable`.
pub fn open(services: &Services, id: &str, track: &str) -> Result<(Track, OpenMedia)> {
    let recording = recording_for(services, id, track)?;
    let row = recording.tracks.get(track).cloned().ok_or_else(|| track_not_found(id, track))?;
    let media = services.files.open_track(&row)?;
    Ok((row, media))
}

/// The waveform of a track in `points` buckets.
///
/// # Errors
/// As [`open`]; `Invalid` for a wrong number of points, `NoAudio` for what cannot be decoded.
pub async fn waveform(services: &Services, id: &str, track: &str, points: usize) -> Result<Vec<Peak>> {
    let (_, media) = open(services, id, track)?;
    peaks(services, media, points).await
}

/// The waveform of an open file.
pub(in crate::services) async fn peaks(
    services: &Services,
    media: OpenMedia,
    points: usize,
) -> Result<Vec<Peak>> {
    services
        .blocking
        .run(move || media::peaks(&media.path(), media.limit(), points).map_err(media_error))
        .await
}

/// Removes a track; its file too when the server wrote it. Tells `recording.updated`.
///
/// # Errors
/// `RecordingNotFound`, `TrackNotFound`; `Conflict` while somebody writes it.
pub async fn delete(services: &Services, caller: &Caller, id: &str, track: &str) -> Result<()> {
    recording_for(services, id, track)?;
    let _held = services.files.live.begin(id, track).ok_or_else(|| busy(track))?;
    let (journal, caller, now) = (services.journal.clone(), caller.clone(), services.now());
    let (id, name) = (id.to_owned(), track.to_owned());
    let gone = services
        .store
        .write_freeing(move |tx| {
            let mut recording = tx.recording(&id)?.ok_or_else(|| not_found(&id))?;
            let gone = recording.tracks.remove(&name).ok_or_else(|| track_not_found(&id, &name))?;
            tx.delete_track(&id, &name)?;
            recording.updated_at = now;
            recording.version = tx.update_recording(&recording)?;
            let data = Arc::new(Value::Object(to_json(&recording)?));
            journal.publish(tx, news("recording.updated", subject(&id), data), &caller)?;
            Ok(gone)
        })
        .await?;
    if gone.origin == TrackOrigin::Server {
        let files = services.files.clone();
        services.blocking.run(move || files.remove_own(&gone.path)).await?;
    }
    Ok(())
}
