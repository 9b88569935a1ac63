//! What a file holds.

use std::path::Path;

use super::coded::Coded;
use super::decode::Audio;
use super::error::MediaError;
use super::source::Limited;
use super::stop::Scope;
use super::wav::Sample;

/// Up to this size a compressed file's frames are counted rather than believed.
const COUNT_UP_TO_BYTES: u64 = 256 * 1024 * 1024;

/// What [`probe`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// `wave`, `flac`, `mp3`, `aac`, `ogg`, `isomp4` or `matroska`.
    pub container: String,
    /// `pcm_s16le` and its like, `flac`, `mp3`, `vorbis`, `aac`, `alac`.
    pub codec: String,
    /// Frames per second (Hz).
    pub sample_rate: u32,
    /// Number of channels, 1 to 64.
    pub channels: u32,
    /// Bits per sample; `None` for lossy codecs.
    pub bits_per_sample: Option<u32>,
    /// Samples per channel; counted, but for compressed files above 256 MiB that state it.
    pub frames: u64,
    /// Seconds.
    pub duration_s: f64,
}

/// Tells what a file holds, as far as it counts.
///
/// A WAV with a header of unknown length, or cut off in the middle, holds the whole frames that are
/// there.
///
/// # Errors
/// When it is no audio, of a kind that is not decoded, damaged, or unreadable.
pub fn probe(path: &Path, scope: impl Into<Scope>) -> Result<Probe, MediaError> {
    let scope = &scope.into();
    match Audio::open(path, scope)? {
        Audio::Wav(w) => {
            let wav = w.wav();
            let (rate, frames) = (wav.format.rate, wav.frames);
            Ok(Probe {
                container: "wave".into(),
                codec: pcm_name(wav.format.sample).into(),
                sample_rate: rate,
                channels: u32::from(wav.format.channels),
                bits_per_sample: Some(u32::from(wav.format.bits)),
                frames,
                duration_s: frames as f64 / f64::from(rate),
            })
        }
        Audio::Coded(c) => {
            let mut probe = Probe {
                container: c.container().into(),
                codec: c.codec().into(),
                sample_rate: c.rate(),
                channels: c.channels() as u32,
                bits_per_sample: c.lossless_bits(),
                frames: 0,
                duration_s: 0.0,
            };
            probe.frames = coded_frames(*c, path, scope)?;
            probe.duration_s = probe.frames as f64 / f64::from(probe.sample_rate);
            Ok(probe)
        }
    }
}

/// Frames of a freshly opened compressed file; it is spent by this.
pub(super) fn coded_frames(coded: Coded, path: &Path, scope: &Scope) -> Result<u64, MediaError> {
    // A live file's header speaks of a length that is not there yet.
    let believe = scope.len.is_none() && Limited::open(path, scope)?.len() > COUNT_UP_TO_BYTES;
    match coded.claimed_frames() {
        Some(frames) if believe => Ok(frames),
        _ => coded.count_frames(),
    }
}

fn pcm_name(sample: Sample) -> &'static str {
    match sample {
        Sample::U8 => "pcm_u8",
        Sample::S16 => "pcm_s16le",
        Sample::S24 => "pcm_s24le",
        Sample::S32 => "pcm_s32le",
        Sample::F32 => "pcm_f32le",
        Sample::F64 => "pcm_f64le",
    }
}
