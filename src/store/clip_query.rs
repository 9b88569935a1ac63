//! Lists of clips. The filter that narrows most drives the search over its index, the others only test;
//! every index ends with the id, so that the default order costs no sorting.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::error::Result;
use crate::model::clip::{Clip, ProcessingStatus};
use crate::model::page::{COUNT_LIMIT, Page, Window};
use crate::model::time::Timestamp;

use super::clip_row::ClipRow;
use super::connection::Reader;
use super::counters;
use super::failure::OrFail;
use super::json::to_text;
use super::schema::clips;
use super::statement::{Bind, Statement, statement};

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

    fn sql(self) -> String {
        let way = if self.descending { "DESC" } else { "ASC" };
        match self.by {
            ClipOrder::CreatedAt | ClipOrder::Id => format!("clips.id {way}"),
            ClipOrder::RecordedAt => format!("clips.recorded_at {way}, clips.id {way}"),
            ClipOrder::Title => format!("clips.title {way}, clips.id {way}"),
            ClipOrder::Duration => format!("clips.duration {way}, clips.id {way}"),
        }
    }
}

impl Reader {
    /// A page of the list.
    ///
    /// # Errors
    /// The database's.
    pub fn list_clips(&mut self, filter: &ClipFilter, sort: ClipSort, window: Window) -> Result<Page<Clip>> {
        let Some(search) = Search::of(filter)? else { return Ok(Page::new(Vec::new(), 0, false, window)) };
        let list: Statement<clips::SqlType> = statement(format!(
            "SELECT clips.* FROM clips WHERE clips.id IN (SELECT clips.id FROM {} ORDER BY {} LIMIT ? OFFSET ?) \
             ORDER BY {}",
            search.sql,
            sort.sql(),
            sort.sql()
        ));
        let rows: Vec<ClipRow> = list
            .binds(search.binds.iter().cloned())
            .bind(window.limit)
            .bind(window.offset)
            .load(&mut self.conn)
            .or_fail()?;
        let items = rows.into_iter().map(ClipRow::into_clip).collect::<Result<_>>()?;
        let (total, more) = self.count_clips(filter, search)?;
        Ok(Page::new(items, total, more, window))
    }

    fn count_clips(&mut self, filter: &ClipFilter, search: Search) -> Result<(i64, bool)> {
        if *filter == ClipFilter::default() {
            return Ok((self.counter(counters::CLIPS)?, false));
        }
        let count: Statement<BigInt> =
            statement(format!("SELECT count(*) FROM (SELECT 1 FROM {} LIMIT ?)", search.sql));
        let counted: i64 =
            count.binds(search.binds).bind(COUNT_LIMIT + 1).get_result(&mut self.conn).or_fail()?;
        Ok((counted.min(COUNT_LIMIT), counted > COUNT_LIMIT))
    }
}

/// A filter as SQL from the FROM clause on.
struct Search {
    sql: String,
    binds: Vec<Bind<'static>>,
}

impl Search {
    /// None when no clip can match.
    fn of(filter: &ClipFilter) -> Result<Option<Self>> {
        let mut conditions: Vec<String> = Vec::new();
        let mut binds = Vec::new();
        let mut from = "clips".to_owned();

        let words = match filter.q.as_deref().filter(|it| !it.trim().is_empty()) {
            None => Vec::new(),
            Some(text) => match words_of(text) {
                // Text without a single letter or digit is in no index.
                words if words.is_empty() => return Ok(None),
                words => words,
            },
        };
        let mut phrases: Vec<String> = words.iter().map(|it| format!("\"{it}\"*")).collect();
        for tag in &filter.tags {
            let text = to_text(tag)?;
            if text.chars().any(char::is_alphanumeric) {
                phrases.push(format!("tags : {}", quoted(&text)));
            }
        }
        let mut driven = !phrases.is_empty();
        if driven {
            // The words' index gives the rows, newest first.
            from = "clips_fts CROSS JOIN clips ON clips.id = clips_fts.rowid".to_owned();
            conditions.push("clips_fts MATCH ?".to_owned());
            binds.push(Bind::from(phrases.join(" AND ")));
        }
        for tag in &filter.tags {
            conditions
                .push("EXISTS (SELECT 1 FROM json_each(clips.tags) AS tag WHERE tag.value = ?)".to_owned());
            binds.push(Bind::from(tag.clone()));
        }
        let mut test = |column: &str, comparison: &str, values: Vec<Bind<'static>>| {
            // A plus sign keeps a column from choosing the index.
            let plus = if std::mem::replace(&mut driven, true) { "+" } else { "" };
            conditions.push(format!("{plus}{column} {comparison}"));
            binds.extend(values);
        };
        if let Some(id) = &filter.recording_id {
            test("clips.recording_id", "= ?", vec![Bind::from(id.clone())]);
        }
        if let Some(game) = &filter.game_name {
            test("clips.game_name", "= ?", vec![Bind::from(game.clone())]);
        }
        let moment = "coalesce(clips.recorded_at, clips.created_at)";
        if filter.from.is_some() || filter.to.is_some() {
            let (from, to) = (filter.from.map_or(i64::MIN, |it| it.0), filter.to.map_or(i64::MAX, |it| it.0));
            test(moment, "BETWEEN ? AND ?", vec![Bind::from(from), Bind::from(to)]);
        }
        if let Some(status) = filter.status {
            test("clips.processing_status", "= ?", vec![Bind::from(status.as_str())]);
        }
        if let Some(processed) = filter.processed {
            test("clips.processed", "= ?", vec![Bind::from(i64::from(processed))]);
        }
        let sql = match conditions.is_empty() {
            true => from,
            false => format!("{from} WHERE {}", conditions.join(" AND ")),
        };
        Ok(Some(Search { sql, binds }))
    }
}

/// The words of a user's text, without what the search language would read as an operator.
fn words_of(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// A phrase of the search language: whatever it contains is text.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}
