//! Claims: what may run, taken in order under the epoch of this process.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};

use crate::error::{Error, Result};
use crate::model::event::Event;
use crate::model::time::Timestamp;

use super::super::failure::OrFail;
use super::super::json::to_text;
use super::super::statement::{Statement, statement};
use super::super::tx::Tx;
use super::{Claimed, RUNNABLE};

/// So many processes that die while a delivery is under way condemn it.
const MAX_CRASHES: i64 = 3;

/// What a subscriber may take now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Who.
    pub subscriber: Arc<str>,
    /// So many that are ready.
    pub ready: usize,
    /// So many that were under way when a process died.
    pub suspect: usize,
}

/// What the claims of dead processes came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Freed {
    /// Deliveries that run again.
    pub released: usize,
    /// Deliveries that are not tried again: (subscriber, id of the event).
    pub quarantined: Vec<(String, String)>,
}

type Taken = (i64, i64, Option<String>, i32, i64, bool);

impl Tx {
    /// Claims what may run: for each subscriber what it has room for, at most `limit` in all, the highest
    /// priority first, then the oldest. Each claim counts as an attempt.
    ///
    /// # Errors
    /// The database's.
    pub fn claim(&mut self, epoch: i64, room: &[Room], limit: usize, now: Timestamp) -> Result<Vec<Claimed>> {
        let due: Statement = statement(format!(
            "UPDATE deliveries SET state = {RUNNABLE} WHERE state = 'delayed' AND next_at <= ?"
        ));
        due.bind(now.0).execute(&mut self.conn).or_fail()?;

        let mut left = limit;
        let mut rows = Vec::new();
        for Room { subscriber, ready, suspect } in room {
            for (state, room) in [("ready", *ready), ("suspect", *suspect)] {
                let taken = self.take(epoch, subscriber, state, room.min(left))?;
                left -= taken.len();
                rows.extend(taken.into_iter().map(|row| (subscriber, state == "suspect", row)));
            }
            if left == 0 {
                break;
            }
        }
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        rows.sort_by_key(|(_, _, (id, _, _, _, rank, _))| (-rank, *id));
        let seqs: Vec<i64> = rows.iter().map(|(_, _, row)| row.1).collect();
        let events: HashMap<i64, Event> = self.events_at(&seqs)?.into_iter().collect();
        rows.into_iter()
            .map(|(subscriber, is_suspect, (id, event_seq, hook, attempts, _, replay))| {
                let event = events.get(&event_seq).cloned();
                let event = event.ok_or_else(|| {
                    Error::internal(format!("event {event_seq} is gone, its delivery is not"))
                })?;
                let subscriber = Arc::clone(subscriber);
                Ok(Claimed { id, subscriber, event_seq, event, hook, attempts, replay, is_suspect })
            })
            .collect()
    }

    fn take(&mut self, epoch: i64, subscriber: &str, state: &str, room: usize) -> Result<Vec<Taken>> {
        if room == 0 {
            return Ok(Vec::new());
        }
        // The state stands in the text, so that its partial index is used.
        let take: Statement<(BigInt, BigInt, Nullable<Text>, Integer, BigInt, Bool)> = statement(format!(
            "UPDATE deliveries SET state = 'claimed', epoch = ?, attempts = attempts + 1 WHERE id IN \
             (SELECT id FROM deliveries WHERE subscriber = ? AND state = '{state}' ORDER BY rank DESC, id LIMIT ?) \
             RETURNING id, event_seq, hook, attempts, rank, replay",
        ));
        take.bind(epoch).bind(subscriber).bind(room as i64).load(&mut self.conn).or_fail()
    }

    /// Gives back claims whose handlers did not begin; the attempt does not count.
    ///
    /// # Errors
    /// The database's.
    pub fn unclaim(&mut self, ids: &[i64]) -> Result<usize> {
        let back: Statement = statement(format!(
            "UPDATE deliveries SET state = {RUNNABLE}, epoch = NULL, attempts = attempts - 1 \
             WHERE state = 'claimed' AND id IN (SELECT value FROM json_each(?))"
        ));
        back.bind(to_text(&ids)?).execute(&mut self.conn).or_fail()
    }

    /// Frees what an earlier process claimed and did not finish. What was under way in three processes that
    /// died is not tried again.
    ///
    /// # Errors
    /// The database's.
    pub fn release_claims_of_other_epochs(&mut self, epoch: i64, now: Timestamp) -> Result<Freed> {
        let condemn: Statement<(Text, Nullable<Text>, Bool, BigInt)> = statement(
            "UPDATE deliveries SET state = 'quarantined', epoch = NULL, crashes = crashes + 1, ended_at = ?, \
             last_error = 'the server died ' || (crashes + 1) || ' times while this was under way' \
             WHERE state = 'claimed' AND epoch IS NOT ? AND crashes + 1 >= ? \
             RETURNING subscriber, subject, replay, event_seq",
        );
        let condemned: Vec<(String, Option<String>, bool, i64)> =
            condemn.bind(now.0).bind(epoch).bind(MAX_CRASHES).load(&mut self.conn).or_fail()?;
        let release: Statement = statement(
            "UPDATE deliveries SET state = 'suspect', epoch = NULL, crashes = crashes + 1 \
             WHERE state = 'claimed' AND epoch IS NOT ?",
        );
        let released = release.bind(epoch).execute(&mut self.conn).or_fail()?;
        let mut freed = Freed { released, quarantined: Vec::new() };
        for (subscriber, subject, replay, seq) in condemned {
            self.next_may_run(&subscriber, subject.as_deref(), replay)?;
            let id = self.events_at(&[seq])?.pop().map_or_else(|| seq.to_string(), |(_, event)| event.id);
            freed.quarantined.push((subscriber, id));
        }
        Ok(freed)
    }

    /// Lets run what comes next about the subject of a delivery that is final.
    ///
    /// # Errors
    /// The database's.
    pub fn move_up(&mut self, delivery: &Claimed) -> Result<()> {
        self.next_may_run(&delivery.subscriber, delivery.event.subject.as_deref(), delivery.replay)
    }

    pub(super) fn next_may_run(
        &mut self,
        subscriber: &str,
        subject: Option<&str>,
        replay: bool,
    ) -> Result<()> {
        let Some(subject) = subject else { return Ok(()) };
        let next: Statement = statement(format!(
            "UPDATE deliveries SET state = {RUNNABLE} WHERE state = 'waiting' AND id = (SELECT id FROM deliveries \
             WHERE subscriber = ? AND subject = ? AND replay = ? AND {} ORDER BY id LIMIT 1)",
            super::OPEN
        ));
        next.bind(subscriber).bind(subject).bind(i64::from(replay)).execute(&mut self.conn).or_fail()?;
        Ok(())
    }
}
