//! Bringing plugins up: in order, side by side where they do not need one another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};

use crate::hooks::Hook;
use crate::model::call::Outcome;
use crate::model::plugin::PluginState;
use crate::plugins::order::{self, Nodes, Standing, Verdict};
use crate::plugins::problem::LoadFault;

use super::Manager;
use super::registry::draft;
use super::settle::set;
use super::slot::{Live, Slot};
use super::staging::Staged;

impl Manager {
    /// Loads plugins in the order of their dependencies, publishes them, then calls `on_startup`.
    pub(super) async fn bring_up(&self, candidates: Vec<Arc<Slot>>, deadline: Instant) {
        let mut waiting: BTreeMap<Arc<str>, Arc<Slot>> =
            candidates.into_iter().map(|it| (Arc::clone(&it.name), it)).collect();
        if waiting.is_empty() {
            return;
        }
        let mut nodes = self.nodes();
        for name in waiting.keys() {
            set(&mut nodes, name, Standing::Waiting);
        }
        let (mut loading, mut started) = (FuturesUnordered::new(), Vec::new());
        loop {
            for name in waiting.keys().cloned().collect::<Vec<_>>() {
                match order::judge(&name, &nodes) {
                    Verdict::Later => {}
                    Verdict::Ready => loading.extend(waiting.remove(&name).map(|it| self.load(it, deadline))),
                    Verdict::Never(fault) => {
                        if let Some(slot) = waiting.remove(&name) {
                            slot.fail(&fault, true);
                        }
                        set(&mut nodes, &name, Standing::Down("does not load"));
                    }
                }
            }
            match loading.next().await {
                Some((slot, Ok(()))) => {
                    set(&mut nodes, &slot.name, Standing::Running);
                    started.push(slot);
                }
                Some((slot, Err(fault))) => {
                    slot.fail(&fault, false);
                    set(&mut nodes, &slot.name, Standing::Down("does not load"));
                }
                None if waiting.is_empty() => break,
                None => match order::cycle(&nodes) {
                    Some(cycle) => {
                        for name in &cycle {
                            if let Some(slot) = waiting.remove(name.as_str()) {
                                slot.fail(&order::cycle_fault(&cycle), true);
                            }
                            set(&mut nodes, name, Standing::Down("is part of a circle of dependencies"));
                        }
                    }
                    // Judging again may have failed those others waited for; a circle of optional wishes is cut.
                    None => {
                        let stuck =
                            waiting.keys().all(|it| matches!(order::judge(it, &nodes), Verdict::Later));
                        let first = waiting.keys().next().cloned().filter(|_| stuck);
                        let first = first.and_then(|it| waiting.remove(&it));
                        loading.extend(first.map(|it| self.load(it, deadline)));
                    }
                },
            }
        }
        // That they run is told before that they were loaded; both are on their way to the disk at the same time.
        tokio::join!(self.keep_started(&started), self.0.moves.told());
        self.publish();
        if !started.is_empty() {
            let told = started.iter().map(|it| draft("plugin.loaded", &it.name, told_of(it)));
            self.0.registry.tell_all(told.collect()).await;
        }
        self.start_up(&started, &nodes, deadline).await;
    }

    async fn load(&self, slot: Arc<Slot>, deadline: Instant) -> (Arc<Slot>, Result<(), LoadFault>) {
        let Some(prepared) = slot.read(|it| it.prepared.clone()) else {
            let fault =
                LoadFault::of_folder(Outcome::Skipped, "its folder was not read", "Rescan the plugins.");
            return (slot, Err(fault));
        };
        slot.change(|it| it.enter(PluginState::Loading, "its files are run"));
        let begin = Instant::now();
        match self.build(&slot, prepared, deadline).await {
            Ok(Staged { live, effects, .. }) => {
                if !effects.is_empty() {
                    self.0.registry.commit(effects).await;
                }
                log::info!(
                    plugin = &*slot.name, generation = live.generation, hash = &*live.prepared.snapshot.hash;
                    "loaded in {} ms", begin.elapsed().as_millis()
                );
                self.install(&slot, live);
                (slot, Ok(()))
            }
            Err(fault) => (slot, Err(fault)),
        }
    }

    /// Lets a generation be the one that runs; answers the former one.
    pub(super) fn install(&self, slot: &Arc<Slot>, live: Arc<Live>) -> Option<Arc<Live>> {
        slot.vitals.forget_error();
        let prepared = &live.prepared;
        for warning in prepared.manifest.warnings.iter().chain(&prepared.snapshot.warnings) {
            log::warn!(plugin = &*slot.name, generation = live.generation; "{warning}");
        }
        let known = live.script.change();
        let former = slot.change(|it| {
            it.wants_others = false;
            it.held = it.held.take().filter(|held| held.holds_beside(&live.prepared.snapshot.hash));
            it.is_held &= it.held.is_some();
            let former = it.live.replace(Arc::clone(&live));
            it.enter(PluginState::Running, "it was loaded");
            former
        });
        let watcher = self.spawn(watch(self.clone(), Arc::downgrade(slot), live, known)).abort_handle();
        if let Some(former) = slot.change(|it| it.watcher.replace(watcher)) {
            former.abort();
        }
        former
    }

    /// Tells of a plugin's generation on the journal.
    pub(super) async fn tell(&self, slot: &Slot, event: &'static str) {
        self.0.registry.tell(event, &slot.name, told_of(slot)).await;
    }

    async fn start_up(&self, started: &[Arc<Slot>], nodes: &Nodes, deadline: Instant) {
        let app = self.app();
        let open: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> =
            started.iter().map(|it| (Arc::clone(&it.name), order::needs(&it.name, nodes))).collect();
        order::in_order(open, |name| {
            let (live, app) = (self.named(&name).and_then(|it| it.live()), app.clone());
            async move {
                if let Some(live) = live {
                    // A failure is kept and logged where the call ends; the plugin runs on.
                    let _ = self.life(&live, Hook::OnStartup, app, deadline).await;
                }
            }
        })
        .await;
    }
}

/// What the journal is told of a plugin's generation.
fn told_of(slot: &Slot) -> Value {
    let view = slot.view();
    json!({ "version": view.version, "generation": view.generation, "hash": view.hash })
}

/// Publishes the table again whenever a running plugin has other subscriptions than after the `known` change.
async fn watch(manager: Manager, slot: std::sync::Weak<Slot>, live: Arc<Live>, mut known: u64) {
    let live = Watched(live);
    loop {
        live.0.script.know(Some(known));
        known = live.0.script.changed(known).await;
        let current = slot.upgrade().and_then(|it| it.live());
        if current.is_none_or(|it| it.generation != live.0.generation) {
            return;
        }
        manager.publish();
    }
}

/// A generation whose subscriptions are looked at, until this is dropped: nothing waits for that any longer then.
struct Watched(Arc<Live>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.script.know(None);
    }
}
