//! What is found out about a file when it arrives.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, FieldError, Result};
use crate::media;
use crate::model::recording::{Track, TrackOrigin, TrackState};
use crate::model::time::Timestamp;
use crate::services::Services;
use crate::services::recordings::Dialect;

/// What probing found, or why it found nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// Seconds.
    pub duration: Option<f64>,
    /// Codec.
    pub codec: Option<String>,
    /// Samples a second.
    pub sample_rate: Option<i32>,
    /// Channels.
    pub channels: Option<i32>,
    /// Why it cannot be decoded.
    pub probe_error: Option<String>,
}

impl Measured {
    /// Probes the first `len` bytes of a file. Blocks.
    pub fn of(path: &Path, len: Option<u64>) -> Self {
        match media::probe(path, len) {
            Ok(probe) => Measured {
                duration: Some(probe.duration_s),
                codec: Some(probe.codec),
                sample_rate: i32::try_from(probe.sample_rate).ok(),
                channels: i32::try_from(probe.channels).ok(),
                probe_error: None,
            },
            Err(error) => Measured { probe_error: Some(error.to_string()), ..Measured::default() },
        }
    }

    /// The track of this measure.
    pub(in crate::services) fn track(
        self,
        path: String,
        origin: TrackOrigin,
        size: u64,
        now: Timestamp,
    ) -> Track {
        Track {
            path,
            origin,
            state: TrackState::Stored,
            size: i64::try_from(size).unwrap_or(i64::MAX),
            duration: self.duration,
            codec: self.codec,
            sample_rate: self.sample_rate,
            channels: self.channels,
            sha256: None,
            probe_error: self.probe_error,
            created_at: now,
            updated_at: now,
        }
    }
}

/// The tracks whose files a client on the same machine named: below the recordings directory only.
///
/// A path outside is refused; from older clients, whose recordings are never turned away, it is kept as text
/// that is never opened.
///
/// # Errors
/// `Invalid` with all paths that lie outside.
pub async fn named_by_client(
    services: &Services,
    paths: BTreeMap<String, String>,
    dialect: Dialect,
) -> Result<BTreeMap<String, Track>> {
    if paths.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (files, now) = (services.files.clone(), services.now());
    let (mut tracks, mut faults) = (BTreeMap::new(), Vec::new());
    for (name, path) in paths {
        match files.client_path(&path) {
            Some(inside) => {
                tracks.insert(name, (inside.to_string_lossy().into_owned(), true));
            }
            None if dialect == Dialect::Older => {
                log::warn!(
                    "the file of track `{name}` lies outside of the recordings directory: it is not read"
                );
                tracks.insert(name, (path, false));
            }
            None => faults.push(FieldError {
                pointer: format!("/tracks/{name}"),
                message: format!(
                    "must lie below the recordings directory {} (setting `recordings_dir`)",
                    services.settings.recordings_dir.display()
                ),
            }),
        }
    }
    if !faults.is_empty() {
        return Err(Error::fields(faults));
    }
    let measure = move || {
        let measured = tracks.into_iter().map(|(name, (path, inside))| {
            let outside = "lies outside of the recordings directory: it is not read";
            let unread = |why: &str| Measured { probe_error: Some(why.to_owned()), ..Measured::default() };
            let track = match files.open_client(&path) {
                _ if !inside => unread(outside).track(path, TrackOrigin::Client, 0, now),
                Ok(media) => {
                    Measured::of(&media.path(), None).track(path, TrackOrigin::Client, media.len, now)
                }
                Err(error) => unread(&error.detail).track(path, TrackOrigin::Client, 0, now),
            };
            (name, track)
        });
        Ok(measured.collect())
    };
    services.blocking.run(measure).await
}
