//! How many deliveries there are, in each state.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::error::Result;
use crate::model::time::Timestamp;

use super::super::connection::Reader;
use super::super::counters;
use super::super::failure::OrFail;
use super::super::json::to_text;
use super::super::statement::statement;
use super::OPEN;

/// How many deliveries there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// To be run: ready, delayed, or behind another one.
    pub pending: i64,
    /// Running, or next to run.
    pub claimed: i64,
    /// Given up after the last attempt.
    pub dead: i64,
    /// Given up because the server died with them.
    pub quarantined: i64,
    /// Acknowledged since the database was made.
    pub delivered: i64,
}

impl Reader {
    /// How many deliveries there are in each state.
    ///
    /// # Errors
    /// The database's.
    pub fn delivery_counts(&mut self) -> Result<DeliveryCounts> {
        let mut counts =
            DeliveryCounts { delivered: self.counter(counters::DELIVERED)?, ..Default::default() };
        // Each half has a partial index: what is done is never scanned.
        for states in [OPEN, "state IN ('dead', 'quarantined')"] {
            let count = statement::<(Text, BigInt)>(format!(
                "SELECT state, count(*) FROM deliveries WHERE {states} GROUP BY state"
            ));
            let rows: Vec<(String, i64)> = count.load(&mut self.conn).or_fail()?;
            for (state, count) in rows {
                match state.as_str() {
                    "dead" => counts.dead += count,
                    "quarantined" => counts.quarantined += count,
                    "claimed" => counts.claimed += count,
                    _ => counts.pending += count,
                }
            }
        }
        Ok(counts)
    }

    /// Those of `subscribers` for whom something may run now.
    ///
    /// # Errors
    /// The database's.
    pub fn subscribers_due(&mut self, subscribers: &[&str], now: Timestamp) -> Result<Vec<String>> {
        let due = statement::<Text>(
            "SELECT DISTINCT subscriber FROM deliveries WHERE state = 'delayed' AND next_at <= ? UNION \
             SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM deliveries WHERE subscriber = value AND \
             state = 'ready') OR EXISTS (SELECT 1 FROM deliveries WHERE subscriber = value AND state = 'suspect')",
        );
        due.bind(now.0).bind(to_text(&subscribers)?).load(&mut self.conn).or_fail()
    }

    /// When the next delivery is tried again, after `now`.
    ///
    /// # Errors
    /// The database's.
    pub fn next_delayed(&mut self, now: Timestamp) -> Result<Option<Timestamp>> {
        let next = statement::<Nullable<BigInt>>(
            "SELECT min(next_at) FROM deliveries WHERE state = 'delayed' AND next_at > ?",
        );
        let rows: Vec<Option<i64>> = next.bind(now.0).load(&mut self.conn).or_fail()?;
        Ok(rows.first().copied().flatten().map(Timestamp))
    }

    /// How many deliveries of the event at `seq` are not final yet.
    ///
    /// # Errors
    /// The database's.
    pub fn open_deliveries_of(&mut self, seq: i64) -> Result<i64> {
        let open =
            statement::<BigInt>(format!("SELECT count(*) FROM deliveries WHERE event_seq = ? AND +{OPEN}"));
        let counts: Vec<i64> = open.bind(seq).load(&mut self.conn).or_fail()?;
        Ok(counts.first().copied().unwrap_or_default())
    }
}
