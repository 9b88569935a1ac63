//! Brings the schema up to date before anything else uses the database.

use std::fs;
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::error::{Error, Result};

use super::connection::Reader;
use super::failure::OrFail;
use super::private::make_private;
use super::statement::statement;

/// The migrations in the binary.
pub(super) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// The level of `synchronous` that keeps the log whole without flushing it at every commit.
const NORMAL: i32 = 1;

/// Runs what has not run yet, each migration in a transaction of its own. A database that already had a
/// schema is copied first; the copy's path is answered.
///
/// # Errors
/// The database has a migration that this program does not know, or one fails.
pub(super) fn migrate(
    reader: &mut Reader,
    path: &Path,
    source: impl MigrationSource<Sqlite>,
) -> Result<Option<PathBuf>> {
    let known = source.migrations().map_err(Error::internal)?;
    let applied = reader.conn.applied_migrations().map_err(Error::internal)?;
    refuse_newer(path, &applied, &known)?;

    let mut pending: Vec<_> =
        known.into_iter().filter(|it| !applied.contains(&it.name().version())).collect();
    pending.sort_by(|a, b| a.name().version().cmp(&b.name().version()));
    let Some(first) = pending.first() else { return Ok(None) };

    let copy = if applied.is_empty() { None } else { Some(copy_before(reader, path, &**first)?) };
    let level = statement::<Integer>("PRAGMA synchronous").get_result::<i32>(&mut reader.conn).or_fail()?;
    // Nobody was promised anything yet: a power cut costs no more than the last migrations, which run again then. The
    // first change that is promised flushes the log with all that is in it.
    // A migration may change more than fits into memory.
    let large = format!("PRAGMA synchronous = {}; PRAGMA cache_spill = ON", level.min(NORMAL));
    reader.conn.batch_execute(&large).or_fail()?;
    for migration in &pending {
        reader.conn.run_migration(&**migration).map_err(Error::internal)?;
        log::info!("database: migrated to {}", migration.name());
    }
    reader
        .conn
        .batch_execute(&format!("PRAGMA synchronous = {level}; PRAGMA cache_spill = OFF"))
        .or_fail()?;
    Ok(copy)
}

/// A newer program may have changed what columns mean: better not to touch its database.
fn refuse_newer(
    path: &Path,
    applied: &[MigrationVersion<'_>],
    known: &[Box<dyn Migration<Sqlite>>],
) -> Result<()> {
    let is_known = |version: &MigrationVersion<'_>| known.iter().any(|it| it.name().version() == *version);
    match applied.iter().find(|it| !is_known(it)) {
        None => Ok(()),
        Some(version) => Err(Error::internal(format!(
            "{} was written by a newer panotti (its schema {version} is unknown to this one): start the newer \
             version, or restore the copy that it made before migrating ({}.before-*)",
            path.display(),
            path.display(),
        ))),
    }
}

fn copy_before(reader: &mut Reader, path: &Path, first: &dyn Migration<Sqlite>) -> Result<PathBuf> {
    let with_suffix = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let copy = with_suffix(&format!(".before-{}", first.name().version()));
    let part = with_suffix(".copy.part");
    if part.exists() {
        fs::remove_file(&part).map_err(Error::internal)?;
    }
    make_private(&part);
    diesel::sql_query("VACUUM INTO ?")
        .bind::<Text, _>(part.to_string_lossy().into_owned())
        .execute(&mut reader.conn)
        .or_fail()?;
    fs::File::open(&part).and_then(|it| it.sync_all()).map_err(Error::internal)?;
    fs::rename(&part, &copy).map_err(Error::internal)?;
    log::info!("database: copied to {} before migrating", copy.display());
    Ok(copy)
}
