//! Copies of database files for backups, and what such a copy holds. Each is done on a connection of its own, beside
//! whoever reads and writes the file.

use std::collections::BTreeMap;
use std::path::Path;

use diesel::migration::MigrationSource;
use diesel::sqlite::Sqlite;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::model::backup::BackupFault;
use crate::model::plugin::SEALED;

use super::migrate::MIGRATIONS;
use super::private::make_private;

/// Instructions of SQLite between two looks at who watches.
const STEPS: i32 = 10_000;

/// Milliseconds to wait for somebody who has the file for themselves.
const BUSY_MS: u64 = 5_000;

/// Tables whose rows are counted.
const COUNTED: &[&str] = &[
    "recordings",
    "tracks",
    "clips",
    "events",
    "deliveries",
    "plugins",
    "plugin_grants",
    "schedules",
    "tokens",
];

/// What a copy of the server's database holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseContents {
    /// The last migration that was run on it.
    pub schema: String,
    /// A migration that this program does not know: a newer one ran it.
    pub unknown: Option<String>,
    /// Rows by table.
    pub counts: BTreeMap<String, u64>,
    /// The server's own files of tracks.
    pub tracks: Vec<TrackFile>,
    /// The paths of clips' files that the server wrote; the last part counts.
    pub clips: Vec<String>,
    /// Tracks whose files are clients' own.
    pub client_tracks: u64,
}

/// The file of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackFile {
    /// Where it is, from the media folder on.
    pub path: String,
    /// Bytes that were acknowledged.
    pub size: u64,
    /// Whether it still grows.
    pub live: bool,
}

/// Copies a database that may be in use to a new file that only its owner reads. `watch` is asked all the time and ends it
/// by answering true. Nobody who reads or writes the database waits for this.
///
/// # Errors
/// Why there is no copy.
pub fn copy_database(
    from: &Path,
    to: &Path,
    watch: impl FnMut() -> bool + Send + 'static,
) -> Result<(), BackupFault> {
    let told = |error: rusqlite::Error| fault(from, &error);
    // A log that a crash left behind is worked in first, hence not read-only.
    let connection = open(from, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(told)?;
    make_private(to);
    let name = to.to_str().ok_or_else(|| BackupFault::Failed(format!("{}: is not UTF-8", to.display())))?;
    connection.progress_handler(STEPS, Some(watch)).map_err(told)?;
    connection.execute("VACUUM INTO ?1", [name]).map_err(told)?;
    drop(connection);
    let synced = std::fs::File::open(to).and_then(|it| it.sync_all());
    synced.map_err(|error| BackupFault::io(to, &error))
}

/// Works the log of a database in use into its file and empties it: what was overwritten is in neither then.
///
/// # Errors
/// Why it could not be done now.
pub fn empty_log(path: &Path) -> Result<(), BackupFault> {
    let told = |error: rusqlite::Error| fault(path, &error);
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(told)?;
    let busy: i64 =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(told)?;
    match busy {
        0 => Ok(()),
        _ => Err(BackupFault::Failed(format!("{}: somebody reads it all the time", path.display()))),
    }
}

/// How many values of plugins' config a database holds that only the server's key opens.
///
/// # Errors
/// It cannot be read.
pub fn sealed_values(path: &Path) -> Result<u64, BackupFault> {
    let told = |error: rusqlite::Error| fault(path, &error);
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(told)?;
    let sql = "SELECT COUNT(*) FROM plugin_configurations WHERE substr(value, 1, length(?1)) = ?1";
    let count: i64 = connection.query_row(sql, [SEALED], |row| row.get(0)).map_err(told)?;
    Ok(count.unsigned_abs())
}

/// Looks through every page of a database that nobody uses.
///
/// # Errors
/// What is wrong with it.
pub fn check_database(path: &Path) -> Result<(), BackupFault> {
    let told = |error: rusqlite::Error| fault(path, &error);
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(told)?;
    let found: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(told)?;
    match found.as_str() {
        "ok" => Ok(()),
        wrong => Err(BackupFault::Damaged(format!("{}: {wrong}", path.display()))),
    }
}

/// What a copy of the server's database holds; nobody may use it.
///
/// # Errors
/// It cannot be read, or is no database of the server.
pub fn database_contents(path: &Path) -> Result<DatabaseContents, BackupFault> {
    let told = |error: rusqlite::Error| fault(path, &error);
    read_contents(&open(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(told)?).map_err(told)
}

fn read_contents(connection: &Connection) -> rusqlite::Result<DatabaseContents> {
    let mut contents = DatabaseContents::default();
    let known = known_migrations();
    let mut applied =
        connection.prepare("SELECT version FROM __diesel_schema_migrations ORDER BY version")?;
    for version in applied.query_map([], |row| row.get::<_, String>(0))? {
        contents.schema = version?;
        if !known.contains(&contents.schema) {
            contents.unknown.get_or_insert_with(|| contents.schema.clone());
        }
    }
    for table in COUNTED {
        let there: bool = connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)",
            [table],
            |row| row.get(0),
        )?;
        if there {
            let count = format!("SELECT count(*) FROM {table}");
            let rows: i64 = connection.query_row(&count, [], |row| row.get(0))?;
            contents.counts.insert((*table).to_owned(), rows.unsigned_abs());
        }
    }
    let mut tracks =
        connection.prepare("SELECT path, size, state = 'live' FROM tracks WHERE origin = 'server'")?;
    let tracks = tracks.query_map([], |row| {
        Ok(TrackFile { path: row.get(0)?, size: row.get::<_, i64>(1)?.unsigned_abs(), live: row.get(2)? })
    })?;
    contents.tracks = tracks.collect::<rusqlite::Result<_>>()?;
    let mut clips = connection.prepare("SELECT file_path FROM clips WHERE owns_file")?;
    contents.clips = clips.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let clients: i64 =
        connection.query_row("SELECT count(*) FROM tracks WHERE origin <> 'server'", [], |row| row.get(0))?;
    contents.client_tracks = clients.unsigned_abs();
    Ok(contents)
}

/// The versions of the migrations in this program.
pub(super) fn known_migrations() -> Vec<String> {
    let known = MigrationSource::<Sqlite>::migrations(&MIGRATIONS).unwrap_or_default();
    known.iter().map(|it| it.name().version().to_string()).collect()
}

fn open(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    // Its real folder: only the file itself may be no link.
    let real = path.parent().and_then(|it| it.canonicalize().ok()).zip(path.file_name());
    let path = real.map_or_else(|| path.to_owned(), |(folder, name)| folder.join(name));
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false)?;
    Ok(connection)
}

fn fault(path: &Path, error: &rusqlite::Error) -> BackupFault {
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => BackupFault::Cancelled,
        Some(ErrorCode::DiskFull) => BackupFault::DiskFull,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            BackupFault::Damaged(format!("{}: {error}", path.display()))
        }
        _ => BackupFault::Failed(format!("{}: {error}", path.display())),
    }
}

/// Makes a database pass as one that a newer server has migrated.
#[cfg(test)]
pub fn pretend_newer(path: &Path) {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')";
    connection.execute(newer, []).unwrap();
}

#[cfg(test)]
mod tests {
    use super::super::{Store, StoreOptions};
    use super::*;

    fn store_in(folder: &Path) -> Store {
        let options = StoreOptions { ballast_bytes: 0, ..StoreOptions::at(folder.join("t.db")) };
        Store::open(&options).unwrap()
    }

    #[test]
    fn a_copy_of_an_open_database_has_what_was_committed_and_is_sound() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_in(folder.path());
        store.write_blocking(|tx| tx.execute("CREATE TABLE t (n BIGINT)")).unwrap();
        store.write_blocking(|tx| tx.execute("INSERT INTO t VALUES (7)")).unwrap();
        let copy = folder.path().join("copy.db");
        copy_database(&folder.path().join("t.db"), &copy, || false).unwrap();
        check_database(&copy).unwrap();
        let contents = database_contents(&copy).unwrap();
        assert_eq!((contents.unknown, contents.counts["recordings"]), (None, 0));
        assert_eq!(contents.schema, known_migrations().into_iter().max().unwrap());
        let side_files = ["-wal", "-shm", "-journal"];
        assert!(side_files.iter().all(|it| !folder.path().join(format!("copy.db{it}")).exists()));
    }

    #[test]
    fn a_copy_ends_when_it_is_told_to_and_a_newer_schema_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let store = store_in(folder.path());
        store
            .write_blocking(|tx| {
                tx.execute("CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i, hex(randomblob(50)) AS x FROM n")?;
                tx.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')")
            })
            .unwrap();
        let copy = folder.path().join("copy.db");
        let ended = copy_database(&folder.path().join("t.db"), &copy, || true);
        assert!(matches!(ended, Err(BackupFault::Cancelled)), "{ended:?}");
        let whole = folder.path().join("whole.db");
        copy_database(&folder.path().join("t.db"), &whole, || false).unwrap();
        assert_eq!(database_contents(&whole).unwrap().unknown.as_deref(), Some("29990101000000"));
    }
}
