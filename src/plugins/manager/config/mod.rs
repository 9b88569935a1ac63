//! The config of plugins as clients see and change it: every change is checked, taken by the running plugin and stored, or
//! nothing of it happens.

mod sealing;
mod stored;
mod take;
mod view;

use serde_json::{Map, Value, json};

use crate::error::{Code, Error, Result};
use crate::model::plugin::ConfigRow;
use crate::plugins::settings::{ConfigChange, ConfigItem, Declared, Layers, Places};

use super::Manager;
use super::slot::Slot;

pub(super) use self::stored::ConfigWrite;
pub use self::view::{ConfigChanged, ConfigCheck, ConfigKey, ConfigSchema};

/// What to write and how it is told.
struct Wanted {
    change: ConfigChange,
    places: Places,
    /// The act in the audit log.
    action: &'static str,
}

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

    /// What a plugin's config may be.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`].
    pub fn config_schema(&self, id: &str) -> Result<ConfigSchema> {
        let slot = self.slot(id)?;
        let layers = slot.layers();
        Ok(slot.read(|it| ConfigSchema::of(&slot.name, &layers, &it.stored)))
    }

    /// What would come of a merge patch of the config; nothing is changed, and the plugin is not asked.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`].
    pub fn config_validate(&self, id: &str, patch: Map<String, Value>) -> Result<ConfigCheck> {
        let slot = self.slot(id)?;
        let (layers, stored) = (slot.layers(), slot.read(|it| it.stored.clone()));
        let change = ConfigChange::of_patch(patch, &layers, &stored);
        let after = change.applied(&layers, &stored);
        let prepared = slot.prepared();
        let declared = prepared.as_ref().map(|it| Declared::of(&it.manifest, &it.snapshot));
        let mut faults = layers.faults(&after, declared.as_ref());
        if let Err(error) = change.check(&layers, &stored, Places::Config) {
            view::add_own(&mut faults, error.errors);
        }
        let locked = change.require_unlocked(&layers).err().map(|it| it.detail);
        let news = change.news(&layers, &stored);
        Ok(ConfigCheck {
            ok: faults.is_empty() && locked.is_none(),
            faults,
            locked,
            changed: news.0.into_keys().collect(),
            items: layers.items(&after),
        })
    }

    /// Stores a value under a new key and hands it to the running plugin.
    ///
    /// # Errors
    /// [`Code::KeyExists`], [`Code::Conflict`] for a key that a variable decides, 422 with every fault of the value, or
    /// [`Code::ConfigRefused`]: nothing has changed then.
    pub async fn config_create(&self, id: &str, key: &str, value: Value, by: &str) -> Result<ConfigItem> {
        let (whose, own) = (self.slot(id)?.name.to_string(), key.to_owned());
        let wanted = move |slot: &Slot, _: &Layers, stored: &[ConfigRow]| {
            if stored.iter().any(|it| it.key == own) {
                let detail = format!("The plugin `{}` has a stored value for `{own}`.", slot.name);
                return Err(Error::new(Code::KeyExists, detail));
            }
            Ok(Wanted {
                change: ConfigChange::one(&own, Some(value)),
                places: Places::Row,
                action: "plugin.config.create",
            })
        };
        let done = self.change_config(id, by, wanted).await?;
        let item = item_of(done, key)?;
        if let Some(hint) = &item.hint {
            log::warn!(plugin = whose.as_str(); "a value was stored that nobody may read: {hint}");
        }
        Ok(item)
    }

    /// Changes a stored value and hands it to the running plugin; the same value again changes nothing.
    ///
    /// # Errors
    /// [`Code::ConfigNotFound`], else as [`Manager::config_create`].
    pub async fn config_update(
        &self,
        id: &str,
        config_id: i64,
        value: Value,
        by: &str,
    ) -> Result<ConfigItem> {
        let wanted = move |slot: &Slot, _: &Layers, stored: &[ConfigRow]| {
            let old = find(slot, stored, config_id)?;
            Ok(Wanted {
                change: ConfigChange::one(&old.key, Some(value)),
                places: Places::Row,
                action: "plugin.config.update",
            })
        };
        let done = self.change_config(id, by, wanted).await?;
        done.items
            .into_iter()
            .find(|it| it.id == Some(config_id))
            .ok_or_else(|| gone(&done.plugin, config_id))
    }

    /// Drops a stored value: the manifest's or the schema's counts again, in the running plugin, too.
    ///
    /// # Errors
    /// [`Code::ConfigNotFound`]; 422 when the config is wrong without it, or [`Code::ConfigRefused`].
    pub async fn config_delete(&self, id: &str, config_id: i64, by: &str) -> Result<()> {
        let wanted = move |slot: &Slot, _: &Layers, stored: &[ConfigRow]| {
            let old = find(slot, stored, config_id)?;
            Ok(Wanted {
                change: ConfigChange::one(&old.key, None),
                places: Places::Config,
                action: "plugin.config.delete",
            })
        };
        self.change_config(id, by, wanted).await.map(drop)
    }

    /// Changes several values in one step, all or none: a merge patch, in which null drops a stored value.
    ///
    /// # Errors
    /// As [`Manager::config_create`].
    pub async fn config_patch(&self, id: &str, patch: Map<String, Value>, by: &str) -> Result<ConfigChanged> {
        let wanted = move |_: &Slot, layers: &Layers, stored: &[ConfigRow]| {
            Ok(Wanted {
                change: ConfigChange::of_patch(patch, layers, stored),
                places: Places::Config,
                action: "plugin.config.change",
            })
        };
        self.change_config(id, by, wanted).await
    }

    /// Checks a change, has the running plugin take it, and stores it.
    async fn change_config(
        &self,
        id: &str,
        by: &str,
        wanted: impl FnOnce(&Slot, &Layers, &[ConfigRow]) -> Result<Wanted> + Send + 'static,
    ) -> Result<ConfigChanged> {
        let (id, by) = (id.to_owned(), by.to_owned());
        let done = self.alone(move |manager| async move {
            let slot = manager.registered(&id)?;
            let (layers, stored) = (slot.layers(), slot.read(|it| it.stored.clone()));
            let Wanted { change, places, action } = wanted(&slot, &layers, &stored)?;
            require_known(&slot, &change)?;
            change.require_unlocked(&layers)?;
            change.check(&layers, &stored, places)?;
            let change = change.news(&layers, &stored);
            let changed: Vec<String> = change.0.keys().cloned().collect();
            let healing = match changed.is_empty() {
                true => None,
                false => {
                    let detail = match changed.as_slice() {
                        [key] => json!({ "key": key }),
                        keys => json!({ "keys": keys }),
                    };
                    let act = super::admin::act(&slot, action, &by, detail);
                    manager.take_config(&slot, change, act).await?
                }
            };
            let items = slot.read(|it| slot.layers().items(&it.stored));
            let plugin = slot.name.to_string();
            Ok((ConfigChanged { plugin, changed, total: items.len(), items }, healing))
        });
        let (done, healing) = done.await?;
        if let Some(healing) = healing {
            // What it failed for may have been the config: it goes on after that.
            let _ = tokio::time::timeout(take::PATIENCE, healing).await;
        }
        Ok(done)
    }
}

/// Without a manifest nobody knows what is secret, and nothing can be checked.
fn require_known(slot: &Slot, change: &ConfigChange) -> Result<()> {
    if slot.prepared().is_some() || change.0.values().all(Option::is_none) {
        return Ok(());
    }
    let detail = format!(
        "The manifest of the plugin `{}` cannot be read: nobody knows what its config may be.",
        slot.name
    );
    let hint = "Mend plugin.yaml first; the plugin's status says what is wrong with it.";
    Err(Error::new(Code::Conflict, detail).with_hint(hint))
}

fn item_of(done: ConfigChanged, key: &str) -> Result<ConfigItem> {
    let found = done.items.into_iter().find(|it| it.key == key);
    found.ok_or_else(|| {
        Error::new(Code::ConfigNotFound, format!("The plugin `{}` has no value for `{key}`.", done.plugin))
    })
}

fn find(slot: &Slot, stored: &[ConfigRow], id: i64) -> Result<ConfigRow> {
    stored.iter().find(|it| it.id == id).cloned().ok_or_else(|| gone(&slot.name, id))
}

fn gone(plugin: &str, id: i64) -> Error {
    Error::new(Code::ConfigNotFound, format!("The plugin `{plugin}` has no config row {id}."))
}
