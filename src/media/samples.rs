//! A passage as plain samples, for whoever wants to compute with them.

use std::path::Path;

use super::error::MediaError;
use super::probe::probe;
use super::stop::Scope;
use super::stream::Stream;

/// Frames read at a time.
const BLOCK: usize = 16 << 10;

/// All channels of a passage mixed into one.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// 32-bit floats, little-endian, one after another; full scale is -1..1.
    pub bytes: Vec<u8>,
    /// Hz.
    pub sample_rate: u32,
}

/// Reads what counts of `path` from `start_s` on for `duration_s` seconds (`None`: to the end), at `rate` Hz
/// (`None`: as it is).
///
/// # Errors
/// `TooLong` when there are more than `most` samples, `OutOfRange` when the passage begins at or beyond the end,
/// `BadRange` when it is none, else what reading gives.
pub fn samples(
    path: &Path,
    scope: impl Into<Scope>,
    rate: Option<u32>,
    start_s: f64,
    duration_s: Option<f64>,
    most: usize,
) -> Result<Samples, MediaError> {
    if !start_s.is_finite() || start_s < 0.0 || duration_s.is_some_and(|it| !it.is_finite() || it <= 0.0) {
        return Err(MediaError::bad_range("start must not be negative, duration must be above 0"));
    }
    let scope = scope.into();
    let own = Stream::open(path, &scope)?.rate();
    let rate = rate.unwrap_or(own);
    // Casts saturate, so that a passage of a million years ends at the end.
    let start = (start_s * f64::from(own)).round() as u64;
    let frames = duration_s.map_or(u64::MAX, |it| (it * f64::from(own)).ceil() as u64);
    // A frame of the file may last for many of the answer.
    let mut left = duration_s.map_or(usize::MAX, |it| (it * f64::from(rate)).round() as usize);
    if left == 0 {
        return Err(MediaError::bad_range("the passage is shorter than one sample"));
    }
    let stream = Stream::open_at(path, &scope, start, frames)?;
    let mut stream = stream.mono().at_rate(rate)?;
    let mut bytes = Vec::new();
    let mut block = Vec::new();
    loop {
        let there = stream.read(BLOCK.min(left), &mut block)?;
        left -= there;
        if bytes.len() / 4 + there > most {
            return Err(MediaError::TooLong { most });
        }
        block[0].iter().for_each(|it| bytes.extend(it.to_le_bytes()));
        if there < BLOCK || left == 0 {
            break;
        }
    }
    if bytes.is_empty() && start_s > 0.0 {
        let duration_s = probe(path, scope)?.duration_s;
        return Err(MediaError::OutOfRange { start_s, end_s: start_s, duration_s });
    }
    Ok(Samples { bytes, sample_rate: rate })
}
