//! What happens to plugins' own databases: damaged ones stop their plugin, migrations are taken back on request.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;
use utoipa::ToSchema;

use crate::error::{Code, Error, Result, ScriptFault};
use crate::model::call::Outcome;
use crate::model::plugin::PluginState;
use crate::model::time::Timestamp;
use crate::plugins::problem::LoadFault;
use crate::services::databases::{DbLimits, Migration, MigrationFault, MigrationRow, read_migrations};

use super::Manager;
use super::admin::act;
use super::slot::Slot;

/// A migration of a plugin's own database.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct MigrationView {
    /// Its number; they run in this order.
    pub number: u32,
    /// The rest of its folder's name.
    pub name: String,
    /// `pending`, `applied`, `changed` (applied, and its up.sql is another one now) or `missing` (applied, and its
    /// folder is gone).
    pub state: &'static str,
    /// When it was applied (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub applied_at: Option<Timestamp>,
    /// Whether there is a script that takes it back.
    pub can_be_taken_back: bool,
}

impl Manager {
    /// The migrations of a plugin by number: those in its folder and those that were applied.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`]; the folder's migrations or the file cannot be read.
    pub async fn migrations(&self, id: &str) -> Result<Vec<MigrationView>> {
        let slot = self.slot(id)?;
        let own = own_migrations(&slot)?;
        let database = self.0.databases.of(&slot.name);
        let rows = database.migrations().await.map_err(|fault| into_error(&slot, fault.into()))?;
        if slot.live().is_none() {
            database.close().await;
        }
        Ok(views(own, rows))
    }

    /// Takes back the migrations after number `to` of a plugin that does not run, the last one first.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`]; [`Code::Conflict`] while it runs; [`Code::MigrationFailed`] when a script is missing or
    /// fails.
    pub async fn roll_back_migrations(&self, id: &str, to: u32, by: &str) -> Result<Vec<MigrationView>> {
        let (id, by) = (id.to_owned(), by.to_owned());
        self.alone(move |manager| async move {
            let slot = manager.slot(&id)?;
            if slot.read(|it| it.live.is_some() || it.state() == PluginState::Draining) {
                let detail =
                    format!("The plugin `{}` runs; its migrations would be applied again.", slot.name);
                return Err(Error::new(Code::Conflict, detail).with_hint(
                    "Disable it, take the migrations back, put the older version in place, enable it.",
                ));
            }
            let own = own_migrations(&slot)?;
            let limits = slot.read(|it| it.manifest().map_or(manager.0.settings.limits, |it| it.limits));
            let deadline = Instant::now() + Duration::from_millis(limits.load_wall_ms);
            let limits = DbLimits { statement_ms: limits.load_wall_ms, ..DbLimits::of(&limits) };
            let database = manager.0.databases.of(&slot.name);
            let failed = |fault| into_error(&slot, fault);
            database.check().await.map_err(|fault| failed(fault.into()))?;
            let done = database.roll_back_to(to, own.clone(), limits, deadline).await.map_err(failed)?;
            let rows = database.migrations().await.map_err(|fault| failed(fault.into()))?;
            database.close().await;
            let detail = json!({ "to": to, "taken_back": done });
            manager.0.registry.note(act(&slot, "plugin.migrations.rollback", &by, detail)).await?;
            Ok(views(own, rows))
        })
        .await
    }

    /// Stops a plugin whose database was found damaged; the file stays where it is.
    async fn quarantine(&self, name: Arc<str>) {
        let quarantined = self.alone(move |manager| async move {
            let Some(slot) = manager.named(&name) else { return Ok(()) };
            let Some(found) = manager.0.databases.of(&name).corrupt() else { return Ok(()) };
            if !slot.read(|it| it.wanted()) {
                return Ok(());
            }
            manager.take_down(&slot, "has a damaged database", false).await;
            let mut fault = LoadFault::of_folder(
                Outcome::Skipped,
                found.message,
                "Put a copy of the file in its place or move it away, then enable the plugin or restart the server.",
            );
            fault.script.hook = None;
            slot.quarantine(&fault);
            manager.tell(&slot, "plugin.quarantined").await;
            manager.settle().await;
            Ok(())
        });
        if let Err(error) = quarantined.await {
            log::error!("a plugin with a damaged database was not stopped: {error}");
        }
    }
}

/// Stops plugins whose databases are found damaged, for as long as there is a manager.
pub(super) async fn watch(shared: Weak<super::Shared>, mut damaged: UnboundedReceiver<Arc<str>>) {
    while let Some(name) = damaged.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        Manager(shared).quarantine(name).await;
    }
}

fn own_migrations(slot: &Slot) -> Result<Vec<Migration>> {
    let files = slot.read(|it| it.prepared.as_ref().map(|it| Arc::clone(&it.snapshot.files)));
    let own = files.map_or_else(|| Ok(Vec::new()), |files| read_migrations(&files));
    own.map_err(|fault| into_error(slot, fault))
}

fn views(own: Vec<Migration>, rows: Vec<MigrationRow>) -> Vec<MigrationView> {
    let gone = rows.iter().filter(|row| own.iter().all(|it| it.number != row.number));
    let gone = gone.map(|row| MigrationView {
        number: row.number,
        name: row.name.clone(),
        state: "missing",
        applied_at: Some(row.applied_at),
        can_be_taken_back: row.down.is_some(),
    });
    let present = own.iter().map(|it| {
        let row = rows.iter().find(|row| row.number == it.number);
        MigrationView {
            number: it.number,
            name: it.name.clone(),
            state: match row {
                None => "pending",
                Some(row) if row.hash == it.hash => "applied",
                Some(_) => "changed",
            },
            applied_at: row.map(|it| it.applied_at),
            can_be_taken_back: it.down.is_some() || row.is_some_and(|it| it.down.is_some()),
        }
    });
    let mut all: Vec<MigrationView> = gone.chain(present).collect();
    all.sort_by_key(|it| it.number);
    all
}

fn into_error(slot: &Slot, fault: MigrationFault) -> Error {
    let script = ScriptFault {
        outcome: fault.fault.code().to_owned(),
        file: fault.file,
        line: fault.line,
        message: fault.fault.message,
        ..ScriptFault::default()
    };
    let mut error = Error::new(Code::MigrationFailed, format!("plugin `{}`: {script}", slot.name));
    error.hint = fault.hint;
    error.script = Some(Box::new(script));
    error
}
