//! The journal read page by page, forwards or backwards, narrowed by a filter. What one page may cost is bounded: a
//! filter that fits nothing ends a page early, with the place to go on from.

mod candidates;
mod kinds;
#[cfg(test)]
mod tests;

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::error::Result;
use crate::model::event::{Event, pattern_matches};
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::failure::OrFail;
use super::schema::events;

use candidates::{Candidate, Chunk, Way};

/// Rows one page looks at before it ends, or what takes as long, whatever it has found.
pub const LOOKED_AT: usize = 10_000;

/// Rows looked at at once.
const CHUNK: usize = 1000;

/// Which events are wanted; nothing said = all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventFilter {
    /// Of a type that fits one of these patterns.
    pub patterns: Vec<String>,
    /// Told by this source.
    pub source: Option<String>,
    /// About this subject.
    pub subject: Option<String>,
    /// Set off by the request with this id.
    pub correlation_id: Option<String>,
    /// At this time or later, by the server's clock.
    pub from: Option<Timestamp>,
    /// At this time or earlier.
    pub to: Option<Timestamp>,
}

impl EventFilter {
    /// Whether an event fits.
    pub fn holds(&self, event: &Event) -> bool {
        let same = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        self.fits_type(&event.kind)
            && same(&self.source, Some(&event.source))
            && same(&self.subject, event.subject.as_deref())
            && same(&self.correlation_id, Some(&event.correlation_id))
            && self.from.is_none_or(|it| event.time >= it)
            && self.to.is_none_or(|it| event.time <= it)
    }

    /// Whether it asks for a value of a column that is the same for all that fit, or lies between two.
    fn asks_for_values(&self) -> bool {
        self.source.is_some() || self.subject.is_some() || self.from.is_some() || self.to.is_some()
    }

    /// Whether a type fits one of the patterns.
    fn fits_type(&self, kind: &str) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|it| pattern_matches(it, kind))
    }

    /// Whether a row fits; its correlation has been looked up by then.
    fn fits(&self, row: &Candidate) -> bool {
        self.fits_type(&row.kind)
            && self.source.as_ref().is_none_or(|it| *it == row.source)
            && self.subject.as_ref().is_none_or(|it| Some(it) == row.subject.as_ref())
            && self.from.is_none_or(|it| row.time >= it.0)
            && self.to.is_none_or(|it| row.time <= it.0)
    }
}

/// Which part of the journal is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventWindow {
    /// Only places after this one.
    pub after: i64,
    /// Only places before this one.
    pub before: i64,
    /// From the newest one backwards.
    pub newest_first: bool,
    /// At most so many events.
    pub limit: usize,
    /// No more events once their data have so many bytes; one event is always given.
    pub max_bytes: i64,
}

/// Some events with their places, in the order asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventPage {
    /// The events.
    pub rows: Vec<(i64, Event)>,
    /// The place to go on from, exclusive; none = the journal was read to its end (or its beginning).
    pub next: Option<i64>,
    /// The oldest place that is kept; none = the journal is empty.
    pub first: Option<i64>,
    /// The newest place there has ever been.
    pub last: i64,
}

impl Reader {
    /// One page of events. It looks at a bounded number of rows at most.
    ///
    /// # Errors
    /// The database's.
    pub fn event_page(&mut self, filter: &EventFilter, window: EventWindow) -> Result<EventPage> {
        let window = self.narrowed(filter, window)?;
        self.event_page_of_any_time(filter, window)
    }

    /// The same without a guess where the filter's time lies on the journal: nothing is missed where the clock was wrong for
    /// long, but what lies before is gone through.
    pub(super) fn event_page_of_any_time(
        &mut self,
        filter: &EventFilter,
        window: EventWindow,
    ) -> Result<EventPage> {
        let (first, last) = self.journal_ends()?;
        let mut page = EventPage { first, last, ..EventPage::default() };
        let Some(way) = self.way(filter, window, last)? else { return Ok(page) };
        let (mut found, next) = self.places(filter, way, window.limit)?;
        page.next = next;
        let fitting = self.that_fit_bytes(&found, window.newest_first, window.max_bytes)?;
        if fitting < found.len() {
            found.truncate(fitting);
            page.next = found.last().copied();
        }
        page.rows = self.events_at(&found)?;
        if window.newest_first {
            page.rows.reverse();
        }
        Ok(page)
    }

    /// The place from which on all events are kept, none when there is none at all, and the newest place there has
    /// ever been. Older events that somebody is still to be told of may lie before it.
    ///
    /// # Errors
    /// The database's.
    pub fn journal_ends(&mut self) -> Result<(Option<i64>, i64)> {
        // The newest one first: what is committed in between lies behind it.
        let ever = self.last_event_seq()?;
        let first: Option<i64> =
            events::table.select(diesel::dsl::min(events::seq)).first(&mut self.conn).or_fail()?;
        let all_after = self.journal_size()?.removed_through;
        Ok((first.map(|it| it.max(all_after + 1)), ever))
    }

    /// The places that fit, at most `limit`, and where to go on.
    fn places(
        &mut self,
        filter: &EventFilter,
        mut way: Way,
        limit: usize,
    ) -> Result<(Vec<i64>, Option<i64>)> {
        let (mut found, mut looked) = (Vec::new(), 0);
        // One more than wanted tells whether there is more.
        let mut chunk = (limit + 1).min(CHUNK + 1);
        loop {
            let Chunk { rows, passed, looked: taken, is_end } = self.candidates(&way, filter, chunk)?;
            looked += taken;
            for row in rows {
                if filter.fits(&row) {
                    if found.len() == limit {
                        return Ok((found.clone(), found.last().copied()));
                    }
                    found.push(row.seq);
                }
                way.pass(row.seq);
            }
            if let Some(seq) = passed {
                way.pass(seq);
            }
            if is_end {
                return Ok((found, None));
            }
            if looked >= LOOKED_AT {
                return Ok((found, Some(way.reached())));
            }
            chunk = CHUNK;
        }
    }

    /// How many of these places may be loaded together.
    fn that_fit_bytes(&mut self, places: &[i64], newest_first: bool, max_bytes: i64) -> Result<usize> {
        let (Some(one), Some(other)) = (places.first(), places.last()) else { return Ok(0) };
        let order = if newest_first { "DESC" } else { "ASC" };
        let listed = places.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        // Bounds beside the list keep the walk in order; the list itself holds numbers alone.
        let sizes = diesel::sql_query(format!(
            "SELECT octet_length(data) AS bytes FROM events WHERE seq BETWEEN {} AND {} AND seq IN ({listed}) ORDER BY seq {order}",
            one.min(other),
            one.max(other)
        ));
        let sizes: Vec<Size> = sizes.load(&mut self.conn).or_fail()?;
        let mut sum = 0;
        let fitting = sizes.iter().take_while(|it| {
            sum += it.bytes;
            sum <= max_bytes
        });
        Ok(fitting.count().max(1))
    }
}

#[derive(QueryableByName)]
struct Size {
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}
