//! What came of a claimed delivery.

use diesel::RunQueryDsl;

use crate::error::Result;
use crate::model::time::Timestamp;

use super::super::counters;
use super::super::failure::OrFail;
use super::super::json::to_text;
use super::super::statement::{Statement, statement};
use super::super::tx::Tx;
use super::{Claimed, Ran};

impl Tx {
    /// A delivery is done, and the next one about its subject moves up.
    ///
    /// # Errors
    /// The database's.
    pub fn acknowledge(&mut self, delivery: &Claimed, ran: Ran) -> Result<()> {
        self.count(counters::DELIVERED, 1);
        self.settle(delivery, "done", None, None, Some(ran))
    }

    /// A delivery failed: it is tried again at `next`, before anything later about its subject; without
    /// `next` it is dead and the next one moves up.
    ///
    /// # Errors
    /// The database's.
    pub fn fail_delivery(
        &mut self,
        delivery: &Claimed,
        error: &str,
        next: Option<Timestamp>,
        ran: Ran,
    ) -> Result<()> {
        let state = if next.is_some() { "delayed" } else { "dead" };
        self.settle(delivery, state, Some(error), next, Some(ran))
    }

    /// The time in which the event was worth telling is over.
    ///
    /// # Errors
    /// The database's.
    pub fn expire_delivery(&mut self, delivery: &Claimed) -> Result<()> {
        self.settle(delivery, "expired", None, None, None)
    }

    fn settle(
        &mut self,
        delivery: &Claimed,
        state: &str,
        error: Option<&str>,
        next: Option<Timestamp>,
        ran: Option<Ran>,
    ) -> Result<()> {
        let settle: Statement = statement(format!(
            "UPDATE deliveries SET state = '{state}', epoch = NULL, next_at = ?, last_error = ?, began_at = ?, \
             ended_at = ? WHERE id = ? AND state = 'claimed'"
        ));
        let settled = settle
            .bind(next.map_or(0, |it| it.0))
            .bind(error)
            .bind(ran.map(|it| it.began.0))
            .bind(ran.map(|it| it.ended.0))
            .bind(delivery.id)
            .execute(&mut self.conn)
            .or_fail()?;
        if settled == 0 || next.is_some() {
            return Ok(());
        }
        self.move_up(&delivery.subscriber, delivery.event.subject.as_deref(), delivery.replay)
    }

    /// Removes what is left for subscribers that are gone for good; how many.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_deliveries_of(&mut self, subscribers: &[&str]) -> Result<usize> {
        let delete: Statement =
            statement("DELETE FROM deliveries WHERE subscriber IN (SELECT value FROM json_each(?))");
        delete.bind(to_text(&subscribers)?).execute(&mut self.conn).or_fail()
    }
}
