//! Before a plugin's files run: its database is looked at and brought up to date.

use std::time::{Duration, Instant};

use crate::error::ScriptFault;
use crate::hooks::CallFailure;
use crate::model::call::Outcome;
use crate::services::Services;
use crate::services::databases::{DbFault, DbFaultKind, DbLimits, MigrationFault, read_migrations};

use super::fault;
use super::generation::PluginSource;
use super::learned::Learned;

/// Whether what migrations do stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Migrations {
    /// They are applied.
    Apply,
    /// They are applied, and taken back at once.
    Try,
}

/// Looks at the plugin's database, if it may use one, and applies its new migrations.
///
/// # Errors
/// The file is damaged; a migration is wrong, was changed after it had been applied, or failed.
pub(super) async fn bring_up(
    services: &Services,
    source: &PluginSource,
    learned: &Learned,
    how: Migrations,
) -> Result<(), CallFailure> {
    let has_migrations = source.files.keys().any(|it| it.starts_with("migrations/") && it.ends_with(".sql"));
    if source.learn && has_migrations {
        learned.note("db");
    } else if !source.permissions.has("db") {
        return match has_migrations {
            true => Err(failure(source, without_permission())),
            false => Ok(()),
        };
    }
    let database = services.databases.of(&source.name);
    database.check().await.map_err(|fault| failure(source, fault.into()))?;
    if !has_migrations {
        return Ok(());
    }
    let migrations = read_migrations(&source.files).map_err(|fault| failure(source, fault))?;
    let wall_ms = source.limits.load_wall_ms;
    // A statement may take as long as loading may; the deadline comes first.
    let limits = DbLimits { statement_ms: wall_ms + 1_000, ..DbLimits::of(&source.limits) };
    let deadline = Instant::now() + Duration::from_millis(wall_ms);
    let applied = match how {
        Migrations::Apply => database.migrate(migrations, limits, deadline, services.now()).await,
        Migrations::Try => database.try_migrations(migrations, limits, deadline, services.now()).await,
    };
    let applied = applied.map_err(|fault| failure(source, fault))?;
    if applied > 0 && how == Migrations::Apply {
        log::info!(plugin = &*source.name, generation = source.generation; "migrations applied: {applied}");
    }
    Ok(())
}

fn without_permission() -> MigrationFault {
    MigrationFault {
        file: Some("migrations".to_owned()),
        line: None,
        fault: DbFault::new(DbFaultKind::Denied, "migrations need the permission 'db'"),
        hint: Some("Add `permissions: { db: true }` to plugin.yaml.".to_owned()),
    }
}

fn failure(source: &PluginSource, fault: MigrationFault) -> CallFailure {
    let outcome = match fault.fault.kind {
        DbFaultKind::Denied => Outcome::Denied,
        DbFaultKind::Limit => Outcome::Limit,
        DbFaultKind::Sql if fault.line.is_none() => Outcome::Skipped,
        _ => Outcome::Runtime,
    };
    let text = fault.file.as_ref().and_then(|it| source.files.get(it));
    let text = text.and_then(|it| std::str::from_utf8(it).ok());
    let excerpt = fault.line.zip(text).and_then(|(line, text)| fault::excerpt(text, line));
    let fault = ScriptFault {
        outcome: outcome.as_str().to_owned(),
        hook: Some("load".to_owned()),
        excerpt,
        message: fault::clean(&fault.fault.message, source.limits.error_text_bytes),
        file: fault.file,
        line: fault.line,
        hint: fault.hint,
        ..ScriptFault::default()
    };
    CallFailure { outcome, fault, generation: source.generation }
}
