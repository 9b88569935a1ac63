//! A second way to the connection that writes, beside the query builder's. The builder walks through a statement three times
//! whenever it runs, and binds its values by way of lists of its own: what is written with every request takes this way, where
//! a statement that is prepared is found by where its text lies, bound and run.
//!
//! The builder's driver lends its connection to nobody. SQLite shows each one that is opened to those who asked for it.

#![allow(unsafe_code)]

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int};
use std::mem::transmute;
use std::ptr::null_mut;
use std::rc::Rc;

use diesel::{Connection as _, SqliteConnection};
use libsqlite3_sys as ffi;
use rusqlite::{Connection, PrepFlags, Statement as Prepared};

use crate::error::{Error, Result};

use super::connection::Reader;
use super::failure::OrFail;

/// More statements than are made of parts and written often.
const MADE_KEPT: usize = 16;

thread_local! {
    /// The first connection that this thread has opened since it began to wait for one.
    static OPENED: Cell<Option<*mut ffi::sqlite3>> = const { Cell::new(None) };
}

/// The second way. It keeps statements that belong to the connection: it is one with it in a [`Reader`], where it ends
/// first.
pub(super) struct Direct {
    /// In the order of the places where their texts lie, which stay there: no text is compared. They end before what they
    /// refer to.
    kept: RefCell<Vec<((usize, usize), Prepared<'static>)>>,
    connection: Rc<Connection>,
}

// SAFETY: nobody else has what `connection` or a statement in `kept` counts or refers to: it all goes from thread to thread
// together.
unsafe impl Send for Direct {}

impl Direct {
    /// Gives `run` the statement of this text, which is prepared once.
    ///
    /// # Errors
    /// SQLite does not accept it; those of `run`.
    pub(super) fn with<T>(
        &self,
        sql: Cow<'static, str>,
        run: impl FnOnce(&mut Prepared<'_>) -> Result<T>,
    ) -> Result<T> {
        let text = match sql {
            Cow::Borrowed(text) => text,
            Cow::Owned(text) => return run(&mut *self.connection.prepare_cached(&text).or_fail()?),
        };
        let place = (text.as_ptr().addr(), text.len());
        let mut kept = self.kept.borrow_mut();
        let at = match kept.binary_search_by_key(&place, |it| it.0) {
            Ok(at) => at,
            Err(at) => {
                kept.insert(at, (place, self.prepare(text)?));
                at
            }
        };
        run(&mut kept[at].1)
    }

    fn prepare(&self, text: &str) -> Result<Prepared<'static>> {
        let prepared =
            self.connection.prepare_with_flags(text, PrepFlags::SQLITE_PREPARE_PERSISTENT).or_fail()?;
        // SAFETY: it refers to the connection, which lies where it lies until the last one of `kept` has ended.
        Ok(unsafe { transmute::<Prepared<'_>, Prepared<'static>>(prepared) })
    }
}

/// Opens a database both ways.
///
/// # Errors
/// The database cannot be opened, or SQLite does not show it.
pub(super) fn establish(address: &str) -> Result<Reader> {
    // SAFETY: `shown` is what SQLite calls with a connection, and is there as long as the program; more than once it is not
    // noted down.
    if unsafe { ffi::sqlite3_auto_extension(Some(shown)) } != ffi::SQLITE_OK {
        return Err(Error::internal("SQLite shows no connections"));
    }
    OPENED.set(Some(null_mut()));
    let conn = SqliteConnection::establish(address);
    let handle = OPENED.take().unwrap_or(null_mut());
    let conn = conn.map_err(Error::internal)?;
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
    direct.set_prepared_statement_cache_capacity(MADE_KEPT);
    let direct = Direct { kept: RefCell::default(), connection: Rc::new(direct) };
    Ok(Reader::both_ways(direct, conn))
}

unsafe extern "C" fn shown(
    handle: *mut ffi::sqlite3,
    _fault: *mut *mut c_char,
    _functions: *const ffi::sqlite3_api_routines,
) -> c_int {
    if OPENED.get().is_some_and(|it| it.is_null()) {
        OPENED.set(Some(handle));
    }
    ffi::SQLITE_OK
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection;

    use super::super::statement::{Bind, statement};
    use super::*;

    fn run(reader: &Reader, sql: &'static str) -> Result<usize> {
        statement::<()>(sql).write(reader)
    }

    #[test]
    fn both_ways_lead_to_one_connection() {
        let mut both = establish(":memory:").unwrap();
        both.conn.batch_execute("CREATE TABLE notes (text TEXT); BEGIN").unwrap();
        assert_eq!(run(&both, "INSERT INTO notes VALUES ('a'), ('b')").unwrap(), 2);
        both.conn.batch_execute("ROLLBACK").unwrap();
        let left = statement("SELECT count(*) FROM notes").number(&both).unwrap();
        assert_eq!(left, Some(0), "the transaction of the one is that of the other");
    }

    #[test]
    fn each_connection_has_its_own() {
        let mut all = [0, 1, 2].map(|_| establish(":memory:").unwrap());
        let tables = ["CREATE TABLE only_0 (x)", "CREATE TABLE only_1 (x)", "CREATE TABLE only_2 (x)"];
        for (both, table) in all.iter().zip(tables) {
            run(both, table).unwrap();
        }
        for (number, both) in all.iter_mut().enumerate() {
            let mut insert =
                |of: usize| both.conn.batch_execute(&format!("INSERT INTO only_{of} VALUES (1)"));
            assert!(insert(number).is_ok() && insert((number + 1) % 3).is_err());
        }
    }

    #[test]
    fn a_statement_that_is_given_too_few_values_does_not_run_with_those_of_the_last_time() {
        let both = establish(":memory:").unwrap();
        run(&both, "CREATE TABLE notes (number BIGINT)").unwrap();
        let (two, one) = ([Some(1), Some(2)], [Some(3)]);
        for (values, is_enough) in [(&two[..], true), (&one[..], false)] {
            let insert = statement::<()>("INSERT INTO notes VALUES (?), (?)");
            let written = insert.binds(values.iter().map(|it| Bind::from(*it))).write(&both);
            assert_eq!(written.is_ok(), is_enough, "{written:?}");
        }
        assert_eq!(statement("SELECT sum(number) FROM notes").number(&both).unwrap(), Some(3));
    }

    #[test]
    fn what_cannot_be_opened_leaves_nothing_behind_for_the_next() {
        assert!(establish("/nowhere/at/all.db").is_err());
        assert!(OPENED.get().is_none());
        assert_eq!(statement("SELECT 7").number(&establish(":memory:").unwrap()).unwrap(), Some(7));
    }
}
