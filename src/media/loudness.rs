//! How loud a file is, after EBU R 128.

use std::path::Path;

use ebur128::{EbuR128, Mode};

use super::decode::Audio;
use super::error::MediaError;
use super::stop::Scope;

/// Loudness of a whole file; `None` where silence has no level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loudness {
    /// Gated loudness of the whole, in LUFS; `None` for silence and for less than 0.4 s.
    pub integrated_lufs: Option<f64>,
    /// Loudness range, in LU; 0 for what does not vary or is too short.
    pub range_lu: f64,
    /// Highest peak between the samples, in dB over full scale (dBTP).
    pub true_peak_dbfs: Option<f64>,
    /// Highest sample, in dB over full scale.
    pub sample_peak_dbfs: Option<f64>,
    /// Seconds measured.
    pub duration_s: f64,
}

/// Measures what counts of a file.
///
/// # Errors
/// What reading the file gives.
pub fn loudness(path: &Path, scope: impl Into<Scope>) -> Result<Loudness, MediaError> {
    let mut audio = Audio::open(path, &scope.into())?;
    let (rate, channels) = (audio.rate(), audio.channels());
    // The histogram keeps memory constant over days of audio.
    let mode = Mode::I | Mode::LRA | Mode::TRUE_PEAK | Mode::SAMPLE_PEAK | Mode::HISTOGRAM;
    let cannot = |e: ebur128::Error| MediaError::Unsupported {
        why: format!("loudness of {channels} channels at {rate} Hz ({e})"),
    };
    let mut meter = EbuR128::new(channels as u32, rate, mode).map_err(cannot)?;
    let mut frames = 0;
    let mut block = Vec::new();
    while audio.next(&mut block)? {
        frames += (block.len() / channels) as u64;
        meter.add_frames_f32(&block).map_err(cannot)?;
    }
    let (mut true_peak, mut sample_peak) = (0.0_f64, 0.0_f64);
    for channel in 0..channels as u32 {
        true_peak = true_peak.max(meter.true_peak(channel).map_err(cannot)?);
        sample_peak = sample_peak.max(meter.sample_peak(channel).map_err(cannot)?);
    }
    let range = meter.loudness_range().map_err(cannot)?;
    Ok(Loudness {
        integrated_lufs: finite(meter.loudness_global().map_err(cannot)?),
        range_lu: finite(range).unwrap_or(0.0),
        true_peak_dbfs: finite(20.0 * true_peak.log10()),
        sample_peak_dbfs: finite(20.0 * sample_peak.log10()),
        duration_s: frames as f64 / f64::from(rate),
    })
}

/// JSON knows no infinity.
fn finite(v: f64) -> Option<f64> {
    v.is_finite().then_some(v)
}
