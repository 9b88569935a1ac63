//! Totals of lists of clips that had to be counted, remembered until any clip changes: who turns pages or asks again and
//! again has the same total counted once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use diesel::RunQueryDsl;
use diesel::sql_types::BigInt;
use parking_lot::Mutex;

use crate::error::Result;

use super::connection::Reader;
use super::failure::OrFail;
use super::statement::Statement;

/// What was counted quickly is counted again: at least so many rows were looked at of what is kept.
const WORTH_KEEPING: i64 = 200;

/// The most totals that are kept, and the longest question, in bytes.
const MOST: usize = 1_000;
const LONGEST: usize = 2_048;

/// One memory for all who read.
#[derive(Debug, Clone, Default)]
pub(super) struct ClipTotals(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Transactions that changed clips.
    changes: AtomicU64,
    kept: Mutex<Kept>,
}

/// Rows that were looked at and rows that fit, by the statement that counted them.
#[derive(Debug, Default)]
struct Kept {
    /// The changes that had been when it was counted.
    as_of: u64,
    totals: HashMap<String, (i64, i64)>,
}

impl ClipTotals {
    /// A transaction that changed clips is visible. It is said before anybody is answered: who has the answer meets no total
    /// from before.
    pub(super) fn changed(&self) {
        self.0.changes.fetch_add(1, Ordering::Release);
    }

    fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    fn get(&self, question: &str, as_of: u64) -> Option<(i64, i64)> {
        let kept = self.0.kept.lock();
        (kept.as_of == as_of).then(|| kept.totals.get(question).copied()).flatten()
    }

    /// `as_of` is what was seen before counting began: what was committed meanwhile makes it worthless.
    fn keep(&self, question: String, as_of: u64, counted: (i64, i64)) {
        if counted.0 < WORTH_KEEPING || question.len() > LONGEST {
            return;
        }
        let mut kept = self.0.kept.lock();
        if kept.as_of > as_of {
            return;
        }
        if kept.as_of < as_of || kept.totals.len() >= MOST {
            *kept = Kept { as_of, totals: HashMap::new() };
        }
        kept.totals.insert(question, counted);
    }
}

impl Reader {
    /// How many rows a count looked at and how many of them fit, remembered or counted.
    pub(super) fn count_of_clips(
        &mut self,
        count: Statement<'static, (BigInt, BigInt)>,
    ) -> Result<(i64, i64)> {
        // What is read within a transaction may never be committed.
        let Some(totals) = self.clip_totals.clone() else {
            return count.get_result(&mut self.conn).or_fail();
        };
        let (question, as_of) = (count.to_key(), totals.changes());
        if let Some(known) = totals.get(&question, as_of) {
            return Ok(known);
        }
        let counted = count.get_result(&mut self.conn).or_fail()?;
        totals.keep(question, as_of, counted);
        Ok(counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_known_until_something_changes() {
        let totals = ClipTotals::default();
        totals.keep("a".into(), 0, (500, 7));
        assert_eq!((totals.get("a", 0), totals.get("b", 0)), (Some((500, 7)), None));
        totals.changed();
        assert_eq!(totals.get("a", totals.changes()), None);
        totals.keep("a".into(), 1, (500, 8));
        totals.keep("b".into(), 0, (500, 9));
        assert_eq!(
            (totals.get("a", 1), totals.get("b", 1)),
            (Some((500, 8)), None),
            "it began before the change"
        );
    }

    #[test]
    fn it_holds_no_more_than_it_may() {
        let totals = ClipTotals::default();
        totals.keep("few".into(), 0, (WORTH_KEEPING - 1, 0));
        totals.keep("x".repeat(LONGEST + 1), 0, (500, 0));
        assert_eq!(totals.0.kept.lock().totals.len(), 0);
        (0..3 * MOST).for_each(|it| totals.keep(it.to_string(), 0, (500, 0)));
        assert!(totals.0.kept.lock().totals.len() <= MOST);
    }
}
