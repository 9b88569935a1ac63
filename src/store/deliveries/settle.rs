//! What came of a claimed delivery. Only the process that holds the claim may settle it: whoever lost it must drop what the
//! handlers left behind.

use crate::error::Result;
use crate::model::time::Timestamp;

use super::super::counters;
use super::super::json::to_text;
use super::super::statement::{Statement, statement};
use super::super::tx::Tx;
use super::{Claimed, Ran, open};

/// A plugin is never told again later than this, in microseconds.
const LONGEST_US: i64 = 720_000_000;

/// Nor is anybody else.
const LONGEST_OTHERS_US: i64 = 29 * 3_600_000_000;

impl Tx {
    /// A delivery is done; false when its claim was lost. [`Tx::follow`] is due then.
    ///
    /// # Errors
    /// The database's.
    pub fn acknowledge(&mut self, epoch: i64, delivery: &Claimed, ran: Ran) -> Result<bool> {
        let settled = self.settle(epoch, delivery, "done", None, None, Some(ran))?;
        self.count(counters::DELIVERED, i64::from(settled));
        Ok(settled)
    }

    /// A delivery failed: it is tried again at `next`, before anything later about its subject; without
    /// `next` it is dead and [`Tx::follow`] is due. False when its claim was lost.
    ///
    /// # Errors
    /// The database's.
    pub fn fail_delivery(
        &mut self,
        epoch: i64,
        delivery: &Claimed,
        error: &str,
        next: Option<Timestamp>,
        ran: Ran,
    ) -> Result<bool> {
        let state = if next.is_some() { "delayed" } else { "dead" };
        self.settle(epoch, delivery, state, Some(error), next, Some(ran))
    }

    /// The time in which the event was worth telling is over; this try did not begin, so it does not count, and what came
    /// of those before stays. False when its claim was lost.
    ///
    /// # Errors
    /// The database's.
    pub fn expire_delivery(&mut self, epoch: i64, delivery: &Claimed) -> Result<bool> {
        let over = statement(
            "UPDATE deliveries SET state = 'expired', epoch = NULL, attempts = attempts - 1, next_at = 0 \
             WHERE id = ? AND state = 'claimed' AND epoch = ?",
        );
        Ok(over.bind(delivery.id).bind(epoch).write(self)? > 0)
    }

    /// Its subscriber could not take it: it is tried at `next`, and the attempt does not count.
    ///
    /// # Errors
    /// The database's.
    pub fn put_back(&mut self, epoch: i64, delivery: &Claimed, why: &str, next: Timestamp) -> Result<bool> {
        let back = statement(
            "UPDATE deliveries SET state = 'delayed', epoch = NULL, attempts = attempts - 1, next_at = ?, \
             last_error = ? WHERE id = ? AND state = 'claimed' AND epoch = ?",
        );
        let back = back.bind(next.0).bind(why).bind(delivery.id).bind(epoch);
        Ok(back.write(self)? > 0)
    }

    /// Claims what comes next about the subject of a delivery that is final, if anything does.
    ///
    /// # Errors
    /// The database's.
    pub fn follow(&mut self, epoch: i64, delivery: &Claimed) -> Result<Option<Claimed>> {
        let Some(subject) = delivery.event.subject.as_deref() else { return Ok(None) };
        let next = statement(concat!(
            "SELECT id, state, event_seq, hook, attempts FROM deliveries ",
            "WHERE subscriber = ? AND subject = ? AND replay = ? AND ",
            open!(),
            " ORDER BY id LIMIT 1"
        ));
        let next = next.bind(&*delivery.subscriber).bind(subject).bind(i64::from(delivery.replay));
        let found: Option<(i64, String, i64, Option<String>, i32)> =
            next.first(self, |row| row.try_into())?;
        let Some((id, state, event_seq, hook, attempts)) = found else { return Ok(None) };
        // What waits was never under way, so it is no suspect.
        if state != "waiting" {
            return Ok(None);
        }
        self.mark_claimed(epoch, id)?;
        let event = self.sized_events_at(&[event_seq])?.pop();
        let subscriber = delivery.subscriber.clone();
        let (attempts, replay) = (attempts + 1, delivery.replay);
        Ok(event.map(|(_, bytes, event)| Claimed {
            id,
            subscriber,
            event_seq,
            event,
            bytes,
            hook,
            attempts,
            replay,
            is_suspect: false,
        }))
    }

    fn settle(
        &mut self,
        epoch: i64,
        delivery: &Claimed,
        state: &str,
        error: Option<&str>,
        next: Option<Timestamp>,
        ran: Option<Ran>,
    ) -> Result<bool> {
        let settle = statement(
            "UPDATE deliveries SET state = ?, epoch = NULL, next_at = ?, last_error = ?, began_at = ?, ended_at = ? \
             WHERE id = ? AND state = 'claimed' AND epoch = ?",
        );
        let settled = settle
            .bind(state)
            .bind(next.map_or(0, |it| it.0))
            .bind(error)
            .bind(ran.map(|it| it.began.0))
            .bind(ran.map(|it| it.ended.0))
            .bind(delivery.id)
            .bind(epoch)
            .write(self)?;
        Ok(settled > 0)
    }

    /// Gives back what this process has claimed and cannot wait for any longer; its handlers began, so the attempt
    /// counts, but nobody died.
    ///
    /// # Errors
    /// The database's.
    pub fn let_go(&mut self, epoch: i64) -> Result<usize> {
        let back = statement(format!(
            "UPDATE deliveries INDEXED BY deliveries_in_order SET state = {}, epoch = NULL \
             WHERE state = 'claimed' AND epoch = ?",
            super::RUNNABLE
        ));
        back.bind(epoch).write(self)
    }

    /// The wall clock jumped by `by` microseconds and shows `now`: what is tried again later waits as long as it
    /// would have, and never longer than anything has to wait: what an earlier process noted may go by another clock.
    ///
    /// # Errors
    /// The database's.
    pub fn shift_delayed(&mut self, by: i64, now: Timestamp) -> Result<usize> {
        let shift = statement(format!(
            "UPDATE deliveries SET next_at = min(next_at + ?, ? + CASE WHEN instr(subscriber, '/') > 0 \
             THEN {LONGEST_OTHERS_US} ELSE {LONGEST_US} END) WHERE state = 'delayed'"
        ));
        shift.bind(by).bind(now.0).write(self)
    }

    /// Removes what is left for subscribers that are gone for good; how many.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_deliveries_of(&mut self, subscribers: &[&str]) -> Result<usize> {
        let delete: Statement =
            statement("DELETE FROM deliveries WHERE subscriber IN (SELECT value FROM json_each(?))");
        delete.bind(to_text(&subscribers)?).write(self)
    }
}
