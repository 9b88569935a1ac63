//! The files of plugins as clients see them.

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Code, Error, Result};
use crate::plugins::sources::{self, SourceFile};

use super::Manager;
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

    /// Removes what changes of files left that were cut off with the process.
    pub(super) async fn sweep_folders(&self) {
        for slot in self.slots() {
            let Ok(folder) = folder_of(&slot) else { continue };
            match blocking(move || sources::sweep(&folder)).await {
                Ok(Ok(0)) => {}
                Ok(Ok(swept)) => {
                    log::info!(plugin = &*slot.name; "{swept} unfinished changes of its files were removed")
                }
                Ok(Err(fault)) | Err(fault) => {
                    log::warn!(plugin = &*slot.name; "what an unfinished change left was not removed: {fault}");
                }
            }
        }
    }
}

/// The folder of a plugin.
pub(super) fn folder_of(slot: &Slot) -> Result<PathBuf> {
    slot.read(|it| it.folder.clone()).ok_or_else(|| {
        Error::new(Code::Conflict, format!("The folder of the plugin `{}` is gone.", slot.name))
            .with_hint("Put it back into a plugin directory, or upload the plugin again.")
    })
}
