//! Taking plugins down, and what follows for those who need them.

use std::sync::Arc;
use std::time::Duration;

use crate::hooks::Hook;
use crate::model::plugin::PluginState;
use crate::plugins::order::{self, Node, Nodes, Standing, Verdict};

use super::slot::Slot;
use super::{DRAIN, Manager, swap};

/// How long a change waits for the calls of the generation it stops before it goes on without them.
const PATIENCE: Duration = Duration::from_secs(1);

impl Manager {
    /// Stops a plugin (`why`, such as `is disabled`): no new calls, its last words, then its calls under way; it is left draining or disabled.
    pub(super) async fn take_down(&self, slot: &Arc<Slot>, why: &str, with_shutdown: bool) {
        let live = slot.change(|it| {
            if let Some(watcher) = it.watcher.take() {
                watcher.abort();
            }
            if it.live.is_some() {
                it.enter(PluginState::Draining, &format!("it {why}"));
            }
            it.live.take()
        });
        let Some(live) = live else { return };
        self.publish();
        if with_shutdown {
            let app = self.app();
            // A failure is logged where the call ends; the plugin goes all the same.
            let _ = self.life(&live, Hook::OnShutdown, app, self.load_deadline()).await;
        }
        self.say_goodbye(&live, self.load_deadline()).await;
        log::info!(plugin = &*slot.name, generation = live.generation; "stopped");
        // The loads so far, also those that failed: another one since then, and this is not for us to say.
        let (slot, generation) = (Arc::clone(slot), slot.read(|it| it.generation));
        let reason = format!("it {why}, and its last calls have ended");
        let database = self.0.databases.of(&slot.name);
        let drained = self.spawn(async move {
            swap::let_go(live, DRAIN).await;
            // The admin may want to copy or replace the file of a plugin that is off.
            database.close().await;
            slot.change(|it| {
                if it.state() == PluginState::Draining && it.generation == generation {
                    it.enter(PluginState::Disabled, &reason);
                }
            });
        });
        let _ = tokio::time::timeout(PATIENCE, drained).await;
    }

    /// After a change: stops what has lost what it needs, starts what has got it.
    pub(super) async fn settle(&self) {
        // A new version may call secret what the former one did not.
        self.seal_stored().await;
        self.take_down_lost(None).await;
        let mut nodes = self.nodes();
        let hopeful: Vec<Arc<Slot>> = self
            .slots()
            .into_iter()
            .filter(|it| {
                it.read(|it| it.wants_others && it.wanted() && it.prepared.is_some() && it.live.is_none())
            })
            .collect();
        for slot in &hopeful {
            set(&mut nodes, &slot.name, Standing::Waiting);
        }
        let circle = order::cycle(&nodes).unwrap_or_default();
        let ready = |it: &Arc<Slot>| {
            !circle.iter().any(|name| **name == *it.name)
                && !matches!(order::judge(&it.name, &nodes), Verdict::Never(_))
        };
        let ready: Vec<Arc<Slot>> = hopeful.into_iter().filter(ready).collect();
        self.bring_up(ready, self.load_deadline()).await;
    }

    /// How everybody stands.
    pub(super) fn nodes(&self) -> Nodes {
        let slots = self.slots();
        let nodes = slots.iter().map(|slot| {
            let node = slot.read(|it| {
                let manifest = it.shared_manifest();
                let standing = match it.state() {
                    _ if it.live.is_some() => Standing::Running,
                    PluginState::Missing => Standing::Down("has lost its folder"),
                    PluginState::Discovered => Standing::Down("is not registered"),
                    PluginState::Unsupported => Standing::Down("is not a Lua plugin"),
                    PluginState::Disabled | PluginState::Draining => Standing::Down("is disabled"),
                    _ => Standing::Down("does not load"),
                };
                Node { manifest, standing }
            });
            (Arc::clone(&slot.name), node)
        });
        nodes.collect()
    }
}

/// Lets a plugin stand elsewhere.
pub(super) fn set(nodes: &mut Nodes, name: &str, standing: Standing) {
    if let Some(node) = nodes.get_mut(name) {
        node.standing = standing;
    }
}
