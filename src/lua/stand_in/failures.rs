//! Failures that a test asks for: a function of the host answers `nil, {code, message}` and does nothing.

use std::collections::BTreeSet;

use parking_lot::Mutex;

use super::StandIn;

/// Modules whose functions can be made to fail.
pub const FAILING: &[&str] = &["http", "process", "db", "kv", "fs", "assets", "media", "recordings", "clips"];

/// Codes that tests have thought of so far, at most.
const MAX_CODES: usize = 1_000;

/// One order to fail.
pub(super) struct Failure {
    /// `db` or `db.query`.
    what: String,
    code: &'static str,
    message: String,
    /// How often it still fails; none = always.
    left: Option<u32>,
}

impl StandIn {
    /// From now on `what` (a module, or a function such as `db.query`) fails, `times` times or always.
    pub fn fail(&self, what: &str, code: &str, message: &str, times: Option<u32>) {
        let failure =
            Failure { what: what.to_owned(), code: kept(code), message: message.to_owned(), left: times };
        self.0.failures.lock().push(failure);
    }

    /// What was ordered to fail works again.
    pub fn mend(&self, what: &str) {
        self.0.failures.lock().retain(|it| it.what != what);
    }

    /// What the function `name` (such as `panotti.db.query`) is to fail with this time.
    pub(in crate::lua) fn failure(&self, name: &str) -> Option<(&'static str, String)> {
        let path = name.strip_prefix("panotti.")?;
        let mut failures = self.0.failures.lock();
        let at = failures.iter().position(|it| {
            path.strip_prefix(it.what.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })?;
        let failure = &mut failures[at];
        let answer = (failure.code, failure.message.clone());
        if let Some(left) = &mut failure.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                failures.remove(at);
            }
        }
        Some(answer)
    }
}

/// A code as the host's answers have it: for as long as the program runs.
pub(super) fn kept(code: &str) -> &'static str {
    static CODES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut codes = CODES.lock();
    match codes.get(code) {
        Some(known) => known,
        None if codes.len() >= MAX_CODES => "failed",
        None => {
            let kept: &'static str = Box::leak(code.to_owned().into_boxed_str());
            codes.insert(kept);
            kept
        }
    }
}
