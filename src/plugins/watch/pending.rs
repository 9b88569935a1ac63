//! Which plugins' folders have changed, and when each has been quiet for long enough.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A folder that is never quiet is taken up after so many quiet times, when a file has just been completed or half a
/// quiet time has passed; after twice as many a tenth will do. It is never read in the middle of a write.
const PATIENCE: u32 = 20;
/// Who is quiet waits for others for so many quiet times: a burst is one take-up. Where the last version did not load
/// a moment ago the author is likely to be still at it: quiet is so many times as long.
const COMPANY: u32 = 5;
/// That moment, in quiet times.
const LATELY: u32 = 10;

/// The changed folders.
#[derive(Debug)]
pub(super) struct Pending {
    quiet: Duration,
    marks: BTreeMap<Arc<str>, Mark>,
    /// Those that were taken up while they still changed: nobody waits for them.
    restless: BTreeSet<Arc<str>>,
    /// When those were taken up whose new version did not load.
    failed: BTreeMap<Arc<str>, Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    first: Instant,
    last: Instant,
    /// The last change left a file complete.
    is_whole: bool,
    /// How long this one must be quiet.
    quiet: Duration,
}

impl Mark {
    fn is_quiet(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= self.quiet
    }

    fn is_overdue(&self, now: Instant, patience: Duration) -> bool {
        let waits = now.saturating_duration_since(self.first);
        let rests = now.saturating_duration_since(self.last);
        waits >= patience && (self.is_whole || rests >= self.quiet / 2)
            || waits >= patience * 2 && rests >= self.quiet / 10
    }
}

impl Pending {
    pub(super) fn new(quiet: Duration) -> Self {
        Pending { quiet, marks: BTreeMap::new(), restless: BTreeSet::new(), failed: BTreeMap::new() }
    }

    /// Something has changed in a folder at `now`; `is_whole` when that has left a file complete. True when it may be
    /// due earlier for that.
    pub(super) fn mark(&mut self, name: Arc<str>, is_whole: bool, now: Instant) -> bool {
        let (patience, mut quiet) = (self.quiet * PATIENCE, self.quiet);
        match self.marks.get_mut(&name) {
            Some(mark) => {
                (mark.last, mark.is_whole) = (now, is_whole);
                mark.is_overdue(now, patience)
            }
            None => {
                let failed = self.failed.get(&name);
                if failed.is_some_and(|at| now.saturating_duration_since(*at) < quiet * LATELY) {
                    quiet *= COMPANY;
                }
                self.marks.insert(name, Mark { first: now, last: now, is_whole, quiet });
                true
            }
        }
    }

    /// What was taken up: those whose new version did not load have failed.
    pub(super) fn note<'a>(
        &mut self,
        taken: impl Iterator<Item = &'a Arc<str>>,
        failed: &BTreeSet<Arc<str>>,
        now: Instant,
    ) {
        taken.for_each(|name| _ = self.failed.remove(name));
        self.failed.extend(failed.iter().map(|it| (Arc::clone(it), now)));
    }

    /// Takes out those that are quiet, or have waited for too long.
    pub(super) fn due(&mut self, now: Instant) -> BTreeSet<Arc<str>> {
        let (patience, company) = (self.quiet * PATIENCE, self.quiet * COMPANY);
        let for_long = |since: Instant| now.saturating_duration_since(since) >= company;
        let is_due = |it: &Mark| it.is_quiet(now) || it.is_overdue(now, patience);
        let waits = self.marks.iter().any(|(name, it)| {
            !is_due(it) && !self.restless.contains(name) && it.first <= now && !for_long(it.first)
        });
        let in_a_hurry = |it: &Mark| is_due(it) && (it.is_overdue(now, patience) || for_long(it.last));
        if waits && !self.marks.values().any(in_a_hurry) {
            return BTreeSet::new();
        }
        let due: Vec<(Arc<str>, bool)> = self
            .marks
            .iter()
            .filter(|(_, it)| is_due(it))
            .map(|(name, it)| (Arc::clone(name), it.is_quiet(now)))
            .collect();
        for (name, is_quiet) in &due {
            self.marks.remove(name);
            match is_quiet {
                true => _ = self.restless.remove(name),
                false => _ = self.restless.insert(Arc::clone(name)),
            }
        }
        due.into_iter().map(|(name, _)| name).collect()
    }

    /// Whether something has changed since it was taken out.
    pub(super) fn is_marked(&self, name: &str) -> bool {
        self.marks.contains_key(name)
    }

    /// When to ask again whether any are due, asked at `now`.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let patience = self.quiet * PATIENCE;
        let moments = |it: &Mark| {
            let since_last =
                [it.quiet / 10, it.quiet / 2, it.quiet, self.quiet * COMPANY].map(|time| it.last + time);
            since_last.into_iter().chain([it.first + patience, it.first + patience * 2])
        };
        self.marks.values().flat_map(moments).filter(|it| *it > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_millis(100);

    struct Rig {
        pending: Pending,
        start: Instant,
    }

    impl Rig {
        fn new() -> Self {
            Rig { pending: Pending::new(QUIET), start: Instant::now() }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn mark(&mut self, name: &str, ms: u64) {
            self.mark_half(name, ms, true);
        }

        fn mark_half(&mut self, name: &str, ms: u64, is_whole: bool) {
            let at = self.at(ms);
            self.pending.mark(name.into(), is_whole, at);
        }

        fn due(&mut self, ms: u64) -> String {
            let at = self.at(ms);
            self.pending.due(at).into_iter().collect::<Vec<_>>().join(" ")
        }
    }

    #[test]
    fn a_folder_is_due_when_it_was_quiet_and_then_no_more() {
        let mut rig = Rig::new();
        rig.mark("a", 0);
        rig.mark("a", 80);
        assert_eq!(rig.due(120), "");
        assert_eq!(rig.due(180), "a");
        assert_eq!(rig.due(500), "");
        assert_eq!(rig.pending.next(rig.at(500)), None);
    }

    #[test]
    fn a_folder_that_is_written_all_the_time_is_due_after_two_seconds() {
        let mut rig = Rig::new();
        let due: Vec<u64> = (0..500)
            .map(|n| n * 10)
            .filter(|ms| {
                rig.mark("a", *ms);
                rig.due(*ms) == "a"
            })
            .collect();
        assert_eq!(due, [2000, 4010]);
    }

    #[test]
    fn a_folder_that_is_never_quiet_is_not_read_in_the_middle_of_a_file() {
        let mut rig = Rig::new();
        let due: Vec<u64> = (0..3_000)
            .step_by(10)
            .filter(|ms| {
                rig.mark_half("a", *ms, ms % 70 == 0);
                rig.due(*ms) == "a"
            })
            .collect();
        assert_eq!(due, [2_030], "the first multiple of 70");
        let mut rig = Rig::new();
        let due: Vec<u64> = (0..5_000)
            .step_by(10)
            .filter(|ms| {
                if ms % 30 == 0 {
                    rig.mark_half("a", *ms, false);
                }
                rig.due(*ms) == "a"
            })
            .collect();
        assert_eq!(due, [4_000], "not for ever");
    }

    #[test]
    fn right_after_a_version_that_did_not_load_more_is_waited_for() {
        let mut rig = Rig::new();
        rig.mark("a", 0);
        assert_eq!(rig.due(100), "a");
        let at = rig.at(110);
        rig.pending.note([].iter(), &BTreeSet::from(["a".into()]), at);
        rig.mark("a", 200);
        assert_eq!((rig.due(300), rig.due(690)), (String::new(), String::new()));
        assert_eq!(rig.due(700), "a");
        rig.mark("a", 2_000);
        assert_eq!(rig.due(2_100), "a", "a mend some time later is live as fast as any edit");
        let at = rig.at(2_110);
        rig.pending.note(["a".into()].iter(), &BTreeSet::new(), at);
        rig.mark("a", 2_200);
        assert_eq!(rig.due(2_300), "a");
    }

    #[test]
    fn a_burst_is_due_at_once_as_a_whole() {
        let mut rig = Rig::new();
        for n in 0..200 {
            rig.mark(&format!("p{n:03}"), n * 2);
            assert_eq!(rig.due(n * 2), "");
        }
        assert_eq!(rig.due(499).split(' ').count(), 200);
    }

    #[test]
    fn nobody_waits_for_long_for_one_that_is_never_quiet() {
        let mut rig = Rig::new();
        let mut taken = Vec::new();
        for ms in (0..6_000).step_by(10) {
            rig.mark("chatty", ms);
            if ms == 1_000 || ms == 5_000 {
                rig.mark("mine", ms);
            }
            let due = rig.due(ms);
            taken.extend(due.contains("mine").then_some(ms));
        }
        assert_eq!(taken, [1_100, 5_100]);
    }
}
