//! WAV, read tolerantly: headers of unknown length, files cut off in the middle, RF64.
//!
//! A recorder that streams does not know how long it will run, and writes 0, 0xFFFFFFFF or
//! something near 0x7FFFFFFF as the length. Here the audio is what is there, in whole frames.

mod header;
mod mend;
mod read;
mod write;

pub use mend::mend_wav_header;

pub(super) use header::{MAX_CHANNELS, MAX_RATE, Sample, Wav};
pub(super) use read::{WavFrames, sane};
pub(super) use write::{WavWriter, float_fmt, pcm_fmt};
