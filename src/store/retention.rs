//! What is kept of the journal: the oldest events go, never one that somebody is still to be told of.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};

use crate::error::Result;
use crate::model::event::Event;
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::counters::{EVENTS, EVENTS_BYTES, EVENTS_COUNT, EVENTS_REMOVED_THROUGH};
use super::deliveries::OPEN;
use super::failure::OrFail;
use super::json::to_text;
use super::statement::statement;
use super::tx::Tx;

/// What an event takes besides its data and its subject: the rest of its row, and its places in indexes.
const ROW_BYTES: i64 = 600;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Events since then are kept; none = of whatever age.
    pub since: Option<Timestamp>,
    /// So many are kept at most; none = all.
    pub max_events: Option<i64>,
    /// So many bytes of them are kept at most; none = all.
    pub max_bytes: Option<i64>,
    /// What was given up since then keeps its event; none = whenever that was.
    pub dead_since: Option<Timestamp>,
}

/// What the journal holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JournalSize {
    /// Events.
    pub events: i64,
    /// About what they take in the database, without their deliveries.
    pub bytes: i64,
    /// The last place that was removed: all that came after it is there.
    pub removed_through: i64,
}

/// Events that may go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removable {
    /// Their places, in order.
    pub seqs: Vec<i64>,
    /// Where to look on, when there may be more.
    pub next: Option<i64>,
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Events.
    pub events: u64,
    /// Their deliveries.
    pub deliveries: u64,
    /// About what the events took.
    pub bytes: i64,
}

/// What holds an event, whatever its age; two values follow.
fn is_held() -> String {
    format!(
        "EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_by_event WHERE event_seq = events.seq AND ({OPEN} OR \
         (state IN ('dead', 'quarantined') AND coalesce(ended_at, created_at) >= ?)))"
    )
}

fn bytes_column() -> String {
    format!("octet_length(data) + coalesce(octet_length(subject), 0) + {ROW_BYTES}")
}

/// What `event` takes when its data has so many bytes as text.
pub(super) fn bytes_of(event: &Event, data: &str) -> i64 {
    (data.len() + event.subject.as_ref().map_or(0, String::len)) as i64 + ROW_BYTES
}

fn or_ever(time: Option<Timestamp>) -> i64 {
    time.map_or(i64::MIN, |it| it.0)
}

impl Reader {
    /// What the journal holds, from counts that are kept with it.
    ///
    /// # Errors
    /// The database's.
    pub fn journal_size(&mut self) -> Result<JournalSize> {
        Ok(JournalSize {
            events: self.counter(EVENTS_COUNT)?,
            bytes: self.counter(EVENTS_BYTES)?,
            removed_through: self.counter(EVENTS_REMOVED_THROUGH)?,
        })
    }

    /// Events after the place `after` that are not to be kept, among the next `limit` that nothing holds.
    ///
    /// # Errors
    /// The database's.
    pub fn removable_events(&mut self, after: i64, keep: &Keep, limit: i64) -> Result<Removable> {
        let size = self.journal_size()?;
        let mut events_over = keep.max_events.map_or(0, |most| size.events - most);
        let mut bytes_over = keep.max_bytes.map_or(0, |most| size.bytes - most);
        let free = statement::<(BigInt, BigInt, BigInt)>(format!(
            "SELECT seq, time, {} FROM events WHERE seq > ? AND NOT {} ORDER BY seq LIMIT ?",
            bytes_column(),
            is_held()
        ));
        let free = free.bind(after).bind(or_ever(keep.dead_since)).bind(limit);
        let rows: Vec<(i64, i64, i64)> = free.load(&mut self.conn).or_fail()?;
        let may_be_more = rows.len() as i64 == limit;
        let mut removable = Removable::default();
        for (seq, time, bytes) in rows {
            if events_over > 0 || bytes_over > 0 || time < or_ever(keep.since) {
                events_over -= 1;
                bytes_over -= bytes;
                removable.seqs.push(seq);
            }
        }
        // The clock may have been wrong for a while: an event of the future holds back its neighbours only.
        removable.next = removable.seqs.last().copied().filter(|_| may_be_more);
        Ok(removable)
    }
}

impl Tx {
    /// Removes events and their deliveries, but for those that are held by now.
    ///
    /// # Errors
    /// The database's.
    pub fn remove_events(&mut self, seqs: &[i64], keep: &Keep) -> Result<Removed> {
        let delete = statement::<(BigInt, Text, BigInt)>(format!(
            "DELETE FROM events WHERE seq IN (SELECT value FROM json_each(?)) AND NOT {} RETURNING seq, kind, {}",
            is_held(),
            bytes_column()
        ));
        let delete = delete.bind(to_text(&seqs)?).bind(or_ever(keep.dead_since));
        let gone: Vec<(i64, String, i64)> = delete.load(&mut self.conn).or_fail()?;
        let mut removed = Removed { events: gone.len() as u64, ..Removed::default() };
        let mut last = self.counter_now(EVENTS_REMOVED_THROUGH)?;
        let before = last;
        for (seq, kind, bytes) in &gone {
            self.count_of(EVENTS, kind, -1);
            removed.bytes += bytes;
            last = last.max(*seq);
        }
        self.count(EVENTS_COUNT, -(gone.len() as i64));
        self.count(EVENTS_BYTES, -removed.bytes);
        self.count(EVENTS_REMOVED_THROUGH, last - before);
        self.forget_kinds(&gone.iter().map(|(seq, kind, _)| (*seq, &**kind)).collect::<Vec<_>>())?;
        let seqs: Vec<i64> = gone.into_iter().map(|(seq, _, _)| seq).collect();
        let deliveries =
            statement::<()>("DELETE FROM deliveries WHERE event_seq IN (SELECT value FROM json_each(?))");
        let deliveries = deliveries.bind(to_text(&seqs)?).write(self)?;
        removed.deliveries = deliveries as u64;
        Ok(removed)
    }
}
