//! The table `events(id, type, timestamp, data)` in a plugin's SQL: what the journal tells, newest 10 000, and
//! rows that are inserted become events of the plugin.
//!
//! It is there when a statement speaks of `events` and the plugin has no such table of its own: a temporary view
//! over rows that were copied from the journal, brought up to date before each such statement.

use std::cmp::Ordering;
use std::sync::Arc;

use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, params};

use crate::model::time::Timestamp;

use super::authorizer::{PUBLISH, PUBLISH_TRIGGER};
use super::fault::{DbFault, DbFaultKind};
use super::gauge::Gauge;

/// Events that are shown at most, and the bytes of their data.
pub const MAX_EVENTS: i64 = 10_000;
const MAX_BYTES: i64 = 16 << 20;

/// Bytes of one event's data; of larger ones their size is shown.
const MAX_DATA_BYTES: usize = 512 << 10;

/// Events that are read at once.
const BATCH: i64 = 500;

/// A row of the journal.
#[derive(Debug, Clone)]
pub struct JournalRow {
    /// Its place.
    pub seq: i64,
    /// Its type.
    pub kind: String,
    /// When it happened.
    pub time: Timestamp,
    /// What it tells, as JSON text.
    pub data: String,
}

/// Some of the journal.
#[derive(Debug, Clone, Default)]
pub struct JournalPage {
    /// Rows in order.
    pub rows: Vec<JournalRow>,
    /// From this place on all are there.
    pub first: i64,
    /// The newest place there is.
    pub last: i64,
}

/// Reads at most so many rows after a place.
pub type JournalReader = Arc<dyn Fn(i64, i64) -> crate::error::Result<JournalPage> + Send + Sync>;

/// Whether a statement may speak of the table.
pub(super) fn is_named(sql: &str) -> bool {
    sql.as_bytes().windows(6).any(|it| it.eq_ignore_ascii_case(b"events"))
}

/// Puts the function behind inserts and the order of types into a connection.
pub(super) fn install(connection: &Connection, gauge: &Arc<Gauge>) -> rusqlite::Result<()> {
    let gauge = Arc::clone(gauge);
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function(PUBLISH, 2, flags, move |ctx| {
        let text = |at| match ctx.get_raw(at) {
            ValueRef::Null => None,
            ValueRef::Text(it) | ValueRef::Blob(it) => Some(String::from_utf8_lossy(it).into_owned()),
            ValueRef::Integer(it) => Some(it.to_string()),
            ValueRef::Real(it) => Some(it.to_string()),
        };
        match gauge.publish(text(0).as_deref().unwrap_or_default(), text(1).as_deref()) {
            true => Ok(None::<i64>),
            false => Err(Error::UserFunctionError("the event was not taken".into())),
        }
    })?;
    connection.create_collation("event_type", compare)
}

/// The order of event types: `Recording Started` is another spelling of `recording.started`.
fn compare(a: &str, b: &str) -> Ordering {
    fn plain(text: &str) -> impl Iterator<Item = u8> + '_ {
        text.bytes().map(|it| if it == b' ' { b'.' } else { it.to_ascii_lowercase() })
    }
    plain(a).cmp(plain(b))
}

/// Brings the table up to date, or takes it away when the plugin has one of its own.
pub(super) fn provide(connection: &Connection, reader: &JournalReader) -> Result<(), DbFault> {
    let fault = |error: Error| DbFault::of_host(&error);
    let own = has(connection, "main").map_err(fault)?;
    match (own, has(connection, "temp").map_err(fault)?) {
        (true, false) => return Ok(()),
        (true, true) => return connection.execute_batch("DROP VIEW temp.events").map_err(fault),
        (false, true) => {}
        (false, false) => connection.execute_batch(&schema()).map_err(fault)?,
    }
    fill(connection, reader)
}

fn has(connection: &Connection, schema: &str) -> rusqlite::Result<bool> {
    let sql =
        format!("SELECT EXISTS (SELECT 1 FROM {schema}.sqlite_schema WHERE name = 'events' COLLATE NOCASE)");
    connection.prepare_cached(&sql)?.query_row([], |row| row.get(0))
}

fn schema() -> String {
    format!(
        "CREATE TEMP TABLE IF NOT EXISTS _panotti_events (id INTEGER PRIMARY KEY, \
            type TEXT NOT NULL COLLATE event_type, timestamp TEXT NOT NULL, data TEXT NOT NULL);
         CREATE INDEX IF NOT EXISTS temp._panotti_events_type ON _panotti_events (type);
         CREATE TEMP VIEW events AS SELECT id, type, timestamp, data FROM _panotti_events;
         CREATE TEMP TRIGGER {PUBLISH_TRIGGER} INSTEAD OF INSERT ON events BEGIN
            SELECT {PUBLISH}(NEW.type, NEW.data);
         END;"
    )
}

fn fill(connection: &Connection, reader: &JournalReader) -> Result<(), DbFault> {
    let fault = |error: Error| DbFault::of_host(&error);
    let asked =
        |after| reader(after, BATCH).map_err(|error| DbFault::new(DbFaultKind::Unavailable, error.detail));
    let mut after: i64 = connection
        .prepare_cached("SELECT coalesce(max(id), 0) FROM temp._panotti_events")
        .and_then(|mut it| it.query_row([], |row| row.get(0)))
        .map_err(fault)?;
    let mut page = asked(after)?;
    if page.last - after > MAX_EVENTS {
        after = page.last - MAX_EVENTS;
        page = asked(after)?;
    }
    let is_new = !page.rows.is_empty();
    while !page.rows.is_empty() {
        let mut insert = connection
            .prepare_cached("INSERT OR REPLACE INTO temp._panotti_events VALUES (?1, ?2, ?3, ?4)")
            .map_err(fault)?;
        for JournalRow { seq, kind, time, data } in &page.rows {
            // A row has its limit, too.
            let large =
                (data.len() > MAX_DATA_BYTES).then(|| format!("{{\"omitted_bytes\":{}}}", data.len()));
            let data = large.as_ref().unwrap_or(data);
            insert.execute(params![seq, kind, time.to_string(), data]).map_err(fault)?;
            after = *seq;
        }
        if (page.rows.len() as i64) < BATCH {
            break;
        }
        page = asked(after)?;
    }
    let oldest = page.first.max(page.last - MAX_EVENTS + 1);
    connection
        .prepare_cached("DELETE FROM temp._panotti_events WHERE id < ?1")
        .and_then(|mut it| it.execute([oldest]))
        .map_err(fault)?;
    if is_new {
        // From the newest backwards, what is beyond the bytes goes.
        let sql = "DELETE FROM temp._panotti_events WHERE id <= (SELECT id FROM (SELECT id, \
             sum(length(data)) OVER (ORDER BY id DESC) AS bytes FROM temp._panotti_events) \
             WHERE bytes > ?1 ORDER BY id DESC LIMIT 1)";
        connection.prepare_cached(sql).and_then(|mut it| it.execute([MAX_BYTES])).map_err(fault)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A journal of so many events, each with so many bytes of data.
    fn reader(last: i64, bytes: usize) -> JournalReader {
        Arc::new(move |after, limit| {
            let row = |seq| JournalRow {
                seq,
                kind: "a.b".to_owned(),
                time: Timestamp(seq),
                data: "x".repeat(bytes),
            };
            let rows = (after + 1..=last.min(after + limit)).map(row).collect();
            Ok(JournalPage { rows, first: 1, last })
        })
    }

    fn shown(connection: &Connection) -> (i64, i64, i64) {
        let sql = "SELECT count(*), min(id), max(id) FROM events";
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap()
    }

    #[test]
    fn the_newest_events_are_shown_and_only_new_ones_are_copied() {
        let connection = Connection::open_in_memory().unwrap();
        install(&connection, &Arc::default()).unwrap();
        provide(&connection, &reader(12_000, 1)).unwrap();
        assert_eq!(shown(&connection), (10_000, 2_001, 12_000));
        provide(&connection, &reader(12_700, 1)).unwrap();
        assert_eq!(shown(&connection), (10_000, 2_701, 12_700));
        provide(&connection, &reader(40_000, 1)).unwrap();
        assert_eq!(shown(&connection), (10_000, 30_001, 40_000));
    }

    #[test]
    fn an_event_beyond_the_limit_of_a_row_shows_its_size() {
        let connection = Connection::open_in_memory().unwrap();
        install(&connection, &Arc::default()).unwrap();
        provide(&connection, &reader(1, 2 << 20)).unwrap();
        let data: String = connection.query_row("SELECT data FROM events", [], |row| row.get(0)).unwrap();
        assert_eq!(data, "{\"omitted_bytes\":2097152}");
    }

    #[test]
    fn large_events_leave_room_for_fewer() {
        let connection = Connection::open_in_memory().unwrap();
        install(&connection, &Arc::default()).unwrap();
        provide(&connection, &reader(1_000, 64 << 10)).unwrap();
        assert_eq!(shown(&connection), (256, 745, 1_000));
    }
}
