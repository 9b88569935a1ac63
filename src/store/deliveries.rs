//! Deliveries: one event for one plugin, in order per plugin and subject.
//!
//! Only the first delivery of a plugin and subject is `ready`, `claimed` or `delayed`; those behind it are
//! `waiting` and move up when it is done. So a claim looks at nothing that cannot run, however long a queue
//! is. An acknowledged row is deleted: that costs what marking it would, and the table stays as small as the
//! work that is left.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};

use crate::error::{Error, Result};
use crate::model::event::Event;
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::counters;
use super::failure::OrFail;
use super::json::to_text;
use super::schema::deliveries;
use super::statement::{Statement, statement};
use super::tx::Tx;

/// A delivery that may run now.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// Its row.
    pub id: i64,
    /// Who is told.
    pub plugin: Arc<str>,
    /// What is told.
    pub event: Event,
    /// A question's handler that runs in the background; none = whoever subscribed to the event.
    pub hook: Option<String>,
    /// Which try this is, from 1; counted before the run.
    pub attempts: i32,
}

/// How many deliveries there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// To be run: ready, delayed, or behind another one.
    pub pending: i64,
    /// Running.
    pub claimed: i64,
    /// Given up.
    pub dead: i64,
    /// Acknowledged since the database was made.
    pub delivered: i64,
}

impl Tx {
    /// Notes that `plugins` are to be told of the event at `seq`, behind what they are still to be told about
    /// its subject. `hook` names a question that is asked in the background instead.
    ///
    /// # Errors
    /// The database's.
    pub fn insert_deliveries(
        &mut self,
        seq: i64,
        event: &Event,
        plugins: &[Arc<str>],
        hook: Option<&str>,
    ) -> Result<()> {
        let subject = event.subject.as_deref();
        for plugin in plugins {
            let insert: Statement = statement(
                "INSERT INTO deliveries (event_seq, plugin, hook, subject, rank, next_at, created_at, state) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, CASE WHEN EXISTS (SELECT 1 FROM deliveries \
                 WHERE plugin = ? AND subject = ? AND state <> 'dead') THEN 'waiting' ELSE 'ready' END)",
            );
            insert
                .bind(seq)
                .bind(&**plugin)
                .bind(hook)
                .bind(subject)
                .bind(i64::from(event.priority.rank()))
                .bind(event.time.0)
                .bind(event.time.0)
                .bind(&**plugin)
                .bind(subject)
                .execute(&mut self.conn)
                .or_fail()?;
        }
        Ok(())
    }

    /// Claims what may run: for each plugin at most its number, at most `limit` in all, the highest priority
    /// first, then the oldest. Each claim counts as an attempt.
    ///
    /// # Errors
    /// The database's.
    pub fn claim(
        &mut self,
        epoch: i64,
        room: &[(Arc<str>, usize)],
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Claimed>> {
        let due: Statement =
            statement("UPDATE deliveries SET state = 'ready' WHERE state = 'delayed' AND next_at <= ?");
        due.bind(now.0).execute(&mut self.conn).or_fail()?;

        let mut left = limit;
        let mut rows = Vec::new();
        for (plugin, room) in room {
            let take: Statement<(BigInt, BigInt, Nullable<Text>, Integer, BigInt)> = statement(
                "UPDATE deliveries SET state = 'claimed', epoch = ?, attempts = attempts + 1 WHERE id IN \
                 (SELECT id FROM deliveries WHERE plugin = ? AND state = 'ready' ORDER BY rank DESC, id LIMIT ?) \
                 RETURNING id, event_seq, hook, attempts, rank",
            );
            let taken: Vec<(i64, i64, Option<String>, i32, i64)> = take
                .bind(epoch)
                .bind(&**plugin)
                .bind((*room).min(left) as i64)
                .load(&mut self.conn)
                .or_fail()?;
            left -= taken.len();
            rows.extend(taken.into_iter().map(|row| (plugin.clone(), row)));
            if left == 0 {
                break;
            }
        }
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        rows.sort_by_key(|(_, (id, _, _, _, rank))| (-rank, *id));
        let seqs: Vec<i64> = rows.iter().map(|(_, row)| row.1).collect();
        let events: HashMap<i64, Event> = self.events_at(&seqs)?.into_iter().collect();
        rows.into_iter()
            .map(|(plugin, (id, seq, hook, attempts, _))| {
                let event = events.get(&seq).cloned();
                let event = event
                    .ok_or_else(|| Error::internal(format!("event {seq} is gone, its delivery is not")))?;
                Ok(Claimed { id, plugin, event, hook, attempts })
            })
            .collect()
    }

    /// A delivery is done: it goes, and the next one about its subject moves up.
    ///
    /// # Errors
    /// The database's.
    pub fn acknowledge(&mut self, id: i64) -> Result<()> {
        let gone: Option<(String, Option<String>)> = diesel::delete(deliveries::table.find(id))
            .returning((deliveries::plugin, deliveries::subject))
            .get_result(&mut self.conn)
            .optional()
            .or_fail()?;
        if let Some((plugin, subject)) = gone {
            self.count(counters::DELIVERED, 1);
            self.move_up(&plugin, subject.as_deref())?;
        }
        Ok(())
    }

    /// A delivery failed: it is tried again at `next`, before anything later about its subject; without
    /// `next` it is dead and the next one moves up.
    ///
    /// # Errors
    /// The database's.
    pub fn fail_delivery(&mut self, id: i64, error: &str, next: Option<Timestamp>) -> Result<()> {
        let (state, next_at) = match next {
            Some(at) => ("delayed", at.0),
            None => ("dead", 0),
        };
        let failed: Option<(String, Option<String>)> = diesel::update(deliveries::table.find(id))
            .set((
                deliveries::state.eq(state),
                deliveries::next_at.eq(next_at),
                deliveries::epoch.eq(None::<i64>),
                deliveries::last_error.eq(error),
            ))
            .returning((deliveries::plugin, deliveries::subject))
            .get_result(&mut self.conn)
            .optional()
            .or_fail()?;
        match (failed, next) {
            (Some((plugin, subject)), None) => self.move_up(&plugin, subject.as_deref()),
            _ => Ok(()),
        }
    }

    /// Frees what an earlier process claimed and did not finish; how many.
    ///
    /// # Errors
    /// The database's.
    pub fn release_claims_of_other_epochs(&mut self, epoch: i64) -> Result<usize> {
        let release: Statement = statement(
            "UPDATE deliveries SET state = 'ready', epoch = NULL WHERE state = 'claimed' AND epoch IS NOT ?",
        );
        release.bind(epoch).execute(&mut self.conn).or_fail()
    }

    /// Removes what is left for plugins that are gone for good; how many.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_deliveries_of(&mut self, plugins: &[&str]) -> Result<usize> {
        let delete: Statement =
            statement("DELETE FROM deliveries WHERE plugin IN (SELECT value FROM json_each(?))");
        delete.bind(to_text(&plugins)?).execute(&mut self.conn).or_fail()
    }

    fn move_up(&mut self, plugin: &str, subject: Option<&str>) -> Result<()> {
        let Some(subject) = subject else { return Ok(()) };
        let next: Statement = statement(
            "UPDATE deliveries SET state = 'ready' WHERE state = 'waiting' AND id = (SELECT id FROM deliveries \
             WHERE plugin = ? AND subject = ? AND state <> 'dead' ORDER BY id LIMIT 1)",
        );
        next.bind(plugin).bind(subject).execute(&mut self.conn).or_fail()?;
        Ok(())
    }
}

impl Reader {
    /// How many deliveries there are in each state.
    ///
    /// # Errors
    /// The database's.
    pub fn delivery_counts(&mut self) -> Result<DeliveryCounts> {
        let rows: Vec<(String, i64)> =
            statement::<(Text, BigInt)>("SELECT state, count(*) FROM deliveries GROUP BY state")
                .load(&mut self.conn)
                .or_fail()?;
        let mut counts =
            DeliveryCounts { delivered: self.counter(counters::DELIVERED)?, ..Default::default() };
        for (state, count) in rows {
            match state.as_str() {
                "dead" => counts.dead += count,
                "claimed" => counts.claimed += count,
                _ => counts.pending += count,
            }
        }
        Ok(counts)
    }

    /// When the oldest delivery that is not done and not dead was noted.
    ///
    /// # Errors
    /// The database's.
    pub fn oldest_delivery(&mut self) -> Result<Option<Timestamp>> {
        let oldest: Option<i64> = deliveries::table
            .filter(deliveries::state.ne("dead"))
            .order(deliveries::id)
            .select(deliveries::created_at)
            .first(&mut self.conn)
            .optional()
            .or_fail()?;
        Ok(oldest.map(Timestamp))
    }
}
