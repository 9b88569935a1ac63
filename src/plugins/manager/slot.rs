//! One plugin in the manager's hands: its row, what its folder holds, and what runs of it.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::Value;
use tokio::task::AbortHandle;

use super::states::{Moved, Moves, Standing};
use super::versions::Held;
use crate::clock::SharedClock;
use crate::error::{Code, Error};
use crate::hooks::Member;
use crate::model::plugin::{ConfigRow, GrantRow, PluginRow, PluginState};
use crate::model::time::Timestamp;
use crate::plugins::discovery::Snapshot;
use crate::plugins::handler::{PluginHandler, Vitals};
use crate::plugins::health::Health;
use crate::plugins::manifest::Manifest;
use crate::plugins::problem::LoadFault;
use crate::plugins::script::Script;
use crate::plugins::settings::{Declared, Layers};

/// The most of a reason that is kept and told.
const REASON_CHARS: usize = 1000;

/// One plugin.
pub(super) struct Slot {
    pub(super) name: Arc<str>,
    pub(super) vitals: Arc<Vitals>,
    inner: RwLock<Inner>,
}

/// Everything that changes.
pub(super) struct Inner {
    pub(super) row: PluginRow,
    pub(super) stored: Vec<ConfigRow>,
    /// What it was granted over HTTP.
    pub(super) grant: Option<GrantRow>,
    /// The folder, when there is one.
    pub(super) folder: Option<PathBuf>,
    /// What the folder held when it was last read.
    pub(super) prepared: Option<Prepared>,
    pub(super) standing: Option<Standing>,
    moves: Moves,
    clock: SharedClock,
    pub(super) live: Option<Arc<Live>>,
    /// Counts the loads.
    pub(super) generation: u64,
    /// True when it failed for want of another plugin: tried again when others start.
    pub(super) wants_others: bool,
    /// True when a new version of it was not taken and the old one runs on.
    pub(super) kept_old: bool,
    /// The hash of its files as they were seen to be complete, while those are taken up.
    pub(super) seen: Option<Arc<str>>,
    /// What a new version asks for that was not granted yet: it takes over when it is.
    pub(super) pending: Option<Arc<Manifest>>,
    /// True when it was stopped until it is loaded again.
    pub(super) unloaded: bool,
    /// True when it is to be stopped and another change is under way: until then nobody calls it.
    pub(super) silenced: bool,
    /// Files that do not run although the folder may hold them.
    pub(super) held: Option<Arc<Held>>,
    /// Whether the folder held them when it was last read.
    pub(super) is_held: bool,
    /// The hash of its files when the server was found to have died of starting them: it is not started again.
    pub(super) condemned: Option<Arc<str>>,
    /// Why it failed, when it has.
    pub(super) fault: Option<LoadFault>,
    /// What it said of its health, also by former generations.
    pub(super) health: Health,
    /// Watches the live generation's subscriptions.
    pub(super) watcher: Option<AbortHandle>,
}

/// A folder that was read and makes sense.
#[derive(Clone)]
pub(super) struct Prepared {
    pub(super) snapshot: Snapshot,
    pub(super) entry: String,
    pub(super) manifest: Arc<Manifest>,
    pub(super) layers: Arc<Layers>,
}

/// A running generation.
pub(super) struct Live {
    pub(super) generation: u64,
    pub(super) prepared: Prepared,
    pub(super) script: Arc<dyn Script>,
    pub(super) handler: Arc<PluginHandler>,
}

impl Live {
    /// Its part of the dispatcher's table, with the subscriptions of this moment.
    pub(super) fn member(&self) -> Member {
        let manifest = &self.prepared.manifest;
        Member {
            handler: Arc::clone(&self.handler) as _,
            dependencies: manifest.dependencies.iter().map(|it| it.name.clone()).collect(),
            registrations: self.script.registrations(),
            subscriptions: self.script.subscriptions(),
        }
    }
}

impl Slot {
    pub(super) fn new(
        row: PluginRow,
        stored: Vec<ConfigRow>,
        vitals: Arc<Vitals>,
        moves: Moves,
        clock: SharedClock,
    ) -> Self {
        let inner = Inner {
            standing: None,
            moves,
            clock,
            row,
            stored,
            grant: None,
            folder: None,
            prepared: None,
            live: None,
            generation: 0,
            wants_others: false,
            kept_old: false,
            seen: None,
            pending: None,
            unloaded: false,
            silenced: false,
            condemned: None,
            held: None,
            is_held: false,
            fault: None,
            health: Health::default(),
            watcher: None,
        };
        Slot { name: inner.row.name.as_str().into(), vitals, inner: RwLock::new(inner) }
    }

    pub(super) fn read<T>(&self, f: impl FnOnce(&Inner) -> T) -> T {
        f(&self.inner.read())
    }

    pub(super) fn change<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.write())
    }

    pub(super) fn live(&self) -> Option<Arc<Live>> {
        self.inner.read().live.clone()
    }

    /// What runs of it, unless it is about to be stopped.
    pub(super) fn called(&self) -> Option<Arc<Live>> {
        let inner = self.inner.read();
        inner.live.clone().filter(|_| !inner.silenced)
    }

    /// Marks the plugin as failed and tells its author why.
    pub(super) fn fail(&self, fault: &LoadFault, wants_others: bool) {
        self.stand_down(PluginState::Failed, fault, wants_others);
    }

    /// Keeps the plugin off and tells its author why.
    pub(super) fn quarantine(&self, fault: &LoadFault) {
        self.stand_down(PluginState::Quarantined, fault, false);
    }

    fn stand_down(&self, state: PluginState, fault: &LoadFault, wants_others: bool) {
        let generation = self.change(|it| {
            it.wants_others = wants_others;
            it.fault = Some(fault.clone());
            it.enter(state, &fault.script.to_string());
            it.generation
        });
        self.note(fault, generation);
    }

    /// Keeps and logs a fault without a change of state.
    pub(super) fn note(&self, fault: &LoadFault, generation: u64) {
        self.vitals.keep(&fault.script, generation);
        if fault.logged {
            return;
        }
        log::error!(
            plugin = &*self.name, generation = generation, hook = "load", outcome = fault.outcome.as_str(),
            excerpt = fault.script.excerpt.as_deref();
            "{fault}"
        );
    }

    /// The answer to somebody who wanted it to run.
    pub(super) fn load_error(&self) -> Error {
        match self.read(|it| it.fault.clone()) {
            Some(fault) => fault.into_error(&self.name),
            None => Error::new(Code::PluginLoadFailed, format!("The plugin `{}` does not load.", self.name)),
        }
    }

    /// The config in force.
    pub(super) fn config(&self, layers: &Layers) -> Arc<Value> {
        self.read(|it| Arc::new(Value::Object(layers.effective(&it.stored))))
    }

    /// The files of what runs, else those of the folder.
    pub(super) fn prepared(&self) -> Option<Prepared> {
        self.read(|it| it.live.as_ref().map(|it| &it.prepared).or(it.prepared.as_ref()).cloned())
    }

    /// The config in force with these files, checked.
    pub(super) fn checked_config(&self, prepared: &Prepared) -> Result<Arc<Value>, LoadFault> {
        let stored = self.read(|it| it.stored.clone());
        prepared.layers.require(&stored, &Declared::of(&prepared.manifest, &prepared.snapshot))?;
        Ok(Arc::new(Value::Object(prepared.layers.effective(&stored))))
    }

    /// The keys of it whose values are never shown.
    pub(super) fn secret_keys(&self, layers: &Layers) -> Arc<[String]> {
        self.read(|it| layers.secret_keys(&it.stored))
    }

    pub(super) fn layers(&self) -> Arc<Layers> {
        self.read(|it| {
            let live = it.live.as_ref().map(|it| &it.prepared);
            live.or(it.prepared.as_ref()).map(|it| Arc::clone(&it.layers)).unwrap_or_default()
        })
    }
}

impl Inner {
    /// What it is doing; its folder was not looked for yet where nothing is known.
    pub(super) fn state(&self) -> PluginState {
        self.standing.as_ref().map_or(PluginState::Missing, |it| it.state)
    }

    /// Lets it be in a state, and tells of it when that is another one.
    pub(super) fn enter(&mut self, state: PluginState, reason: &str) {
        if let Some(moved) = self.enter_untold(state, reason) {
            self.moves.tell(moved);
        }
    }

    /// The same; telling of it is for the caller.
    pub(super) fn enter_untold(&mut self, state: PluginState, reason: &str) -> Option<Moved> {
        let from = self.standing.as_ref().map(|it| it.state);
        let reason: String = reason.chars().take(REASON_CHARS).collect();
        if from == Some(state) {
            // It failed again, perhaps of something else.
            if let Some(standing) = &mut self.standing {
                standing.reason = reason;
            }
            return None;
        }
        let since = Timestamp(self.clock.now_us());
        self.standing = Some(Standing { state, since, reason: reason.clone() });
        let generation = self.shown_generation();
        Some(Moved { plugin: self.row.name.as_str().into(), from, to: state, reason, generation })
    }

    /// The manifest of what runs, else of the folder.
    pub(super) fn manifest(&self) -> Option<&Manifest> {
        let live = self.live.as_ref().map(|it| &it.prepared);
        live.or(self.prepared.as_ref()).map(|it| &*it.manifest)
    }

    /// The same, to keep.
    pub(super) fn shared_manifest(&self) -> Option<Arc<Manifest>> {
        let live = self.live.as_ref().map(|it| &it.prepared);
        live.or(self.prepared.as_ref()).map(|it| Arc::clone(&it.manifest))
    }

    /// Whether it is meant to run: what was set over HTTP, else the manifest.
    pub(super) fn wanted(&self) -> bool {
        let declared = || self.prepared.as_ref().is_none_or(|it| it.manifest.enabled);
        self.row.registered && self.row.enabled.unwrap_or_else(declared)
    }

    /// What the folder says it is, else what the row says.
    pub(super) fn plugin_type(&self) -> &str {
        match self.manifest() {
            Some(manifest) if manifest.plugin_type != "lua" => &manifest.plugin_type,
            _ => &self.row.plugin_type,
        }
    }

    /// What the folder holds and does not run.
    pub(super) fn held(&self) -> Option<&Held> {
        self.held.as_deref().filter(|_| self.is_held)
    }

    /// The one that runs, else the last one tried.
    pub(super) fn shown_generation(&self) -> u64 {
        self.live.as_ref().map_or(self.generation, |it| it.generation)
    }

    pub(super) fn hash(&self) -> Option<String> {
        let live = self.live.as_ref().map(|it| &it.prepared);
        live.or(self.prepared.as_ref()).map(|it| it.snapshot.hash.to_string())
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let live = self.live.as_ref().map(|it| &it.prepared);
        let Some(prepared) = live.or(self.prepared.as_ref()) else { return Vec::new() };
        let told = prepared.manifest.warnings.iter().chain(&prepared.snapshot.warnings);
        let held = self.held().map(|it| it.sentence(&self.row.name));
        told.map(ToString::to_string).chain(held).collect()
    }
}
