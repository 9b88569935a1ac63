//! The parts of a filter of clips, how many clips each lets through, and the SQL in which one of them drives.

use diesel::sql_types::BigInt;

use crate::error::Result;
use crate::model::page::{COUNT_LIMIT, Window};

use super::clip_query::{ClipFilter, ClipSort};
use super::clip_words::patterns_of;
use super::connection::Reader;
use super::counters;
use super::schema::clips;
use super::statement::{Bind, Statement, statement};

/// When a clip was recorded, else created: the text is that of the indexes.
pub(super) const MOMENT: &str = "coalesce(clips.recorded_at, clips.created_at)";

/// So many clips are ordered after they were found; of more, those are found that come first in the order.
const SORTED: i64 = 2_000;

/// So many clips are looked at for words one by one; of more, those with the words are looked at for the rest.
const PROBED: i64 = 300;

/// How a column is compared that a part asks one value of.
const EQUAL: &str = "= ?";

/// Everything of a clip that words are looked for in; no word goes from one part into the next.
const TEXT: &str = "(' ' || clips.title || ' ' || coalesce(clips.description, '') || ' ' || clips.tags)";

/// Whether that is ASCII throughout: as many characters as bytes.
const IS_ASCII: &str = "length(clips.title) = octet_length(clips.title) \
     AND length(clips.tags) = octet_length(clips.tags) \
     AND length(coalesce(clips.description, '')) = octet_length(coalesce(clips.description, ''))";

/// One thing that a filter asks of clips.
#[derive(Debug)]
pub(super) struct Part {
    source: Source,
    binds: Vec<Bind<'static>>,
    /// Of words: patterns of GLOB that all fit the text of a clip that has them, if it is ASCII.
    patterns: Vec<String>,
    /// Clips that it lets through.
    pub(super) size: i64,
    /// There are more than that.
    pub(super) is_more: bool,
}

impl Part {
    /// The first and the last moment of a time that many clips are of.
    fn long_time(&self) -> Option<(i64, i64)> {
        match (self.source, &self.binds[..]) {
            (Source::Column(_, MOMENT, _), [Bind::Int(Some(from)), Bind::Int(Some(to))])
                if self.size > SORTED =>
            {
                Some((*from, *to))
            }
            _ => None,
        }
    }

    /// Whether a clip is tested by its row alone.
    fn needs_row(&self) -> bool {
        matches!(self.source, Source::Column(_, _, comparison) if comparison != EQUAL)
            || !self.patterns.is_empty()
    }

    /// What holds for the clip `id`; `by_row`: its row is at hand, as it is where any part needs it. Where its text is
    /// ASCII, words are looked for in the text: the index of words takes twenty times as long to tell whether one clip has
    /// them.
    fn testing(&self, id: &str, by_row: bool) -> String {
        let test = self.source.testing(id, by_row);
        if self.patterns.is_empty() {
            return test;
        }
        let all = vec![format!("{TEXT} GLOB ?"); self.patterns.len()].join(" AND ");
        format!("CASE WHEN {IS_ASCII} THEN {all} ELSE {test} END")
    }

    /// The values of that.
    fn tested(&self) -> impl Iterator<Item = Bind<'static>> {
        self.patterns.iter().map(|it| Bind::from(it.clone())).chain(self.binds.iter().cloned())
    }
}

/// Where the clips are found that it lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Words; whether one clip can be looked at without finding all of them.
    Words {
        each: bool,
    },
    Tag,
    /// An index, the column it is of, and how that is compared.
    Column(&'static str, &'static str, &'static str),
}

impl Source {
    /// Its table, its id, and what holds for its rows.
    fn driving(self) -> (String, &'static str, String) {
        match self {
            Source::Words { .. } => {
                ("clips_fts".to_owned(), "clips_fts.rowid", "clips_fts MATCH ?".to_owned())
            }
            Source::Tag => ("clip_tags AS driver".to_owned(), "driver.clip_id", "driver.tag = ?".to_owned()),
            Source::Column(index, column, comparison) => {
                (format!("clips INDEXED BY {index}"), "clips.id", format!("{column} {comparison}"))
            }
        }
    }

    /// What holds for the clip `id` that something else found; `by_row`: its row is at hand.
    fn testing(self, id: &str, by_row: bool) -> String {
        match self {
            Source::Words { .. } => {
                format!("EXISTS (SELECT 1 FROM clips_fts WHERE clips_fts MATCH ? AND clips_fts.rowid = {id})")
            }
            Source::Tag => {
                format!(
                    "EXISTS (SELECT 1 FROM clip_tags WHERE clip_tags.tag = ? AND clip_tags.clip_id = {id})"
                )
            }
            // Rows lie far apart and an index close together: it is not the rows that are read for those that do not fit.
            Source::Column(index, column, EQUAL) if !by_row => {
                let column = column.replacen("clips.", "other.", 1);
                format!(
                    "EXISTS (SELECT 1 FROM clips AS other INDEXED BY {index} WHERE {column} {EQUAL} AND other.id = {id})"
                )
            }
            // A plus sign keeps the column from choosing an index.
            Source::Column(_, column, comparison) => format!("+{column} {comparison}"),
        }
    }
}

impl Reader {
    /// The parts of a filter; none when no clip can match.
    pub(super) fn clip_parts(&mut self, filter: &ClipFilter) -> Result<Option<Vec<Part>>> {
        let mut parts = Vec::new();
        if let Some(text) = filter.words() {
            let Some((phrase, each)) = self.clip_phrase(text)? else { return Ok(None) };
            let part = self.counted_part(Source::Words { each }, vec![Bind::from(phrase)])?;
            parts.push(Part { patterns: patterns_of(text), ..part });
        }
        for tag in &filter.tags {
            let size = self.counter(&format!("{}{tag}", counters::TAG))?;
            parts.push(Part {
                source: Source::Tag,
                binds: vec![Bind::from(tag.clone())],
                patterns: Vec::new(),
                size,
                is_more: false,
            });
        }
        let column = |index, column, comparison| Source::Column(index, column, comparison);
        if let Some(id) = &filter.recording_id {
            let source = column("clips_by_recording", "clips.recording_id", EQUAL);
            parts.push(self.counted_part(source, vec![Bind::from(id.clone())])?);
        }
        let moment = column("clips_by_moment", MOMENT, "BETWEEN ? AND ?");
        if filter.from.is_some() || filter.to.is_some() {
            let (from, to) = (filter.from.map_or(i64::MIN, |it| it.0), filter.to.map_or(i64::MAX, |it| it.0));
            parts.push(self.counted_part(moment, vec![Bind::from(from), Bind::from(to)])?);
        }
        let mut kept = |source, value: Bind<'static>, size| {
            parts.push(Part { source, binds: vec![value], patterns: Vec::new(), size, is_more: false });
        };
        if let Some(game) = &filter.game_name {
            let size = self.counter(&format!("{}{game}", counters::GAME))?;
            kept(column("clips_by_game", "clips.game_name", EQUAL), Bind::from(game.clone()), size);
        }
        if let Some(status) = filter.status {
            let size = self.counter(&format!("{}{}", counters::STATUS, status.as_str()))?;
            let source = column("clips_by_status", "clips.processing_status", EQUAL);
            kept(source, Bind::from(status.as_str()), size);
        }
        if let Some(processed) = filter.processed {
            let done = self.counter(counters::CLIPS_PROCESSED)?;
            let size = if processed { done } else { self.counter(counters::CLIPS)? - done };
            kept(
                column("clips_by_processed", "clips.processed", EQUAL),
                Bind::from(i64::from(processed)),
                size,
            );
        }
        Ok(Some(parts))
    }

    /// A part whose size is not kept: counted up to a limit.
    fn counted_part(&mut self, source: Source, binds: Vec<Bind<'static>>) -> Result<Part> {
        let (table, _, condition) = source.driving();
        let count = statement(format!(
            "SELECT count(*), count(*) FROM (SELECT 1 FROM {table} WHERE {condition} LIMIT ?)"
        ));
        let (size, _) = self.count_of_clips(count.binds(binds.iter().cloned()).bind(COUNT_LIMIT + 1))?;
        Ok(Part {
            source,
            binds,
            patterns: Vec::new(),
            size: size.min(COUNT_LIMIT),
            is_more: size > COUNT_LIMIT,
        })
    }
}

/// A long time, and what else is asked of its clips.
#[derive(Debug)]
pub(super) struct LongTime {
    /// The first and the last moment.
    pub(super) between: (i64, i64),
    /// Conditions for the row of a clip, and their values.
    pub(super) tests: Vec<String>,
    pub(super) tested: Vec<Bind<'static>>,
}

impl LongTime {
    /// Of a filter for which a page of the first `wanted` by id is best found through the months; there are `all` clips.
    pub(super) fn of(parts: &[Part], wanted: i64, all: i64) -> Option<Self> {
        let (at, between) = parts.iter().enumerate().find_map(|(at, it)| Some((at, it.long_time()?)))?;
        let others = || parts.iter().enumerate().filter(|(it, _)| *it != at).map(|(_, it)| it);
        let by_row = others().any(Part::needs_row);
        let is_wide = |it: &Part| {
            // Looking through its own clips would take as many steps as it has; through the months, as many as come before
            // enough of them.
            !matches!(it.source, Source::Words { .. })
                && (it.is_more || it.size.saturating_mul(it.size) > wanted.saturating_mul(all))
        };
        others().all(is_wide).then(|| LongTime {
            between,
            tests: others().map(|it| it.testing("clips.id", by_row)).collect(),
            tested: others().flat_map(Part::tested).collect(),
        })
    }
}

/// What drives, and what is tested.
#[derive(Debug)]
pub(super) struct Plan {
    from: String,
    id: &'static str,
    /// Of the driver's rows.
    condition: Option<String>,
    tests: Vec<String>,
    /// Values of the condition.
    binds: Vec<Bind<'static>>,
    /// Values of the tests.
    tested: Vec<Bind<'static>>,
}

impl Plan {
    /// The way to a page of a list.
    pub(super) fn of_list(parts: &[Part], sort: ClipSort) -> Self {
        let driver = driver_of(parts);
        match (driver, sort.column()) {
            (Some(driver), None) => Plan::by(parts, driver, false),
            (Some(driver), Some(_)) if parts[driver].size <= SORTED && !parts[driver].is_more => {
                Plan::by(parts, driver, true)
            }
            (Some(driver), Some(_)) if parts[driver].source == (Source::Words { each: false }) => {
                Plan::by(parts, driver, true)
            }
            (_, column) => Plan::walking(parts, column.map(|(_, index)| index)),
        }
    }

    /// The way to a total; there are several parts.
    pub(super) fn of_count(parts: &[Part]) -> Self {
        match driver_of(parts) {
            Some(driver) => Plan::by(parts, driver, false),
            None => Plan::walking(parts, None),
        }
    }

    /// Over the clips that one part finds. `needs_row`: something else is asked of a clip than its parts say.
    fn by(parts: &[Part], driver: usize, needs_row: bool) -> Self {
        let Part { source, binds, .. } = &parts[driver];
        let (mut from, id, condition) = source.driving();
        let others = || parts.iter().enumerate().filter(|(at, _)| *at != driver).map(|(_, it)| it);
        let by_row = needs_row || others().any(Part::needs_row);
        if by_row && !matches!(source, Source::Column(..)) {
            from = format!("{from} CROSS JOIN clips ON clips.id = {id}");
        }
        let tests = others().map(|it| it.testing(id, by_row)).collect();
        let tested = others().flat_map(Part::tested).collect();
        Plan { from, id, condition: Some(condition), tests, binds: binds.clone(), tested }
    }

    /// Over all clips, by an index or by id.
    fn walking(parts: &[Part], index: Option<&str>) -> Self {
        let by_row = parts.iter().any(Part::needs_row);
        Plan {
            from: index.map_or("clips NOT INDEXED".to_owned(), |it| format!("clips INDEXED BY {it}")),
            id: "clips.id",
            condition: None,
            tests: parts.iter().map(|it| it.testing("clips.id", by_row)).collect(),
            binds: Vec::new(),
            tested: parts.iter().flat_map(Part::tested).collect(),
        }
    }

    /// The rows of a page; `after` is the clip that it goes on behind, where the order is that of ids.
    pub(super) fn page(
        &self,
        sort: ClipSort,
        after: Option<i64>,
        window: Window,
    ) -> Statement<'static, clips::SqlType> {
        let Plan { from, id, .. } = self;
        let behind = after.map(|_| format!("{id} {} ?", if sort.descending { "<" } else { ">" }));
        let conditions = self.condition.iter().chain(&self.tests).chain(&behind);
        let conditions: Vec<&str> = conditions.map(String::as_str).collect();
        let wanted = match conditions.is_empty() {
            true => String::new(),
            false => format!("WHERE {} ", conditions.join(" AND ")),
        };
        let page = format!(
            "SELECT clips.* FROM clips WHERE clips.id IN (SELECT {id} FROM {from} {wanted}ORDER BY {} LIMIT ? OFFSET ?) \
             ORDER BY {}",
            sort.sql(id),
            sort.sql("clips.id")
        );
        let page = statement(page).binds(self.binds.iter().chain(&self.tested).cloned());
        page.binds(after.map(Bind::from)).bind(window.limit).bind(window.offset)
    }

    /// How many clips were looked at, at most `limit`, and how many of them fit.
    pub(super) fn count(&self, limit: i64) -> Statement<'static, (BigInt, BigInt)> {
        let Plan { from, .. } = self;
        let condition = self.condition.as_deref().unwrap_or("TRUE");
        let tests = if self.tests.is_empty() { "TRUE".to_owned() } else { self.tests.join(" AND ") };
        let count = format!(
            "SELECT count(*), coalesce(sum(fits), 0) FROM (SELECT ({tests}) AS fits FROM {from} WHERE {condition} LIMIT ?)"
        );
        statement(count).binds(self.tested.iter().chain(&self.binds).cloned()).bind(limit)
    }
}

/// The part that narrows most. Words are found in an index of their own, and looked for in a clip only where few are left.
fn driver_of(parts: &[Part]) -> Option<usize> {
    let narrowest = (0..parts.len()).min_by_key(|at| (parts[*at].is_more, parts[*at].size))?;
    let words = parts.iter().enumerate().find_map(|(at, it)| match it.source {
        Source::Words { each } => Some((at, each)),
        _ => None,
    });
    match words {
        Some((words, each)) if !each || parts[narrowest].size > PROBED => Some(words),
        _ => Some(narrowest),
    }
}
