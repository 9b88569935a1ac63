//! Counts and sums that are kept with every change instead of being counted.
//!
//! A job collects its differences in memory; they are written once a group, in the group's own transaction.

use std::borrow::Cow;
use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use foldhash::fast::RandomState;

use crate::error::Result;

use super::connection::Reader;
use super::failure::OrFail;
use super::schema::counters;
use super::statement::{prepared, statement};

pub(super) const CLIPS: &str = "clips";
pub(super) const CLIPS_PROCESSED: &str = "clips.processed";
pub(super) const CLIPS_DURATION_US: &str = "clips.duration_us";
pub(super) const CLIPS_SIZE: &str = "clips.size";
/// Followed by the name of a game: the number of its clips.
pub(super) const GAME: &str = "clips.game:";
/// Followed by a tag: the number of clips that have it.
pub(super) const TAG: &str = "clips.tag:";
/// Followed by a state of processing: the number of clips in it.
pub(super) const STATUS: &str = "clips.status:";
pub(super) const RECORDINGS: &str = "recordings";
pub(super) const DELIVERED: &str = "deliveries.delivered";
/// No count: the last number that a delivery was given and that is not among the rows any more; a trigger keeps it.
pub(super) const DELIVERIES_LAST: &str = "deliveries.last";
/// The same of clips.
pub(super) const CLIPS_LAST: &str = "clips.last";
/// No count: the last id of a clip whose words are in their index.
pub(super) const WORDS_THROUGH: &str = "clips.words_through";
pub(super) const EVENTS_COUNT: &str = "events.count";
pub(super) const EVENTS_BYTES: &str = "events.bytes";
/// No count: the last place of the journal that was removed.
pub(super) const EVENTS_REMOVED_THROUGH: &str = "events.removed_through";
/// Followed by a type of events: how many there are.
pub(super) const EVENTS: &str = "events:";
/// Followed by the name of a plugin: its keys, and their bytes.
pub(super) const KV_KEYS: &str = "kv.keys:";
pub(super) const KV_BYTES: &str = "kv.bytes:";

/// Differences that are not written yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Differences {
    all: HashMap<Cow<'static, str>, i64, RandomState>,
    /// A name that is being looked up.
    name: String,
}

impl Differences {
    pub(super) fn add(&mut self, name: impl Into<Cow<'static, str>>, by: i64) {
        if by != 0 {
            *self.all.entry(name.into()).or_default() += by;
        }
    }

    /// The same for a name in two parts, which most often is there already.
    pub(super) fn add_to(&mut self, kind: &'static str, of: &str, by: i64) {
        self.name.clear();
        self.name.push_str(kind);
        self.name.push_str(of);
        match self.all.get_mut(&*self.name) {
            Some(known) => *known += by,
            None => self.add(self.name.clone(), by),
        }
    }

    pub(super) fn get(&self, name: &str) -> i64 {
        self.all.get(name).copied().unwrap_or_default()
    }

    pub(super) fn merge(&mut self, other: Differences) {
        for (name, by) in other.all {
            self.add(name, by);
        }
    }

    /// Writes them; what falls to zero leaves no row.
    pub(super) fn write(self, reader: &mut Reader) -> Result<()> {
        for (name, by) in self.all {
            if by == 0 {
                continue;
            }
            let known = statement("UPDATE counters SET value = value + ? WHERE name = ?");
            if known.bind(by).bind(&*name).write(reader)? == 0 {
                let new = statement("INSERT INTO counters (name, value) VALUES (?, ?)");
                new.bind(&*name).bind(by).write(reader)?;
            }
            if by < 0 {
                diesel::delete(counters::table.find(&*name).filter(counters::value.eq(0)))
                    .execute(&mut reader.conn)
                    .or_fail()?;
            }
        }
        Ok(())
    }
}

impl Reader {
    pub(super) fn counter(&mut self, name: &str) -> Result<i64> {
        let of_name = prepared!(BigInt => "SELECT value FROM counters WHERE name = ?");
        let value: Option<i64> = of_name.bind(name).get_result(&mut self.conn).optional().or_fail()?;
        Ok(value.unwrap_or_default())
    }

    /// The counters whose name begins with `prefix`, by name, without the prefix.
    pub(super) fn counters_under(&mut self, prefix: &str) -> Result<Vec<(String, i64)>> {
        // The byte after the colon ends the range.
        let end = prefix.replace(':', ";");
        let rows: Vec<(String, i64)> = counters::table
            .filter(counters::name.ge(prefix).and(counters::name.lt(end)))
            .order(counters::name)
            .load(&mut self.conn)
            .or_fail()?;
        Ok(rows.into_iter().map(|(name, value)| (name[prefix.len()..].to_owned(), value)).collect())
    }
}
