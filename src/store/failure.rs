//! What a failed statement means to the caller; its text is for the log.

use diesel::result::{DatabaseErrorKind, Error as Db};
use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};

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

impl<T> OrFail<T> for rusqlite::Result<T> {
    fn or_fail(self) -> Result<T> {
        self.map_err(|cause| {
            let told = cause.sqlite_error().map(|it| (it.code, it.extended_code));
            match told {
                Some((_, SQLITE_CONSTRAINT_PRIMARYKEY | SQLITE_CONSTRAINT_UNIQUE)) => taken(cause),
                Some((ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen, _)) => {
                    disk_full(Some(cause.into()))
                }
                _ => Error::internal(cause),
            }
        })
    }
}

/// The error for a failed statement.
pub(super) fn failed(cause: Db) -> Error {
    match &cause {
        Db::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => taken(cause),
        Db::DatabaseError(_, info) if is_out_of_disk(info.message()) => disk_full(Some(cause.into())),
        _ => Error::internal(cause),
    }
}

fn taken(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    let taken = Error::new(Code::Conflict, "A row with this key exists already.");
    Error { source: Some(Box::new(cause)), ..taken }
}

/// The error while nothing can be written.
pub(super) fn disk_full(cause: Option<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error {
        retry_after: Some(FULL_RETRY_S),
        source: cause,
        ..Error::new(Code::DiskFull, "The change was not stored: the disk is full or cannot be written.")
    }
}

/// Whether an error is that one.
pub(super) fn is_full(error: &Error) -> bool {
    error.code == Code::DiskFull
}

/// `SQLite` tells a full disk and a failing one in these words; diesel hands on the text alone.
fn is_out_of_disk(message: &str) -> bool {
    ["database or disk is full", "disk I/O error", "unable to open database file"]
        .iter()
        .any(|it| message.contains(it))
}
