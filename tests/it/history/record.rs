//! What is left of a history: the journal as it lies in the database, and what the runs noted outside of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row};
use serde_json::Value;

use super::plan::SUBSCRIBERS;

/// An event on the journal.
#[derive(Debug, Clone)]
pub struct Told {
    pub seq: i64,
    pub id: String,
    pub kind: String,
    pub subject: Option<String>,
    /// The number in its data: its own, or that of the event it answers.
    pub n: i64,
    pub correlation_id: String,
    pub causation_id: Option<String>,
}

/// One event for one subscriber.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub seq: i64,
    pub subscriber: String,
    pub state: String,
    pub attempts: i64,
    pub crashes: i64,
}

/// A line of a run log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `begin`, `end` or `fail`.
    pub what: String,
    pub n: i64,
    pub attempt: i64,
    /// The last event of the subject whose effects the run saw; 0 = none.
    pub last: i64,
}

/// All of it.
pub struct Record {
    pub events: Vec<Told>,
    pub deliveries: Vec<Delivery>,
    /// By subscriber and key.
    pub kv: BTreeMap<(String, String), Value>,
    /// By subscriber.
    pub runs: BTreeMap<&'static str, Vec<Line>>,
}

impl Record {
    /// Reads what a server left in `data`.
    pub fn read(data: &Path) -> Record {
        let db = open(data);
        let events = all(
            &db,
            "SELECT seq, id, kind, subject, json_extract(data, '$.n'), correlation_id, causation_id \
             FROM events WHERE kind LIKE 'history.%' ORDER BY seq",
            |row| {
                Ok(Told {
                    seq: row.get(0)?,
                    id: row.get(1)?,
                    kind: row.get(2)?,
                    subject: row.get(3)?,
                    n: row.get(4)?,
                    correlation_id: row.get(5)?,
                    causation_id: row.get(6)?,
                })
            },
        );
        let deliveries = all(
            &db,
            "SELECT event_seq, subscriber, state, attempts, crashes FROM deliveries WHERE replay = 0 ORDER BY id",
            |row| {
                Ok(Delivery {
                    seq: row.get(0)?,
                    subscriber: row.get(1)?,
                    state: row.get(2)?,
                    attempts: row.get(3)?,
                    crashes: row.get(4)?,
                })
            },
        );
        let kv = all(&db, "SELECT plugin, key, value FROM plugin_kv", |row| {
            let value: String = row.get(2)?;
            Ok(((row.get(0)?, row.get(1)?), serde_json::from_str(&value).unwrap()))
        });
        let runs = SUBSCRIBERS.iter().map(|it| (*it, lines(data, it))).collect();
        Record { events, deliveries, kv: kv.into_iter().collect(), runs }
    }
}

/// How many deliveries are not final.
pub fn count_open(data: &Path) -> i64 {
    let open = "SELECT count(*) FROM deliveries WHERE state IN ('waiting', 'ready', 'suspect', 'claimed', 'delayed')";
    self::open(data).query_row(open, [], |row| row.get(0)).unwrap()
}

fn open(data: &Path) -> Connection {
    let db = Connection::open_with_flags(data.join("panotti.db"), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    db.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
    db
}

fn all<T>(db: &Connection, sql: &str, row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Vec<T> {
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([], row).unwrap();
    rows.map(Result::unwrap).collect()
}

fn lines(data: &Path, subscriber: &str) -> Vec<Line> {
    let path = data.join("plugins").join(subscriber).join("files/runs.log");
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = |text: &str| {
        let words: Vec<&str> = text.split(' ').collect();
        let number = |place: usize| words[place].parse::<f64>().unwrap() as i64;
        Line { what: words[0].to_owned(), n: number(1), attempt: number(2), last: number(3) }
    };
    text.lines().map(line).collect()
}
