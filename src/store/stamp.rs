//! A number for what is stored at a moment: where it is the same later, nothing has changed meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts when commits begin and when they have ended: nobody knows on which side of one under way a reader is.
#[derive(Debug, Clone, Default)]
pub(super) struct Stamp(Arc<AtomicU64>);

impl Stamp {
    /// The number of this moment; none while a commit is under way.
    pub(super) fn now(&self) -> Option<u64> {
        let number = self.0.load(Ordering::SeqCst);
        number.is_multiple_of(2).then_some(number)
    }

    /// Commits.
    pub(super) fn during<T>(&self, commit: impl FnOnce() -> T) -> T {
        self.0.fetch_add(1, Ordering::SeqCst);
        let done = commit();
        self.0.fetch_add(1, Ordering::SeqCst);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_around_a_commit_is_not_taken_for_what_is_there_after_it() {
        let stamp = Stamp::default();
        let before = stamp.now();
        assert_eq!((before, before.is_some()), (stamp.now(), true));
        assert_eq!(stamp.during(|| stamp.now()), None);
        assert_ne!(stamp.now(), before);
    }
}
