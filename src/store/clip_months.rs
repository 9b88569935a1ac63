//! The clips of a time, by id. The index by time has them in another order and the ids know nothing of the time, so each
//! month has its own ids in order, and the first of each are merged: that costs what the months are, not what the clips are.
//! Once there are enough, a month is read only up to the last of them.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Nullable};

use crate::error::Result;
use crate::model::page::Window;

use super::clip_parts::{LongTime, MOMENT};
use super::connection::Reader;
use super::failure::OrFail;
use super::statement::{Bind, Statement, statement};

/// As in the index: 30 days, in microseconds.
const MONTH_US: i64 = 2_592_000_000_000;

/// More months than these are not gone through.
const MAX_MONTHS: i64 = 600;

/// What is looked for in each month.
struct Search<'a> {
    time: &'a LongTime,
    descending: bool,
    /// Ids lie behind this one.
    after: Option<i64>,
    /// So many, the first in their order.
    wanted: i64,
    /// As many as are wanted come up to here; that one may be among them.
    bound: Option<i64>,
    found: Vec<i64>,
}

impl Search<'_> {
    /// The ids of clips that fit among those of an index and a condition.
    fn statement(&self, place: &str, binds: Vec<Bind<'static>>, order: &str) -> Statement<'static, BigInt> {
        let (beyond, way) = if self.descending { ("<", "DESC") } else { (">", "ASC") };
        let within = if self.descending { ">=" } else { "<=" };
        let mut conditions = vec![place.to_owned()];
        conditions.extend(self.after.map(|_| format!("clips.id {beyond} ?")));
        conditions.extend(self.bound.map(|_| format!("clips.id {within} ?")));
        conditions.extend(self.time.tests.iter().cloned());
        let found = statement(format!(
            "SELECT clips.id FROM clips INDEXED BY {} ORDER BY {order} {way} LIMIT ?",
            conditions.join(" AND ")
        ));
        let found = found.binds(binds).binds(self.after.map(Bind::from)).binds(self.bound.map(Bind::from));
        found.binds(self.time.tested.iter().cloned()).bind(self.wanted)
    }

    /// Brings ids into order and keeps as many as are wanted.
    fn take(&mut self, ids: Vec<i64>) {
        self.found.extend(ids);
        self.found.sort_unstable();
        if self.descending {
            self.found.reverse();
        }
        self.found.truncate(usize::try_from(self.wanted).unwrap_or(usize::MAX));
        if self.found.len() as i64 == self.wanted {
            self.bound = self.found.last().copied().or(self.bound);
        }
    }
}

impl Reader {
    /// The ids of a page of the clips between two times (both belong to it) for which the rest holds, too, ordered by id; none
    /// when the time is too long.
    pub(super) fn ids_by_month(
        &mut self,
        time: &LongTime,
        descending: bool,
        after: Option<i64>,
        window: Window,
    ) -> Result<Option<Vec<i64>>> {
        let ends: Statement<'_, (Nullable<BigInt>, Nullable<BigInt>)> =
            statement(format!("SELECT (SELECT min({MOMENT}) FROM clips), (SELECT max({MOMENT}) FROM clips)"));
        let (first, last): (Option<i64>, Option<i64>) = ends.get_result(&mut self.conn).or_fail()?;
        let (Some(first), Some(last)) = (first, last) else { return Ok(Some(Vec::new())) };
        let (from, to) = time.between;
        // What the index divides by cuts off towards zero.
        let (oldest, newest) = (from.max(first) / MONTH_US, to.min(last) / MONTH_US);
        if newest - oldest >= MAX_MONTHS || from.max(first) < 0 {
            return Ok(None);
        }
        let wanted = window.offset.saturating_add(window.limit);
        let mut search = Search { time, descending, after, wanted, bound: None, found: Vec::new() };
        let is_whole = |month: &i64| from <= month * MONTH_US && (month + 1) * MONTH_US - 1 <= to;
        let (mut whole, parts): (Vec<i64>, Vec<i64>) = (oldest..=newest).partition(is_whole);
        if descending {
            whole.reverse();
        }
        for month in &whole {
            let place = format!("clips_by_month WHERE {MOMENT} / {MONTH_US} = ?");
            let of_month = search.statement(&place, vec![Bind::from(*month)], "clips.id");
            search.take(of_month.load(&mut self.conn).or_fail()?);
        }
        let place = format!("clips_by_moment WHERE {MOMENT} BETWEEN ? AND ?");
        if whole.is_empty() {
            // Mostly ids and times go together: the last ones of the time tell how far back the wanted ones reach at most.
            let near = search.statement(&place, vec![Bind::from(from), Bind::from(to)], MOMENT);
            search.take(near.load(&mut self.conn).or_fail()?);
            search.found.clear();
        }
        for month in parts {
            let (begin, end) = (from.max(month * MONTH_US), to.min((month + 1) * MONTH_US - 1));
            let of_part = search.statement(&place, vec![Bind::from(begin), Bind::from(end)], "clips.id");
            search.take(of_part.load(&mut self.conn).or_fail()?);
        }
        let offset = usize::try_from(window.offset).unwrap_or(usize::MAX);
        Ok(Some(search.found.into_iter().skip(offset).collect()))
    }
}
