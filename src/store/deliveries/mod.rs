//! What is still to be told to whom, and what came of it: rows are noted with their event, claimed in order,
//! settled with what their handlers left behind, and kept as long as their event.

mod claim;
mod listed;
mod given_up;
mod read;
mod settle;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::error::Result;
use crate::model::event::Event;
use crate::model::time::Timestamp;

use super::counters::DELIVERIES_LAST;
use super::events::Stored;
use super::statement::statement;
use super::tx::Tx;

pub use claim::{Freed, Most, Room};
pub use given_up::{GivenUp, WantedGivenUp};
pub use listed::{Backlog, DeliveryRow, DeliveryStates};
pub use read::DeliveryCounts;

/// A delivery that may run now.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// Its row.
    pub id: i64,
    /// Who is told: a plugin, or `webhook/<id>`.
    pub subscriber: Arc<str>,
    /// The event's place on the journal.
    pub event_seq: i64,
    /// What is told.
    pub event: Event,
    /// Bytes of the event's data as they are stored.
    pub bytes: usize,
    /// A question's handler that runs in the background; none = whoever subscribed to the event.
    pub hook: Option<String>,
    /// Which try this is, from 1; counted before the run.
    pub attempts: i32,
    /// Whether it is told again, in the lane behind the live ones.
    pub replay: bool,
    /// Whether a process died while it was under way.
    pub is_suspect: bool,
}

/// When a delivery ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ran {
    /// The first handler began.
    pub began: Timestamp,
    /// The last one had returned, or failed.
    pub ended: Timestamp,
}

/// The rank of everything that is told again: behind the lowest priority.
const REPLAY_RANK: i64 = -1;

/// Not final yet. The text is that of the partial index, so that it is used.
macro_rules! open {
    () => {
        "(state = 'claimed' OR state = 'ready' OR state = 'waiting' OR state = 'suspect' OR state = 'delayed')"
    };
}
pub(super) const OPEN: &str = open!();
use open;

/// What a row becomes that may run.
macro_rules! runnable {
    () => {
        "CASE WHEN crashes > 0 THEN 'suspect' ELSE 'ready' END"
    };
}
const RUNNABLE: &str = runnable!();
use runnable;

impl Tx {
    /// Notes that `subscribers` are to be told of the event at `seq`, behind what they are still to be told
    /// about its subject. `hook` names a question that is asked in the background instead.
    ///
    /// # Errors
    /// The database's.
    pub fn insert_deliveries(
        &mut self,
        seq: i64,
        event: &Event,
        subscribers: &[Arc<str>],
        hook: Option<&str>,
    ) -> Result<()> {
        for subscriber in subscribers {
            let state = self.state_of_new(event, subscriber, false)?;
            self.insert_delivery((seq, event, subscriber), hook, None, event.time, state)?;
        }
        Ok(())
    }

    /// Notes that `subscriber` is to be told of the event that was just `stored`, and claims that; none, and it waits for
    /// its turn, behind what is still to be told about its subject.
    ///
    /// # Errors
    /// The database's.
    pub fn insert_claimed(
        &mut self,
        epoch: i64,
        stored: Stored,
        event: &Event,
        subscriber: &Arc<str>,
    ) -> Result<Option<Claimed>> {
        let state = match self.state_of_new(event, subscriber, false)? {
            State::Ready => State::Claimed(epoch),
            waits => waits,
        };
        let id = self.insert_delivery((stored.seq, event, subscriber), None, None, event.time, state)?;
        if state == State::Waiting {
            return Ok(None);
        }
        Ok(Some(Claimed {
            id,
            subscriber: Arc::clone(subscriber),
            event_seq: stored.seq,
            event: event.clone(),
            bytes: stored.bytes,
            hook: None,
            attempts: 1,
            replay: false,
            is_suspect: false,
        }))
    }

    /// Notes that `subscriber` is told again of the event at `seq`, after everything live; not of one that has been
    /// removed.
    ///
    /// # Errors
    /// The database's.
    pub fn insert_replayed(
        &mut self,
        seq: i64,
        event: &Event,
        subscriber: &str,
        replay_id: i64,
        now: Timestamp,
    ) -> Result<()> {
        match self.event_seq(&event.id)? == Some(seq) {
            true => {
                let state = self.state_of_new(event, subscriber, true)?;
                self.insert_delivery((seq, event, subscriber), None, Some(replay_id), now, state).map(drop)
            }
            false => Ok(()),
        }
    }

    /// What a new delivery is: it waits behind what is still to be told about its subject.
    fn state_of_new(&mut self, event: &Event, subscriber: &str, replay: bool) -> Result<State> {
        let Some(subject) = event.subject.as_deref() else { return Ok(State::Ready) };
        let earlier = statement(concat!(
            "SELECT 1 FROM deliveries WHERE subscriber = ? AND subject = ? AND replay = ? AND ",
            open!(),
            " LIMIT 1"
        ));
        let earlier = earlier.bind(subscriber).bind(subject).bind(i64::from(replay));
        Ok(if earlier.number(self)?.is_some() { State::Waiting } else { State::Ready })
    }

    fn insert_delivery(
        &mut self,
        (seq, event, subscriber): (i64, &Event, &str),
        hook: Option<&str>,
        replay_id: Option<i64>,
        now: Timestamp,
        state: State,
    ) -> Result<i64> {
        let id = self.next_delivery_id()?;
        let insert = statement(
            "INSERT INTO deliveries (id, event_seq, subscriber, hook, subject, rank, replay, replay_id, next_at, \
             created_at, state, epoch, attempts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        );
        let (state, epoch) = match state {
            State::Waiting => ("waiting", None),
            State::Ready => ("ready", None),
            State::Claimed(epoch) => ("claimed", Some(epoch)),
        };
        insert
            .bind(id)
            .bind(seq)
            .bind(subscriber)
            .bind(hook)
            .bind(event.subject.as_deref())
            .bind(replay_id.map_or(i64::from(event.priority.rank()), |_| REPLAY_RANK))
            .bind(replay_id.is_some())
            .bind(replay_id)
            .bind(now.0)
            .bind(now.0)
            .bind(state)
            .bind(epoch)
            .bind(i64::from(epoch.is_some()))
            .write(self)?;
        self.last.delivery = Some(id);
        Ok(id)
    }

    /// No number is given twice: a trigger keeps the last one when its row goes.
    fn next_delivery_id(&mut self) -> Result<i64> {
        let last = match self.last.delivery {
            Some(last) => last,
            None => self.last_delivery_id()?.max(self.counter(DELIVERIES_LAST)?),
        };
        Ok(last + 1)
    }
}

/// What a new row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Ready,
    /// By the process of this epoch, which counts as an attempt.
    Claimed(i64),
}
