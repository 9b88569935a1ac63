//! Sound for tests: tones and silence of given levels.

use std::f64::consts::TAU;
use std::io::{self, Write};
use std::path::Path;

/// Samples a second.
const RATE: u32 = 16_000;
/// The longest sound, in seconds.
const LONGEST_S: f64 = 600.0;

/// A part of a sound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// How long it lasts.
    pub(super) seconds: f64,
    /// How loud it is, in dB below full scale; none is silence.
    pub(super) level_db: Option<f64>,
    /// Its tone, in Hz.
    pub(super) hz: f64,
}

/// Writes a mono WAV of 16 bits.
pub(super) fn write(path: &Path, parts: &[Part]) -> io::Result<()> {
    let total: f64 = parts.iter().map(|it| it.seconds).sum();
    if !(0.0..=LONGEST_S).contains(&total) {
        return Err(io::Error::other(format!("a sound lasts at most {LONGEST_S} s")));
    }
    let mut samples: Vec<u8> = Vec::new();
    for part in parts {
        let count = (part.seconds * f64::from(RATE)).round() as u64;
        // The level is that of the energy: a tone's peak is 3 dB above it.
        let peak = part.level_db.map_or(0.0, |it| (10_f64.powf(it / 20.0) * 2_f64.sqrt()).min(1.0));
        for n in 0..count {
            let sample = peak * (TAU * part.hz * n as f64 / f64::from(RATE)).sin();
            samples.extend(((sample * 32_767.0).round() as i16).to_le_bytes());
        }
    }
    let bytes = u32::try_from(samples.len()).map_err(io::Error::other)?;
    let mut file = std::fs::File::create(path)?;
    file.write_all(b"RIFF")?;
    file.write_all(&(36 + bytes).to_le_bytes())?;
    file.write_all(b"WAVEfmt ")?;
    file.write_all(&16_u32.to_le_bytes())?;
    file.write_all(&1_u16.to_le_bytes())?;
    file.write_all(&1_u16.to_le_bytes())?;
    file.write_all(&RATE.to_le_bytes())?;
    file.write_all(&(RATE * 2).to_le_bytes())?;
    file.write_all(&2_u16.to_le_bytes())?;
    file.write_all(&16_u16.to_le_bytes())?;
    file.write_all(b"data")?;
    file.write_all(&bytes.to_le_bytes())?;
    file.write_all(&samples)
}
