//! The values of a plugin's config over HTTP: checked, stored, and brought into the running plugin at once.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::error::{Code, Error, Result};
use crate::hooks::Hook;
use crate::model::plugin::{ConfigRow, PluginState};
use crate::plugins::settings::ConfigItem;

use super::admin::act;
use super::slot::Slot;
use super::{DRAIN, Manager};

/// How long a change waits for the plugin to take it up; the plugin goes on after that.
const PATIENCE: Duration = Duration::from_secs(1);

impl Manager {
    /// Every value of a plugin's config with its source; secrets are not shown.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`].
    pub fn config_list(&self, id: &str) -> Result<Vec<ConfigItem>> {
        let slot = self.slot(id)?;
        let layers = slot.layers();
        Ok(slot.read(|it| layers.items(&it.stored)))
    }

    /// Stores a value under a new key and hands it to the running plugin.
    ///
    /// # Errors
    /// [`Code::KeyExists`], or 422 with every fault of the value.
    pub async fn config_create(&self, id: &str, key: &str, value: Value, by: &str) -> Result<ConfigItem> {
        let (id, key, by) = (id.to_owned(), key.to_owned(), by.to_owned());
        let whose = self.slot(&id)?.name.to_string();
        let stored = self.alone(move |manager| async move {
            let slot = manager.registered(&id)?;
            let stored = slot.read(|it| it.stored.clone());
            if stored.iter().any(|it| it.key == key) {
                let detail = format!("The plugin `{}` has a stored value for `{key}`.", slot.name);
                return Err(Error::new(Code::KeyExists, detail));
            }
            check(&slot, &key, &value, &stored)?;
            let act = act(&slot, "plugin.config.create", &by, json!({ "key": &key }));
            let plugin = slot.read(|it| it.row.id);
            let row = manager.0.registry.add_config(plugin, key, value, act).await?;
            slot.change(|it| it.stored.push(row.clone()));
            let taken = manager.bring_in(&slot);
            Ok((slot.layers().stored_item(&row), taken))
        });
        let (item, taken) = stored.await?;
        if let Some(hint) = &item.hint {
            log::warn!(plugin = whose.as_str(); "a value was stored that nobody may read: {hint}");
        }
        let _ = tokio::time::timeout(PATIENCE, taken).await;
        Ok(item)
    }

    /// Changes a stored value and hands it to the running plugin.
    ///
    /// # Errors
    /// [`Code::ConfigNotFound`], or 422 with every fault of the value.
    pub async fn config_update(
        &self,
        id: &str,
        config_id: i64,
        value: Value,
        by: &str,
    ) -> Result<ConfigItem> {
        let (id, by) = (id.to_owned(), by.to_owned());
        let stored = self.alone(move |manager| async move {
            let slot = manager.registered(&id)?;
            let stored = slot.read(|it| it.stored.clone());
            let old = find(&slot, &stored, config_id)?;
            check(&slot, &old.key, &value, &stored)?;
            let act = act(&slot, "plugin.config.update", &by, json!({ "key": old.key }));
            let plugin = slot.read(|it| it.row.id);
            let row = manager.0.registry.set_config(plugin, config_id, value, act).await?;
            slot.change(|it| {
                if let Some(known) = it.stored.iter_mut().find(|it| it.id == config_id) {
                    known.clone_from(&row);
                }
            });
            let taken = manager.bring_in(&slot);
            Ok((slot.layers().stored_item(&row), taken))
        });
        let (item, taken) = stored.await?;
        let _ = tokio::time::timeout(PATIENCE, taken).await;
        Ok(item)
    }

    /// Drops a stored value: the manifest's or the schema's counts again, in the running plugin, too.
    ///
    /// # Errors
    /// [`Code::ConfigNotFound`].
    pub async fn config_delete(&self, id: &str, config_id: i64, by: &str) -> Result<()> {
        let (id, by) = (id.to_owned(), by.to_owned());
        let taken = self.alone(move |manager| async move {
            let slot = manager.registered(&id)?;
            let old = find(&slot, &slot.read(|it| it.stored.clone()), config_id)?;
            let act = act(&slot, "plugin.config.delete", &by, json!({ "key": old.key }));
            let plugin = slot.read(|it| it.row.id);
            manager.0.registry.drop_config(plugin, config_id, act).await?;
            slot.change(|it| it.stored.retain(|it| it.id != config_id));
            let taken = manager.bring_in(&slot);
            Ok(taken)
        });
        let _ = tokio::time::timeout(PATIENCE, taken.await?).await;
        Ok(())
    }

    /// Hands the config to the running plugin as soon as no other change is under way.
    fn bring_in(&self, slot: &Arc<Slot>) -> JoinHandle<()> {
        let (manager, slot) = (self.clone(), Arc::clone(slot));
        self.spawn(async move { manager.take_up_config(&slot).await })
    }

    async fn take_up_config(&self, slot: &Arc<Slot>) {
        let _turn = self.turn().await;
        if self.not_stopping().is_err() {
            return;
        }
        let Some(live) = slot.live() else {
            // What it failed for may have been the config.
            if slot.read(|it| it.state == PluginState::Failed && it.wanted()) && self.look_at(slot).await {
                self.bring_up(vec![Arc::clone(slot)], self.load_deadline()).await;
                self.settle().await;
            }
            return;
        };
        if !live.script.registrations().iter().any(|it| it.hook == Hook::OnConfigChanged) {
            // Its chunk may have read the config: only running it again is sure to bring the change in.
            let _ = self.renew(slot, live.prepared.clone(), DRAIN).await;
            return;
        }
        let config = slot.config(&live.prepared.layers);
        live.script.set_config(Arc::clone(&config));
        let deadline = self.load_deadline();
        // A failure is kept and logged where the call ends; the config is in force all the same.
        let _ = self.life(&live, Hook::OnConfigChanged, (*config).clone(), deadline).await;
    }
}

fn check(slot: &Slot, key: &str, value: &Value, stored: &[ConfigRow]) -> Result<()> {
    let layers = slot.layers();
    if layers.env.contains_key(key) {
        let detail = format!("The value of `{key}` is set by a variable of the server's environment.");
        return Err(Error::new(Code::Conflict, detail).with_hint("Unset the variable to set it here."));
    }
    layers.check_value(key, value, stored)
}

fn find(slot: &Slot, stored: &[ConfigRow], id: i64) -> Result<ConfigRow> {
    stored.iter().find(|it| it.id == id).cloned().ok_or_else(|| {
        Error::new(Code::ConfigNotFound, format!("The plugin `{}` has no config row {id}.", slot.name))
    })
}
