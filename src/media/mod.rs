//! Native audio: what a file holds, how loud it is, what it looks like, and cuts of it.
//!
//! Plain blocking functions on paths, for blocking pools; no database, no scripts. Time is in
//! seconds of audio from the file's start, levels are in dB, memory is constant whatever the file's
//! size. Each function takes a [`Scope`]: how many bytes of the file count, for a live track that is
//! being written (`None`: all), and what ends the work early. No input makes them panic: decoders are fenced.
//!
//! - [`probe`]: container, codec, rate, channels, frames, duration
//! - [`cut`]: a passage, sample-exact, into a new WAV
//! - [`peaks`]: the waveform for drawing; [`envelope`]: RMS per window, to find loud passages
//! - [`loudness`]: EBU R 128
//! - [`denoise`]: speech without noise; [`subtract`]: one sound out of another
//! - [`samples`]: a passage to compute with
//! - [`mend_wav_header`]: true sizes for a live WAV that has ended
//! - [`sha256_file`]: content hash
//!
//! Underneath: `source.rs` limits the file, `wav/` reads WAV itself (tolerant of unknown lengths),
//! `coded/` everything else through symphonia, `decode.rs` puts both behind one reader; `stream.rs` hands
//! out its channels at any rate, `made.rs` writes what was computed.

mod coded;
mod cut;
mod decode;
mod denoise;
mod error;
mod hash;
mod loudness;
mod made;
mod peaks;
mod probe;
mod resample;
mod samples;
mod source;
mod stop;
mod stream;
mod subtract;
mod wav;

pub use cut::{Cut, CutRange, cut};
pub use denoise::denoise;
pub use error::MediaError;
pub use hash::sha256_file;
pub use loudness::{Loudness, loudness};
pub use made::Made;
pub use peaks::{Peak, envelope, peaks};
pub use probe::{Probe, probe};
pub use samples::{Samples, samples};
pub use stop::{Scope, Stop};
pub use subtract::{Delay, MAX_DELAY_S, Subtracted, subtract};
pub use wav::mend_wav_header;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
