//! One reader for every format: interleaved samples block by block.

use std::path::Path;

use super::coded::Coded;
use super::error::MediaError;
use super::source::Limited;
use super::stop::Scope;
use super::wav::{Sample, Wav, WavFrames, sane};

/// A file whose audio can be read.
pub(super) enum Audio {
    /// WAV with PCM or float samples, read here.
    Wav(Box<WavFrames>),
    /// Everything else.
    Coded(Box<Coded>),
}

impl Audio {
    /// Opens what counts of a file.
    pub(super) fn open(path: &Path, scope: &Scope) -> Result<Self, MediaError> {
        let mut source = Limited::open(path, scope)?;
        let total = source.len();
        if total == 0 {
            return Err(MediaError::Truncated);
        }
        match Wav::parse(&mut source, total) {
            Ok(Some(wav)) => return Ok(Self::Wav(Box::new(WavFrames::new(source, wav)?))),
            Ok(None) => {}
            // Telephone codecs in a WAV are the other reader's; if it fails too, ours says why.
            Err(MediaError::Unsupported { why }) => {
                return Coded::open(Limited::open(path, scope)?)
                    .map(|c| Self::Coded(Box::new(c)))
                    .map_err(|_| MediaError::Unsupported { why });
            }
            Err(e) => return Err(e),
        }
        Ok(Self::Coded(Box::new(Coded::open(Limited::open(path, scope)?)?)))
    }

    /// Hz.
    pub(super) fn rate(&self) -> u32 {
        match self {
            Self::Wav(w) => w.wav().format.rate,
            Self::Coded(c) => c.rate(),
        }
    }

    /// 1 to 64.
    pub(super) fn channels(&self) -> usize {
        match self {
            Self::Wav(w) => usize::from(w.wav().format.channels),
            Self::Coded(c) => c.channels(),
        }
    }

    /// Opens what counts of a file at `frame`, and tells how many frames are to be left out to be there.
    pub(super) fn open_at(path: &Path, scope: &Scope, frame: u64) -> Result<(Self, u64), MediaError> {
        let mut audio = Self::open(path, scope)?;
        match &mut audio {
            Self::Wav(w) => {
                w.skip(frame)?;
                return Ok((audio, 0));
            }
            Self::Coded(c) => {
                if c.seek_before(frame)? {
                    let mut block: Vec<f32> = Vec::new();
                    // The first block after a seek tells where it is.
                    let at = c.next(&mut block)?;
                    let left_out = at.map(|at| at + (block.len() / c.channels()) as u64);
                    if let Some(there) = left_out.filter(|it| *it <= frame) {
                        return Ok((audio, frame - there));
                    }
                }
            }
        }
        Ok((Self::open(path, scope)?, frame))
    }

    /// Bits that an integer sample needs to hold this audio; none when its samples are floats.
    pub(super) fn integer_bits(&self) -> Option<u32> {
        match self {
            Self::Wav(w) => match w.wav().format.sample {
                Sample::F32 | Sample::F64 => None,
                sample => Some(sample.bytes() as u32 * 8),
            },
            Self::Coded(c) => Some(c.lossless_bits().unwrap_or(16)),
        }
    }

    /// Replaces `out` by the next interleaved samples (full scale is -1..1, always finite);
    /// `false` at the end.
    pub(super) fn next(&mut self, out: &mut Vec<f32>) -> Result<bool, MediaError> {
        match self {
            Self::Wav(w) => w.next(out),
            Self::Coded(c) => {
                let more = c.next(out)?.is_some();
                out.iter_mut().for_each(|v| *v = sane(*v));
                Ok(more)
            }
        }
    }
}
