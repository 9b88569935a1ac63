//! One reader for every format: interleaved samples block by block.

use std::path::Path;

use super::coded::Coded;
use super::error::MediaError;
use super::source::Limited;
use super::wav::{Wav, WavFrames, sane};

/// A file whose audio can be read.
pub(super) enum Audio {
    /// WAV with PCM or float samples, read here.
    Wav(Box<WavFrames>),
    /// Everything else.
    Coded(Box<Coded>),
}

impl Audio {
    /// Opens the first `len` bytes of a file.
    pub(super) fn open(path: &Path, len: Option<u64>) -> Result<Self, MediaError> {
        let mut source = Limited::open(path, len)?;
        let total = source.len();
        if total == 0 {
            return Err(MediaError::Truncated);
        }
        match Wav::parse(&mut source, total) {
            Ok(Some(wav)) => return Ok(Self::Wav(Box::new(WavFrames::new(source, wav)?))),
            Ok(None) => {}
            // Telephone codecs in a WAV are the other reader's; if it fails too, ours says why.
            Err(MediaError::Unsupported { why }) => {
                return Coded::open(Limited::open(path, len)?)
                    .map(|c| Self::Coded(Box::new(c)))
                    .map_err(|_| MediaError::Unsupported { why });
            }
            Err(e) => return Err(e),
        }
        Ok(Self::Coded(Box::new(Coded::open(Limited::open(path, len)?)?)))
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
