//! Trying files aside: whether they would load, and what for they would be called. Nothing of it goes live.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::plugins::config_fault::check_config;
use crate::plugins::discovery::Snapshot;
use crate::plugins::drafts::{DraftCheck, Files};
use crate::plugins::problem::LoadFault;

use super::Manager;
use super::scan::{blocking, read_snapshot};
use super::slot::{Prepared, Slot};
use super::swap::hooks_of;

impl Manager {
    /// Loads a plugin of these files aside and throws it away again.
    pub(super) async fn try_files(&self, slot: &Arc<Slot>, files: Files) -> Result<DraftCheck> {
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
        let config = slot.config(&prepared.layers);
        check_config(&prepared.manifest, &prepared.snapshot, &config)?;
        // A number of its own: its log lines are nobody else's.
        let generation = slot.change(|it| {
            it.generation += 1;
            it.generation
        });
        let loading = self.0.host.load(self.source_of(slot, &prepared, generation, config));
        let loaded = match tokio::time::timeout_at(self.load_deadline().into(), loading).await {
            Ok(loaded) => loaded.map_err(LoadFault::of_call),
            Err(_) => Err(self.too_late()),
        };
        let script = loaded?;
        let hooks = hooks_of(&*script);
        script.retire(Duration::ZERO).await;
        Ok(hooks)
    }
}
