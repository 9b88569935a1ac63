//! What was seen, held against what was promised.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The headers of one answer.
pub struct Seen {
    pub before: Option<String>,
    pub after: Option<String>,
}

/// What the plugin counted of the events it was told.
#[derive(Default, Debug, PartialEq)]
pub struct Told {
    pub count: f64,
    pub sum: f64,
    pub squares: f64,
}

#[derive(Default)]
pub struct Verdict {
    pub seen: Vec<Seen>,
    pub failed: Vec<String>,
    /// The numbers of the events that were published.
    pub sent: Vec<u64>,
    pub told: Told,
    /// The versions that may run.
    pub allowed: BTreeSet<u64>,
}

impl Verdict {
    /// Every promise that was broken, in a sentence.
    pub fn broken(&self) -> Vec<String> {
        let mut broken: Vec<String> =
            self.failed.iter().map(|it| format!("a request failed: {it}")).collect();
        let mut versions: BTreeMap<u64, u64> = BTreeMap::new();
        for seen in &self.seen {
            for (hook, said) in [("before_request", &seen.before), ("after_request", &seen.after)] {
                let Some(said) = said else {
                    broken.push(format!("no hook was asked: {hook}"));
                    continue;
                };
                let parts: Vec<u64> = said.split('/').map(|it| it.parse().unwrap()).collect();
                let (top, bottom, generation) = (parts[0], parts[1], parts[2]);
                if top != bottom {
                    broken.push(format!("{hook} saw two versions: {said}"));
                }
                if !self.allowed.contains(&top) {
                    broken.push(format!("{hook} was answered by a broken version: {said}"));
                }
                if *versions.entry(generation).or_insert(top) != top {
                    broken.push(format!("{hook} saw two versions of one generation: {said}"));
                }
            }
        }
        let sent = |f: fn(f64) -> f64| self.sent.iter().map(|it| f(*it as f64)).sum::<f64>();
        let wanted = Told { count: sent(|_| 1.0), sum: sent(|it| it), squares: sent(|it| it * it) };
        if self.told != wanted {
            broken.push(format!(
                "events were lost or told twice: {:?}, and it should be {wanted:?}",
                self.told
            ));
        }
        // On a machine that has other work some versions may come and go between two requests.
        if versions.len() * 2 < self.allowed.len() {
            broken.push(format!("of {} versions only {} were seen", self.allowed.len(), versions.len()));
        }
        broken
    }

    #[expect(clippy::print_stdout, reason = "what the run came to")]
    pub fn print(&self, saves: u64, took: Duration) {
        let generations: BTreeSet<&str> =
            self.seen.iter().filter_map(|it| it.after.as_deref()?.rsplit('/').next()).collect();
        println!(
            "{} requests in {:.1} s ({:.0}/s) beside {saves} saves: {} failed, {} events, {} generations answered, {} violations",
            self.seen.len() + self.failed.len(),
            took.as_secs_f64(),
            (self.seen.len() + self.failed.len()) as f64 / took.as_secs_f64(),
            self.failed.len(),
            self.sent.len(),
            generations.len(),
            self.broken().len(),
        );
    }
}
