//! How long work on audio may go on, and how much of a file it is about.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::error::MediaError;

/// Ends work from elsewhere: by hand, or when its time is over. Clones end together.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    stopped: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Stop {
    /// One that comes by itself at `deadline`, if there is one.
    pub fn at(deadline: Option<Instant>) -> Self {
        Stop { stopped: Arc::default(), deadline }
    }

    /// Ends the work at its next step.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether the work may go on.
    ///
    /// # Errors
    /// `Stopped` when it shall end.
    pub fn check(&self) -> Result<(), MediaError> {
        let late = || self.deadline.is_some_and(|it| Instant::now() >= it);
        if self.stopped.load(Ordering::Relaxed) || late() { Err(MediaError::Stopped) } else { Ok(()) }
    }
}

/// How much of a file counts, and what ends the work on it.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The first so many bytes; `None` is all of the file.
    pub len: Option<u64>,
    /// Ends the work.
    pub stop: Stop,
}

impl From<Option<u64>> for Scope {
    /// The first `len` bytes, however long the work takes.
    fn from(len: Option<u64>) -> Self {
        Scope { len, stop: Stop::default() }
    }
}
