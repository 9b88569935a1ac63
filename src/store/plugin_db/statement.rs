//! Runs one statement of a plugin on its connection.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Statement};

use crate::disk;
use crate::model::call::Emitted;

use super::fault::{DbFault, DbFaultKind, DbLimits};
use super::gauge::{Bounds, Gauge, Publish, Seen};
use super::journal::{self, JournalReader};
use super::value::{Params, SqlValue};

/// Bytes of one answer.
pub(super) const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Space that is left on a disk that is not full, in bytes.
const SPARE_BYTES: u64 = 1 << 20;

/// A statement of a plugin.
#[derive(Clone)]
pub struct Request {
    /// The statement.
    pub sql: String,
    /// What is bound to it.
    pub params: Params,
    /// Whether its rows are wanted, or what it changed.
    pub wants_rows: bool,
    /// What it may use.
    pub limits: DbLimits,
    /// When the call it belongs to is over.
    pub deadline: Option<Instant>,
    /// Makes events of what is inserted into `events`.
    pub publish: Option<Publish>,
}

/// What a statement came to.
#[derive(Clone, Default)]
pub struct Answer {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, when they were wanted.
    pub rows: Vec<Vec<SqlValue>>,
    /// Rows that were inserted, changed or deleted.
    pub changes: u64,
    /// The last row that the statement inserted.
    pub last_insert_id: Option<i64>,
    /// Events that it published.
    pub events: Vec<Emitted>,
    /// Bytes of the file, when it was written.
    pub file_bytes: Option<u64>,
}

/// An open connection.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) gauge: Arc<Gauge>,
    pub(super) reader: JournalReader,
    /// The size the file is held to, in MiB.
    pub(super) mib: u64,
    /// Which file it is: another one may take its name.
    pub(super) file: Option<(u64, u64)>,
}

impl Opened {
    /// Runs a statement; `in_session` tells that a transaction of the plugin is open.
    pub(super) fn run(
        &mut self,
        request: &Request,
        cancelled: &Arc<AtomicBool>,
        in_session: bool,
    ) -> Result<Answer, DbFault> {
        check_words(&request.sql)?;
        self.hold_to(request.limits.mib)?;
        if journal::is_named(&request.sql) {
            self.provide_events(in_session)?;
        }
        let until = Instant::now() + Duration::from_millis(request.limits.statement_ms);
        self.gauge.begin(Bounds {
            statement_until: Some(until),
            call_until: request.deadline,
            cancelled: Some(Arc::clone(cancelled)),
            publish: request.publish.clone(),
        });
        let result = self.step(request, in_session);
        let mut seen = self.gauge.end();
        let (mut answer, wrote) = result.map_err(|failed| self.fault(failed, &mut seen, &request.limits))?;
        if wrote {
            answer.changes += seen.events.len() as u64;
            answer.file_bytes = self.file_bytes();
            if seen.inserts && answer.changes > 0 {
                answer.last_insert_id = Some(self.connection.last_insert_rowid());
            }
        }
        answer.events = seen.events;
        Ok(answer)
    }

    /// Runs statements of the host.
    pub(super) fn host(&self, sql: &str) -> Result<(), DbFault> {
        self.connection.execute_batch(sql).map_err(|error| DbFault::of_host(&error))
    }

    /// Ends whatever transaction is open, without keeping it.
    pub(super) fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            log::error!("a plugin's transaction cannot be rolled back: {error}");
        }
    }

    /// Bytes of the file.
    pub(super) fn file_bytes(&self) -> Option<u64> {
        let pages = self.pragma("PRAGMA page_count")?;
        Some(pages * self.pragma("PRAGMA page_size")?)
    }

    /// Holds the file to so many MiB.
    pub(super) fn hold_to(&mut self, mib: u64) -> Result<(), DbFault> {
        if self.mib != mib {
            let size = self.pragma("PRAGMA page_size").unwrap_or(4096).max(512);
            self.host(&format!("PRAGMA max_page_count = {}", (mib << 20) / size))?;
            self.mib = mib;
        }
        Ok(())
    }

    fn pragma(&self, sql: &str) -> Option<u64> {
        let read = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut it| it.query_row([], |row| row.get::<_, i64>(0)));
        u64::try_from(read.ok()?).ok()
    }

    fn provide_events(&self, in_session: bool) -> Result<(), DbFault> {
        if in_session {
            return journal::provide(&self.connection, &self.reader);
        }
        self.host("BEGIN")?;
        let provided = journal::provide(&self.connection, &self.reader);
        match provided {
            Ok(()) => self.host("COMMIT"),
            Err(fault) => {
                self.roll_back();
                Err(fault)
            }
        }
    }

    /// The answer, and whether anything may have been written.
    fn step(&self, request: &Request, in_session: bool) -> Result<(Answer, bool), Failed> {
        let connection = &self.connection;
        let mut statement = connection.prepare(&request.sql)?;
        bind(&mut statement, &request.params)?;
        let wrote = !statement.readonly();
        // A write whose answer turns out too large leaves nothing behind.
        let own = wrote && request.wants_rows && !in_session;
        if own {
            self.gauge.as_host(|| connection.execute_batch("BEGIN IMMEDIATE"))?;
        }
        let before = connection.total_changes();
        let mut answer = match collect(&mut statement, request) {
            Ok(answer) => answer,
            Err(failed) => {
                drop(statement);
                if own {
                    self.gauge.as_host(|| self.roll_back());
                }
                return Err(failed);
            }
        };
        drop(statement);
        if own {
            self.gauge.as_host(|| connection.execute_batch("COMMIT"))?;
        }
        if connection.total_changes() != before {
            answer.changes = connection.changes();
        }
        Ok((answer, wrote))
    }

    /// The fault of a statement; a full file and a full disk are told apart by the disk.
    pub(super) fn fault(&self, failed: Failed, seen: &mut Seen, limits: &DbLimits) -> DbFault {
        let error = match failed {
            Failed::Fault(fault) => return fault,
            Failed::Sqlite(error) => error,
        };
        let fault = DbFault::of_statement(&error, seen, limits);
        if fault.kind != DbFaultKind::DiskFull || !self.disk_has_space() {
            return fault;
        }
        DbFault::limit(format!(
            "the plugin's database is full: it may have {} MiB (limits.db_mib = {}); delete rows first",
            limits.mib, limits.mib
        ))
    }

    fn disk_has_space(&self) -> bool {
        let Some(path) = self.connection.path() else { return false };
        disk::free_bytes(Path::new(path)).is_some_and(|it| it > SPARE_BYTES)
    }
}

/// Why a statement did not run to its end.
pub(super) enum Failed {
    Sqlite(rusqlite::Error),
    Fault(DbFault),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Failed::Sqlite(error)
    }
}

fn collect(statement: &mut Statement<'_>, request: &Request) -> Result<Answer, Failed> {
    let columns: Vec<String> = match request.wants_rows {
        true => statement.column_names().into_iter().map(str::to_owned).collect(),
        false => Vec::new(),
    };
    let most = request.limits.rows;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    let mut found = statement.raw_query();
    while let Some(row) = found.next()? {
        if !request.wants_rows {
            continue;
        }
        if rows.len() as u64 >= most {
            return Err(Failed::Fault(DbFault::limit(format!(
                "the query answers more than {most} rows (limits.db_rows = {most}); ask with LIMIT"
            ))));
        }
        let mut values = Vec::with_capacity(columns.len());
        for at in 0..columns.len() {
            let value = row.get_ref(at)?;
            bytes += SqlValue::size_of(&value);
            if bytes > MAX_ANSWER_BYTES {
                return Err(Failed::Fault(DbFault::limit(format!(
                    "the query answers more than {} KiB; ask for fewer rows or columns",
                    MAX_ANSWER_BYTES >> 10
                ))));
            }
            values.push(SqlValue::from(value));
        }
        rows.push(values);
    }
    Ok(Answer { columns, rows, ..Answer::default() })
}

fn bind(statement: &mut Statement<'_>, params: &Params) -> Result<(), Failed> {
    let count = statement.parameter_count();
    let misused = |what: String| Failed::Fault(DbFault::misused(what));
    match params {
        Params::None if count > 0 => {
            Err(misused(format!("the statement has {count} parameters and params is missing")))
        }
        Params::None => Ok(()),
        Params::List(values) => {
            let named = (1..=count).filter_map(|it| statement.parameter_name(it));
            if let Some(name) = named.into_iter().find(|it| !it.starts_with('?')) {
                return Err(misused(format!("the parameter {name} has a name: params must be named values")));
            }
            if values.len() != count {
                return Err(misused(wrong_count(count, values.len())));
            }
            for (at, value) in values.iter().enumerate() {
                statement.raw_bind_parameter(at + 1, value)?;
            }
            Ok(())
        }
        Params::Named(values) => {
            let names: Vec<Option<String>> =
                (1..=count).map(|it| statement.parameter_name(it).map(str::to_owned)).collect();
            if let Some(at) = names.iter().position(|it| it.as_ref().is_none_or(|it| it.starts_with('?'))) {
                return Err(misused(format!(
                    "parameter {} has no name: write :name in the statement, or give params as a list",
                    at + 1
                )));
            }
            let named = |name: &str| {
                let bare = name.trim_start_matches([':', '@', '$']);
                names.iter().position(|it| it.as_deref().is_some_and(|it| it == name || &it[1..] == bare))
            };
            for (name, value) in values {
                let at = named(name)
                    .ok_or_else(|| misused(format!("the statement has no parameter named {name}")))?;
                statement.raw_bind_parameter(at + 1, value)?;
            }
            Ok(())
        }
    }
}

/// What to tell when a list has not one value for each `?`; of `?1`, `?2`, … the largest number counts.
fn wrong_count(parameters: usize, values: usize) -> String {
    let few = match values < parameters {
        true => "; a nil at the end of a list cannot be seen: write panotti.json.null for NULL",
        false => "",
    };
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    format!(
        "the statement has {parameters} parameter{}, params has {values} value{}{few}",
        plural(parameters),
        plural(values)
    )
}

/// Refuses by their first word statements whose errors would say too little.
fn check_words(sql: &str) -> Result<(), DbFault> {
    let word = first_word(sql).to_ascii_uppercase();
    match word.as_str() {
        "" => Err(DbFault::misused("the statement is empty")),
        "BEGIN" | "COMMIT" | "END" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" => {
            Err(DbFault::denied(format!("{word} is not allowed: use panotti.db.transaction")))
        }
        "ATTACH" | "DETACH" | "VACUUM" => {
            Err(DbFault::denied(format!("{word} is not allowed: a plugin has one database of its own")))
        }
        _ => Ok(()),
    }
}

/// The first word that is no comment.
fn first_word(sql: &str) -> &str {
    let mut rest = sql.trim_start_matches(|it: char| it.is_whitespace() || it == ';');
    loop {
        let after = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            break;
        };
        rest = after.trim_start_matches(|it: char| it.is_whitespace() || it == ';');
    }
    let end = rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '_').unwrap_or(rest.len());
    // What begins with a sign, as `(`, is for SQLite to judge.
    if end == 0 { &rest[..rest.chars().next().map_or(0, char::len_utf8)] } else { &rest[..end] }
}
