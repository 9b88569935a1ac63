//! When the writer puts words of new clips into their index.

use std::time::{Duration, Instant};

use super::new_words::Waiting;

/// So many clips wait for their turn.
pub(super) const BATCH: u64 = 256;
/// Nothing was written for so long: those that wait need not wait for more.
const QUIET: Duration = Duration::from_secs(1);
/// The index could not be written: it is not tried again at once, and not for each search.
const PAUSE: Duration = Duration::from_secs(60);
const SHORT_PAUSE: Duration = Duration::from_secs(1);

/// Says when.
#[derive(Debug)]
pub(super) struct Turn {
    waiting: Waiting,
    /// When nothing will have been written for long enough.
    quiet_at: Instant,
    failed_at: Option<Instant>,
}

impl Turn {
    pub(super) fn new(waiting: Waiting) -> Self {
        Turn { waiting, quiet_at: Instant::now() + QUIET, failed_at: None }
    }

    /// Something was written.
    pub(super) fn written(&mut self) {
        self.quiet_at = Instant::now() + QUIET;
    }

    /// How long it takes until it is time, if nothing is written; none while nothing waits.
    pub(super) fn patience(&self) -> Option<Duration> {
        if self.waiting.is_asked() {
            return Some(Duration::ZERO);
        }
        let at = self.failed_at.map_or(self.quiet_at, |it| self.quiet_at.max(it + PAUSE));
        self.is_any().then(|| at.saturating_duration_since(Instant::now()))
    }

    /// Whether it is time. Who asks soon after it was tried in vain is told so.
    pub(super) fn is_due(&self) -> bool {
        let since_failed = self.failed_at.map(|it| it.elapsed());
        if self.waiting.is_asked() {
            if since_failed.is_none_or(|it| it >= SHORT_PAUSE) {
                return true;
            }
            self.waiting.answer(true);
        }
        let is_time = self.count() >= BATCH || Instant::now() >= self.quiet_at;
        self.is_any() && is_time && since_failed.is_none_or(|it| it >= PAUSE)
    }

    /// Whether any clips wait.
    pub(super) fn is_any(&self) -> bool {
        self.count() > 0
    }

    fn count(&self) -> u64 {
        self.waiting.until(self.waiting.newest())
    }

    /// It was tried, perhaps in vain.
    pub(super) fn took(&mut self, failed: bool) {
        self.failed_at = failed.then(Instant::now);
        self.waiting.answer(failed);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.waiting.close();
    }
}
