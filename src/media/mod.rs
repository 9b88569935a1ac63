//! Native audio: what a file holds, how loud it is, what it looks like, and cuts of it.
//!
//! Plain blocking functions on paths, for blocking pools; no database, no scripts. Time is in
//! seconds of audio from the file's start, levels are in dB, memory is constant whatever the file's
//! size. Each function takes `len`: how many bytes of the file count, for a live track that is
//! being written (`None`: all). No input makes them panic: decoders are fenced.
//!
//! - [`probe`]: container, codec, rate, channels, frames, duration
//! - [`cut`]: a passage, sample-exact, into a new WAV
//! - [`peaks`]: the waveform for drawing; [`envelope`]: RMS per window, to find loud passages
//! - [`loudness`]: EBU R 128
//! - [`mend_wav_header`]: true sizes for a live WAV that has ended
//! - [`sha256_file`]: content hash
//!
//! Underneath: `source.rs` limits the file, `wav/` reads WAV itself (tolerant of unknown lengths),
//! `coded/` everything else through symphonia, `decode.rs` puts both behind one reader.

mod coded;
mod cut;
mod decode;
mod error;
mod hash;
mod loudness;
mod peaks;
mod probe;
mod source;
mod wav;

pub use cut::{Cut, CutRange, cut};
pub use error::MediaError;
pub use hash::sha256_file;
pub use loudness::{Loudness, loudness};
pub use peaks::{Peak, envelope, peaks};
pub use probe::{Probe, probe};
pub use wav::mend_wav_header;

#[cfg(test)]
mod tests;
