//! Plugins that need one another and get new files: all are made aside, and take over in one step or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::model::call::Outcome;
use crate::model::plugin_version::VersionOrigin;
use crate::plugins::order::{self, Nodes, Standing, Verdict};
use crate::plugins::problem::{LoadFault, Problem};

use super::edited::{Edit, Edits, Undo};
use super::scan::blocking;
use super::settle::set;
use super::slot::{Prepared, Slot};
use super::staging::Staged;
use super::swap::Taken;
use super::{DRAIN, Manager};

/// Edited plugins and those that need them, each with what it needs.
pub(super) struct Group {
    pub(super) needs: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    pub(super) edits: Edits,
}

/// What became of edits.
#[derive(Default)]
pub(super) struct TakenUp {
    /// Those that took over, and those that were made anew with them.
    pub(super) taken: Vec<Taken>,
    /// Edited plugins whose former version runs on, and why.
    pub(super) failed: BTreeMap<Arc<str>, LoadFault>,
}

impl TakenUp {
    pub(super) fn and(mut self, other: TakenUp) -> TakenUp {
        self.taken.extend(other.taken);
        self.failed.extend(other.failed);
        self
    }
}

/// Writes files into a plugin's folder, and answers how to take them back.
pub(super) type Write = Box<dyn FnOnce() -> Result<Undo> + Send>;

#[derive(Default)]
struct Work {
    edits: Edits,
    staged: Vec<Staged>,
    done: TakenUp,
    /// One that depends on an edited plugin, and does not load with it.
    broken: Option<(Arc<str>, LoadFault)>,
}

impl Manager {
    /// Makes a group aside and lets it take over; `write` is called between the two.
    pub(super) async fn take_up_group(&self, group: Group, write: Option<Write>) -> TakenUp {
        let Group { needs, edits } = group;
        let work = Mutex::new(Work { edits, ..Work::default() });
        order::in_order(needs.clone(), |name| {
            let (needs, work) = (&needs, &work);
            async move { self.stage(&name, needs, work).await }
        })
        .await;
        let Work { staged, mut done, broken, .. } = work.into_inner();
        if let Some((dependent, fault)) = broken {
            let message = format!("`{dependent}`, which depends on it, does not load with it: {fault}");
            let hint = format!("Mend the two together: `{dependent}` is read again with it.");
            self.give_up(staged, LoadFault::of_folder(fault.outcome, message, hint), &mut done).await;
            return done;
        }
        if staged.is_empty() {
            return done;
        }
        let undo = match write {
            None => None,
            Some(write) => match blocking(write).await.and_then(|written| written) {
                Ok(undo) => Some(undo),
                Err(error) => {
                    self.give_up(staged, LoadFault::of_store(error), &mut done).await;
                    return done;
                }
            },
        };
        let edited: Vec<(Arc<Slot>, Prepared)> = staged
            .iter()
            .filter(|it| it.authorship.is_some())
            .map(|it| (Arc::clone(&it.slot), it.live.prepared.clone()))
            .collect();
        match self.swap(staged, DRAIN).await {
            Ok(taken) => done.taken = taken,
            Err(error) => {
                if let Some(undo) = undo {
                    let _ = blocking(undo).await;
                }
                for (slot, _) in edited {
                    let fault = LoadFault::of_store(error_again(&error));
                    self.not_renewed(&slot, &fault).await;
                    done.failed.insert(Arc::clone(&slot.name), fault);
                }
                return done;
            }
        }
        for (slot, prepared) in edited {
            // What was held against the old version is not the new one's fault.
            slot.vitals.reset_breaker();
            slot.change(|it| {
                it.kept_old = false;
                it.pending = None;
                it.prepared = Some(prepared);
            });
            self.sync_row(&slot).await;
        }
        done
    }

    /// Makes one plugin of a group aside: of its new files, else of those it has when one that it needs is new.
    async fn stage(&self, name: &str, needs: &BTreeMap<Arc<str>, BTreeSet<Arc<str>>>, work: &Mutex<Work>) {
        let Some(slot) = self.named(name) else { return };
        let edit = work.lock().edits.remove(name);
        if let Some(edit) = edit {
            let from_disk = edit.as_ref().map_or(true, |it| it.authorship.origin == VersionOrigin::Disk);
            let staged = match edit {
                Ok(edit) => self.stage_edit(&slot, edit, work).await,
                Err(fault) => Err(fault),
            };
            match staged {
                Ok(staged) => return work.lock().staged.push(staged),
                Err(fault) => {
                    slot.change(|it| it.kept_old = from_disk);
                    self.not_renewed(&slot, &fault).await;
                    work.lock().done.failed.insert(Arc::clone(&slot.name), fault);
                }
            }
        }
        let cause = {
            let work = work.lock();
            let needed = |it: &&Staged| needs.get(name).is_some_and(|needs| needs.contains(&it.slot.name));
            work.staged.iter().find(needed).map(|it| Arc::clone(&it.slot.name))
        };
        let (Some(cause), Some(live)) = (cause, slot.live()) else { return };
        let prepared = live.prepared.clone();
        // Whoever cannot run beside the new version is stopped afterwards, with the reason.
        if self.what_stands_in_its_way(&slot, &prepared, work).is_some() {
            return;
        }
        log::info!(plugin = name; "is made anew, for `{cause}` has a new version");
        match self.build(&slot, prepared, self.load_deadline()).await {
            Ok(staged) => work.lock().staged.push(staged),
            Err(fault) => work.lock().broken = Some((Arc::clone(&slot.name), fault)),
        }
    }

    async fn stage_edit(
        &self,
        slot: &Arc<Slot>,
        edit: Edit,
        work: &Mutex<Work>,
    ) -> Result<Staged, LoadFault> {
        if let Some(fault) = self.what_stands_in_its_way(slot, &edit.prepared, work) {
            return Err(fault);
        }
        if let Some(fault) = self.what_waits_for_a_grant(slot, &edit.prepared) {
            slot.change(|it| it.pending = Some(Arc::clone(&edit.prepared.manifest)));
            return Err(fault);
        }
        self.try_new_migrations(slot, &edit.prepared).await?;
        let staged = self.build(slot, edit.prepared, self.load_deadline()).await?;
        Ok(Staged { authorship: Some(edit.authorship), ..staged })
    }

    /// Throws away what was made; the former versions run on.
    async fn give_up(&self, staged: Vec<Staged>, fault: LoadFault, done: &mut TakenUp) {
        for it in staged {
            if let Some(authorship) = &it.authorship {
                it.slot.change(|slot| slot.kept_old = authorship.origin == VersionOrigin::Disk);
                self.not_renewed(&it.slot, &fault).await;
                done.failed.insert(Arc::clone(&it.slot.name), fault.clone());
            }
            it.discard().await;
        }
    }

    /// Why a new version could not take over now, as far as can be told without running it.
    pub(super) fn what_keeps_it_back(&self, slot: &Slot, prepared: &Prepared) -> Option<LoadFault> {
        self.what_stands_in_its_way(slot, prepared, &Mutex::default())
            .or_else(|| self.what_waits_for_a_grant(slot, prepared))
    }

    /// Why a new version could not run where the others stand, and those that take over with it.
    fn what_stands_in_its_way(
        &self,
        slot: &Slot,
        prepared: &Prepared,
        work: &Mutex<Work>,
    ) -> Option<LoadFault> {
        let mut nodes = self.nodes();
        for staged in &work.lock().staged {
            declare(&mut nodes, &staged.slot.name, &staged.live.prepared);
        }
        declare(&mut nodes, &slot.name, prepared);
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

    /// What a new version asks for beyond what was granted, while the old one did not ask for it: the old one runs
    /// on until it is granted.
    fn what_waits_for_a_grant(&self, slot: &Slot, prepared: &Prepared) -> Option<LoadFault> {
        let manifest = &prepared.manifest;
        if manifest.learn && self.0.settings.learn_permissions {
            return None;
        }
        let live = slot.live()?;
        let before = self.waiting(slot, &live.prepared.manifest.requested);
        let more = self.waiting(slot, &manifest.requested).without(&before);
        if more.0.is_empty() {
            return None;
        }
        let what = format!("waits for the admin's grant: `panotti grants allow {}`", slot.name);
        let problems: Vec<Problem> = more.0.keys().map(|it| manifest.about_permission(it, &what)).collect();
        let file = manifest.file.unwrap_or("plugin.yaml");
        let text = prepared.snapshot.files.get(file).and_then(|it| std::str::from_utf8(it).ok());
        Some(LoadFault::of_problems(Outcome::Denied, problems, text))
    }
}

fn declare(nodes: &mut Nodes, name: &str, prepared: &Prepared) {
    if let Some(node) = nodes.get_mut(name) {
        node.manifest = Some(Arc::clone(&prepared.manifest));
    }
}

fn error_again(error: &Error) -> Error {
    Error { hint: error.hint.clone(), ..Error::new(error.code, error.detail.clone()) }
}
