//! The files of plugins as clients see them.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use crate::error::{Code, Error, Result};
use crate::model::plugin_version::Authorship;
use crate::plugins::archive;
use crate::plugins::sources::{self, SourceFile};

use super::Manager;
use super::drafts::what_changed;
use super::edit::{Edited, SourceChange};
use super::scan::blocking;
use super::slot::Slot;

impl Manager {
    /// The files of a plugin by path.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`]; the folder is gone or cannot be read.
    pub async fn files(&self, id: &str) -> Result<Vec<SourceFile>> {
        let folder = folder_of(&*self.slot(id)?)?;
        blocking(move || sources::list(&folder)).await?
    }

    /// The content of one file of a plugin.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`]; [`Code::BadPath`]; [`Code::NotFound`]; the folder cannot be read.
    pub async fn file(&self, id: &str, path: &str) -> Result<Arc<[u8]>> {
        let slot = self.slot(id)?;
        let (folder, wanted) = (folder_of(&slot)?, path.to_owned());
        let found = blocking(move || sources::read(&folder, &wanted)).await??;
        found.ok_or_else(|| {
            let detail = format!("The plugin `{}` has no file `{}`.", slot.name, path.escape_debug());
            Error::new(Code::NotFound, detail).with_hint("GET /api/v1/plugins/{id}/files lists them.")
        })
    }

    /// Changes files of a plugin as [`Manager::edit`] does, and notes who did it.
    ///
    /// # Errors
    /// As [`Manager::edit`].
    pub async fn save_files(&self, id: &str, change: SourceChange, by: Authorship) -> Result<Edited> {
        let (manager, slot) = (self.clone(), self.registered(id)?);
        self.to_its_end(async move {
            let folder = folder_of(&slot)?;
            let before = blocking(move || sources::read_all(&folder)).await??;
            let (mut detail, author) = (what_changed(&before, &change), by.author.clone());
            let edited = manager.edit(&number_of(&slot), change, by).await?;
            detail["generation"] = json!(edited.generation);
            detail["hash"] = json!(edited.hash);
            detail["live"] = json!(edited.live);
            manager.note(&slot, "plugin.files.change", &author, detail).await?;
            Ok(edited)
        })
        .await
    }

    /// All files of a plugin as one zip file, and its name.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`]; the folder is gone or cannot be read.
    pub async fn archive(&self, id: &str) -> Result<(String, Vec<u8>)> {
        let slot = self.slot(id)?;
        let folder = folder_of(&slot)?;
        let name = slot.name.to_string();
        blocking(move || Ok((name.clone(), archive::pack(&name, &sources::read_all(&folder)?)?))).await?
    }

    /// Takes back changes of files that were cut off with the process, before anybody reads the folders.
    pub(super) async fn sweep_folders(&self) {
        for root in self.roots().to_vec() {
            let swept = blocking(move || {
                sources::sweep_root(&root)?;
                Ok(sources::folders(&root)?
                    .into_iter()
                    .map(|it| (sources::sweep(&it), it))
                    .collect::<Vec<_>>())
            });
            let swept = match swept.await.and_then(|it| it) {
                Ok(swept) => swept,
                Err(fault) => {
                    log::warn!("what an unfinished change of files left was not removed: {fault}");
                    continue;
                }
            };
            for (swept, folder) in swept {
                let shown = folder.display().to_string();
                match swept {
                    Ok(0) => {}
                    Ok(swept) => {
                        log::warn!(path = shown.as_str(); "{swept} unfinished changes of a plugin's files were cleared away");
                    }
                    Err(fault) => {
                        log::error!(path = shown.as_str(); "an unfinished change of a plugin's files could not be taken back: {fault}");
                    }
                }
            }
        }
    }
}

/// A plugin as a change finds it again: its name may be another one's number.
pub(super) fn number_of(slot: &Slot) -> String {
    slot.read(|it| it.row.id).to_string()
}

/// The folder of a plugin.
pub(super) fn folder_of(slot: &Slot) -> Result<PathBuf> {
    slot.read(|it| it.folder.clone()).ok_or_else(|| {
        Error::new(Code::Conflict, format!("The folder of the plugin `{}` is gone.", slot.name))
            .with_hint("Put it back into a plugin directory, or upload the plugin again.")
    })
}
