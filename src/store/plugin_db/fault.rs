//! What can go wrong with a plugin's database, in words for its author.

use rusqlite::ErrorCode;

use crate::config::PluginLimits;

use super::gauge::{Seen, Stop};

/// What kind of fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DbFaultKind {
    /// The function was used wrongly: parameters that do not fit, more than one statement.
    Misused,
    /// SQLite does not accept the statement, or it failed.
    Sql,
    /// A constraint of a table forbids it.
    Constraint,
    /// Not allowed to plugins.
    Denied,
    /// Too long, too large, too many.
    Limit,
    /// The file is damaged.
    Corrupt,
    /// The disk is full.
    DiskFull,
    /// The transaction is over already.
    RolledBack,
    /// The file cannot be used at the moment.
    Unavailable,
}

/// A fault of a plugin's database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DbFault {
    /// What kind.
    pub kind: DbFaultKind,
    /// One sentence.
    pub message: String,
    /// Where in the statement, in bytes, if SQLite says so.
    pub offset: Option<usize>,
}

impl DbFault {
    /// A fault of `kind`.
    pub fn new(kind: DbFaultKind, message: impl Into<String>) -> Self {
        DbFault { kind, message: message.into(), offset: None }
    }

    /// What SQLite says of a statement.
    pub fn sql(message: impl Into<String>) -> Self {
        Self::new(DbFaultKind::Sql, message)
    }

    pub(super) fn misused(message: impl Into<String>) -> Self {
        Self::new(DbFaultKind::Misused, message)
    }

    pub(super) fn denied(message: impl Into<String>) -> Self {
        Self::new(DbFaultKind::Denied, message)
    }

    pub(super) fn limit(message: impl Into<String>) -> Self {
        Self::new(DbFaultKind::Limit, message)
    }

    pub(super) fn rolled_back(message: impl Into<String>) -> Self {
        Self::new(DbFaultKind::RolledBack, message)
    }

    /// The stable code that scripts see.
    pub fn code(&self) -> &'static str {
        match self.kind {
            DbFaultKind::Misused | DbFaultKind::Sql => "sql",
            DbFaultKind::Constraint => "constraint",
            DbFaultKind::Denied => "denied",
            DbFaultKind::Limit => "limit",
            DbFaultKind::Corrupt => "database_corrupt",
            DbFaultKind::DiskFull => "disk_full",
            DbFaultKind::RolledBack => "rolled_back",
            DbFaultKind::Unavailable => "unavailable",
        }
    }

    /// A fault of the host's own work on the file.
    pub(super) fn of_host(error: &rusqlite::Error) -> Self {
        let (code, message, _) = parts(error);
        let kind = match code {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => DbFaultKind::Corrupt,
            Some(ErrorCode::DiskFull) => DbFaultKind::DiskFull,
            Some(ErrorCode::ConstraintViolation) => DbFaultKind::Constraint,
            _ => DbFaultKind::Unavailable,
        };
        DbFault::new(kind, format!("the plugin's database: {message}"))
    }

    /// What a statement of a plugin came to; `seen` tells what the hooks know of it.
    pub(super) fn of_statement(error: &rusqlite::Error, seen: &mut Seen, limits: &DbLimits) -> Self {
        if let Some(refused) = seen.refused.take() {
            return refused;
        }
        if matches!(error, rusqlite::Error::MultipleStatement) {
            return DbFault::misused("takes one statement; call it once for each");
        }
        let (code, message, offset) = parts(error);
        // SQLite has several errors for what its authorizer has refused.
        if let Some(what) = seen.denied.take() {
            return DbFault { offset, ..DbFault::denied(what) };
        }
        let kind = match code {
            Some(ErrorCode::OperationInterrupted) => return stopped(seen.stopped, limits),
            Some(ErrorCode::AuthorizationForStatementDenied) => DbFaultKind::Denied,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => DbFaultKind::Corrupt,
            Some(ErrorCode::ConstraintViolation) => DbFaultKind::Constraint,
            Some(ErrorCode::TooBig) => {
                return DbFault::limit(format!(
                    "{message}: a value or statement of the plugin's database may have {} KiB",
                    super::open::MAX_VALUE_BYTES >> 10
                ));
            }
            Some(ErrorCode::OutOfMemory) => DbFaultKind::Limit,
            Some(ErrorCode::DiskFull) => DbFaultKind::DiskFull,
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied,
            ) => DbFaultKind::Unavailable,
            _ if is_size(&message) => DbFaultKind::Limit,
            _ if message.ends_with("may not be modified") => DbFaultKind::Denied,
            _ if message.starts_with("cannot modify events because") => DbFaultKind::Denied,
            _ => match message.strip_prefix("no such table: ") {
                Some(name) if is_servers(name) => {
                    return DbFault::denied(format!(
                        "{message}; the server's own tables are not there for plugins, \
                         what they hold is reached by panotti.recordings, panotti.clips and panotti.kv"
                    ));
                }
                _ => DbFaultKind::Sql,
            },
        };
        DbFault { kind, message, offset }
    }
}

/// What one plugin may do with its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DbLimits {
    /// MiB of the file.
    pub mib: u64,
    /// Milliseconds of one statement.
    pub statement_ms: u64,
    /// Rows of one answer.
    pub rows: u64,
}

impl DbLimits {
    /// The database's part of a plugin's limits.
    pub fn of(limits: &PluginLimits) -> Self {
        DbLimits { mib: limits.db_mib, statement_ms: limits.db_statement_ms, rows: limits.db_rows }
    }
}

fn stopped(why: Option<Stop>, limits: &DbLimits) -> DbFault {
    match why {
        Some(Stop::Statement) => DbFault::limit(format!(
            "the statement took longer than {} ms (limits.db_statement_ms = {})",
            limits.statement_ms, limits.statement_ms
        )),
        _ => DbFault::limit("the statement was stopped: the time of its call is over"),
    }
}

fn parts(error: &rusqlite::Error) -> (Option<ErrorCode>, String, Option<usize>) {
    match error {
        rusqlite::Error::SqliteFailure(it, message) => {
            (Some(it.code), message.clone().unwrap_or_else(|| it.to_string()), None)
        }
        rusqlite::Error::SqlInputError { error, msg, offset, .. } => {
            (Some(error.code), msg.clone(), usize::try_from(*offset).ok())
        }
        other => (None, other.to_string(), None),
    }
}

/// Sentences of SQLite about statements that are too large for its limits; they have no code of their own.
fn is_size(message: &str) -> bool {
    const SAID: &[&str] = &[
        "Expression tree is too large",
        "parser stack overflow",
        "Recursion limit",
        "too many ",
        "LIKE or GLOB pattern too complex",
        "tables in a join",
        "nesting",
    ];
    SAID.iter().any(|it| message.contains(it))
}

/// Tables that the schema does not name: the migrations' own, the index of words, and what other servers call their keys.
const OTHER_TABLES: &[&str] =
    &["__diesel_schema_migrations", "clips_fts", "clips_words", "api_keys", "api_tokens"];

/// Whether a table that the plugin does not have is one of the server's.
fn is_servers(name: &str) -> bool {
    let name = name.rsplit('.').next().unwrap_or(name);
    let schema = include_str!("../schema.rs").split("diesel::table! {").skip(1);
    let mut own =
        schema.filter_map(|it| it.split('(').next()).map(str::trim).chain(OTHER_TABLES.iter().copied());
    own.any(|it| it.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use diesel::RunQueryDsl;
    use diesel::sql_types::Text;

    use super::super::super::failure::OrFail;
    use super::super::super::statement::statement;
    use super::super::super::testing::store;
    use super::*;

    #[test]
    fn the_tables_of_the_server_are_known() {
        assert!(["main.recordings", "Tokens", "plugin_kv", "api_tokens"].iter().all(|it| is_servers(it)));
        assert!(!is_servers("notes") && !is_servers("kv"));
    }

    #[test]
    fn every_table_that_the_migrations_leave_is_known() {
        let (_folder, store) = store();
        let tables = statement::<Text>("SELECT name FROM sqlite_schema WHERE type = 'table'");
        let mut tables: Vec<String> = store.read(|it| tables.load(&mut it.conn).or_fail()).unwrap();
        // SQLite's own, and what the index of words is kept in.
        tables.retain(|it| !it.starts_with("sqlite_") && !it.starts_with("clips_fts_"));
        let unknown: Vec<_> = tables.iter().filter(|it| !is_servers(it)).collect();
        assert!(unknown.is_empty() && tables.len() > 20, "{unknown:?} of {tables:?}");
    }
}
