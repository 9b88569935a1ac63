//! Which running plugins have new files, and with whom they take over: those that need one another in one step.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;

use crate::error::Result;
use crate::model::plugin::PluginState;
use crate::model::plugin_version::Authorship;
use crate::plugins::order::{self, Nodes, Standing};
use crate::plugins::problem::LoadFault;

use super::Manager;
use super::group::{Group, TakenUp};
use super::slot::{Prepared, Slot};

/// New files of a plugin that were read and make sense, and who made them.
pub(super) struct Edit {
    pub(super) prepared: Prepared,
    pub(super) authorship: Authorship,
}

/// New files of running plugins, or why they cannot be read.
pub(super) type Edits = BTreeMap<Arc<str>, Result<Edit, LoadFault>>;

impl Manager {
    /// Takes up what was edited in the folders of running plugins (all, or those of these names), and makes those
    /// anew that depend on it.
    pub(super) async fn take_up_edits(&self, names: Option<&BTreeSet<Arc<str>>>) -> TakenUp {
        let mut edits = Edits::new();
        for slot in self.slots() {
            if names.is_some_and(|it| !it.contains(&slot.name)) {
                continue;
            }
            match self.edit_of(&slot).await {
                Some(Ok(prepared)) if self.is_to_stop(&slot, &prepared) => {
                    self.stop_edited(&slot, prepared).await
                }
                Some(Ok(prepared)) => {
                    let edit = Edit { prepared, authorship: Authorship::disk() };
                    edits.insert(Arc::clone(&slot.name), Ok(edit));
                }
                Some(Err(fault)) => _ = edits.insert(Arc::clone(&slot.name), Err(fault)),
                None => {}
            }
        }
        self.take_up_all(edits).await
    }

    /// Lets edits take over, each together with those that depend on it; a failure of some is none of others.
    async fn take_up_all(&self, edits: Edits) -> TakenUp {
        let groups = self.groups(edits).into_iter().map(|group| self.take_up_group(group, None));
        join_all(groups).await.into_iter().fold(TakenUp::default(), TakenUp::and)
    }

    /// Lets one edit take over, whose files are written into the folder by `write` just before.
    pub(super) async fn take_up_one(
        &self,
        slot: &Slot,
        edit: Edit,
        write: impl FnOnce() -> Result<Undo> + Send + 'static,
    ) -> TakenUp {
        let edits = Edits::from([(Arc::clone(&slot.name), Ok(edit))]);
        match self.groups(edits).pop() {
            Some(group) => self.take_up_group(group, Some(Box::new(write))).await,
            None => TakenUp::default(),
        }
    }

    /// The edited plugins with the running ones that need them, in groups that have nothing to do with each other.
    fn groups(&self, edits: Edits) -> Vec<Group> {
        let mut nodes = self.nodes();
        for (name, edit) in &edits {
            if let (Some(node), Ok(edit)) = (nodes.get_mut(name), edit) {
                node.manifest = Some(Arc::clone(&edit.prepared.manifest));
            }
        }
        let mut left = concerned(edits.keys().cloned().collect(), &nodes);
        let (mut edits, mut groups) = (edits, Vec::new());
        while let Some((first, _)) = left.first_key_value() {
            let mut reached = BTreeSet::from([Arc::clone(first)]);
            let mut needs = BTreeMap::new();
            while let Some(name) = reached.pop_first() {
                let Some(own) = left.remove(&name) else { continue };
                reached.extend(own.iter().filter(|it| left.contains_key(*it)).cloned());
                reached.extend(
                    left.iter().filter(|(_, theirs)| theirs.contains(&name)).map(|(it, _)| Arc::clone(it)),
                );
                needs.insert(name, own);
            }
            let own = needs.keys().filter_map(|name| edits.remove_entry(name)).collect();
            groups.push(Group { needs, edits: own });
        }
        groups
    }

    /// Nothing when the plugin does not run or its folder is as it was; else what the folder holds now.
    async fn edit_of(&self, slot: &Arc<Slot>) -> Option<Result<Prepared, LoadFault>> {
        let (live, folder): (_, PathBuf) = (slot.live()?, slot.read(|it| it.folder.clone())?);
        match self.prepare(slot, folder.clone()).await {
            Ok(prepared) if prepared.snapshot.hash == live.prepared.snapshot.hash => {
                if slot.change(|it| {
                    it.pending = None;
                    std::mem::take(&mut it.kept_old)
                }) {
                    log::info!(plugin = &*slot.name, generation = live.generation; "its files are again those that run");
                    slot.vitals.forget_error();
                }
                None
            }
            Ok(prepared) if slot.is_being_edited(&prepared.snapshot.hash) => None,
            // Gone since it was found: that is for the next look to say.
            Err(_) if tokio::fs::metadata(&folder).await.is_err() => None,
            edit => Some(edit),
        }
    }

    /// Whether new files say that the plugin is not to run any more.
    pub(super) fn is_to_stop(&self, slot: &Slot, prepared: &Prepared) -> bool {
        !wanted(slot, prepared) || prepared.manifest.plugin_type != "lua"
    }

    async fn stop_edited(&self, slot: &Arc<Slot>, prepared: Prepared) {
        let wanted = wanted(slot, &prepared);
        let why = if wanted { "is not a Lua plugin" } else { "is disabled" };
        self.take_down_with_dependents(slot, why).await;
        slot.change(|it| {
            it.prepared = Some(prepared);
            match wanted {
                true => {
                    it.enter(PluginState::Unsupported, "its new files are of a type the server does not run")
                }
                false => it.enter(PluginState::Disabled, "its new manifest switches it off"),
            }
        });
        self.sync_row(slot).await;
    }
}

/// Takes written files back.
pub(super) type Undo = Box<dyn FnOnce() + Send>;

fn wanted(slot: &Slot, prepared: &Prepared) -> bool {
    slot.read(|it| it.row.enabled).unwrap_or(prepared.manifest.enabled)
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
