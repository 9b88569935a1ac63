//! Lists of clips. What they cost shall not depend on how many clips there are: the filter that narrows most drives the
//! search over its index and the others only test, or the order's own index is walked where every filter is wide; totals are
//! kept, or counted up to a limit.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Nullable};

use crate::error::Result;
use crate::model::clip::{Clip, ProcessingStatus};
use crate::model::page::{COUNT_LIMIT, Page, Window};
use crate::model::time::Timestamp;

use super::clip_parts::{LongTime, Part, Plan};
use super::clip_row::ClipRow;
use super::connection::Reader;
use super::counters;
use super::failure::OrFail;
use super::schema::clips;
use super::statement::{Statement, statement};

/// So many clips may be passed over without looking for a shorter way.
const PASSED_OVER: i64 = 500;

/// Which clips a list shows; everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClipFilter {
    /// Exactly this game.
    pub game_name: Option<String>,
    /// Whether processing is done.
    pub processed: Option<bool>,
    /// How far the processing is.
    pub status: Option<ProcessingStatus>,
    /// All of these tags, exactly.
    pub tags: Vec<String>,
    /// Words that title, description or tags contain, each as a beginning.
    pub q: Option<String>,
    /// Cut from this recording.
    pub recording_id: Option<String>,
    /// Recorded (else created) at this time or later.
    pub from: Option<Timestamp>,
    /// Recorded (else created) at this time or earlier.
    pub to: Option<Timestamp>,
    /// The page goes on behind this clip, whatever its offset; only where the order is that of ids. Totals count all.
    pub after: Option<i64>,
}

impl ClipFilter {
    /// The text that is searched for, if there is any in it.
    pub fn words(&self) -> Option<&str> {
        self.q.as_deref().filter(|it| !it.trim().is_empty())
    }
}

/// What a list is ordered by; equal ones by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClipOrder {
    /// When the clip was made: the order of ids.
    #[default]
    CreatedAt,
    /// When it was recorded; those that do not say come last in descending order.
    RecordedAt,
    /// The title.
    Title,
    /// The length.
    Duration,
    /// The id.
    Id,
}

/// Order and direction of a list; the default is the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClipSort {
    /// By what.
    pub by: ClipOrder,
    /// From the largest down.
    pub descending: bool,
}

impl Default for ClipSort {
    fn default() -> Self {
        ClipSort { by: ClipOrder::CreatedAt, descending: true }
    }
}

impl ClipSort {
    /// Reads `created_at`, `-recorded_at`, …: `-` is descending, `+` or nothing ascending.
    pub fn from_name(name: &str) -> Option<Self> {
        let (descending, field) = match name.strip_prefix('-') {
            Some(field) => (true, field),
            None => (false, name.strip_prefix('+').unwrap_or(name)),
        };
        let by = match field {
            "created_at" => ClipOrder::CreatedAt,
            "recorded_at" => ClipOrder::RecordedAt,
            "title" => ClipOrder::Title,
            "duration" => ClipOrder::Duration,
            "id" => ClipOrder::Id,
            _ => return None,
        };
        Some(ClipSort { by, descending })
    }

    /// Whether the order is that of ids: a page can go on behind a clip.
    pub fn is_by_id(self) -> bool {
        self.column().is_none()
    }

    /// What is ordered by before the id, with the index that has it in order; none for the id itself.
    pub(super) fn column(self) -> Option<(&'static str, &'static str)> {
        match self.by {
            ClipOrder::CreatedAt | ClipOrder::Id => None,
            ClipOrder::RecordedAt => Some(("clips.recorded_at", "clips_by_recorded")),
            ClipOrder::Title => Some(("clips.title", "clips_by_title")),
            ClipOrder::Duration => Some(("clips.duration", "clips_by_duration")),
        }
    }

    /// The order as SQL; `id` is what the id is called.
    pub(super) fn sql(self, id: &str) -> String {
        let way = if self.descending { "DESC" } else { "ASC" };
        match self.column() {
            None => format!("{id} {way}"),
            Some((column, _)) => format!("{column} {way}, {id} {way}"),
        }
    }
}

impl Reader {
    /// A page of the list.
    ///
    /// # Errors
    /// The database's.
    pub fn list_clips(&mut self, filter: &ClipFilter, sort: ClipSort, window: Window) -> Result<Page<Clip>> {
        let Some(parts) = self.clip_parts(filter)? else {
            return Ok(Page::new(Vec::new(), 0, false, window));
        };
        let (total, more) = self.count_clips(&parts)?;
        let rows = self.clip_rows(filter, &parts, sort, window, (!more).then_some(total))?;
        // What is shown is there, also where counting ended before it.
        let shown = if rows.is_empty() { 0 } else { window.offset + rows.len() as i64 };
        let items = rows.into_iter().map(ClipRow::into_clip).collect::<Result<_>>()?;
        Ok(Page::new(items, total.max(shown), more, window))
    }

    fn clip_rows(
        &mut self,
        filter: &ClipFilter,
        parts: &[Part],
        sort: ClipSort,
        window: Window,
        total: Option<i64>,
    ) -> Result<Vec<ClipRow>> {
        if let Some(after) = filter.after.filter(|_| sort.is_by_id()) {
            return self.rows_behind(Some(after), parts, sort, Window { offset: 0, ..window });
        }
        let Some(total) = total else { return self.rows_behind(None, parts, sort, window) };
        let left = total - window.offset;
        if left <= 0 {
            return Ok(Vec::new());
        }
        if parts.is_empty()
            && sort.is_by_id()
            && window.offset > PASSED_OVER
            && let Some(after) = self.clip_before(window.offset, total, sort.descending)?
        {
            return self.rows_behind(Some(after), parts, sort, Window { offset: 0, ..window });
        }
        if left >= window.offset {
            return self.rows_behind(None, parts, sort, window);
        }
        // Fewer are passed over from the other end.
        let limit = window.limit.min(left);
        let from_end = Window { offset: left - limit, limit };
        let mut rows =
            self.rows_behind(None, parts, ClipSort { descending: !sort.descending, ..sort }, from_end)?;
        rows.reverse();
        Ok(rows)
    }

    /// The id of the clip before the one at `offset` of all, where no id is missing between the first and the last: then a
    /// place is an id.
    fn clip_before(&mut self, offset: i64, total: i64, descending: bool) -> Result<Option<i64>> {
        let ends: Statement<'_, (Nullable<BigInt>, Nullable<BigInt>)> =
            statement("SELECT (SELECT min(id) FROM clips), (SELECT max(id) FROM clips)");
        let ends: (Option<i64>, Option<i64>) = ends.get_result(&mut self.conn).or_fail()?;
        let (Some(first), Some(last)) = ends else { return Ok(None) };
        if last - first + 1 != total {
            return Ok(None);
        }
        Ok(Some(if descending { last - offset + 1 } else { first + offset - 1 }))
    }

    fn rows_behind(
        &mut self,
        after: Option<i64>,
        parts: &[Part],
        sort: ClipSort,
        window: Window,
    ) -> Result<Vec<ClipRow>> {
        let all = self.counter(counters::CLIPS)?;
        if sort.is_by_id()
            && let Some(time) = LongTime::of(parts, window.offset.saturating_add(window.limit), all)
            && let Some(ids) = self.ids_by_month(&time, sort.descending, after, window)?
        {
            let rows: Statement<'_, clips::SqlType> = statement(format!(
                "SELECT clips.* FROM clips WHERE clips.id IN (SELECT value FROM json_each(?)) ORDER BY {}",
                sort.sql("clips.id")
            ));
            return rows.bind(serde_json::to_string(&ids).or_fail()?).load(&mut self.conn).or_fail();
        }
        Plan::of_list(parts, sort).page(sort, after, window).load(&mut self.conn).or_fail()
    }

    /// How many there are, and whether there are more.
    fn count_clips(&mut self, parts: &[Part]) -> Result<(i64, bool)> {
        match parts {
            [] => return Ok((self.counter(counters::CLIPS)?, false)),
            [one] => return Ok((one.size, one.is_more)),
            _ if parts.iter().any(|it| it.size == 0) => return Ok((0, false)),
            _ => {}
        }
        let (looked_at, counted) = self.count_of_clips(Plan::of_count(parts).count(COUNT_LIMIT + 1))?;
        Ok((counted.min(COUNT_LIMIT), looked_at > COUNT_LIMIT))
    }
}
