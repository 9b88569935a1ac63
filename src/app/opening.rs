//! The database at a start; what keeps it from being used is told to the admin with what to do.

use std::io;

use crate::config::Settings;
use crate::error::{Code, Error, Result};
use crate::store::{Store, StoreOptions};

use super::lost_database;

/// Opens the database, unless it is not the one of this folder.
///
/// # Errors
/// What is wrong with it and what to do.
pub(super) fn open_store(settings: &Settings) -> Result<Store> {
    if let Some(lost) = lost_database::look(settings) {
        return Err(Error::new(Code::Internal, format!("{lost}. {}", lost_database::REMEDY)));
    }
    let path = settings.database_path();
    Store::open(&StoreOptions::at(&path)).map_err(|err| match err.code {
        Code::DiskFull => in_words(settings, err),
        _ => {
            let (path, cause) = (path.display(), err.with_cause());
            let remedy = "`panotti doctor` looks closer, `panotti restore` takes a backup back";
            Error::new(Code::Internal, format!("the database {path} cannot be used: {cause}; {remedy}"))
        }
    })
}

/// The same error, for who starts the server.
pub(super) fn in_words(settings: &Settings, err: Error) -> Error {
    let cause = err.source.as_ref().and_then(|it| it.downcast_ref::<io::Error>());
    if err.code != Code::DiskFull && cause.is_none_or(|it| it.kind() != io::ErrorKind::StorageFull) {
        return err;
    }
    let folder = settings.data_dir.display();
    let detail = format!(
        "the disk of the data folder {folder} is full or cannot be written, and a start writes some MiB there: make \
         room and start again; `panotti doctor` says how much is free"
    );
    Error { source: err.source, ..Error::new(Code::DiskFull, detail) }
}
