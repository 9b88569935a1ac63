//! Real WAV bytes made by the test: tones, ramps and silence.

use std::f64::consts::TAU;

/// 16-bit mono PCM at `rate`, `seconds` long, with `sample(second)` in -1..1.
pub fn wav(rate: u32, seconds: f64, sample: impl Fn(f64) -> f64) -> Vec<u8> {
    let frames = (f64::from(rate) * seconds).round() as u32;
    let samples = (0..frames).map(|it| (sample(f64::from(it) / f64::from(rate)) * 32_767.0).round() as i16);
    wav_of(rate, &samples.collect::<Vec<_>>())
}

/// 16-bit mono PCM with exactly these samples.
pub fn wav_of(rate: u32, samples: &[i16]) -> Vec<u8> {
    let mut bytes = header(rate, samples.len() as u32 * 2);
    bytes.extend(samples.iter().flat_map(|it| it.to_le_bytes()));
    bytes
}

/// The header of 16-bit mono PCM with `data_bytes` of samples; a live stream writes 0xFFFFFFFF.
pub fn header(rate: u32, data_bytes: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(44);
    bytes.extend(b"RIFF");
    bytes.extend(data_bytes.saturating_add(36).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16u32.to_le_bytes());
    bytes.extend([1, 0, 1, 0]);
    bytes.extend(rate.to_le_bytes());
    bytes.extend((rate * 2).to_le_bytes());
    bytes.extend([2, 0, 16, 0]);
    bytes.extend(b"data");
    bytes.extend(data_bytes.to_le_bytes());
    bytes
}

/// A tone of `hertz` at `level` (0..1).
pub fn tone(hertz: f64, level: f64) -> impl Fn(f64) -> f64 {
    move |second| (second * hertz * TAU).sin() * level
}

/// The samples of 16-bit mono PCM bytes that begin with a 44-byte header or any chunks before `data`.
pub fn samples(bytes: &[u8]) -> Vec<i16> {
    let at = bytes.windows(4).position(|it| it == b"data").expect("a data chunk") + 8;
    bytes[at..].chunks_exact(2).map(|it| i16::from_le_bytes([it[0], it[1]])).collect()
}
