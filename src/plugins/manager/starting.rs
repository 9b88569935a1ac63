//! The start of all plugins, minding who was being started when former processes died.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::model::call::Outcome;
use crate::plugins::order;
use crate::plugins::problem::LoadFault;
use crate::plugins::start_notes::{QUARANTINE_AFTER, SUSPECT_AFTER, StartNotes};

use super::Manager;
use super::scan::blocking;
use super::slot::Slot;

impl Manager {
    /// Brings up the plugins that should run: all side by side, or one by one after deaths.
    pub(super) async fn bring_up_first(&self, candidates: Vec<Arc<Slot>>, deadline: Instant) {
        let mut sound = Vec::new();
        let mut most = 0;
        for slot in candidates {
            let deaths = hash_of(&slot).map_or(0, |hash| self.0.start_notes.deaths(&slot.name, &hash));
            if deaths >= QUARANTINE_AFTER {
                self.condemn(&slot, deaths).await;
            } else {
                most = most.max(deaths);
                sound.push(slot);
            }
        }
        if most < SUSPECT_AFTER {
            self.bring_up_noted(sound, deadline).await;
        } else {
            log::warn!(
                "the server died {most} times while plugins were started: now they are started one by one"
            );
            for slot in self.in_need_order(sound) {
                // The start as a whole takes longer; each has the time that all have together otherwise.
                self.bring_up_noted(vec![slot], self.load_deadline()).await;
            }
        }
        // Dependents of those that were quarantined, and whoever waited for another.
        self.settle().await;
    }

    async fn bring_up_noted(&self, slots: Vec<Arc<Slot>>, deadline: Instant) {
        let noted: Vec<(Arc<str>, Arc<str>)> =
            slots.iter().filter_map(|it| Some((Arc::clone(&it.name), hash_of(it)?))).collect();
        let names: Vec<Arc<str>> = noted.iter().map(|(name, _)| Arc::clone(name)).collect();
        if names.is_empty() {
            return;
        }
        self.note_start(move |notes| notes.begin(noted)).await;
        self.bring_up(slots, deadline).await;
        self.note_start(move |notes| notes.end(&names)).await;
    }

    /// Lets a plugin that was quarantined for deaths be tried again.
    pub(super) async fn acquit(&self, slot: &Slot) {
        if slot.change(|it| it.condemned.take()).is_some() {
            let name = Arc::clone(&slot.name);
            self.note_start(move |notes| notes.end([&name])).await;
        }
    }

    /// Whether a plugin that does not run is quarantined for deaths; other files are another matter.
    pub(super) async fn is_condemned(&self, slot: &Slot) -> bool {
        let Some(condemned) = slot.read(|it| it.condemned.clone()) else { return false };
        if hash_of(slot).is_none_or(|it| it == condemned) {
            return true;
        }
        self.acquit(slot).await;
        false
    }

    async fn condemn(&self, slot: &Slot, deaths: u32) {
        let mut fault = LoadFault::of_folder(
            Outcome::Skipped,
            format!("the server died {deaths} times in a row while it was started"),
            "Mend its files, or enable it to try it all the same.",
        );
        fault.script.hook = None;
        slot.change(|it| it.condemned = it.prepared.as_ref().map(|it| Arc::clone(&it.snapshot.hash)));
        slot.quarantine(&fault);
        self.tell(slot, "plugin.quarantined").await;
    }

    async fn note_start(&self, note: impl FnOnce(&StartNotes) -> io::Result<()> + Send + 'static) {
        let notes = Arc::clone(&self.0.start_notes);
        let noted = blocking(move || note(&notes)).await;
        if let Ok(Err(fault)) = noted {
            // It costs the quarantine at most, never the start.
            log::warn!("which plugins are being started cannot be noted: {fault}");
        }
    }

    /// Each after those that it needs.
    pub(super) fn in_need_order(&self, slots: Vec<Arc<Slot>>) -> Vec<Arc<Slot>> {
        let nodes = self.nodes();
        let mut waiting: BTreeMap<Arc<str>, Arc<Slot>> =
            slots.into_iter().map(|it| (Arc::clone(&it.name), it)).collect();
        let mut sorted = Vec::new();
        while let Some(first) = waiting.keys().next().cloned() {
            let is_free =
                |name: &&Arc<str>| order::needs(name, &nodes).iter().all(|it| !waiting.contains_key(it));
            // Of a circle any is the first; it is told when it is tried.
            let next = waiting.keys().find(is_free).cloned().unwrap_or(first);
            sorted.extend(waiting.remove(&next));
        }
        sorted
    }
}

fn hash_of(slot: &Slot) -> Option<Arc<str>> {
    slot.read(|it| it.prepared.as_ref().map(|it| Arc::clone(&it.snapshot.hash)))
}
