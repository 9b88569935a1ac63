//! Trying files aside: whether they would load, and what for they would be called. Nothing of it goes live, nothing
//! is kept, and nothing reaches the world.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::error::Result;
use crate::lua::replay::{Diverged, Tried};
use crate::model::call::Outcome;
use crate::plugins::discovery::Snapshot;
use crate::plugins::drafts::{DraftCheck, Files};
use crate::plugins::problem::LoadFault;

use super::Manager;
use super::scan::{blocking, read_snapshot};
use super::slot::{Prepared, Slot};
use super::swap::{hooks_of, names_of};

impl Manager {
    /// Tries the files in a plugin's folder aside: whether they would run, and what for they would be called.
    ///
    /// # Errors
    /// `PluginNotFound`, `NoSuchFolder`; files that do not load are no error.
    pub async fn validate(&self, id: &str) -> Result<DraftCheck> {
        let slot = self.registered(id)?;
        self.not_stopping()?;
        let files = self.files_on_disk(&slot).await?;
        self.try_files(&slot, files).await
    }

    /// Loads a plugin of these files aside and throws it away again.
    pub(super) async fn try_files(&self, slot: &Arc<Slot>, files: Files) -> Result<DraftCheck> {
        let _place = self.0.checking.acquire().await;
        let snapshot = Snapshot::of(files);
        let hash = snapshot.hash.to_string();
        let (name, env) = (Arc::clone(&slot.name), self.0.env.clone());
        let limits = self.0.settings.limit_rules();
        let prepared = blocking(move || read_snapshot(&name, snapshot, &env, &limits)).await?;
        let warnings = prepared.as_ref().map(|it| {
            it.manifest.warnings.iter().chain(&it.snapshot.warnings).map(ToString::to_string).collect()
        });
        let mut check = DraftCheck { hash, warnings: warnings.unwrap_or_default(), ..DraftCheck::default() };
        let tried = match prepared {
            Ok(prepared) => self.try_out(slot, prepared).await,
            Err(fault) => Err(fault),
        };
        match tried {
            Ok(hooks) => {
                let live = slot.live().map(|it| hooks_of(&*it.script)).unwrap_or_default();
                check.ok = true;
                check.hooks_added = hooks.difference(&live).cloned().collect();
                check.hooks_removed = live.difference(&hooks).cloned().collect();
                check.hooks = hooks.into_iter().collect();
            }
            Err(fault) => check.fault = Some(fault.script),
        }
        Ok(check)
    }

    /// What a plugin of these files registers when its chunk runs.
    async fn try_out(&self, slot: &Arc<Slot>, prepared: Prepared) -> Result<BTreeSet<String>, LoadFault> {
        if prepared.manifest.plugin_type != "lua" {
            return Ok(BTreeSet::new());
        }
        if let Some(fault) = self.what_keeps_it_back(slot, &prepared) {
            return Err(fault);
        }
        let config = slot.checked_config(&prepared)?;
        let tried = self.tried(slot, &prepared, config).await?;
        if let Some(asks) = tried.asks {
            return Err(not_asked(&asks));
        }
        Ok(names_of(tried.registrations, tried.subscriptions))
    }

    async fn tried(&self, slot: &Slot, prepared: &Prepared, config: Arc<Value>) -> Result<Tried, LoadFault> {
        let generation = slot.read(|it| it.generation);
        let trying = self.0.host.try_out(self.source_of(slot, prepared, generation, config));
        match tokio::time::timeout_at(self.load_deadline().into(), trying).await {
            Ok(tried) => tried.map_err(LoadFault::of_call),
            Err(_) => Err(self.too_late()),
        }
    }

    /// Tries migrations that a running plugin does not have yet, with the rest of its new files: what was applied stays
    /// applied, whatever becomes of the version that came with it.
    pub(super) async fn try_new_migrations(&self, slot: &Slot, prepared: &Prepared) -> Result<(), LoadFault> {
        let has_new = slot.live().is_some_and(|live| {
            let former = &live.prepared.snapshot.files;
            let migrations = prepared.snapshot.files.iter().filter(|it| it.0.starts_with("migrations/"));
            migrations.into_iter().any(|(path, text)| former.get(path) != Some(text))
        });
        if !has_new {
            return Ok(());
        }
        let config = slot.checked_config(prepared)?;
        self.tried(slot, prepared, config).await.map(drop)
    }
}

/// What a chunk does while it loads is not done for a check.
fn not_asked(asks: &Diverged) -> LoadFault {
    let function = &asks.function;
    let mut fault = LoadFault::of_folder(
        Outcome::Skipped,
        format!("it asks for {function} while it loads, which a check does not do"),
        format!(
            "Whether the rest loads shows when it is published; in panotti.on.on_load, {function} would not keep it from being checked."
        ),
    );
    fault.script.file.clone_from(&asks.file);
    fault.script.line = asks.line;
    fault
}
