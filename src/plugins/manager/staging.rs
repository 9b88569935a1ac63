//! Generations that are made and not called yet; until they take over, only each other's `on_load` finds them.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::RwLock;

use crate::model::call::PluginEffects;
use crate::model::plugin_version::Authorship;

use super::slot::{Live, Slot};

/// A generation that was made, has its state, and waits to take over.
pub(super) struct Staged {
    pub(super) slot: Arc<Slot>,
    pub(super) live: Arc<Live>,
    /// The one in whose place it is to be put.
    pub(super) former: Option<Arc<Live>>,
    /// What `on_unload` and `on_load` left behind: committed when it takes over.
    pub(super) effects: Vec<PluginEffects>,
    /// Who made its files, when they are new.
    pub(super) authorship: Option<Authorship>,
    /// How long it took to make.
    pub(super) took: Duration,
    pub(super) _place: Place,
}

impl Staged {
    /// Throws it away: nothing of it is kept.
    pub(super) async fn discard(self) {
        self.live.script.retire(Duration::ZERO).await;
    }
}

/// The generations that wait to take over, by the plugin's name.
#[derive(Clone, Default)]
pub(super) struct Staging(Arc<RwLock<BTreeMap<Arc<str>, Weak<Live>>>>);

/// A generation's place among those that wait; given back when it is dropped.
pub(super) struct Place {
    staging: Staging,
    plugin: Arc<str>,
}

impl Staging {
    pub(super) fn enter(&self, plugin: &Arc<str>, live: &Arc<Live>) -> Place {
        self.0.write().insert(Arc::clone(plugin), Arc::downgrade(live));
        Place { staging: self.clone(), plugin: Arc::clone(plugin) }
    }

    /// The waiting generation of `plugin`, for a call out of generation `generation` of `caller`: none unless that one waits, too.
    pub(super) fn beside(&self, (caller, generation): (&str, u64), plugin: &str) -> Option<Arc<Live>> {
        let staged = self.0.read();
        let waiting = |name: &str| staged.get(name).and_then(Weak::upgrade);
        waiting(caller).filter(|it| it.generation == generation)?;
        waiting(plugin)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.staging.0.write().remove(&self.plugin);
    }
}
