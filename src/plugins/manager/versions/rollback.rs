//! Going back to a version that somebody names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::error::{Code, Error, Result};
use crate::model::plugin_version::{Authorship, VersionOrigin};
use crate::plugins::manager::edit::{Edited, SourceChange};
use crate::plugins::manager::registry::Act;
use crate::plugins::manager::{Manager, admin};
use crate::plugins::sources;

/// What came of going back to a version.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RollbackDone {
    /// The version whose files are in the folder again.
    pub restored: i64,
    /// The version that ran before; null when none did.
    pub from: Option<i64>,
    /// What became of the plugin.
    #[serde(flatten)]
    pub edited: Edited,
}

impl Manager {
    /// Puts the files of a version (without its number those of the one before the one that runs) into the plugin's
    /// folder, as an edit: they are made sure to load first, and make a new version. When they run already and lie in the
    /// folder, nothing happens.
    ///
    /// # Errors
    /// [`Code::VersionNotFound`]; [`Code::Conflict`] when there is no former version; as [`Manager::edit`], among them
    /// [`Code::PluginLoadFailed`] when a running plugin does not load with those files.
    pub async fn roll_back(
        &self,
        id: &str,
        version: Option<i64>,
        note: Option<String>,
        by: &str,
    ) -> Result<RollbackDone> {
        let slot = self.registered(id)?;
        let current = self.current_version(&slot).await?;
        let target = match version {
            Some(number) => self.version_row(&slot, number).await?,
            None => self.version_before(&current).await?.ok_or_else(|| {
                let detail =
                    format!("`{}` has no version before {} to go back to.", slot.name, current.number);
                let hint = format!("GET /api/v1/plugins/{}/versions lists those that are kept.", slot.name);
                Error::new(Code::Conflict, detail).with_hint(hint)
            })?,
        };
        let (disk, files) = (self.files_on_disk(&slot).await?, self.version_files(&target).await?);
        let put: BTreeMap<String, Arc<[u8]>> = files
            .iter()
            .filter(|(path, it)| disk.get(*path) != Some(it))
            .map(|(path, it)| (path.clone(), Arc::clone(it)))
            .collect();
        let delete: BTreeSet<String> = disk.keys().filter(|it| !files.contains_key(*it)).cloned().collect();
        let expects = put.keys().chain(&delete).map(|path| {
            let hash = disk.get(path).map(|it| Arc::from(sources::hash(it)));
            (path.clone(), hash)
        });
        let change = SourceChange { expects: expects.collect(), put, delete };
        let authorship =
            Authorship { origin: VersionOrigin::Rollback, author: by.to_owned(), note: note.clone() };
        let is_news = !change.put.is_empty() || !change.delete.is_empty();
        let edited = self.edit(&slot.name, change, authorship).await?;
        slot.change(|it| it.is_held = false);
        let from = slot.live().map(|_| current.number);
        if is_news || edited.version.is_some() {
            log::info!(
                plugin = &*slot.name, generation = edited.generation;
                "rolled back from version {} to version {} by {by}", current.number, target.number
            );
            let detail = json!({
                "automatic": false, "version": current.number, "to": target.number, "new_version": edited.version,
                "reason": note,
            });
            let act = admin::act(&slot, "plugin.rollback", by, detail);
            self.0.registry.note(Act { event: Some("plugin.rolled_back"), ..act }).await?;
        }
        Ok(RollbackDone { restored: target.number, from, edited })
    }
}
