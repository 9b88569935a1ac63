//! A plugin's sources, looked at without running them: whether they compile, what `require` would find.

use std::collections::BTreeMap;
use std::sync::Arc;

use mlua::Lua;

use crate::error::ScriptFault;

use super::library::{library, with_tests};
use super::require::Modules;
use super::{declared, fault};

/// The sources of one snapshot.
pub struct Sources {
    modules: Arc<Modules>,
    paths: Vec<String>,
}

impl Sources {
    /// Those among the files of a snapshot.
    pub fn new(files: &Arc<BTreeMap<String, Arc<[u8]>>>) -> Self {
        let is_source = |path: &&String| path.ends_with(".lua") || path.ends_with(".luau");
        let paths = files.keys().filter(is_source).cloned().collect();
        Sources { modules: Modules::new(Arc::clone(files), Arc::new(library())), paths }
    }

    /// Those of a plugin and of its tests, which may require more.
    pub fn with_tests(files: &Arc<BTreeMap<String, Arc<[u8]>>>) -> Self {
        let modules = Modules::new(Arc::clone(files), Arc::new(with_tests()));
        Sources { modules, ..Sources::new(files) }
    }

    /// Their paths.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// The text of one of them.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.modules.text(path)
    }

    /// What does not compile, each file's first fault.
    pub fn faults(&self) -> Vec<ScriptFault> {
        let lua = Lua::new();
        let compiled = self.paths.iter().map(|path| (path, self.modules.compile(&lua, path)));
        compiled.filter_map(|(path, it)| Some(fault::of_source(&self.modules, path, &it.err()?))).collect()
    }

    /// The file that `name` stands for when `caller` requires it.
    ///
    /// # Errors
    /// What the script would be told.
    pub fn find(&self, name: &str, caller: &str) -> Result<String, String> {
        self.modules.resolve(name, Some(caller))
    }

    /// The lines around one.
    pub fn excerpt(&self, path: &str, line: u32) -> Option<String> {
        fault::excerpt(self.modules.text(path)?, line)
    }
}

/// What a script is told that registers a hook which does not exist; nothing when it does.
pub fn unknown_hook(name: &str) -> Option<String> {
    declared::hook(name).err()
}
