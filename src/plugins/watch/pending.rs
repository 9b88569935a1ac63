//! Which plugins' folders have changed, and when each has been quiet for long enough.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A folder that is never quiet is taken up after so many quiet times all the same.
const PATIENCE: u32 = 20;
/// Who is quiet waits for others for so many quiet times: a burst is one take-up.
const COMPANY: u32 = 5;

/// The changed folders.
#[derive(Debug)]
pub(super) struct Pending {
    quiet: Duration,
    marks: BTreeMap<Arc<str>, Mark>,
    /// Those that were taken up while they still changed: nobody waits for them.
    restless: BTreeSet<Arc<str>>,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    first: Instant,
    last: Instant,
}

impl Pending {
    pub(super) fn new(quiet: Duration) -> Self {
        Pending { quiet, marks: BTreeMap::new(), restless: BTreeSet::new() }
    }

    /// Something has changed in a folder at `now`.
    pub(super) fn mark(&mut self, name: Arc<str>, now: Instant) {
        self.marks.entry(name).or_insert(Mark { first: now, last: now }).last = now;
    }

    /// Takes out those that are quiet, or have waited for too long.
    pub(super) fn due(&mut self, now: Instant) -> BTreeSet<Arc<str>> {
        let (patience, company) = (self.quiet * PATIENCE, self.quiet * COMPANY);
        let for_long = |since: Instant, time: Duration| now.saturating_duration_since(since) >= time;
        let is_quiet = |it: &Mark| for_long(it.last, self.quiet);
        let is_due = |it: &Mark| is_quiet(it) || for_long(it.first, patience);
        let waits = self.marks.iter().any(|(name, it)| {
            !is_due(it) && !self.restless.contains(name) && it.first <= now && !for_long(it.first, company)
        });
        let in_a_hurry =
            |it: &Mark| is_due(it) && (for_long(it.first, patience) || for_long(it.last, company));
        if waits && !self.marks.values().any(in_a_hurry) {
            return BTreeSet::new();
        }
        let due: Vec<(Arc<str>, bool)> = self
            .marks
            .iter()
            .filter(|(_, it)| is_due(it))
            .map(|(name, it)| (Arc::clone(name), is_quiet(it)))
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

    /// When to ask again whether any are due, asked at `now`.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let moments = |it: &Mark| {
            [it.last + self.quiet, it.last + self.quiet * COMPANY, it.first + self.quiet * PATIENCE]
        };
        self.marks.values().flat_map(moments).filter(|it| *it > now).min()
    }

    /// Whether nothing has changed in the folder since it was taken up.
    pub(super) fn is_clear(&self, name: &str) -> bool {
        !self.marks.contains_key(name)
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
            let at = self.at(ms);
            self.pending.mark(name.into(), at);
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
