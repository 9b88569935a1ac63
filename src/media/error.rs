//! What can go wrong with a piece of audio, in words an admin understands.

use std::io;

/// Why a media file could not be read, measured or cut.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The file is in no container this server knows.
    #[error("this is not an audio file the server knows: {why}")]
    NotAudio {
        /// What was seen instead.
        why: String,
    },
    /// The file is audio, but of a kind that is not decoded here.
    #[error("this audio cannot be decoded: {why}")]
    Unsupported {
        /// The format that was found and what to use instead.
        why: String,
    },
    /// The file contradicts itself, or its decoder gave up.
    #[error("the audio is damaged: {why}")]
    Damaged {
        /// The contradiction.
        why: String,
    },
    /// The file ends before the first audio could begin.
    #[error("the file ends before its audio begins")]
    Truncated,
    /// The passage begins beyond the end of the audio; all values are seconds from its start.
    #[error("{start_s} s to {end_s} s lies beyond the end of the audio ({duration_s} s)")]
    OutOfRange {
        /// Where the passage was to begin.
        start_s: f64,
        /// Where the passage was to end.
        end_s: f64,
        /// How much audio there is.
        duration_s: f64,
    },
    /// The passage or measure that was asked for makes no sense for any file.
    #[error("{why}")]
    BadRange {
        /// The rule that was broken.
        why: String,
    },
    /// The caller wanted no more of it, or its time was over.
    #[error("the work was stopped before its end")]
    Stopped,
    /// What was asked for does not fit into an answer.
    #[error("there are more than {most} samples in it")]
    TooLong {
        /// How many samples fit.
        most: usize,
    },
    /// The file could not be opened, read or written.
    #[error("the file could not be read or written: {0}")]
    Io(#[from] io::Error),
}

impl MediaError {
    pub(super) fn damaged(why: impl Into<String>) -> Self {
        Self::Damaged { why: why.into() }
    }

    pub(super) fn bad_range(why: impl Into<String>) -> Self {
        Self::BadRange { why: why.into() }
    }
}
