//! Writing audio that was computed, as loud as a sample can be and no louder.

use std::path::Path;

use super::error::MediaError;
use super::wav::{WavWriter, float_fmt, pcm_fmt};

/// What a new file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Samples per channel.
    pub frames: u64,
    /// Seconds.
    pub duration_s: f64,
    /// Hz.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: u32,
    /// Bits per sample.
    pub bits_per_sample: u32,
    /// Size of the new file.
    pub bytes: u64,
}

/// Frames of one step of the gain.
const STEP: usize = 480;

/// A new WAV. Integer samples that would be too loud are turned down over a few hundredths of a second around
/// them, all channels alike; float samples have no ceiling.
pub(super) struct Maker {
    writer: WavWriter,
    rate: u32,
    /// Bytes of an integer sample; floats without.
    width: Option<usize>,
    waiting: Vec<Vec<f32>>,
    /// The step before, which waits to see how loud the next is: its frames, its gain and the gain at its beginning.
    held: Option<(Vec<Vec<f32>>, f32)>,
    edge: f32,
    frames: u64,
    bytes: Vec<u8>,
}

impl Maker {
    /// Creates `path`; `integer_bits` is what an integer sample should hold, none for floats.
    pub(super) fn create(
        path: &Path,
        rate: u32,
        channels: usize,
        integer_bits: Option<u32>,
        expected_frames: u64,
    ) -> Result<Self, MediaError> {
        // 24 bits hold more than any microphone; what comes from lossy codecs fits into 16.
        let width = integer_bits.map(|bits| if bits <= 16 { 2 } else { 3 });
        let fmt = match width {
            Some(width) => pcm_fmt(rate, channels as u16, width as u16),
            None => float_fmt(rate, channels as u16),
        };
        let expected = expected_frames.saturating_mul((channels * width.unwrap_or(4)) as u64);
        Ok(Maker {
            writer: WavWriter::create(path, fmt, expected)?,
            rate,
            width,
            waiting: vec![Vec::new(); channels],
            held: None,
            edge: 1.0,
            frames: 0,
            bytes: Vec::new(),
        })
    }

    /// Appends a block of planar samples.
    pub(super) fn push(&mut self, block: &[Vec<f32>]) -> Result<(), MediaError> {
        for (waiting, samples) in self.waiting.iter_mut().zip(block) {
            waiting.extend_from_slice(samples);
        }
        while self.waiting[0].len() >= STEP {
            let step = self.waiting.iter_mut().map(|it| it.drain(..STEP).collect()).collect();
            self.hold(step)?;
        }
        Ok(())
    }

    /// Writes what is left and the true sizes.
    pub(super) fn finish(mut self) -> Result<Made, MediaError> {
        let rest = std::mem::take(&mut self.waiting);
        let channels = rest.len() as u32;
        if !rest[0].is_empty() {
            self.hold(rest)?;
        }
        if let Some((last, gain)) = self.held.take() {
            self.write(&last, gain)?;
        }
        Ok(Made {
            frames: self.frames,
            duration_s: self.frames as f64 / f64::from(self.rate),
            sample_rate: self.rate,
            channels,
            bits_per_sample: self.width.unwrap_or(4) as u32 * 8,
            bytes: self.writer.finish()?,
        })
    }

    fn hold(&mut self, step: Vec<Vec<f32>>) -> Result<(), MediaError> {
        let gain = self.gain_for(&step);
        match self.held.replace((step, gain)) {
            Some((before, its_gain)) => self.write(&before, its_gain.min(gain)),
            None => {
                self.edge = gain;
                Ok(())
            }
        }
    }

    /// The most a step may be turned up and still fit.
    fn gain_for(&self, step: &[Vec<f32>]) -> f32 {
        let peak = step.iter().flatten().fold(0.0_f32, |peak, it| peak.max(it.abs()));
        if self.width.is_some() && peak > 1.0 { 1.0 / peak } else { 1.0 }
    }

    /// Writes a step whose gain goes from `edge` to `to`; both fit the loudest sample in it.
    fn write(&mut self, step: &[Vec<f32>], to: f32) -> Result<(), MediaError> {
        let frames = step[0].len();
        self.bytes.clear();
        for n in 0..frames {
            let gain = self.edge + (to - self.edge) * (n as f32 / frames as f32);
            for samples in step {
                let sample = samples[n] * gain;
                // Casts saturate and make not-a-number silence.
                match self.width {
                    None => self.bytes.extend(sample.to_le_bytes()),
                    Some(2) => self.bytes.extend(((sample * 32_768.0).round() as i16).to_le_bytes()),
                    Some(_) => {
                        let whole = ((sample * 8_388_608.0).round() as i32).clamp(-8_388_608, 8_388_607);
                        self.bytes.extend(&whole.to_le_bytes()[..3]);
                    }
                }
            }
        }
        self.edge = to;
        self.frames += frames as u64;
        Ok(self.writer.write(&self.bytes)?)
    }
}
