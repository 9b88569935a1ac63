//! Running plugins whose folder has changed: the new version is made aside and takes over, or the old one stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::plugin::PluginState;
use crate::plugins::order::{self, Nodes, Standing, Verdict};
use crate::plugins::problem::LoadFault;

use super::settle::set;
use super::slot::{Prepared, Slot};
use super::{DRAIN, Manager};

impl Manager {
    /// Takes up what was edited, in the order of dependencies, and reloads those that depend on it; answers the
    /// plugins that have a new version or were reloaded, and those for which that failed.
    pub(super) async fn take_up_edits(&self) -> (Vec<String>, Vec<String>) {
        let (mut edits, mut nodes) = (BTreeMap::new(), self.nodes());
        for slot in self.slots() {
            if let Some(edit) = self.edit_of(&slot).await {
                if let (Some(node), Ok(prepared)) = (nodes.get_mut(&slot.name), &edit) {
                    node.manifest = Some(Arc::clone(&prepared.manifest));
                }
                edits.insert(Arc::clone(&slot.name), edit);
            }
        }
        let needs = concerned(edits.keys().cloned().collect(), &nodes);
        let (edits, renewed) = (Mutex::new(edits), Mutex::new(BTreeSet::new()));
        let results = order::in_order(needs.clone(), |name| {
            let (edits, renewed, needs) = (&edits, &renewed, &needs);
            async move {
                let slot = self.named(&name)?;
                let edit = edits.lock().remove(&name);
                let done = match edit {
                    Some(edit) => self.take_up_edit(&slot, edit).await,
                    None => {
                        let cause = needs.get(&name)?.intersection(&renewed.lock()).next().cloned()?;
                        self.reload_after(&slot, &cause).await
                    }
                };
                if done == Some(true) {
                    renewed.lock().insert(name);
                }
                done
            }
        });
        let (mut reloaded, mut failed) = (Vec::new(), Vec::new());
        for (name, done) in results.await {
            match done {
                Some(true) => reloaded.push(name.to_string()),
                Some(false) => failed.push(name.to_string()),
                None => {}
            }
        }
        reloaded.sort();
        failed.sort();
        (reloaded, failed)
    }

    /// Nothing when the plugin does not run or its folder is as it was; else what the folder holds now.
    async fn edit_of(&self, slot: &Slot) -> Option<Result<Prepared, LoadFault>> {
        let (live, folder) = (slot.live()?, slot.read(|it| it.folder.clone())?);
        match self.prepare(slot, folder).await {
            Ok(prepared) if prepared.snapshot.hash == live.prepared.snapshot.hash => {
                if slot.change(|it| std::mem::take(&mut it.kept_old)) {
                    log::info!(plugin = &*slot.name, generation = live.generation; "its files are again those that run");
                    slot.vitals.forget_error();
                }
                None
            }
            edit => Some(edit),
        }
    }

    /// Nothing when the plugin is not meant to run any more; else whether the new version runs.
    async fn take_up_edit(&self, slot: &Arc<Slot>, edit: Result<Prepared, LoadFault>) -> Option<bool> {
        let prepared = match edit {
            Ok(prepared) => prepared,
            Err(fault) => return Some(self.keep_the_old(slot, &fault).await),
        };
        let declares = Arc::clone(&prepared.manifest);
        let wanted = slot.read(|it| it.row.enabled).unwrap_or(declares.enabled);
        if !wanted || declares.plugin_type != "lua" {
            let why = if wanted { "is not a Lua plugin" } else { "is disabled" };
            self.take_down_with_dependents(slot, why).await;
            slot.change(|it| {
                it.prepared = Some(prepared);
                it.state = if wanted { PluginState::Unsupported } else { PluginState::Disabled };
            });
            self.sync_row(slot).await;
            return None;
        }
        if let Some(fault) = self.what_stands_in_its_way(slot, &prepared) {
            return Some(self.keep_the_old(slot, &fault).await);
        }
        let done = self.reload(slot, prepared.clone(), DRAIN).await.is_ok();
        slot.change(|it| it.kept_old = !done);
        if done {
            // What was held against the old version is not the new one's fault.
            slot.vitals.reset_breaker();
            slot.change(|it| it.prepared = Some(prepared));
            self.sync_row(slot).await;
        }
        Some(done)
    }

    /// Reloads a plugin because one that it depends on has a new version: what it took from that one is new, too.
    async fn reload_after(&self, slot: &Arc<Slot>, cause: &str) -> Option<bool> {
        let prepared = slot.live()?.prepared.clone();
        // Whoever cannot run beside the new version is stopped afterwards, with the reason.
        if self.what_stands_in_its_way(slot, &prepared).is_some() {
            return None;
        }
        log::info!(plugin = &*slot.name; "reloads, for `{cause}` has a new version");
        Some(self.reload(slot, prepared, DRAIN).await.is_ok())
    }

    async fn keep_the_old(&self, slot: &Slot, fault: &LoadFault) -> bool {
        slot.note(fault, slot.read(|it| it.generation));
        slot.change(|it| it.kept_old = true);
        slot.vitals.reloads.count(fault.outcome.as_str());
        self.tell(slot, "plugin.reload_failed").await;
        false
    }

    /// Why a new version could not run where the others stand.
    fn what_stands_in_its_way(&self, slot: &Slot, prepared: &Prepared) -> Option<LoadFault> {
        let mut nodes = self.nodes();
        if let Some(node) = nodes.get_mut(&slot.name) {
            node.manifest = Some(Arc::clone(&prepared.manifest));
        }
        if let Verdict::Never(fault) = order::judge(&slot.name, &nodes) {
            return Some(*fault);
        }
        // A circle shows among those that wait for one another.
        let running: Vec<Arc<str>> = nodes
            .iter()
            .filter(|(_, node)| node.standing == Standing::Running)
            .map(|(name, _)| Arc::clone(name))
            .collect();
        for name in &running {
            set(&mut nodes, name, Standing::Waiting);
        }
        order::cycle(&nodes)
            .filter(|it| it.iter().any(|name| **name == *slot.name))
            .map(|it| order::cycle_fault(&it))
    }
}

/// The edited plugins and all running ones that need them, each with what it needs.
fn concerned(edited: BTreeSet<Arc<str>>, nodes: &Nodes) -> BTreeMap<Arc<str>, BTreeSet<Arc<str>>> {
    let running = nodes.iter().filter(|(_, node)| node.standing == Standing::Running);
    let mut others: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> =
        running.map(|(name, _)| (Arc::clone(name), order::needs(name, nodes))).collect();
    let (mut concerned, mut reached) = (BTreeMap::new(), edited);
    while !reached.is_empty() {
        concerned.extend(reached.iter().filter_map(|name| others.remove_entry(name)));
        let needs_one = |needs: &BTreeSet<Arc<str>>| !needs.is_disjoint(&reached);
        reached =
            others.iter().filter(|(_, needs)| needs_one(needs)).map(|(name, _)| Arc::clone(name)).collect();
    }
    concerned
}
