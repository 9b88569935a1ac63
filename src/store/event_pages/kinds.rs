//! Which types of events there are, found by leaping from one to the next: as many steps as types, not as events.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};

use crate::error::Result;
use crate::model::event::pattern_matches;

use super::super::connection::Reader;
use super::super::counters;
use super::super::failure::OrFail;
use super::super::statement::statement;

/// Types that are walked side by side; with more of them the journal is walked row by row.
const MAX_KINDS: usize = 32;

/// Types that are looked at for one pattern.
const MAX_LEAPS: usize = 500;

impl Reader {
    /// The types on the journal that fit one of the patterns; none when there are too many to tell.
    pub(super) fn kinds_like(&mut self, patterns: &[String]) -> Result<Option<Vec<String>>> {
        let mut kinds: Vec<String> = Vec::new();
        for pattern in patterns {
            if !pattern.contains('*') {
                kinds.push(pattern.clone());
                continue;
            }
            // The words before the first star; `/` follows the dot.
            let words =
                pattern.split('.').take_while(|it| !it.starts_with('*')).collect::<Vec<_>>().join(".");
            let end = if words.is_empty() { "~".to_owned() } else { format!("{words}/") };
            let (mut next, mut leaps) = (self.next_kind(">=", &words, &end)?, 0);
            while let Some(kind) = next {
                leaps += 1;
                if kinds.len() > MAX_KINDS || leaps > MAX_LEAPS {
                    return Ok(None);
                }
                next = self.next_kind(">", &kind, &end)?;
                if pattern_matches(pattern, &kind) {
                    kinds.push(kind);
                }
            }
        }
        kinds.sort();
        kinds.dedup();
        Ok((kinds.len() <= MAX_KINDS).then_some(kinds))
    }

    /// At most `limit` types after `after` with the number of their events, by name.
    ///
    /// # Errors
    /// The database's.
    pub fn event_types(&mut self, after: &str, limit: i64) -> Result<Vec<(String, i64)>> {
        let counted = statement::<(Text, BigInt)>(
            "SELECT name, value FROM counters WHERE name > ? AND name < ? ORDER BY name LIMIT ?",
        );
        // The byte after the colon ends the range.
        let (from, end) = (format!("{}{after}", counters::EVENTS), counters::EVENTS.replace(':', ";"));
        let rows: Vec<(String, i64)> =
            counted.bind(from).bind(end).bind(limit).load(&mut self.conn).or_fail()?;
        Ok(rows.into_iter().map(|(name, count)| (name[counters::EVENTS.len()..].to_owned(), count)).collect())
    }
}
