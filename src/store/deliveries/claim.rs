//! Claims: what may run, taken in order under the epoch of this process.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};

use crate::error::Result;
use crate::model::event::Event;
use crate::model::time::Timestamp;

use super::super::failure::OrFail;
use super::super::json::to_text;
use super::super::statement::{Statement, statement};
use super::super::tx::Tx;
use super::{Claimed, RUNNABLE, runnable};

/// So many processes that die while a delivery is under way condemn it. What is one death short of that runs when no
/// other such delivery does, so that the guilty one takes nobody with it that only happened to be under way.
const MAX_CRASHES: i64 = 3;

/// Events that are read at once.
const READ_AT_ONCE: usize = 32;

/// What a subscriber may take now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Who.
    pub subscriber: Arc<str>,
    /// So many live ones that are ready.
    pub ready: usize,
    /// So many that are told again.
    pub replayed: usize,
    /// So many that were under way when a process died.
    pub suspect: usize,
}

/// The most that is claimed in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// Deliveries.
    pub count: usize,
    /// Bytes of their events' data; one event may be more.
    pub bytes: usize,
}

impl Most {
    /// So many, whatever their size.
    pub fn count(count: usize) -> Self {
        Most { count, bytes: usize::MAX }
    }
}

/// What the claims of dead processes came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Freed {
    /// Deliveries that run again.
    pub released: usize,
    /// Deliveries that are not tried again: (subscriber, id of the event).
    pub quarantined: Vec<(String, String)>,
}

/// A row that was claimed.
struct Taken {
    subscriber: Arc<str>,
    is_suspect: bool,
    id: i64,
    event_seq: i64,
    hook: Option<String>,
    attempts: i32,
    rank: i64,
    replay: bool,
}

/// Which rows of a subscriber: the state stands in the text, so that its partial index is used.
const LIVE: &str = "state = 'ready' AND rank >= 0";
const REPLAYED: &str = "state = 'ready' AND rank < 0";
const SUSPECT: &str = "state = 'suspect' AND (crashes < 2 OR NOT EXISTS \
                       (SELECT 1 FROM deliveries INDEXED BY deliveries_claimed_again \
                       WHERE state = 'claimed' AND crashes >= 2))";

impl Taken {
    fn with(&self, event: Event, bytes: usize) -> Claimed {
        Claimed {
            id: self.id,
            subscriber: Arc::clone(&self.subscriber),
            event_seq: self.event_seq,
            event,
            bytes,
            hook: self.hook.clone(),
            attempts: self.attempts,
            replay: self.replay,
            is_suspect: self.is_suspect,
        }
    }
}

impl Tx {
    /// Claims what may run: for each subscriber what it has room for, at most `most` in all, the highest
    /// priority first, then the oldest. Each claim counts as an attempt.
    ///
    /// # Errors
    /// The database's.
    pub fn claim(&mut self, epoch: i64, room: &[Room], most: Most, now: Timestamp) -> Result<Vec<Claimed>> {
        self.free_due(now)?;

        let mut rows: Vec<Taken> = Vec::new();
        for it in room {
            for (which, room) in [(LIVE, it.ready), (SUSPECT, it.suspect), (REPLAYED, it.replayed)] {
                let room = room.min(most.count - rows.len());
                rows.extend(self.take(epoch, &it.subscriber, which, room)?);
            }
        }
        rows.sort_by_key(|it| (-it.rank, it.id));
        self.with_events(rows, most.bytes)
    }

    /// Lets run what was to be tried again later, and is due.
    fn free_due(&mut self, now: Timestamp) -> Result<()> {
        // Looked for first: an update of none costs as much as one of some.
        let some = statement("SELECT 1 FROM deliveries WHERE state = 'delayed' AND next_at <= ? LIMIT 1");
        let found = some.bind(now.0).number(self)?;
        if found.is_some() {
            let free = statement(concat!(
                "UPDATE deliveries SET state = ",
                runnable!(),
                " WHERE state = 'delayed' AND next_at <= ?"
            ));
            free.bind(now.0).write(self)?;
        }
        Ok(())
    }

    /// Reads what the claimed rows are about; gives back those that would be too much to hold.
    fn with_events(&mut self, rows: Vec<Taken>, most_bytes: usize) -> Result<Vec<Claimed>> {
        let mut claimed = Vec::with_capacity(rows.len());
        let (mut bytes, mut too_much, mut lost) = (0, Vec::new(), Vec::new());
        for chunk in rows.chunks(READ_AT_ONCE) {
            if bytes > 0 && bytes >= most_bytes {
                too_much.extend(chunk.iter().map(|it| it.id));
                continue;
            }
            let seqs: Vec<i64> = chunk.iter().map(|it| it.event_seq).collect();
            let events: HashMap<i64, (usize, Event)> = self
                .sized_events_at(&seqs)?
                .into_iter()
                .map(|(seq, size, event)| (seq, (size, event)))
                .collect();
            for it in chunk {
                match events.get(&it.event_seq) {
                    Some((size, _)) if bytes > 0 && bytes + size > most_bytes => too_much.push(it.id),
                    Some((size, event)) => {
                        bytes += size;
                        claimed.push(it.with(event.clone(), *size));
                    }
                    None => lost.push(it.id),
                }
            }
        }
        if !too_much.is_empty() {
            self.unclaim(&too_much)?;
        }
        if !lost.is_empty() {
            // Nobody can be told any more, and what waits behind must not wait for ever.
            log::error!("{} deliveries are dropped: their events are gone", lost.len());
            let drop: Statement =
                statement("DELETE FROM deliveries WHERE id IN (SELECT value FROM json_each(?))");
            drop.bind(to_text(&lost)?).write(self)?;
        }
        Ok(claimed)
    }

    fn take(&mut self, epoch: i64, subscriber: &Arc<str>, which: &str, room: usize) -> Result<Vec<Taken>> {
        if room == 0 {
            return Ok(Vec::new());
        }
        // Not one UPDATE with RETURNING: that builds two tables of its own each time.
        let find: Statement<(BigInt, BigInt, Nullable<Text>, Integer, BigInt, Bool)> = statement(format!(
            "SELECT id, event_seq, hook, attempts, rank, replay FROM deliveries WHERE subscriber = ? AND {which} \
             ORDER BY rank DESC, id LIMIT ?",
        ));
        let rows: Vec<(i64, i64, Option<String>, i32, i64, bool)> =
            find.bind(&**subscriber).bind(room as i64).load(&mut self.conn).or_fail()?;
        let mut taken = Vec::with_capacity(rows.len());
        for (id, event_seq, hook, attempts, rank, replay) in rows {
            self.mark_claimed(epoch, id)?;
            taken.push(Taken {
                subscriber: Arc::clone(subscriber),
                is_suspect: which == SUSPECT,
                id,
                event_seq,
                hook,
                attempts: attempts + 1,
                rank,
                replay,
            });
        }
        Ok(taken)
    }

    /// The row is under way in this process, one more time.
    pub(super) fn mark_claimed(&mut self, epoch: i64, id: i64) -> Result<()> {
        let claim = statement(
            "UPDATE deliveries SET state = 'claimed', epoch = ?, attempts = attempts + 1 WHERE id = ?",
        );
        claim.bind(epoch).bind(id).write(self).map(drop)
    }

    /// Gives back claims whose handlers did not begin; the attempt does not count.
    ///
    /// # Errors
    /// The database's.
    pub fn unclaim(&mut self, ids: &[i64]) -> Result<usize> {
        let back = statement(format!(
            "UPDATE deliveries SET state = {RUNNABLE}, epoch = NULL, attempts = attempts - 1 \
             WHERE state = 'claimed' AND id IN (SELECT value FROM json_each(?))"
        ));
        back.bind(to_text(&ids)?).write(self)
    }

    /// Frees what an earlier process claimed and did not finish. What was under way in three processes that
    /// died is not tried again.
    ///
    /// # Errors
    /// The database's.
    pub fn release_claims_of_other_epochs(&mut self, epoch: i64, now: Timestamp) -> Result<Freed> {
        let condemn: Statement<(Text, Nullable<Text>, Bool, BigInt)> = statement(
            "UPDATE deliveries INDEXED BY deliveries_in_order \
             SET state = 'quarantined', epoch = NULL, crashes = crashes + 1, ended_at = ?, last_error = 'the server died ' || (crashes + 1) || ' times while this was under way' \
             WHERE state = 'claimed' AND epoch IS NOT ? AND crashes + 1 >= ? \
             RETURNING subscriber, subject, replay, event_seq",
        );
        let condemned: Vec<(String, Option<String>, bool, i64)> =
            condemn.bind(now.0).bind(epoch).bind(MAX_CRASHES).load(&mut self.conn).or_fail()?;
        let release = statement(
            "UPDATE deliveries INDEXED BY deliveries_in_order \
             SET state = 'suspect', epoch = NULL, crashes = crashes + 1 WHERE state = 'claimed' AND epoch IS NOT ?",
        );
        let released = release.bind(epoch).write(self)?;
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
        let next = statement(format!(
            "UPDATE deliveries SET state = {RUNNABLE} WHERE state = 'waiting' AND id = (SELECT id FROM deliveries \
             WHERE subscriber = ? AND subject = ? AND replay = ? AND {} ORDER BY id LIMIT 1)",
            super::OPEN
        ));
        next.bind(subscriber).bind(subject).bind(i64::from(replay)).write(self)?;
        Ok(())
    }
}
