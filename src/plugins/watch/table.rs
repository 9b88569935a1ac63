//! Which folders are watched and for whom, and what an event in one of them means.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{Event, EventKind};

use crate::plugins::discovery::{belongs, is_plugin_name};

/// The watched folders.
#[derive(Debug, Default)]
pub(super) struct Table(HashMap<PathBuf, Watched>);

#[derive(Debug, Default)]
struct Watched {
    is_root: bool,
    owners: Vec<Owner>,
}

/// A plugin whose folder, or a folder in it, is watched.
#[derive(Debug)]
struct Owner {
    plugin: Arc<str>,
    /// What stands before the names of its files: empty, or `lib/`.
    prefix: String,
}

/// What an event means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    /// The plugin it is about; empty for what is no plugin and lies beside them.
    pub(super) plugin: Arc<str>,
    /// Whether folders may have come or gone.
    pub(super) is_reshaped: bool,
    /// Whether a file is complete now; one that is being written is not.
    pub(super) is_whole: bool,
}

impl Table {
    /// A root is watched from now on.
    pub(super) fn put_root(&mut self, folder: &Path) {
        self.0.entry(folder.to_owned()).or_default().is_root = true;
    }

    /// Whether it is a watched root.
    pub(super) fn is_root(&self, folder: &Path) -> bool {
        self.0.get(folder).is_some_and(|it| it.is_root)
    }

    /// A folder of a plugin is watched from now on.
    pub(super) fn put(&mut self, folder: &Path, plugin: &Arc<str>, prefix: &str) {
        let owner = Owner { plugin: Arc::clone(plugin), prefix: prefix.to_owned() };
        self.0.entry(folder.to_owned()).or_default().owners.push(owner);
    }

    /// Forgets a root; true when the folder is needed for nothing else.
    pub(super) fn remove_root(&mut self, folder: &Path) -> bool {
        let Some(watched) = self.0.get_mut(folder) else { return false };
        watched.is_root = false;
        let is_free = watched.owners.is_empty();
        if is_free {
            self.0.remove(folder);
        }
        is_free
    }

    /// Forgets the folders of a plugin; answers those that are needed for nothing else.
    pub(super) fn remove(&mut self, plugin: &str) -> Vec<PathBuf> {
        let mut free = Vec::new();
        self.0.retain(|folder, it| {
            let before = it.owners.len();
            it.owners.retain(|owner| &*owner.plugin != plugin);
            let is_free = !it.is_root && it.owners.is_empty() && before > 0;
            if is_free {
                free.push(folder.clone());
            }
            !is_free
        });
        free
    }

    /// Names of the plugins of which something is watched.
    pub(super) fn plugins(&self) -> BTreeSet<Arc<str>> {
        self.0.values().flat_map(|it| &it.owners).map(|it| Arc::clone(&it.plugin)).collect()
    }

    /// What an event tells; nothing when it is nobody's business.
    pub(super) fn read(&self, event: &Event) -> Vec<Meaning> {
        let Some(change) = Change::of(&event.kind) else { return Vec::new() };
        event.paths.iter().flat_map(|path| self.read_path(path, change)).collect()
    }

    fn read_path(&self, path: &Path, change: Change) -> Vec<Meaning> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
        let (Some(watched), Some(name)) = (self.0.get(parent), name.to_str()) else { return Vec::new() };
        if name.starts_with('.') {
            return Vec::new();
        }
        let is_folder = || match change {
            Change::Content | Change::Closed => false,
            Change::Entry { is_folder: Some(is_folder), .. } => is_folder,
            // What is gone was a folder if it was watched.
            Change::Entry { is_folder: None, .. } | Change::About => {
                self.0.contains_key(path) || path.is_dir()
            }
        };
        let is_whole = change.leaves_files_whole();
        let mut meanings = Vec::new();
        for owner in &watched.owners {
            let is_folder = is_folder();
            if is_folder || belongs(&format!("{}{name}", owner.prefix)) {
                let plugin = Arc::clone(&owner.plugin);
                meanings.push(Meaning { plugin, is_reshaped: is_folder, is_whole });
            }
        }
        let is_of_root = match change {
            Change::Content | Change::Closed => false,
            Change::Entry { .. } => true,
            Change::About => is_folder(),
        };
        if watched.is_root && is_of_root {
            let plugin = if is_plugin_name(name) { name } else { "" };
            meanings.push(Meaning { plugin: plugin.into(), is_reshaped: !plugin.is_empty(), is_whole });
        }
        meanings
    }
}

/// Kinds of change, as far as they are told apart.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// Something was written into a file.
    Content,
    /// A file that was written is complete.
    Closed,
    /// Its mode or time.
    About,
    /// It has come or gone.
    Entry { is_folder: Option<bool>, is_moved_here: bool },
}

impl Change {
    fn of(kind: &EventKind) -> Option<Self> {
        let entry = |is_folder| Some(Change::Entry { is_folder, is_moved_here: false });
        match kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Change::Closed),
            EventKind::Modify(ModifyKind::Data(_)) => Some(Change::Content),
            // Both halves of a rename have been told one by one.
            EventKind::Access(_) | EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => None,
            EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
                Some(Change::Entry { is_folder: None, is_moved_here: true })
            }
            EventKind::Create(CreateKind::File) | EventKind::Remove(RemoveKind::File) => entry(Some(false)),
            EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder) => {
                entry(Some(true))
            }
            EventKind::Modify(ModifyKind::Metadata(_)) => Some(Change::About),
            _ => entry(None),
        }
    }

    /// What was made is still to be written, and what was removed is often written anew at once.
    fn leaves_files_whole(self) -> bool {
        matches!(self, Change::Closed | Change::About | Change::Entry { is_moved_here: true, .. })
    }
}
