//! Files that the server went back from by itself: as long as the folder holds them, the former version runs, also
//! after a restart.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Result;
use crate::model::kept_version::VersionRow;
use crate::model::plugin_version::VersionOrigin;
use crate::model::time::Timestamp;
use crate::plugins::discovery::Snapshot;
use crate::plugins::manager::Manager;
use crate::plugins::manager::slot::Slot;

/// Files that do not run, and those that run in their place.
pub(in crate::plugins::manager) struct Held {
    /// The version that was gone back from.
    version: i64,
    /// BLAKE3 of its files.
    hash: String,
    /// Why it was gone back from.
    why: String,
    /// When (UTC).
    at: Timestamp,
    /// The version that runs in its place.
    runs: i64,
    /// The files of that one.
    good: Snapshot,
}

/// The folder holds files that do not run, for the server went back from them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HeldBack {
    /// The version that the folder holds.
    pub version: i64,
    /// BLAKE3 of its files.
    pub hash: String,
    /// The version that runs.
    pub running_version: i64,
    /// Why the folder's does not.
    pub why: String,
    /// When it was gone back from (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl Held {
    /// What is held back when `good` has taken the place of `bad`.
    pub(super) fn new(bad: &VersionRow, good: &VersionRow, files: Snapshot) -> Self {
        Held {
            version: bad.number,
            hash: bad.hash.clone(),
            why: good.note.clone().unwrap_or_default(),
            at: good.at,
            runs: good.number,
            good: files,
        }
    }

    /// The files to run when the folder holds `found`, and whether these are others.
    pub(in crate::plugins::manager) fn in_place_of(&self, found: Snapshot) -> (Snapshot, bool) {
        match *found.hash == *self.hash {
            true => (self.good.clone(), true),
            false => (found, false),
        }
    }

    /// Whether it says anything beside a version with this hash.
    pub(in crate::plugins::manager) fn holds_beside(&self, hash: &str) -> bool {
        *self.good.hash == *hash
    }

    pub(in crate::plugins::manager) fn view(&self) -> HeldBack {
        HeldBack {
            version: self.version,
            hash: self.hash.clone(),
            running_version: self.runs,
            why: self.why.clone(),
            at: self.at,
        }
    }

    /// For whoever wonders why an edit does not run.
    pub(in crate::plugins::manager) fn sentence(&self, plugin: &str) -> String {
        format!(
            "its folder differs from what runs: version {} was rolled back because {}; version {} runs until the files \
             are edited, or `panotti rollback {plugin} {}` lets them run",
            self.version, self.why, self.runs, self.version
        )
    }
}

impl Manager {
    /// Recalls what was held back before the server was restarted.
    pub(in crate::plugins::manager) async fn recall_held(&self) -> Result<()> {
        let last = self.0.registry.store.read_async(|it| it.last_versions()).await?;
        let automatic = |it: &&VersionRow| it.origin == VersionOrigin::AutomaticRollback;
        for good in last.values().filter(automatic) {
            let Some(slot) = self.slots().into_iter().find(|it| it.read(|it| it.row.id == good.plugin_id))
            else {
                continue;
            };
            let (plugin, number) = (good.plugin_id, good.number - 1);
            let bad = self.0.registry.store.read_async(move |it| it.version(plugin, number)).await?;
            let files = Snapshot::of(self.version_files(good).await?);
            if let Some(bad) = bad {
                slot.change(|it| it.held = Some(Arc::new(Held::new(&bad, good, files))));
            }
        }
        Ok(())
    }

    /// Notes whether a plugin's folder holds what is held back, and says so when that is news.
    pub(in crate::plugins::manager) fn note_held(&self, slot: &Slot, is_held: bool) {
        let news = slot.change(|it| {
            let was_held = std::mem::replace(&mut it.is_held, is_held);
            it.held.clone().filter(|_| is_held && !was_held)
        });
        if let Some(held) = news {
            log::warn!(plugin = &*slot.name, hash = held.hash.as_str(); "{}", held.sentence(&slot.name));
        }
    }
}
