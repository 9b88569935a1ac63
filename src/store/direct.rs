//! A second way to the connection that writes, beside the query builder's. The builder walks through a statement three times
//! whenever it runs, and binds its values by way of lists of its own: what is written with every request takes this way, where
//! a statement that is prepared is found by its text, bound and run.
//!
//! The builder's driver lends its connection to nobody. SQLite shows each one that is opened to those who asked for it.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_char, c_int};
use std::ptr::null_mut;
use std::sync::OnceLock;

use diesel::{Connection as _, SqliteConnection};
use libsqlite3_sys as ffi;
use rusqlite::Connection;

use crate::error::{Error, Result};

use super::failure::OrFail;

/// More statements than are written with requests.
const KEPT: usize = 64;

thread_local! {
    /// The connection that this thread opened last.
    static OPENED: Cell<*mut ffi::sqlite3> = const { Cell::new(null_mut()) };
}

/// Opens a database. The second way has to end before the connection does: it keeps statements that belong to it.
///
/// # Errors
/// The database cannot be opened, or SQLite does not show it.
pub(super) fn establish(address: &str) -> Result<(Connection, SqliteConnection)> {
    static IS_SHOWN: OnceLock<bool> = OnceLock::new();
    // SAFETY: `shown` is what SQLite calls with a connection, and is there as long as the program.
    let show = || unsafe { ffi::sqlite3_auto_extension(Some(shown)) == ffi::SQLITE_OK };
    if !*IS_SHOWN.get_or_init(show) {
        return Err(Error::internal("SQLite shows no connections"));
    }
    OPENED.set(null_mut());
    let conn = SqliteConnection::establish(address).map_err(Error::internal)?;
    let handle = OPENED.replace(null_mut());
    if handle.is_null() {
        return Err(Error::internal("SQLite did not show the connection"));
    }
    // SAFETY: the handle is that of `conn`, the one connection that was opened here; it does not belong to what is made of it,
    // and both are used by one thread at a time: who has them has both.
    let direct = unsafe {
        // So that a key that is taken is told from other constraints.
        ffi::sqlite3_extended_result_codes(handle, 1);
        Connection::from_handle(handle)
    };
    let direct = direct.or_fail()?;
    direct.set_prepared_statement_cache_capacity(KEPT);
    Ok((direct, conn))
}

unsafe extern "C" fn shown(
    handle: *mut ffi::sqlite3,
    _fault: *mut *mut c_char,
    _functions: *const ffi::sqlite3_api_routines,
) -> c_int {
    OPENED.set(handle);
    ffi::SQLITE_OK
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection;

    use super::*;

    #[test]
    fn both_ways_lead_to_one_connection() {
        let (direct, mut conn) = establish(":memory:").unwrap();
        conn.batch_execute("CREATE TABLE notes (text TEXT); BEGIN").unwrap();
        direct.execute("INSERT INTO notes VALUES (?)", ["a"]).unwrap();
        assert!(!direct.is_autocommit(), "the transaction of the one is that of the other");
        conn.batch_execute("ROLLBACK").unwrap();
        let left: i64 = direct.query_row("SELECT count(*) FROM notes", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0);
    }

    #[test]
    fn each_connection_has_its_own() {
        let all: Vec<_> = (0..3).map(|_| establish(":memory:").unwrap()).collect();
        for (number, (direct, _)) in all.iter().enumerate() {
            direct.execute_batch(&format!("CREATE TABLE only_{number} (x)")).unwrap();
        }
        for (number, (_, mut conn)) in all.into_iter().enumerate() {
            conn.batch_execute(&format!("INSERT INTO only_{number} VALUES (1)")).unwrap();
            assert!(
                conn.batch_execute(&format!("INSERT INTO only_{} VALUES (1)", (number + 1) % 3)).is_err()
            );
        }
    }
}
