//! Running plugins whose folder has changed: the new version is made aside and takes over, or the old one stays.

use std::sync::Arc;

use crate::model::plugin::PluginState;
use crate::plugins::order::{self, Standing, Verdict};
use crate::plugins::problem::LoadFault;

use super::Manager;
use super::settle::set;
use super::slot::{Prepared, Slot};

impl Manager {
    /// Takes up what was edited; answers the plugins that have a new version, and those whose new version failed.
    pub(super) async fn take_up_edits(&self) -> (Vec<String>, Vec<String>) {
        let (mut reloaded, mut failed) = (Vec::new(), Vec::new());
        for slot in self.slots() {
            match self.take_up_edit(&slot).await {
                Some(true) => reloaded.push(slot.name.to_string()),
                Some(false) => failed.push(slot.name.to_string()),
                None => {}
            }
        }
        (reloaded, failed)
    }

    /// Nothing when the plugin does not run or its folder is as it was; else whether the new version runs.
    async fn take_up_edit(&self, slot: &Arc<Slot>) -> Option<bool> {
        let (live, folder) = (slot.live()?, slot.read(|it| it.folder.clone())?);
        let prepared = match self.prepare(slot, folder).await {
            Ok(prepared) if prepared.snapshot.hash == live.prepared.snapshot.hash => return None,
            Ok(prepared) => prepared,
            Err(fault) => return Some(self.keep_the_old(slot, &fault).await),
        };
        let declares = Arc::clone(&prepared.manifest);
        let wanted = slot.read(|it| it.row.enabled).unwrap_or(declares.enabled);
        if !wanted || declares.plugin_type != "lua" {
            self.take_down(slot, true).await;
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
        let done = self.reload(slot, prepared.clone()).await.is_ok();
        if done {
            // What was held against the old version is not the new one's fault.
            slot.vitals.reset_breaker();
            slot.change(|it| it.prepared = Some(prepared));
            self.sync_row(slot).await;
        }
        Some(done)
    }

    async fn keep_the_old(&self, slot: &Slot, fault: &LoadFault) -> bool {
        slot.note(fault, slot.read(|it| it.generation));
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
