//! Making a generation aside, of files that were read already.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::hooks::Hook;
use crate::lua::PluginSource;
use crate::model::call::Outcome;
use crate::plugins::handler::PluginHandler;
use crate::plugins::problem::LoadFault;

use super::Manager;
use super::slot::{Live, Prepared, Slot};
use super::staging::Staged;

impl Manager {
    /// Makes a generation of a plugin and hands it the state of the one that runs; nothing calls it yet.
    pub(super) async fn build(
        &self,
        slot: &Arc<Slot>,
        prepared: Prepared,
        deadline: Instant,
    ) -> Result<Staged, LoadFault> {
        let config = slot.checked_config(&prepared)?;
        self.build_with(slot, prepared, config, deadline).await
    }

    /// The same with a config that was checked.
    pub(super) async fn build_with(
        &self,
        slot: &Arc<Slot>,
        prepared: Prepared,
        config: Arc<Value>,
        deadline: Instant,
    ) -> Result<Staged, LoadFault> {
        let began = Instant::now();
        let former = slot.live();
        let generation = slot.change(|it| {
            it.generation += 1;
            it.generation
        });
        let loading = self.0.host.load(self.source_of(slot, &prepared, generation, config));
        let loaded = match tokio::time::timeout_at(deadline.into(), loading).await {
            Ok(loaded) => loaded.map_err(LoadFault::of_call),
            Err(_) => Err(self.too_late()),
        };
        let outcome = loaded.as_ref().map_or_else(|fault| fault.outcome, |_| Outcome::Ok);
        slot.vitals.stats.count("load", outcome, Some(began.elapsed()));
        let script = loaded?;
        let vitals = Arc::clone(&slot.vitals);
        let handler = PluginHandler::new(Arc::clone(&slot.name), generation, Arc::clone(&script), vitals);
        let same = former.as_ref().filter(|it| it.prepared.snapshot.hash == prepared.snapshot.hash);
        let handler = same
            .map(|it| Arc::clone(it.handler.record()))
            .into_iter()
            .fold(handler, PluginHandler::with_record);
        let live = Arc::new(Live { generation, prepared, script, handler: Arc::new(handler) });
        // From here on other generations that are made aside find this one instead of the running one.
        let place = self.0.staging.enter(&slot.name, &live);
        let (state, mut effects) = match &former {
            // A former version that hangs here must not keep a mended one out: half of the time is the new one's.
            Some(former) => self.last_words(former, Instant::now() + left(deadline) / 2).await,
            None => Default::default(),
        };
        match self.life_without_effects(&live, Hook::OnLoad, state, deadline).await {
            Ok((_, more)) => effects.extend(more),
            Err(failure) => {
                live.script.retire(Duration::ZERO).await;
                return Err(LoadFault::of_call(failure).already_logged());
            }
        }
        let took = began.elapsed();
        Ok(Staged { slot: Arc::clone(slot), live, former, effects, authorship: None, took, _place: place })
    }

    pub(super) fn source_of(
        &self,
        slot: &Slot,
        prepared: &Prepared,
        generation: u64,
        config: Arc<Value>,
    ) -> PluginSource {
        let manifest = &prepared.manifest;
        PluginSource {
            name: Arc::clone(&slot.name),
            version: manifest.version.as_ref().map_or_else(|| "0.0.0".to_owned(), ToString::to_string),
            generation,
            hash: Arc::from(&*prepared.snapshot.hash),
            entry: prepared.entry.clone(),
            files: Arc::clone(&prepared.snapshot.files),
            config,
            secret_keys: slot.secret_keys(&prepared.layers),
            permissions: self.in_force(slot, &manifest.requested),
            dependencies: manifest.dependencies.iter().map(|it| it.name.clone()).collect(),
            requested: manifest.requested.clone(),
            learn: manifest.learn && self.0.settings.learn_permissions,
            limits: manifest.limits,
        }
    }

    pub(super) fn too_late(&self) -> LoadFault {
        let message = format!(
            "it was not loaded within the {} s that all plugins have together",
            self.0.settings.startup_s
        );
        LoadFault::of_folder(Outcome::Deadline, message, "Do less while the chunk runs, or raise startup_s.")
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
