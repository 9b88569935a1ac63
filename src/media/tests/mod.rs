//! Files to test with, and what they must give.

mod coded;
mod hostile;
mod live;
mod measure;
mod passages;
mod voices;
mod wav;

use std::path::{Path, PathBuf};

use super::{Cut, CutRange, MediaError, cut};

/// A folder that goes away.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A committed file of `tests/fixtures/audio`.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio").join(name)
}

/// Frame `i` of the triangle with this period; the fixtures hold the same.
fn triangle(i: u32, period: u32, step: i32) -> i32 {
    let x = i % period;
    x.min(period - x) as i32 * step - period as i32 * step / 4
}

/// The triangle of the fixtures: two channels, 8 kHz, one second.
fn triangles(step: i32) -> Vec<i32> {
    (0..8000).flat_map(|i| [triangle(i, 400, step), triangle(i, 162, step)]).collect()
}

/// Writes a finished integer WAV with another hand than ours.
fn write_wav(path: &Path, rate: u32, channels: u16, bits: u16, samples: &[i32]) {
    let spec = hound::WavSpec {
        channels,
        sample_rate: rate,
        bits_per_sample: bits,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    samples.iter().for_each(|s| writer.write_sample(*s).unwrap());
    writer.finalize().unwrap();
}

/// Writes a finished float WAV.
fn write_float(path: &Path, rate: u32, channels: u16, samples: &[f32]) {
    let spec = hound::WavSpec {
        channels,
        sample_rate: rate,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    samples.iter().for_each(|s| writer.write_sample(*s).unwrap());
    writer.finalize().unwrap();
}

/// A sine as samples of `amplitude` 0..1.
fn sine(rate: u32, hz: f64, seconds: f64, amplitude: f64) -> Vec<f32> {
    (0..(seconds * f64::from(rate)) as u32)
        .map(|i| {
            let t = f64::from(i) / f64::from(rate);
            (amplitude * (t * hz * std::f64::consts::TAU).sin()) as f32
        })
        .collect()
}

/// The integer samples of a WAV, read with another eye than ours.
fn samples(path: &Path) -> Vec<i32> {
    let mut reader = hound::WavReader::open(path).unwrap();
    reader.samples::<i32>().map(Result::unwrap).collect()
}

/// A header for `data` bytes of 16-bit mono at 8 kHz; sizes as given, true or not.
fn header(riff: u32, data: u32) -> Vec<u8> {
    let mut head = b"RIFF".to_vec();
    head.extend(riff.to_le_bytes());
    head.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    head.extend(8000u32.to_le_bytes());
    head.extend(16_000u32.to_le_bytes());
    head.extend(b"\x02\0\x10\0data");
    head.extend(data.to_le_bytes());
    head
}

/// Cuts between two times.
fn between(path: &Path, start_s: f64, end_s: f64, out: &Path) -> Result<Cut, MediaError> {
    cut(path, None, CutRange::Between { start_s, end_s }, out)
}
