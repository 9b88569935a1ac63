//! A changed config and the running plugin: `on_config_changed` takes it, else a new generation is made with it. What the plugin
//! refuses is not stored, and the old values stay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::task::JoinHandle;

use crate::error::{Code, Error, Result};
use crate::hooks::{CallFailure, Hook, HookHandler};
use crate::model::call::{Outcome, PluginEffects};
use crate::model::plugin::PluginState;
use crate::plugins::manager::registry::Act;
use crate::plugins::manager::slot::{Live, Slot};
use crate::plugins::manager::{DRAIN, Manager};
use crate::plugins::problem::LoadFault;
use crate::plugins::settings::ConfigChange;

use super::ConfigWrite;

/// How long a plugin may take to go back to its former values.
const BACK: Duration = Duration::from_secs(2);

/// How long a change waits for a plugin that had failed to start with it; the plugin goes on after that.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

impl Manager {
    /// Has the running plugin take a change that was checked, and stores it; answers the start of a plugin that had failed.
    ///
    /// # Errors
    /// [`Code::ConfigRefused`], or the store's: everything is as it was then.
    pub(super) async fn take_config(
        &self,
        slot: &Arc<Slot>,
        change: ConfigChange,
        act: Act,
    ) -> Result<Option<JoinHandle<()>>> {
        let (layers, stored) = (slot.layers(), slot.read(|it| it.stored.clone()));
        let plugin = slot.read(|it| it.row.id);
        let write = self.0.registry.config_write(plugin, &change, &layers, &stored, act)?;
        let (before, after) =
            (layers.effective(&stored), layers.effective(&change.applied(&layers, &stored)));
        let changed = differing(&before, &after);
        let written = match slot.live() {
            Some(live) if !changed.is_empty() && listens(&live) => {
                self.tell_config(&live, (before, after), changed, write).await?
            }
            Some(live) if !changed.is_empty() => self.renew_with(slot, &live, after, write).await?,
            _ => self.0.registry.write_config(write).await?,
        };
        let rows = self.0.registry.opened(plugin, written);
        slot.change(|it| it.stored = rows);
        // What it failed for may have been the config.
        let is_down = slot.read(|it| it.live.is_none() && it.state() == PluginState::Failed && it.wanted());
        Ok(is_down.then(|| {
            let (manager, slot) = (self.clone(), Arc::clone(slot));
            self.spawn(async move { manager.heal(&slot).await })
        }))
    }

    /// Tells the plugin of its new config, and stores it when the plugin has taken it.
    async fn tell_config(
        &self,
        live: &Live,
        (before, after): (Map<String, Value>, Map<String, Value>),
        changed: Arc<[String]>,
        write: ConfigWrite,
    ) -> Result<Vec<crate::model::plugin::StoredConfig>> {
        let told = self.try_config(live, after, &changed, self.load_deadline()).await;
        let effects = match told {
            Ok(effects) => effects,
            Err(failure) => {
                self.take_back(live, before, &changed).await;
                return Err(refused(live, failure));
            }
        };
        match self.0.registry.write_config(write.with_effects(effects)).await {
            Ok(written) => Ok(written),
            Err(error) => {
                self.take_back(live, before, &changed).await;
                Err(error)
            }
        }
    }

    async fn try_config(
        &self,
        live: &Live,
        config: Map<String, Value>,
        changed: &Arc<[String]>,
        deadline: Instant,
    ) -> Result<Vec<PluginEffects>, CallFailure> {
        let config = Arc::new(Value::Object(config));
        live.script.set_config(Arc::clone(&config));
        self.life_of_config(live, (*config).clone(), Arc::clone(changed), deadline).await
    }

    /// Gives the plugin the values back that it had, and tells it: what it has done with the others is its own to undo.
    async fn take_back(&self, live: &Live, before: Map<String, Value>, changed: &Arc<[String]>) {
        if let Ok(effects) = self.try_config(live, before, changed, Instant::now() + BACK).await
            && !effects.is_empty()
        {
            self.0.registry.commit(effects).await;
        }
    }

    /// Makes a new generation of a plugin that does not listen: its chunk may have read the config, so that only running it again
    /// is sure to bring the change in.
    async fn renew_with(
        &self,
        slot: &Arc<Slot>,
        live: &Live,
        after: Map<String, Value>,
        write: ConfigWrite,
    ) -> Result<Vec<crate::model::plugin::StoredConfig>> {
        let config = Arc::new(Value::Object(after));
        let built = self.build_with(slot, live.prepared.clone(), config, self.load_deadline()).await;
        let staged = match built {
            Ok(staged) => staged,
            Err(fault) => {
                self.not_renewed(slot, &fault).await;
                return Err(refused_load(live, fault));
            }
        };
        let (_, written) = self.swap_with(vec![staged], DRAIN, Some(write)).await?;
        Ok(written)
    }

    async fn heal(&self, slot: &Arc<Slot>) {
        let _turn = self.turn().await;
        let is_down = slot.read(|it| it.live.is_none() && it.state() == PluginState::Failed && it.wanted());
        if self.not_stopping().is_ok() && is_down && self.look_at(slot).await {
            self.bring_up(vec![Arc::clone(slot)], self.load_deadline()).await;
            self.settle().await;
        }
    }
}

fn listens(live: &Live) -> bool {
    live.script.registrations().iter().any(|it| it.hook == Hook::OnConfigChanged)
}

/// The keys whose values differ.
fn differing(before: &Map<String, Value>, after: &Map<String, Value>) -> Arc<[String]> {
    let came = after.iter().filter(|(key, value)| before.get(*key) != Some(value)).map(|(key, _)| key);
    let went = before.keys().filter(|it| !after.contains_key(*it));
    came.chain(went).cloned().collect()
}

/// The answer to somebody whose values the plugin has not taken.
fn refused(live: &Live, failure: CallFailure) -> Error {
    let plugin = live.handler.plugin();
    if failure.outcome == Outcome::Skipped {
        let detail = format!("The plugin `{plugin}` could not be asked: {}", failure.fault.message);
        return Error::new(Code::PluginUnavailable, detail);
    }
    let detail = format!("The plugin `{plugin}` does not take this config: {}", failure.fault);
    Error { script: Some(Box::new(failure.fault)), ..Error::new(Code::ConfigRefused, detail) }
}

fn refused_load(live: &Live, fault: LoadFault) -> Error {
    let plugin = live.handler.plugin();
    let mut error = fault.into_error(plugin);
    if error.code == Code::PluginLoadFailed {
        error.code = Code::ConfigRefused;
        error.hint.get_or_insert_with(|| Code::ConfigRefused.hint().to_owned());
    }
    error
}
