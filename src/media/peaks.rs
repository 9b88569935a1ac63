//! The waveform for drawing, and the loudness over time for finding passages.

use std::path::Path;

use super::decode::Audio;
use super::error::MediaError;
use super::probe::coded_frames;
use super::stop::Scope;

/// More points than any screen has.
const MAX_POINTS: usize = 1_000_000;
/// More windows than an answer should hold.
const MAX_WINDOWS: f64 = 10_000_000.0;
/// What silence measures, in dBFS.
const SILENCE_DB: f32 = -120.0;

/// One bucket of a waveform; full scale is -1..1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Peak {
    /// The lowest sample of any channel.
    pub min: f32,
    /// The highest sample of any channel.
    pub max: f32,
    /// Root of the mean square over all channels.
    pub rms: f32,
}

/// The waveform of what counts of a file in `points` buckets of equal
/// length; a file of fewer samples gives one bucket per sample.
///
/// # Errors
/// `BadRange` when `points` is not 1 to 1 000 000, else what reading gives.
pub fn peaks(path: &Path, scope: impl Into<Scope>, points: usize) -> Result<Vec<Peak>, MediaError> {
    if points == 0 || points > MAX_POINTS {
        return Err(MediaError::bad_range(format!("points must be 1 to {MAX_POINTS}")));
    }
    let scope = &scope.into();
    let total = match Audio::open(path, scope)? {
        Audio::Wav(w) => w.wav().frames,
        Audio::Coded(c) => coded_frames(*c, path, scope)?,
    };
    let points = total.min(points as u64);
    let mut buckets = vec![Bucket::default(); points as usize];
    let mut frame: u64 = 0;
    let mut audio = Audio::open(path, scope)?;
    let channels = audio.channels();
    let mut block = Vec::new();
    while points > 0 && audio.next(&mut block)? {
        for samples in block.chunks_exact(channels) {
            // 128 bits: frames times points exceed 64 in a crafted header.
            let index = (u128::from(frame) * u128::from(points) / u128::from(total)) as u64;
            let index = index.min(points - 1) as usize;
            buckets[index].add(samples);
            frame += 1;
        }
    }
    Ok(buckets.into_iter().map(Bucket::peak).collect())
}

/// RMS over all channels per window of `window_s` seconds, in dBFS; silence is -120.
///
/// The last window may be shorter.
///
/// # Errors
/// `BadRange` when the window is not 0.001 to 3600 s or there would be more than ten million of
/// them, else what reading gives.
pub fn envelope(path: &Path, scope: impl Into<Scope>, window_s: f64) -> Result<Vec<f32>, MediaError> {
    if !(0.001..=3600.0).contains(&window_s) {
        return Err(MediaError::bad_range("the window must be 0.001 to 3600 seconds"));
    }
    let mut audio = Audio::open(path, &scope.into())?;
    let channels = audio.channels();
    let window = (window_s * f64::from(audio.rate())).round().max(1.0) as u64;
    let mut levels = Vec::new();
    let mut bucket = Bucket::default();
    let mut block = Vec::new();
    while audio.next(&mut block)? {
        for samples in block.chunks_exact(channels) {
            bucket.add(samples);
            if bucket.samples >= window * channels as u64 {
                levels.push(bucket.db());
                bucket = Bucket::default();
            }
        }
        if levels.len() as f64 > MAX_WINDOWS {
            return Err(MediaError::bad_range("the window is too short for so long a file"));
        }
    }
    if bucket.samples > 0 {
        levels.push(bucket.db());
    }
    Ok(levels)
}

#[derive(Clone, Default)]
struct Bucket {
    min: f32,
    max: f32,
    squares: f64,
    samples: u64,
}

impl Bucket {
    fn add(&mut self, samples: &[f32]) {
        for v in samples {
            if self.samples == 0 {
                (self.min, self.max) = (*v, *v);
            }
            self.min = self.min.min(*v);
            self.max = self.max.max(*v);
            self.squares += f64::from(*v) * f64::from(*v);
            self.samples += 1;
        }
    }

    fn rms(&self) -> f64 {
        if self.samples == 0 { 0.0 } else { (self.squares / self.samples as f64).sqrt() }
    }

    fn db(&self) -> f32 {
        ((20.0 * self.rms().log10()) as f32).max(SILENCE_DB)
    }

    fn peak(self) -> Peak {
        // Values stay within the documented scale, though float files may exceed it.
        let rms = self.rms().min(1.0) as f32;
        Peak { min: self.min.clamp(-1.0, 1.0), max: self.max.clamp(-1.0, 1.0), rms }
    }
}
