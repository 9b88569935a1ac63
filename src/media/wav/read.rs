//! The frames of a WAV as numbers.

use std::io::{BufReader, Read, Seek, SeekFrom};

use super::header::{Sample, Wav};
use crate::media::error::MediaError;
use crate::media::source::Limited;

/// Frames handed out at a time.
const BLOCK_FRAMES: u64 = 4096;

/// Reads a WAV's audio from its first frame to its last, whole frames only.
pub(in crate::media) struct WavFrames {
    from: BufReader<Limited>,
    wav: Wav,
    left: u64,
    bytes: Vec<u8>,
}

impl WavFrames {
    pub(in crate::media) fn new(source: Limited, wav: Wav) -> Result<Self, MediaError> {
        let mut from = BufReader::with_capacity(64 * 1024, source);
        from.seek(SeekFrom::Start(wav.data_start))?;
        let left = wav.frames;
        Ok(Self { from, wav, left, bytes: Vec::new() })
    }

    pub(in crate::media) fn wav(&self) -> &Wav {
        &self.wav
    }

    /// Leaves out the next `frames` frames.
    pub(in crate::media) fn skip(&mut self, frames: u64) -> Result<(), MediaError> {
        let frames = frames.min(self.left);
        self.left -= frames;
        let at = (self.wav.frames - self.left) * self.wav.format.frame_bytes();
        self.from.seek(SeekFrom::Start(self.wav.data_start + at))?;
        Ok(())
    }

    /// Replaces `out` by the next interleaved samples (-1..1); `false` at the end.
    pub(in crate::media) fn next(&mut self, out: &mut Vec<f32>) -> Result<bool, MediaError> {
        out.clear();
        let frames = self.left.min(BLOCK_FRAMES);
        if frames == 0 {
            return Ok(false);
        }
        self.bytes.resize((frames * self.wav.format.frame_bytes()) as usize, 0);
        self.from.read_exact(&mut self.bytes)?;
        self.left -= frames;
        to_f32(self.wav.format.sample, &self.bytes, out);
        Ok(true)
    }
}

fn to_f32(sample: Sample, bytes: &[u8], out: &mut Vec<f32>) {
    let chunks = bytes.chunks_exact(sample.bytes());
    match sample {
        Sample::U8 => out.extend(bytes.iter().map(|b| (f32::from(*b) - 128.0) / 128.0)),
        Sample::S16 => {
            out.extend(chunks.map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0));
        }
        Sample::S24 => {
            out.extend(chunks.map(|b| (i32::from_le_bytes([0, b[0], b[1], b[2]]) >> 8) as f32 / 8_388_608.0))
        }
        Sample::S32 => {
            out.extend(chunks.map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f32 / 2_147_483_648.0))
        }
        Sample::F32 => {
            out.extend(chunks.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).map(sane));
        }
        Sample::F64 => out.extend(
            chunks
                .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
                .map(|v| sane(v as f32)),
        ),
    }
}

/// Not-a-number would poison every sum it enters; absurdly loud samples would overflow them.
pub(in crate::media) fn sane(v: f32) -> f32 {
    if v.is_finite() { v.clamp(-1e6, 1e6) } else { 0.0 }
}
