//! The clips of a time, by id. The index by time has them in another order and the ids know nothing of the time, so each
//! month has its own ids in order, and the newest of each are merged: that costs what the months are, not what the clips are.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Nullable};

use crate::error::Result;
use crate::model::page::Window;

use super::clip_parts::MOMENT;
use super::connection::Reader;
use super::failure::OrFail;
use super::statement::{Bind, Statement, statement};

/// As in the index: 30 days, in microseconds.
const MONTH_US: i64 = 2_592_000_000_000;

/// More months than these are not gone through.
const MAX_MONTHS: i64 = 600;

impl Reader {
    /// The ids of a page of the clips between two times (both belong to it), ordered by id; none when the time is too long.
    pub(super) fn ids_by_month(
        &mut self,
        (from, to): (i64, i64),
        descending: bool,
        after: Option<i64>,
        window: Window,
    ) -> Result<Option<Vec<i64>>> {
        let ends: Statement<'_, (Nullable<BigInt>, Nullable<BigInt>)> =
            statement(format!("SELECT (SELECT min({MOMENT}) FROM clips), (SELECT max({MOMENT}) FROM clips)"));
        let (first, last): (Option<i64>, Option<i64>) = ends.get_result(&mut self.conn).or_fail()?;
        let (Some(first), Some(last)) = (first, last) else { return Ok(Some(Vec::new())) };
        let (from, to) = (from.max(first), to.min(last));
        // What the index divides by cuts off towards zero.
        if to / MONTH_US - from / MONTH_US >= MAX_MONTHS || from < 0 {
            return Ok(None);
        }
        let wanted = window.offset.saturating_add(window.limit);
        let mut ids = Vec::new();
        for month in from / MONTH_US..=to / MONTH_US {
            let (begin, end) = (month * MONTH_US, (month + 1) * MONTH_US - 1);
            let condition = match from <= begin && end <= to {
                true => format!("clips_by_month WHERE {MOMENT} / {MONTH_US} = ?"),
                false => format!("clips_by_moment WHERE {MOMENT} BETWEEN ? AND ?"),
            };
            let binds = match from <= begin && end <= to {
                true => vec![Bind::from(month)],
                false => vec![Bind::from(from.max(begin)), Bind::from(to.min(end))],
            };
            let (beyond, way) = if descending { ("<", "DESC") } else { (">", "ASC") };
            let behind = after.map_or(String::new(), |_| format!("AND clips.id {beyond} ? "));
            let of_month: Statement<'_, BigInt> = statement(format!(
                "SELECT clips.id FROM clips INDEXED BY {condition} {behind}ORDER BY clips.id {way} LIMIT ?"
            ));
            let of_month = of_month.binds(binds).binds(after.map(Bind::from)).bind(wanted);
            let found: Vec<i64> = of_month.load(&mut self.conn).or_fail()?;
            ids.extend(found);
        }
        ids.sort_unstable();
        if descending {
            ids.reverse();
        }
        let offset = usize::try_from(window.offset).unwrap_or(usize::MAX);
        let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
        Ok(Some(ids.into_iter().skip(offset).take(limit).collect()))
    }
}
