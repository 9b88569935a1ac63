//! Files that plugins keep: each in a folder of its own, and the folders an admin opened to it. Every path is opened
//! inside its folder by cap-std, so none leads out of it, whatever links lie there.

mod fault;
mod tree;
mod usage;
mod work;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::config::Settings;
pub use fault::FileFault;
pub use usage::{Quota, Usage};
pub use work::{Entry, EntryKind, append, list, read, remove, stat, write};

/// What came of something done with a file.
pub type Result<T> = std::result::Result<T, FileFault>;

/// Bytes that one read answers.
pub const MAX_READ_BYTES: u64 = 16 << 20;

/// Entries that one list answers.
pub const MAX_ENTRIES: usize = 10_000;

/// Bytes of a path.
pub const MAX_PATH_BYTES: usize = 1024;

/// Folders nested in a plugin's own folder.
pub const MAX_DEPTH: usize = 64;

/// The folders of plugins. Cheap to clone.
#[derive(Clone)]
pub struct PluginFiles {
    plugins: Arc<Path>,
    recordings: Arc<Path>,
    clips: Arc<Path>,
    usage: Arc<usage::Usages>,
}

/// A folder that paths are below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// The plugin's own.
    Own,
    /// The one files named by clients lie in.
    Recordings,
    /// The one clips lie in.
    Clips,
    /// One that the admin named.
    Named(PathBuf),
}

impl PluginFiles {
    /// The folders that the settings name.
    pub fn new(settings: &Settings) -> Self {
        PluginFiles {
            plugins: settings.data_dir.join("plugins").into(),
            recordings: settings.recordings_dir.as_path().into(),
            clips: settings.data_dir.join("media").join("clips").into(),
            usage: Arc::default(),
        }
    }

    /// The folder of one plugin's own files; made when it is missing.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn own_folder(&self, plugin: &str) -> Result<PathBuf> {
        let folder = self.plugins.join(plugin).join("files");
        let shown = folder.display().to_string();
        std::fs::create_dir_all(&folder).map_err(|error| FileFault::of(&shown, &error))?;
        std::path::absolute(&folder).map_err(|error| FileFault::of(&shown, &error))
    }

    /// Removes everything a plugin keeps.
    ///
    /// # Errors
    /// What could not be removed.
    pub fn remove_all(&self, plugin: &str) -> Result<()> {
        self.forget(plugin);
        let folder = self.plugins.join(plugin);
        for kind in ["files", "assets", "draft"] {
            let removed = Dir::open_ambient_dir(&folder, ambient_authority()).and_then(|dir| {
                match dir.symlink_metadata(kind)?.is_dir() {
                    true => tree::remove(&dir, Path::new(kind)),
                    false => dir.remove_file(kind),
                }
            });
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(FileFault::of(&folder.join(kind).display().to_string(), &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// How much a plugin keeps; counted once, then kept up to date by every write.
    pub fn usage(&self, plugin: &str) -> Arc<Usage> {
        self.usage.of(plugin)
    }

    /// Forgets what was counted: somebody else has changed the folder.
    pub fn forget(&self, plugin: &str) {
        self.usage.forget(plugin);
    }

    fn open(&self, plugin: &str, root: &Root) -> Result<Dir> {
        let folder = match root {
            Root::Own => self.own_folder(plugin)?,
            Root::Recordings => self.recordings.to_path_buf(),
            Root::Clips => self.clips.to_path_buf(),
            Root::Named(folder) => folder.clone(),
        };
        Dir::open_ambient_dir(&folder, ambient_authority())
            .map_err(|error| FileFault::of(&folder.display().to_string(), &error))
    }
}

#[cfg(test)]
mod tests;
