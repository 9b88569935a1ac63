//! A passage of a file as a new WAV, exact to the sample.

use std::fs;
use std::path::Path;

use super::coded::Coded;
use super::decode::Audio;
use super::error::MediaError;
use super::probe::coded_frames;
use super::source::Limited;
use super::stop::Scope;
use super::wav::{Wav, WavWriter, pcm_fmt};

/// Which passage to cut; seconds of audio from the file's start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CutRange {
    /// From `start_s` to `end_s`, which is clipped to what is there.
    Between {
        /// First second.
        start_s: f64,
        /// Last second, not included.
        end_s: f64,
    },
    /// The last `seconds` before the last received byte, clipped to what is there.
    Last {
        /// How long.
        seconds: f64,
    },
}

/// What [`cut`] wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    /// Samples per channel.
    pub frames: u64,
    /// Seconds.
    pub duration_s: f64,
    /// Hz.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: u32,
    /// Bits per sample in the new file.
    pub bits_per_sample: u32,
    /// Size of the new file.
    pub bytes: u64,
    /// Where the passage begins in the source, in seconds.
    pub start_s: f64,
    /// Where it ends in the source, in seconds.
    pub end_s: f64,
}

/// Cuts a passage of what counts of `path` into the new file `out`.
///
/// It runs from sample `round(start * rate)` up to and without `round(end * rate)`. PCM and float
/// WAV are copied as they are; FLAC, ALAC and PCM in other containers keep their bits (in whole
/// bytes); lossy codecs become 16-bit PCM. Encoder delay is left out for MP3 and Ogg Vorbis; in MP4 the
/// edit list is not read, so that AAC counts its priming (usually 1024 frames) as audio. `out` is created or overwritten, synced, and removed
/// again after an error; renaming it is the caller's.
///
/// # Errors
/// `OutOfRange` when the passage begins at or beyond the end, `BadRange` when it is not a
/// passage, else what reading the source or writing the file gives.
pub fn cut(path: &Path, scope: impl Into<Scope>, range: CutRange, out: &Path) -> Result<Cut, MediaError> {
    range.check()?;
    let scope = &scope.into();
    let audio = Audio::open(path, scope)?;
    let (rate, channels) = (audio.rate(), audio.channels() as u32);
    let (total, coded) = match audio {
        Audio::Wav(w) => (w.wav().frames, None),
        Audio::Coded(c) => {
            let bits = c.lossless_bits();
            (coded_frames(*c, path, scope)?, Some(bits))
        }
    };
    let (start, end) = range.frames(rate, total)?;
    let written = match coded {
        None => copy_wav(path, scope, start, end, out),
        Some(bits) => transcode(path, scope, start, end, bits, out),
    };
    let written = written.inspect_err(|_| {
        // The error says enough; a half file that stays is the sweeper's.
        fs::remove_file(out).ok();
    })?;
    let seconds = |frames: u64| frames as f64 / f64::from(rate);
    Ok(Cut {
        frames: written.frames,
        duration_s: seconds(written.frames),
        sample_rate: rate,
        channels,
        bits_per_sample: written.bits,
        bytes: written.bytes,
        start_s: seconds(start),
        end_s: seconds(start + written.frames),
    })
}

impl CutRange {
    fn check(self) -> Result<(), MediaError> {
        let why = match self {
            Self::Between { start_s, end_s } if !start_s.is_finite() || !end_s.is_finite() => {
                "start and end must be numbers of seconds"
            }
            Self::Between { start_s, .. } if start_s < 0.0 => "start must not be negative",
            Self::Between { start_s, end_s } if end_s <= start_s => "end must come after start",
            Self::Last { seconds } if !seconds.is_finite() || seconds <= 0.0 => {
                "last must be a positive number of seconds"
            }
            _ => return Ok(()),
        };
        Err(MediaError::bad_range(why))
    }

    /// First frame and the frame after the last, within `total`.
    fn frames(self, rate: u32, total: u64) -> Result<(u64, u64), MediaError> {
        let rate = f64::from(rate);
        // Casts saturate, so that a passage of a million years ends at the end.
        let frame = |seconds: f64| (seconds * rate).round() as u64;
        let duration_s = total as f64 / rate;
        let (start, end) = match self {
            Self::Between { start_s, end_s } => {
                let (start, end) = (frame(start_s), frame(end_s).min(total));
                if start >= total {
                    return Err(MediaError::OutOfRange { start_s, end_s, duration_s });
                }
                (start, end)
            }
            Self::Last { .. } if total == 0 => {
                return Err(MediaError::OutOfRange { start_s: 0.0, end_s: 0.0, duration_s });
            }
            Self::Last { seconds } => (total.saturating_sub(frame(seconds)), total),
        };
        if end <= start {
            return Err(MediaError::bad_range("the passage is shorter than one sample"));
        }
        Ok((start, end))
    }
}

struct Written {
    frames: u64,
    bits: u32,
    bytes: u64,
}

/// Copies frames byte by byte: the same format, whatever the size of the source.
fn copy_wav(path: &Path, scope: &Scope, start: u64, end: u64, out: &Path) -> Result<Written, MediaError> {
    let mut source = Limited::open(path, scope)?;
    let total = source.len();
    let Some(wav) = Wav::parse(&mut source, total)? else {
        return Err(MediaError::damaged("it changed while it was read"));
    };
    let frame_bytes = wav.format.frame_bytes();
    let bytes = (end - start) * frame_bytes;
    let mut writer = WavWriter::create(out, wav.format.raw, bytes)?;
    let from = source.into_file_at(wav.data_start + start * frame_bytes)?;
    if writer.copy(from, bytes, &scope.stop)? != bytes {
        return Err(MediaError::damaged("it became shorter while it was read"));
    }
    let bits = wav.format.sample.bytes() as u32 * 8;
    Ok(Written { frames: end - start, bits, bytes: writer.finish()? })
}

fn transcode(
    path: &Path,
    scope: &Scope,
    start: u64,
    end: u64,
    lossless_bits: Option<u32>,
    out: &Path,
) -> Result<Written, MediaError> {
    let mut coded = Coded::open(Limited::open(path, scope)?)?;
    if !coded.seek_before(start)? {
        coded = Coded::open(Limited::open(path, scope)?)?;
    }
    let (rate, channels) = (coded.rate(), coded.channels());
    let width = lossless_bits.unwrap_or(16).clamp(1, 32).div_ceil(8) as usize;
    let fmt = pcm_fmt(rate, channels as u16, width as u16);
    let mut writer = WavWriter::create(out, fmt, (end - start) * (channels * width) as u64)?;
    let mut frames = 0;
    let mut bytes = Vec::new();
    if lossless_bits.is_some() {
        let mut block: Vec<i32> = Vec::new();
        while let Some(at) = coded.next(&mut block)? {
            let Some(part) = overlap(at, &block, channels, start, end) else {
                break;
            };
            bytes.clear();
            part.iter().for_each(|v| push_int(*v, width, &mut bytes));
            writer.write(&bytes)?;
            frames += (part.len() / channels) as u64;
        }
    } else {
        let mut block: Vec<f32> = Vec::new();
        while let Some(at) = coded.next(&mut block)? {
            let Some(part) = overlap(at, &block, channels, start, end) else {
                break;
            };
            bytes.clear();
            for v in part {
                // The cast saturates and makes not-a-number silence.
                bytes.extend(((v * 32_768.0).round() as i16).to_le_bytes());
            }
            writer.write(&bytes)?;
            frames += (part.len() / channels) as u64;
        }
    }
    if frames == 0 {
        return Err(MediaError::damaged("the passage cannot be decoded"));
    }
    Ok(Written { frames, bits: width as u32 * 8, bytes: writer.finish()? })
}

/// The part of a block beginning at frame `at` that lies in the passage; `None` beyond its end.
fn overlap<S>(at: u64, block: &[S], channels: usize, start: u64, end: u64) -> Option<&[S]> {
    if at >= end {
        return None;
    }
    let frames = (block.len() / channels) as u64;
    let from = start.saturating_sub(at).min(frames) as usize;
    let to = (end - at).min(frames) as usize;
    Some(&block[from * channels..to.max(from) * channels])
}

/// A sample that fills 32 bits from the top, as `width` little-endian bytes.
fn push_int(v: i32, width: usize, to: &mut Vec<u8>) {
    match width {
        // 8-bit WAV is unsigned.
        1 => to.push(((v >> 24) + 128) as u8),
        w => to.extend(&v.to_le_bytes()[4 - w..]),
    }
}
