//! The plugin roots: whether they are there, still the same folders, and told of by the operating system.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::plugins::discovery::is_plugin_name;

use super::tree::{Identity, print_of};

/// One plugin root.
#[derive(Debug)]
pub(super) struct Root {
    /// As the settings name it, made absolute.
    pub(super) path: PathBuf,
    /// Where it lies, links followed; none while there is no such folder.
    pub(super) real: Option<PathBuf>,
    /// Whether it is looked at at intervals.
    pub(super) is_polled: bool,
    identity: Option<Identity>,
    /// What was seen of each plugin at the last look, when it is polled; under the empty name all else.
    prints: BTreeMap<Arc<str>, u64>,
}

impl Root {
    pub(super) fn new(path: &Path) -> Self {
        Root {
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            real: None,
            is_polled: false,
            identity: None,
            prints: BTreeMap::new(),
        }
    }

    /// Looks whether it is the folder that it was; true when it is another one, or is gone.
    pub(super) fn has_changed(&mut self) -> bool {
        let identity = Identity::of(&self.path).filter(|_| self.path.is_dir());
        if identity == self.identity {
            return false;
        }
        self.identity = identity;
        self.real = identity.and_then(|_| std::fs::canonicalize(&self.path).ok());
        true
    }

    /// Names of the plugin folders in it, and whatever else has such a name.
    pub(super) fn plugins(&self) -> BTreeSet<Arc<str>> {
        self.names().into_iter().filter(|it| is_plugin_name(it)).map(Arc::from).collect()
    }

    /// Where a plugin's folder lies, links followed; none when it is no folder or leads out of the root.
    pub(super) fn folder(&self, plugin: &str) -> Option<PathBuf> {
        let real = self.real.as_ref()?;
        let folder = std::fs::canonicalize(real.join(plugin)).ok()?;
        (folder.starts_with(real) && folder.is_dir()).then_some(folder)
    }

    /// Looks at every file without reading it; answers the plugins that are not as they were at the last look.
    pub(super) fn poll(&mut self) -> Vec<Arc<str>> {
        let mut prints = BTreeMap::new();
        let mut others = 0_u64;
        for name in self.names() {
            match self.folder(&name) {
                Some(folder) if is_plugin_name(&name) => {
                    _ = prints.insert(Arc::from(name), print_of(&folder))
                }
                _ => {
                    let mut hasher = DefaultHasher::new();
                    name.hash(&mut hasher);
                    others = others.wrapping_add(hasher.finish());
                }
            }
        }
        prints.insert(Arc::from(""), others);
        let former = std::mem::replace(&mut self.prints, prints);
        let names: BTreeSet<&Arc<str>> = former.keys().chain(self.prints.keys()).collect();
        let changed = names.into_iter().filter(|it| former.get(*it) != self.prints.get(*it));
        changed.cloned().collect()
    }

    fn names(&self) -> Vec<String> {
        let entries = self.real.as_ref().and_then(|it| std::fs::read_dir(it).ok());
        let names =
            entries.into_iter().flatten().flatten().filter_map(|it| it.file_name().into_string().ok());
        names.filter(|it| !it.starts_with('.')).collect()
    }
}
