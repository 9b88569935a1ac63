//! A look at a database file from beside, whether or not a server uses it: is it whole, and is its schema ours.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::backup::known_migrations;

/// What a database file is like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseLook {
    /// What is damaged.
    pub damage: Option<String>,
    /// Migrations that the next start will run.
    pub pending: Vec<String>,
    /// A migration that this program does not know: a newer one ran it.
    pub unknown: Option<String>,
}

/// Looks through a database of the server; it may be in use. Blocks.
///
/// # Errors
/// It cannot be opened, or is no database.
pub fn look_at_database(path: &Path) -> Result<DatabaseLook, String> {
    let look = || {
        let connection = open(path)?;
        let mut look = DatabaseLook { damage: damage(&connection)?, ..DatabaseLook::default() };
        let known = known_migrations();
        let mut applied = connection.prepare("SELECT version FROM __diesel_schema_migrations")?;
        let applied = applied.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
        look.unknown = applied.iter().find(|it| !known.contains(it)).cloned();
        look.pending = known.into_iter().filter(|it| !applied.contains(it)).collect();
        Ok(look)
    };
    look().map_err(|fault: rusqlite::Error| fault.to_string())
}

/// What is damaged of a plugin's own database; it may be in use. Blocks.
///
/// # Errors
/// It cannot be opened, or is no database.
pub fn damage_of_database(path: &Path) -> Result<Option<String>, String> {
    open(path).and_then(|it| damage(&it)).map_err(|fault| fault.to_string())
}

/// The version of SQLite in this program.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

fn damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, StoreOptions};

    #[test]
    fn a_database_in_use_is_looked_at_and_a_damaged_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("panotti.db");
        let mut options = StoreOptions::at(&path);
        options.ballast_bytes = 0;
        let store = Store::open(&options).unwrap();
        assert_eq!(look_at_database(&path).unwrap(), DatabaseLook::default());
        store.close();
        drop(store);
        let connection = Connection::open(&path).unwrap();
        let last: String = connection
            .query_row("SELECT max(version) FROM __diesel_schema_migrations", [], |row| row.get(0))
            .unwrap();
        connection
            .execute("UPDATE __diesel_schema_migrations SET version = '99' WHERE version = ?1", [&last])
            .unwrap();
        drop(connection);
        let look = look_at_database(&path).unwrap();
        assert_eq!((look.pending, look.unknown.as_deref()), (vec![last], Some("99")));
        std::fs::write(
            &path,
            "no database at all, and longer than a header of SQLite is, which has one hundred bytes",
        )
        .unwrap();
        assert!(look_at_database(&path).is_err());
        assert!(look_at_database(&folder.path().join("none.db")).is_err());
    }
}
