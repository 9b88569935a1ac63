//! The live tracks of a recording that ends become whole.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::media;
use crate::model::recording::{Recording, Track, TrackState};
use crate::model::time::Timestamp;
use crate::services::Services;
use crate::services::files::{Busy, MediaFiles};

use super::{Measured, busy};

/// The tracks of an ending recording, as they will be, held against writers until the row says so too.
#[derive(Default)]
pub struct Closing {
    tracks: BTreeMap<String, Track>,
    held: Vec<Busy>,
}

impl Closing {
    /// The tracks that became whole, by name.
    pub fn tracks(&self) -> impl Iterator<Item = (&String, &Track)> {
        self.tracks.iter()
    }

    /// How many writers are held off.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether the recording had no live track.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

/// Takes the live tracks over from their writers, mends their headers, probes and hashes them.
///
/// A file that cannot be read does not keep its recording from ending: its track says why.
///
/// # Errors
/// `Conflict` when the recording is being ended by somebody else.
pub async fn close_live(services: &Services, recording: &Recording) -> Result<Closing> {
    let mut closing = Closing::default();
    let live = recording.tracks.iter().filter(|(_, track)| track.state == TrackState::Live);
    for (name, track) in live {
        let held = services.files.live.close(&recording.id, name).await.ok_or_else(|| busy(name))?;
        let written = held.state.lock().await.written();
        let mut track = track.clone();
        if let Some(written) = written {
            track.size = i64::try_from(written).unwrap_or(track.size);
        }
        let (files, now) = (services.files.clone(), services.now());
        let whole = services.blocking.run(move || Ok(make_whole(&files, track, now))).await?;
        closing.tracks.insert(name.clone(), whole);
        closing.held.push(held);
    }
    Ok(closing)
}

/// Cuts off what was not acknowledged, mends the header, probes and hashes. Blocks.
pub(super) fn make_whole(files: &MediaFiles, mut track: Track, now: Timestamp) -> Track {
    let path = files.own(&track.path);
    track.state = TrackState::Stored;
    track.updated_at = now;
    let mend = || -> std::io::Result<()> {
        let file = std::fs::OpenOptions::new().write(true).open(&path)?;
        let wanted = u64::try_from(track.size).unwrap_or_default();
        if file.metadata()?.len() > wanted {
            file.set_len(wanted)?;
        }
        file.sync_all()
    };
    if let Err(error) = mend() {
        log::error!("the track {} cannot be closed: {error}", track.path);
        track.probe_error = Some(format!("its file cannot be read: {error}"));
        return track;
    }
    // What is no WAV, or a damaged one, stays as it came; probing says so below.
    if let Err(error) = media::mend_wav_header(&path) {
        log::debug!("the header of {} is not mended: {error}", track.path);
    }
    let measured = Measured::of(&path, None);
    track.duration = measured.duration;
    track.codec = measured.codec;
    track.sample_rate = measured.sample_rate;
    track.channels = measured.channels;
    track.probe_error = measured.probe_error;
    track.sha256 = media::sha256_file(&path, None).ok();
    track
}
