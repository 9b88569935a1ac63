//! From folders to rows: what is there, what is new, what is gone.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::Map;
use utoipa::ToSchema;

use crate::config::LimitRules;
use crate::error::{Error, Result};
use crate::model::call::Outcome;
use crate::model::plugin::{PluginRow, PluginState};
use crate::model::time::Timestamp;
use crate::plugins::discovery::{self, Rejected, Snapshot};
use crate::plugins::env::PluginEnv;
use crate::plugins::handler::Vitals;
use crate::plugins::manifest;
use crate::plugins::problem::LoadFault;
use crate::plugins::settings::Layers;
use crate::plugins::unheard::unheard;

use super::Manager;
use super::slot::{Prepared, Slot};

/// Folders that one thread reads, and threads that read at the same time: a thread is dearer than a small folder.
const READ_BY_ONE: usize = 8;
const READ_AT_ONCE: usize = 32;
/// Why a plugin is missing.
const GONE: &str = "its folder is gone";

/// What a look through the plugin folders found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rescan {
    /// Names of all plugin folders.
    pub found: Vec<String>,
    /// Names that were not known before.
    pub added: Vec<String>,
    /// Names of plugins that run now and did not before.
    pub started: Vec<String>,
    /// Names of running plugins whose files have changed, or those of a plugin they depend on: the new version has
    /// taken over.
    pub reloaded: Vec<String>,
    /// Names of plugins that were tried and do not load: they do not run, or an old version runs on. Their status says
    /// why.
    pub failed: Vec<String>,
    /// Names whose folder is gone.
    pub missing: Vec<String>,
    /// What is no plugin, and why.
    pub rejected: Vec<RejectedView>,
}

/// Something in a plugin folder that is no plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RejectedView {
    /// Where it lies.
    pub path: String,
    /// Why it is no plugin, and what to do.
    pub reason: String,
}

impl Manager {
    /// Looks through the plugin folders again: new plugins are loaded, edited ones replaced, failed ones
    /// tried again, gone ones stopped.
    ///
    /// # Errors
    /// The rows cannot be stored.
    pub async fn rescan(&self) -> Result<Rescan> {
        self.take_up(None).await
    }

    /// The same for the plugins of these names alone; all without names.
    ///
    /// # Errors
    /// As [`Manager::rescan`].
    pub async fn take_up(&self, names: Option<BTreeSet<Arc<str>>>) -> Result<Rescan> {
        self.alone(move |manager| async move { manager.look_again(names.as_ref()).await }).await
    }

    pub(super) async fn look_again(&self, names: Option<&BTreeSet<Arc<str>>>) -> Result<Rescan> {
        let before = self.running();
        let (mut rescan, candidates) = self.scan(names).await?;
        for slot in self.slots() {
            if slot.read(|it| it.folder.is_none() && it.live.is_some()) {
                self.take_down_with_dependents(&slot, "has lost its folder").await;
                slot.change(|it| it.enter(PluginState::Missing, GONE));
            }
        }
        self.bring_up(candidates, self.load_deadline()).await;
        let done = self.take_up_edits(names).await;
        rescan.reloaded = done.taken.into_iter().map(|it| it.plugin).collect();
        rescan.failed = done.failed.keys().map(ToString::to_string).collect();
        self.settle().await;
        rescan.started = self.running().difference(&before).cloned().collect();
        let down = self.slots().into_iter();
        let down = down
            .filter(|it| matches!(it.read(|it| it.state()), PluginState::Failed | PluginState::Quarantined))
            .filter(|it| names.is_none_or(|names| names.contains(&it.name)));
        rescan.failed.extend(down.map(|it| it.name.to_string()));
        rescan.reloaded.sort();
        rescan.failed.sort();
        rescan.failed.dedup();
        Ok(rescan)
    }

    /// Names of the plugins that run.
    fn running(&self) -> BTreeSet<String> {
        self.slots().iter().filter(|it| it.live().is_some()).map(|it| it.name.to_string()).collect()
    }

    /// When plugins that are loaded now must be ready.
    pub(super) fn load_deadline(&self) -> Instant {
        Instant::now() + std::time::Duration::from_secs(self.0.settings.startup_s)
    }

    /// Brings slots and folders together; answers the plugins that should run and do not.
    /// Of those that do not run, only the named ones are read again, if there are names.
    pub(super) async fn scan(&self, names: Option<&BTreeSet<Arc<str>>>) -> Result<(Rescan, Vec<Arc<Slot>>)> {
        let roots = self.roots().to_vec();
        let found = blocking(move || discovery::scan(&roots)).await?;
        self.tell_rejected(&found.rejected);
        let mut rescan = Rescan {
            found: found.folders.keys().map(ToString::to_string).collect(),
            rejected: found.rejected.iter().filter(|it| !it.expected).map(RejectedView::from).collect(),
            ..Rescan::default()
        };
        let new = found.folders.iter().filter(|(name, _)| self.named(name).is_none());
        let new: Vec<PluginRow> = new.map(|(name, folder)| self.new_row(name, folder)).collect();
        if !new.is_empty() {
            for row in self.0.registry.save_all(new).await? {
                rescan.added.push(row.name.clone());
                self.adopt(row, Vec::new());
            }
        }
        let mut wanted = Vec::new();
        for slot in self.slots() {
            let folder = found.folders.get(&slot.name).cloned();
            if folder.is_none() {
                rescan.missing.push(slot.name.to_string());
            }
            slot.change(|it| it.folder = folder);
            if names.is_none_or(|it| it.contains(&slot.name)) {
                wanted.push(slot);
            }
        }
        let reads =
            wanted.chunks(READ_BY_ONE).map(|slots| self.read_folders(slots.to_vec())).collect::<Vec<_>>();
        let read = stream::iter(reads).buffered(READ_AT_ONCE).collect::<Vec<_>>().await.concat();
        self.sync_rows(&read.iter().map(|(slot, _)| &**slot).collect::<Vec<_>>()).await;
        let mut candidates = Vec::new();
        for (slot, fault) in read {
            if self.is_to_be_loaded(&slot, fault).await {
                candidates.push(slot);
            }
        }
        Ok((rescan, candidates))
    }

    /// Takes a row into the manager's hands.
    pub(super) fn adopt(&self, row: PluginRow, stored: Vec<crate::model::plugin::ConfigRow>) {
        let name: Arc<str> = row.name.as_str().into();
        self.0.logs.of(&name);
        let vitals =
            Arc::new(Vitals::new(Arc::clone(&name), self.0.settings.breaker, Arc::clone(&self.0.clock)));
        let (moves, clock) = (self.0.moves.clone(), Arc::clone(&self.0.clock));
        let slot = Slot::new(row, stored, vitals, moves, clock);
        slot.change(|it| it.unloaded = self.0.settings.safe_mode);
        self.0.slots.write().insert(name, Arc::new(slot));
    }

    /// Reads the folder of a plugin that does not run and settles its state; true when it should be loaded.
    pub(super) async fn look_at(&self, slot: &Arc<Slot>) -> bool {
        let read = self.read_folders(vec![Arc::clone(slot)]).await;
        let Some((_, fault)) = read.into_iter().next() else { return false };
        self.sync_row(slot).await;
        self.is_to_be_loaded(slot, fault).await
    }

    /// Reads the folders of the plugins that do not run, one after another, and answers what is wrong with each; those
    /// of which there is nothing to read are not among them.
    async fn read_folders(&self, slots: Vec<Arc<Slot>>) -> Vec<(Arc<Slot>, Option<LoadFault>)> {
        let mut wanted = Vec::new();
        for slot in slots {
            let (folder, is_live) = slot.read(|it| (it.folder.clone(), it.live.is_some()));
            match folder {
                _ if is_live => {}
                Some(folder) => wanted.push((slot, folder)),
                None => slot.change(|it| {
                    it.prepared = None;
                    it.enter(PluginState::Missing, GONE);
                }),
            }
        }
        let mut read = Vec::new();
        for (slot, prepared) in self.prepare_all(wanted).await {
            let fault = prepared.as_ref().err().cloned();
            slot.change(|it| it.prepared = prepared.ok());
            read.push((slot, fault));
        }
        read
    }

    /// Settles the state of a plugin whose folder was read.
    async fn is_to_be_loaded(&self, slot: &Arc<Slot>, fault: Option<LoadFault>) -> bool {
        let is_condemned = self.is_condemned(slot).await;
        let safe_mode = self.0.settings.safe_mode;
        let state = slot.read(|it| match () {
            () if !it.row.registered => Some((PluginState::Discovered, "it is not registered")),
            () if it.plugin_type() != "lua" => {
                Some((PluginState::Unsupported, "its type is not one the server runs"))
            }
            () if !it.wanted() => Some((PluginState::Disabled, "it is switched off")),
            () if it.unloaded && safe_mode => Some((PluginState::Disabled, "the server runs in safe mode")),
            () if it.unloaded => Some((PluginState::Disabled, "it was unloaded")),
            () if is_condemned => Some((PluginState::Quarantined, "the server died while it was started")),
            () => None,
        });
        match (state, fault) {
            (Some((state, reason)), _) => slot.change(|it| it.enter(state, reason)),
            (None, Some(fault)) => slot.fail(&fault, false),
            (None, None) => return true,
        }
        false
    }

    pub(super) async fn prepare(&self, slot: &Arc<Slot>, folder: PathBuf) -> Result<Prepared, LoadFault> {
        let prepared = self.prepare_all(vec![(Arc::clone(slot), folder)]).await;
        prepared.into_iter().next().map_or_else(|| Err(unread()), |(_, it)| it)
    }

    /// Reads folders one after another on one thread, and what is in each; it fails for itself alone.
    async fn prepare_all(
        &self,
        wanted: Vec<(Arc<Slot>, PathBuf)>,
    ) -> Vec<(Arc<Slot>, Result<Prepared, LoadFault>)> {
        if wanted.is_empty() {
            return Vec::new();
        }
        let slots: Vec<Arc<Slot>> = wanted.iter().map(|(slot, _)| Arc::clone(slot)).collect();
        let (env, limits) = (self.0.env.clone(), self.0.settings.limit_rules());
        let read = blocking(move || {
            let one = |(slot, folder): (Arc<Slot>, PathBuf)| {
                let held = slot.read(|it| it.held.clone());
                catch_unwind(AssertUnwindSafe(|| {
                    let found = discovery::snapshot(&folder)?;
                    let (snapshot, is_held) = match held {
                        Some(held) => held.in_place_of(found),
                        None => (found, false),
                    };
                    read_snapshot(&slot.name, snapshot, &env, &limits).map(|it| (it, is_held))
                }))
            };
            wanted.into_iter().map(one).collect::<Vec<_>>()
        });
        // A panic was logged where it was raised.
        let read = read.await.unwrap_or_default().into_iter().map(Result::ok);
        let read = read.chain(std::iter::repeat_with(|| None));
        let settled = slots.into_iter().zip(read).map(|(slot, read)| {
            let prepared = read.unwrap_or_else(|| {
                log::error!(plugin = &*slot.name; "reading the folder failed");
                Err(unread())
            });
            let prepared = prepared.map(|(prepared, is_held)| {
                self.note_held(&slot, is_held);
                prepared
            });
            (slot, prepared)
        });
        settled.collect()
    }

    /// Lets the row say what the folder says.
    pub(super) async fn sync_row(&self, slot: &Slot) {
        self.sync_rows(&[slot]).await;
    }

    /// The same of several, in one transaction.
    async fn sync_rows(&self, slots: &[&Slot]) {
        let changed = slots.iter().filter_map(|slot| changed_row(slot).map(|row| (*slot, row)));
        let (slots, rows): (Vec<&Slot>, Vec<PluginRow>) = changed.unzip();
        if rows.is_empty() {
            return;
        }
        match self.0.registry.save_all(rows).await {
            Ok(rows) => slots.iter().zip(rows).for_each(|(slot, row)| slot.change(|it| it.row = row)),
            Err(fault) => {
                let names: Vec<&str> = slots.iter().map(|it| &*it.name).collect();
                log::error!("the rows of plugins could not be stored ({}): {fault}", names.join(", "));
            }
        }
    }

    fn new_row(&self, name: &str, folder: &std::path::Path) -> PluginRow {
        let now = Timestamp(self.0.clock.now_us());
        PluginRow {
            id: 0,
            name: name.to_owned(),
            display_name: None,
            description: None,
            version: None,
            author: None,
            plugin_type: "lua".to_owned(),
            entry_point: None,
            install_path: Some(folder.display().to_string()),
            enabled: None,
            registered: true,
            metadata: Map::new(),
            created_at: now,
            updated_at: now,
            version_count: 1,
        }
    }

    /// Logs what was rejected, each thing once.
    fn tell_rejected(&self, rejected: &[Rejected]) {
        let mut known = self.0.rejected.write();
        let before: BTreeSet<&PathBuf> = known.iter().map(|it| &it.path).collect();
        for it in rejected.iter().filter(|it| !it.expected && !before.contains(&it.path)) {
            log::warn!(path = it.path.display().to_string().as_str(); "not a plugin: {}", it.reason);
        }
        *known = rejected.to_vec();
    }
}

/// Why a plugin is not there whose folder brought its reader down.
fn unread() -> LoadFault {
    LoadFault::of_folder(Outcome::Skipped, "reading the folder failed", "The log has the cause.")
}

/// The row of a plugin by what its folder says, if that is another than the stored one.
fn changed_row(slot: &Slot) -> Option<PluginRow> {
    slot.read(|it| {
        let mut row = it.row.clone();
        row.install_path = it.folder.as_ref().map(|it| it.display().to_string());
        if let Some(prepared) = &it.prepared {
            row.entry_point = Some(prepared.entry.clone()).filter(|it| !it.is_empty());
            let manifest = &prepared.manifest;
            row.version = manifest.version.as_ref().map(ToString::to_string).or(row.version);
            row.author = manifest.author.clone().or(row.author);
        }
        (it.row != row).then_some(row)
    })
}

impl From<&Rejected> for RejectedView {
    fn from(it: &Rejected) -> Self {
        RejectedView { path: it.path.display().to_string(), reason: it.reason.clone() }
    }
}

/// Everything about a plugin's files that can be told without running them.
pub(super) fn read_snapshot(
    name: &str,
    mut snapshot: Snapshot,
    env: &PluginEnv,
    limits: &LimitRules,
) -> Result<Prepared, LoadFault> {
    let manifest = manifest::read(name, &snapshot, env, limits)?;
    // What the host does not run needs no script.
    let entry = if manifest.plugin_type == "lua" { discovery::entry(&snapshot)? } else { String::new() };
    let layers = Layers::new(name, manifest.schema.clone(), manifest.config.clone(), env);
    snapshot.warnings.extend(unheard(&snapshot.files));
    snapshot.warnings.extend(layers.unknown_variables());
    Ok(Prepared { snapshot, entry, manifest: Arc::new(manifest), layers: Arc::new(layers) })
}

/// Runs what waits for the disk off the async threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)
}
