//! What led to an event, one event after another.

use diesel::prelude::*;

use crate::error::Result;

use super::connection::Reader;
use super::failure::OrFail;
use super::schema::events;

impl Reader {
    /// Type and source of the event `id` and of those that led to it, the newest first, at most `limit`. What was
    /// removed ends the row.
    ///
    /// # Errors
    /// The database's.
    pub fn event_causes(&mut self, id: &str, limit: usize) -> Result<Vec<(String, String)>> {
        let mut causes = Vec::new();
        let mut next = Some(id.to_owned());
        while let Some(id) = next.take().filter(|_| causes.len() < limit) {
            let found: Option<(String, String, Option<String>)> = events::table
                .filter(events::id.eq(&id))
                .select((events::kind, events::source, events::causation_id))
                .first(&mut self.conn)
                .optional()
                .or_fail()?;
            if let Some((kind, source, cause)) = found {
                causes.push((kind, source));
                next = cause;
            }
        }
        Ok(causes)
    }
}
