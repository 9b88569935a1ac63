//! What an admin does with plugins: register, change, enable, disable, delete.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::error::{Code, Error, Result};
use crate::hooks::patch;
use crate::model::call::Outcome;
use crate::model::plugin::{PluginRow, PluginState};
use crate::model::time::Timestamp;
use crate::plugins::problem::LoadFault;
use crate::plugins::status::PluginView;

use super::Manager;
use super::files::number_of;
use super::registry::Act;
use super::scan::blocking;
use super::slot::Slot;

/// A plugin to register: its folder's name, and what is said of it beside the manifest.
#[derive(Debug, Clone, Default)]
pub struct NewPlugin {
    /// The folder's name.
    pub name: String,
    /// What people call it.
    pub display_name: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// Used where the manifest says none.
    pub version: Option<String>,
    /// Used where the manifest says none.
    pub author: Option<String>,
    /// `lua`, or what the host does not run.
    pub plugin_type: Option<String>,
    /// Whether it shall run; none leaves it to the manifest.
    pub enabled: Option<bool>,
    /// Free JSON.
    pub metadata: Map<String, Value>,
}

/// A change of a plugin's row; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct PluginPatch {
    /// What people call it; `Some(None)` goes back to the manifest's.
    pub display_name: Option<Option<String>>,
    /// What it does; `Some(None)` goes back to the manifest's.
    pub description: Option<Option<String>>,
    /// Used where the manifest says none.
    pub version: Option<Option<String>>,
    /// Used where the manifest says none.
    pub author: Option<Option<String>>,
    /// `lua`, or what the host does not run.
    pub plugin_type: Option<String>,
    /// Whether it shall run.
    pub enabled: Option<bool>,
    /// A merge patch of the metadata.
    pub metadata: Option<Map<String, Value>>,
}

impl Manager {
    /// Registers a folder that was dropped since the last look, or deleted before; it is loaded when enabled.
    ///
    /// # Errors
    /// [`Code::PluginExists`] for a registered name, [`Code::NoSuchFolder`] when no folder bears it.
    pub async fn register(&self, new: NewPlugin, by: &str) -> Result<PluginView> {
        let by = by.to_owned();
        self.alone(move |manager| async move {
            if manager.named(&new.name).is_some_and(|it| it.read(|it| it.row.registered)) {
                return Err(Error::new(
                    Code::PluginExists,
                    format!("The plugin `{}` is registered already.", new.name),
                ));
            }
            manager.scan(None).await?;
            let Some(slot) = manager.named(&new.name).filter(|it| it.read(|it| it.folder.is_some())) else {
                let shown: String = new.name.chars().take(80).collect();
                let detail = format!("No plugin folder is named `{}`.", shown.escape_debug());
                return Err(Error::new(Code::NoSuchFolder, detail));
            };
            let mut row = slot.read(|it| it.row.clone());
            row.registered = true;
            row.display_name = new.display_name;
            row.description = new.description;
            row.version = new.version.or(row.version);
            row.author = new.author.or(row.author);
            row.plugin_type = new.plugin_type.unwrap_or_else(|| "lua".to_owned());
            row.enabled = new.enabled;
            row.metadata = new.metadata;
            manager.store(&slot, row, "plugin.register", &by, Value::Null).await?;
            if manager.look_at(&slot).await {
                manager.bring_up(vec![Arc::clone(&slot)], manager.load_deadline()).await;
            }
            manager.settle().await;
            Ok(slot.view())
        })
        .await
    }

    /// Changes what is said of a plugin; `enabled` starts or stops it.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`]; [`Code::PluginLoadFailed`] as [`Manager::enable`].
    pub async fn update(&self, id: &str, change: PluginPatch, by: &str) -> Result<PluginView> {
        let (id, by) = (id.to_owned(), by.to_owned());
        self.alone(move |manager| async move {
            let slot = manager.registered(&id)?;
            let old = slot.read(|it| it.row.clone());
            let mut row = old.clone();
            if let Some(name) = change.display_name {
                row.display_name = name;
            }
            if let Some(text) = change.description {
                row.description = text;
            }
            if let Some(version) = change.version {
                row.version = version;
            }
            if let Some(author) = change.author {
                row.author = author;
            }
            if let Some(plugin_type) = change.plugin_type {
                row.plugin_type = plugin_type;
            }
            if let Some(metadata) = &change.metadata {
                patch::merge(&mut row.metadata, metadata);
            }
            let type_changed = row.plugin_type != old.plugin_type;
            if row != old {
                manager.store(&slot, row, "plugin.update", &by, Value::Null).await?;
            }
            if type_changed {
                manager.take_down_with_dependents(&slot, "is not a Lua plugin").await;
                if manager.look_at(&slot).await {
                    manager.bring_up(vec![Arc::clone(&slot)], manager.load_deadline()).await;
                }
                manager.settle().await;
            }
            match change.enabled {
                Some(true) => manager.switch_on(&slot, &by).await?,
                Some(false) => manager.switch_off(&slot, &by).await?,
                None => {}
            }
            Ok(slot.view())
        })
        .await
    }

    /// Lets a plugin run, now and after a restart; one that runs is left alone.
    ///
    /// # Errors
    /// [`Code::PluginLoadFailed`] with the fault; it is disabled then.
    pub async fn enable(&self, id: &str, by: &str) -> Result<PluginView> {
        let (id, by) = (id.to_owned(), by.to_owned());
        self.alone(move |manager| async move {
            let slot = manager.registered(&id)?;
            manager.switch_on(&slot, &by).await?;
            Ok(slot.view())
        })
        .await
    }

    /// Stops a plugin, now and after a restart; plugins that need it stop, too.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`].
    pub async fn disable(&self, id: &str, by: &str) -> Result<PluginView> {
        let (slot, by) = (self.registered(id)?, by.to_owned());
        self.stopping(slot, move |manager, slot| async move {
            manager.switch_off(&slot, &by).await?;
            Ok(slot.view())
        })
        .await
    }

    /// Loads a plugin that does not run, and leaves it to its row and manifest whether it runs after a restart.
    ///
    /// # Errors
    /// [`Code::PluginLoadFailed`] with the fault.
    pub async fn load_now(&self, id: &str, by: &str) -> Result<PluginView> {
        let (id, by) = (id.to_owned(), by.to_owned());
        self.alone(move |manager| async move {
            let slot = manager.registered(&id)?;
            if slot.live().is_none() {
                manager.0.registry.note(act(&slot, "plugin.load", &by, Value::Null)).await?;
                manager.try_to_run(&slot).await?;
            }
            Ok(slot.view())
        })
        .await
    }

    /// Stops a plugin until it is loaded or enabled, or the server restarts.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`].
    pub async fn unload(&self, id: &str, by: &str) -> Result<PluginView> {
        let (slot, by) = (self.registered(id)?, by.to_owned());
        self.stopping(slot, move |manager, slot| async move {
            if slot.live().is_some() {
                manager.0.registry.note(act(&slot, "plugin.unload", &by, Value::Null)).await?;
            }
            slot.change(|it| it.unloaded = true);
            manager.switch_off_now(&slot, "is unloaded").await;
            Ok(slot.view())
        })
        .await
    }

    /// Stops a plugin and forgets its row and config; the folder stays and shows as discovered. A purge also
    /// drops what its scripts kept.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`].
    pub async fn delete(&self, id: &str, purge: bool, by: &str) -> Result<()> {
        let (slot, by) = (self.slot(id)?, by.to_owned());
        self.stopping(slot, move |manager, slot| async move {
            manager.take_down_with_dependents(&slot, "is not registered").await;
            let mut act = act(&slot, "plugin.delete", &by, json!({ "purge": purge }));
            manager.0.moves.told().await;
            act.moved = slot.change(|it| it.enter_untold(PluginState::Discovered, "it was deleted"));
            let forgotten = manager.0.registry.forget(slot.read(|it| it.row.clone()), purge, act).await;
            let row = forgotten.inspect_err(|_| {
                slot.change(|it| it.enter(PluginState::Disabled, "it could not be deleted"));
            })?;
            if purge {
                manager.0.databases.of(&slot.name).remove().await.map_err(Error::internal)?;
                let (files, name) = (manager.0.files.clone(), Arc::clone(&slot.name));
                blocking(move || files.remove_all(&name)).await?.map_err(Error::internal)?;
            }
            slot.vitals.forget_error();
            manager.0.logs.forget(&slot.name);
            let has_folder = slot.change(|it| {
                it.row = row;
                it.stored.clear();
                it.grant = None;
                it.wants_others = false;
                it.health = Default::default();
                it.held = it.held.take().filter(|_| !purge);
                it.folder.is_some()
            });
            if !has_folder {
                manager.0.slots.write().remove(&slot.name);
            }
            manager.settle().await;
            Ok(())
        })
        .await
    }

    /// Makes a change that stops a plugin, as soon as the one under way has ended. Until then it is not called any more,
    /// however long that one takes.
    async fn stopping<T, F>(
        &self,
        slot: Arc<Slot>,
        change: impl FnOnce(Manager, Arc<Slot>) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        if self.0.changing.try_lock().is_err() && slot.live().is_some() {
            slot.change(|it| it.silenced = true);
            self.publish();
        }
        self.at_once(move |manager| async move {
            // Somebody may have deleted it meanwhile.
            let done = match manager.slot(&number_of(&slot)) {
                Ok(_) => change(manager.clone(), Arc::clone(&slot)).await,
                Err(gone) => Err(gone),
            };
            if slot.change(|it| std::mem::take(&mut it.silenced)) {
                manager.publish();
            }
            done
        })
        .await
    }

    async fn switch_on(&self, slot: &Arc<Slot>, by: &str) -> Result<()> {
        if slot.live().is_some() {
            // One that runs may be left alone: whoever wants it to run wants it asked.
            slot.vitals.reset_breaker();
            return self.want(slot, true, by).await;
        }
        if let Err(error) = self.try_to_run(slot).await {
            // In safe mode a plugin may fail for want of another that is off: that says nothing of the next start.
            if !self.0.settings.safe_mode {
                self.want(slot, false, by).await?;
            }
            return Err(error);
        }
        self.want(slot, true, by).await
    }

    /// Has a plugin run that does not, whether it is meant to or not.
    async fn try_to_run(&self, slot: &Arc<Slot>) -> Result<()> {
        self.acquit(slot).await;
        slot.vitals.reset_breaker();
        // It is wanted for the attempt; what is stored is what came of it.
        let stored = slot.change(|it| {
            it.unloaded = false;
            it.row.enabled.replace(true)
        });
        if self.look_at(slot).await {
            self.bring_up(vec![Arc::clone(slot)], self.load_deadline()).await;
        }
        slot.change(|it| it.row.enabled = stored);
        if slot.live().is_some() {
            self.settle().await;
            return Ok(());
        }
        let fault = match slot.read(|it| it.state()) {
            PluginState::Unsupported => Some(LoadFault::of_folder(
                Outcome::Skipped,
                "its type is not one the server runs",
                "Only plugins of the type `lua` run.",
            )),
            PluginState::Missing => Some(LoadFault::of_folder(
                Outcome::Skipped,
                "its folder is gone",
                "Put the folder back into a plugin directory.",
            )),
            _ => None,
        };
        Err(match fault {
            Some(fault) => fault.into_error(&slot.name),
            None => slot.load_error(),
        })
    }

    async fn switch_off(&self, slot: &Arc<Slot>, by: &str) -> Result<()> {
        self.want(slot, false, by).await?;
        self.switch_off_now(slot, "is disabled").await;
        Ok(())
    }

    async fn switch_off_now(&self, slot: &Arc<Slot>, why: &'static str) {
        self.take_down_with_dependents(slot, why).await;
        slot.change(|it| {
            it.wants_others = false;
            if matches!(it.state(), PluginState::Failed | PluginState::Quarantined) {
                it.enter(PluginState::Disabled, &format!("it {why}"));
            }
        });
        self.settle().await;
    }

    /// Stores whether a plugin shall run.
    async fn want(&self, slot: &Arc<Slot>, enabled: bool, by: &str) -> Result<()> {
        let mut row = slot.read(|it| it.row.clone());
        if row.enabled == Some(enabled) {
            return Ok(());
        }
        row.enabled = Some(enabled);
        let action = if enabled { "plugin.enable" } else { "plugin.disable" };
        self.store(slot, row, action, by, Value::Null).await
    }

    async fn store(
        &self,
        slot: &Slot,
        mut row: PluginRow,
        action: &'static str,
        by: &str,
        detail: Value,
    ) -> Result<()> {
        row.updated_at = Timestamp(self.0.clock.now_us());
        let row = self.0.registry.save(row, Some(act(slot, action, by, detail))).await?;
        slot.change(|it| it.row = row);
        Ok(())
    }

    /// A plugin that is registered.
    pub(super) fn registered(&self, id: &str) -> Result<Arc<Slot>> {
        let slot = self.slot(id)?;
        match slot.read(|it| it.row.registered) {
            true => Ok(slot),
            false => {
                Err(Error::new(Code::Conflict, format!("The plugin `{}` is not registered.", slot.name))
                    .with_hint("Register it with POST /api/v1/plugins first."))
            }
        }
    }
}

pub(super) fn act(slot: &Slot, action: &'static str, by: &str, detail: Value) -> Act {
    let event = match action {
        "plugin.enable" => Some("plugin.enabled"),
        "plugin.disable" => Some("plugin.disabled"),
        _ => None,
    };
    Act { by: by.to_owned(), action, event, plugin: slot.name.to_string(), moved: None, detail }
}
