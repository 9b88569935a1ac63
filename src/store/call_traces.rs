//! Recorded calls into plugins that outlive the process.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::error::Result;
use crate::model::time::Timestamp;
use crate::model::trace::{Trace, TraceHead, id_of};

use super::connection::Reader;
use super::failure::OrFail;
use super::json::{from_text, to_text};
use super::schema::traces;
use super::statement::{Bind, statement};
use super::tx::Tx;

/// Rows that one step of tidying removes.
const BATCH: i64 = 500;

/// Which recorded calls are wanted; all that is given must fit.
#[derive(Debug, Clone, Default)]
pub struct TraceFilter {
    /// Of this plugin.
    pub plugin: Option<String>,
    /// Of this hook.
    pub hook: Option<String>,
    /// That ended so.
    pub outcome: Option<String>,
    /// Of this generation.
    pub generation: Option<i64>,
    /// That began at this time or later.
    pub since: Option<Timestamp>,
    /// That this HTTP request began.
    pub request_id: Option<String>,
    /// About this.
    pub subject: Option<String>,
    /// With a smaller number.
    pub before: Option<i64>,
}

impl TraceFilter {
    /// Whether a call is one of them.
    pub fn wants(&self, it: &TraceHead) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
        let about = |wanted: &Option<String>, is: &Option<String>| wanted.is_none() || wanted == is;
        same(&self.plugin, &it.plugin)
            && same(&self.hook, &it.hook)
            && same(&self.outcome, &it.outcome)
            && self.generation.is_none_or(|wanted| wanted == it.generation.cast_signed())
            && self.since.is_none_or(|since| it.at >= since)
            && about(&self.request_id, &it.request_id)
            && about(&self.subject, &it.subject)
            && self.before.is_none_or(|before| it.number < before)
    }
}

/// How much is kept; 0 is no limit.
#[derive(Debug, Clone, Copy)]
pub struct TraceBounds {
    /// Calls that began earlier go.
    pub since: Option<Timestamp>,
    /// Of each plugin, so many.
    pub per_plugin: i64,
    /// Bytes in all.
    pub bytes: i64,
}

impl Tx {
    /// Keeps a call; one that is kept already stays as it is.
    ///
    /// # Errors
    /// The database's.
    pub fn keep_trace(&mut self, trace: &Trace) -> Result<()> {
        let (head, body) = (trace.head(), to_text(trace)?);
        diesel::insert_or_ignore_into(traces::table)
            .values((
                traces::number.eq(head.number),
                traces::plugin.eq(head.plugin),
                traces::hook.eq(head.hook),
                traces::generation.eq(head.generation.cast_signed()),
                traces::at.eq(head.at.0),
                traces::took_us.eq((head.took_ms * 1e3) as i64),
                traces::outcome.eq(head.outcome),
                traces::kept.eq(head.kept),
                traces::request_id.eq(head.request_id),
                traces::subject.eq(head.subject),
                traces::message.eq(head.message),
                traces::bytes.eq(i64::try_from(body.len()).unwrap_or(i64::MAX)),
                traces::body.eq(body),
            ))
            .execute(&mut self.conn)
            .or_fail()
            .map(drop)
    }

    /// Removes what is beyond the bounds, the oldest first, some at a time; answers how many went.
    ///
    /// # Errors
    /// The database's.
    pub fn sweep_traces(&mut self, bounds: TraceBounds) -> Result<usize> {
        let mut gone = 0;
        if let Some(since) = bounds.since {
            let old = "number IN (SELECT number FROM traces WHERE at < ? ORDER BY number LIMIT ?)";
            gone += self.remove_traces(old, [since.0.into(), BATCH.into()])?;
        }
        if bounds.per_plugin > 0 {
            let names: Vec<String> =
                traces::table.select(traces::plugin).distinct().load(&mut self.conn).or_fail()?;
            for name in names {
                let beyond = "plugin = ? AND number <= (SELECT number FROM traces WHERE plugin = ? \
                     ORDER BY number DESC LIMIT 1 OFFSET ?)";
                let binds = [name.as_str().into(), name.as_str().into(), bounds.per_plugin.into()];
                gone += self.remove_traces(beyond, binds)?;
            }
        }
        if bounds.bytes > 0 {
            // All that is so far from the newest that what is newer fills the room.
            let beyond = "number IN (SELECT number FROM (SELECT number, sum(bytes) OVER (ORDER BY number DESC) AS held \
                 FROM traces) WHERE held > ? ORDER BY number LIMIT ?)";
            let held: i64 = self.trace_bytes()?;
            if held > bounds.bytes {
                gone += self.remove_traces(beyond, [bounds.bytes.into(), (20 * BATCH).into()])?;
            }
        }
        Ok(gone)
    }

    /// Forgets all calls of a plugin.
    ///
    /// # Errors
    /// The database's.
    pub fn forget_traces(&mut self, plugin: &str) -> Result<()> {
        self.remove_traces("plugin = ?", [plugin.into()]).map(drop)
    }

    fn remove_traces<'a>(&mut self, which: &str, binds: impl IntoIterator<Item = Bind<'a>>) -> Result<usize> {
        let sql = format!("DELETE FROM traces WHERE {which}");
        statement::<()>(sql).binds(binds).write(self)
    }
}

impl Reader {
    /// At most `limit` calls that are `wanted`, newest first.
    ///
    /// # Errors
    /// The database's.
    pub fn list_traces(&mut self, wanted: &TraceFilter, limit: i64) -> Result<Vec<TraceHead>> {
        let mut query =
            traces::table.filter(traces::number.lt(wanted.before.unwrap_or(i64::MAX))).into_boxed();
        if let Some(plugin) = &wanted.plugin {
            query = query.filter(traces::plugin.eq(plugin));
        }
        if let Some(hook) = &wanted.hook {
            query = query.filter(traces::hook.eq(hook));
        }
        if let Some(outcome) = &wanted.outcome {
            query = query.filter(traces::outcome.eq(outcome));
        }
        if let Some(generation) = wanted.generation {
            query = query.filter(traces::generation.eq(generation));
        }
        if let Some(since) = wanted.since {
            query = query.filter(traces::at.ge(since.0));
        }
        if let Some(request) = &wanted.request_id {
            query = query.filter(traces::request_id.eq(request));
        }
        if let Some(subject) = &wanted.subject {
            query = query.filter(traces::subject.eq(subject));
        }
        type Row = (
            (i64, String, String, i64, i64, i64),
            (String, String, Option<String>, Option<String>, Option<String>),
        );
        let columns = (
            (traces::number, traces::plugin, traces::hook, traces::generation, traces::at, traces::took_us),
            (traces::outcome, traces::kept, traces::request_id, traces::subject, traces::message),
        );
        let rows: Vec<Row> =
            query.select(columns).order(traces::number.desc()).limit(limit).load(&mut self.conn).or_fail()?;
        let heads = rows.into_iter().map(|(what, how)| {
            let (number, plugin, hook, generation, at, took_us) = what;
            let (outcome, kept, request_id, subject, message) = how;
            TraceHead {
                id: id_of(number),
                number,
                plugin,
                hook,
                generation: generation.cast_unsigned(),
                at: Timestamp(at),
                took_ms: took_us as f64 / 1e3,
                outcome,
                kept,
                request_id,
                subject,
                message,
            }
        });
        Ok(heads.collect())
    }

    /// The call with this number.
    ///
    /// # Errors
    /// The database's.
    pub fn trace_of_call(&mut self, number: i64) -> Result<Option<Trace>> {
        let row = traces::table.find(number).select(traces::body);
        let body: Option<String> = row.first(&mut self.conn).optional().or_fail()?;
        body.map(|it| from_text(&it)).transpose()
    }

    /// The last `limit` kept calls of a plugin, newest first.
    ///
    /// # Errors
    /// The database's.
    pub fn last_traces(&mut self, plugin: &str, limit: i64) -> Result<Vec<Trace>> {
        let rows = traces::table.filter(traces::plugin.eq(plugin)).order(traces::number.desc());
        let bodies: Vec<String> = rows.limit(limit).select(traces::body).load(&mut self.conn).or_fail()?;
        bodies.iter().map(|it| from_text(it)).collect()
    }

    /// Bytes that kept calls take.
    ///
    /// # Errors
    /// The database's.
    pub fn trace_bytes(&mut self) -> Result<i64> {
        let sum = statement::<BigInt>("SELECT coalesce(sum(bytes), 0) FROM traces");
        sum.get_result(&mut self.conn).or_fail()
    }
}
