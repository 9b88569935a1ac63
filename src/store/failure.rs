//! What a failed statement means to the caller; its text is for the log.

use diesel::result::{DatabaseErrorKind, Error as Db};

use crate::error::{Code, Error, Result};

/// Seconds after which a write is worth another try when the disk was full.
const FULL_RETRY_S: u32 = 5;

/// Turns a database's answer into the product's.
pub(super) trait OrFail<T> {
    /// The value, or the error as a caller of the store sees it.
    fn or_fail(self) -> Result<T>;
}

impl<T> OrFail<T> for Result<T, Db> {
    fn or_fail(self) -> Result<T> {
        self.map_err(failed)
    }
}

impl<T> OrFail<T> for Result<T, serde_json::Error> {
    fn or_fail(self) -> Result<T> {
        self.map_err(Error::internal)
    }
}

/// The error for a failed statement.
pub(super) fn failed(cause: Db) -> Error {
    let code = match &cause {
        Db::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => Some(Code::Conflict),
        Db::DatabaseError(_, info) if is_out_of_disk(info.message()) => return disk_full(Some(cause)),
        _ => None,
    };
    match code {
        Some(code) => {
            Error { source: Some(Box::new(cause)), ..Error::new(code, "A row with this key exists already.") }
        }
        None => Error::internal(cause),
    }
}

/// The error while nothing can be written.
pub(super) fn disk_full(cause: Option<Db>) -> Error {
    Error {
        retry_after: Some(FULL_RETRY_S),
        source: cause.map(|it| Box::new(it) as _),
        ..Error::new(Code::DiskFull, "The change was not stored: the disk is full or cannot be written.")
    }
}

/// `SQLite` tells a full disk and a failing one in these words; diesel hands on the text alone.
fn is_out_of_disk(message: &str) -> bool {
    ["database or disk is full", "disk I/O error", "unable to open database file"]
        .iter()
        .any(|it| message.contains(it))
}
