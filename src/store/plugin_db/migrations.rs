//! A plugin's own tables, brought up to date by `migrations/NNNN_name/{up,down}.sql`.
//!
//! Each runs in a transaction with its row in `_panotti_migrations`, under the same rules as all SQL of plugins.
//! The row keeps `down.sql`, so that a migration can be taken back after its folder has gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use rusqlite::{OptionalExtension, params};

use crate::model::time::Timestamp;

use super::database::{Cancel, Database};
use super::fault::{DbFault, DbFaultKind, DbLimits};
use super::script::split;
use super::statement::{Opened, Request};
use super::value::Params;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS _panotti_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, \
    hash TEXT NOT NULL, down TEXT, applied_at INTEGER NOT NULL) STRICT";

/// A migration as it lies in the plugin's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Its number; they run in this order.
    pub number: u32,
    /// The rest of its folder's name.
    pub name: String,
    /// Its folder, below the plugin's.
    pub folder: String,
    /// The script that makes the change.
    pub up: String,
    /// The script that takes it back.
    pub down: Option<String>,
    /// BLAKE3 of `up`.
    pub hash: String,
}

/// A migration that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationRow {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// BLAKE3 of the script that was run.
    pub hash: String,
    /// The script that takes it back, as it was then.
    pub down: Option<String>,
    /// When it was applied.
    pub applied_at: Timestamp,
}

/// Why migrations did not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", fault.message)]
pub struct MigrationFault {
    /// The file, below the plugin's folder.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// What happened.
    pub fault: DbFault,
    /// What to do about it.
    pub hint: Option<String>,
}

impl From<DbFault> for MigrationFault {
    fn from(fault: DbFault) -> Self {
        MigrationFault { file: None, line: None, fault, hint: None }
    }
}

impl MigrationFault {
    fn of_file(file: impl Into<String>, message: impl Into<String>, hint: &str) -> Self {
        let fault = DbFault::sql(message);
        MigrationFault { file: Some(file.into()), line: None, fault, hint: Some(hint.to_owned()) }
    }
}

/// The migrations among a plugin's files, by number.
///
/// # Errors
/// A folder is named wrongly, a number is there twice, a script is missing or not text.
pub fn read(files: &BTreeMap<String, Arc<[u8]>>) -> Result<Vec<Migration>, MigrationFault> {
    const HINT: &str = "Name them migrations/NNNN_name/up.sql and down.sql, each number once.";
    let mut found: BTreeMap<u32, Migration> = BTreeMap::new();
    for (path, bytes) in
        files.range("migrations/".to_owned()..).take_while(|it| it.0.starts_with("migrations/"))
    {
        if !path.ends_with(".sql") {
            continue;
        }
        let wrong = |message: &str| MigrationFault::of_file(path, message, HINT);
        let (folder, file) = path.rsplit_once('/').unwrap_or_default();
        let named = folder.strip_prefix("migrations/").and_then(|it| it.split_once('_'));
        let number = named.and_then(|(number, _)| number.parse().ok()).filter(|it| *it > 0);
        let (Some((_, name)), Some(number)) = (named, number) else {
            return Err(wrong("this is not the place of a migration"));
        };
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("is not UTF-8 text"))?.to_owned();
        let new = || Migration {
            number,
            name: name.to_owned(),
            folder: folder.to_owned(),
            up: String::new(),
            down: None,
            hash: String::new(),
        };
        let migration = found.entry(number).or_insert_with(new);
        if migration.folder != folder {
            return Err(wrong(&format!("the number {number} is that of {} too", migration.folder)));
        }
        match file {
            "up.sql" => {
                // The same text with other line endings is the same migration.
                migration.hash = blake3::hash(text.replace('\r', "").trim().as_bytes()).to_hex().to_string();
                migration.up = text;
            }
            "down.sql" => migration.down = Some(text),
            _ => return Err(wrong("a migration has up.sql and down.sql")),
        }
    }
    if let Some(missing) = found.values().find(|it| it.hash.is_empty()) {
        return Err(MigrationFault::of_file(missing.folder.as_str(), "has no up.sql", HINT));
    }
    Ok(found.into_values().collect())
}

impl Database {
    /// Applies what has not been applied yet; answers how many.
    ///
    /// # Errors
    /// One failed, which has left nothing behind; or an applied one was changed since.
    pub async fn migrate(
        self: &Arc<Self>,
        migrations: Vec<Migration>,
        limits: DbLimits,
        deadline: Instant,
        now: Timestamp,
    ) -> Result<usize, MigrationFault> {
        let cancel = Cancel::default();
        let cancelled = Arc::clone(&cancel.0);
        let work = move |opened: &mut Opened| {
            let runner = Runner { limits, deadline, cancelled };
            Ok(runner.apply(opened, &migrations, now))
        };
        self.work(work).await?
    }

    /// Applies what has not been applied yet and takes it back at once; answers how many that were.
    ///
    /// # Errors
    /// As [`Database::migrate`].
    pub async fn try_migrations(
        self: &Arc<Self>,
        migrations: Vec<Migration>,
        limits: DbLimits,
        deadline: Instant,
        now: Timestamp,
    ) -> Result<usize, MigrationFault> {
        let cancel = Cancel::default();
        let cancelled = Arc::clone(&cancel.0);
        let work = move |opened: &mut Opened| {
            let runner = Runner { limits, deadline, cancelled };
            opened.host("BEGIN IMMEDIATE")?;
            let tried = runner.apply(opened, &migrations, now);
            opened.roll_back();
            Ok(tried)
        };
        match self.path().exists() {
            true => self.work(work).await?,
            false => self.work_in_memory(work).await?,
        }
    }

    /// What was applied, by number.
    ///
    /// # Errors
    /// The file cannot be used.
    pub async fn migrations(self: &Arc<Self>) -> Result<Vec<MigrationRow>, DbFault> {
        match self.path().exists() {
            true => self.work(applied).await,
            false => Ok(Vec::new()),
        }
    }

    /// Takes back everything after number `to`, the last one first; answers the numbers.
    ///
    /// # Errors
    /// One cannot be taken back, or failed and has left everything as it was; those after it are taken back.
    pub async fn roll_back_to(
        self: &Arc<Self>,
        to: u32,
        migrations: Vec<Migration>,
        limits: DbLimits,
        deadline: Instant,
    ) -> Result<Vec<u32>, MigrationFault> {
        let cancel = Cancel::default();
        let cancelled = Arc::clone(&cancel.0);
        let work = move |opened: &mut Opened| {
            let runner = Runner { limits, deadline, cancelled };
            Ok(runner.take_back(opened, to, &migrations))
        };
        self.work(work).await?
    }
}

struct Runner {
    limits: DbLimits,
    deadline: Instant,
    cancelled: Arc<AtomicBool>,
}

impl Runner {
    fn apply(
        &self,
        opened: &mut Opened,
        migrations: &[Migration],
        now: Timestamp,
    ) -> Result<usize, MigrationFault> {
        opened.host(TABLE)?;
        let rows = applied(opened)?;
        let last = rows.last().map_or(0, |it| it.number);
        let mut done = 0;
        for migration in migrations {
            let file = format!("{}/up.sql", migration.folder);
            match rows.iter().find(|it| it.number == migration.number) {
                Some(row) if row.hash == migration.hash => continue,
                Some(_) => {
                    return Err(MigrationFault::of_file(
                        file,
                        "was changed after it had been applied",
                        "Put the old text back and write a new migration; or disable the plugin and take it back with \
                         POST /api/v1/plugins/{id}/migrations/rollback.",
                    ));
                }
                None if migration.number < last => {
                    return Err(MigrationFault::of_file(
                        file,
                        format!("comes before number {last}, which is applied already"),
                        "Give a new migration the highest number.",
                    ));
                }
                None => {}
            }
            let record = |opened: &Opened| {
                let sql = "INSERT INTO _panotti_migrations VALUES (?1, ?2, ?3, ?4, ?5)";
                let Migration { number, name, hash, down, .. } = migration;
                opened.connection.execute(sql, params![number, name, hash, down, now.0])
            };
            self.script(opened, &file, &migration.up, record)?;
            done += 1;
        }
        Ok(done)
    }

    fn take_back(
        &self,
        opened: &mut Opened,
        to: u32,
        migrations: &[Migration],
    ) -> Result<Vec<u32>, MigrationFault> {
        let rows = applied(opened)?;
        let mut scripts = Vec::new();
        for row in rows.into_iter().rev().filter(|it| it.number > to) {
            let own = migrations.iter().find(|it| it.number == row.number);
            let folder = own
                .map_or_else(|| format!("migrations/{:04}_{}", row.number, row.name), |it| it.folder.clone());
            let file = format!("{folder}/down.sql");
            match own.and_then(|it| it.down.clone()).or(row.down) {
                Some(text) => scripts.push((row.number, file, text)),
                None => {
                    let hint = "Write one, or go back no further than to this migration.";
                    return Err(MigrationFault::of_file(file, "is missing", hint));
                }
            }
        }
        let mut done = Vec::new();
        for (number, file, text) in scripts {
            let forget = |opened: &Opened| {
                opened.connection.execute("DELETE FROM _panotti_migrations WHERE number = ?1", [number])
            };
            self.script(opened, &file, &text, forget)?;
            done.push(number);
        }
        Ok(done)
    }

    /// Runs a script and what is to be noted of it in one transaction.
    fn script(
        &self,
        opened: &mut Opened,
        file: &str,
        text: &str,
        note: impl FnOnce(&Opened) -> rusqlite::Result<usize>,
    ) -> Result<(), MigrationFault> {
        let blame = |fault: DbFault, line: Option<u32>| MigrationFault {
            file: Some(file.to_owned()),
            line,
            hint: (fault.kind != DbFaultKind::Corrupt).then(|| "Nothing of this script was kept.".to_owned()),
            fault,
        };
        opened.hold_to(self.limits.mib)?;
        // What is only tried has a transaction around all of them.
        let (begin, end) = match opened.connection.is_autocommit() {
            true => ("BEGIN IMMEDIATE", "COMMIT"),
            false => ("SAVEPOINT migration", "RELEASE migration"),
        };
        opened.host(begin)?;
        for piece in split(text) {
            let request = Request {
                sql: piece.text.to_owned(),
                params: Params::None,
                wants_rows: false,
                limits: self.limits,
                deadline: Some(self.deadline),
                publish: None,
            };
            if let Err(fault) = opened.run(&request, &self.cancelled, true) {
                opened.roll_back();
                let line = fault.offset.map_or(piece.line, |it| piece.line_at(it));
                return Err(blame(fault, Some(line)));
            }
        }
        let ended = note(opened).and_then(|_| opened.connection.execute_batch(end));
        ended.map_err(|error| {
            opened.roll_back();
            blame(DbFault::of_host(&error), None)
        })
    }
}

fn applied(opened: &mut Opened) -> Result<Vec<MigrationRow>, DbFault> {
    let fault = |error: rusqlite::Error| DbFault::of_host(&error);
    let connection = &opened.connection;
    let table = "SELECT 1 FROM sqlite_schema WHERE name = '_panotti_migrations'";
    if connection.query_row(table, [], |_| Ok(())).optional().map_err(fault)?.is_none() {
        return Ok(Vec::new());
    }
    let sql = "SELECT number, name, hash, down, applied_at FROM _panotti_migrations ORDER BY number";
    let mut statement = connection.prepare(sql).map_err(fault)?;
    let rows = statement.query_map([], |row| {
        Ok(MigrationRow {
            number: row.get(0)?,
            name: row.get(1)?,
            hash: row.get(2)?,
            down: row.get(3)?,
            applied_at: Timestamp(row.get(4)?),
        })
    });
    rows.and_then(Iterator::collect).map_err(fault)
}
