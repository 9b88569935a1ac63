//! Which files of a plugin's folder are its tests, and what lies beside them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::plugins::discovery::{is_of_tests, is_script, is_test};
use crate::plugins::sources;

/// The files of a plugin, read once.
#[derive(Debug, Clone, Default)]
pub struct TestFiles {
    /// The scripts that hold tests, by path.
    pub tests: Vec<String>,
    /// All scripts, of the plugin and of its tests.
    pub scripts: Arc<BTreeMap<String, Arc<[u8]>>>,
    /// What the plugin itself is made of.
    pub plugin: BTreeMap<String, Arc<[u8]>>,
    /// Everything else below `tests/`.
    pub fixtures: BTreeMap<String, Arc<[u8]>>,
}

/// Reads a plugin's folder.
///
/// # Errors
/// It cannot be read.
pub fn files_of(folder: &Path) -> Result<TestFiles> {
    let all = sources::read_all(folder)?;
    let tests = all.keys().filter(|it| is_test(it)).cloned().collect();
    let scripts = all.iter().filter(|(path, _)| is_script(path));
    let scripts = scripts.map(|(path, text)| (path.clone(), Arc::clone(text))).collect();
    let (mut plugin, mut fixtures) = (BTreeMap::new(), BTreeMap::new());
    for (path, content) in all {
        match path.strip_prefix("tests/") {
            Some(_) if !is_script(&path) => _ = fixtures.insert(path, content),
            _ if !is_of_tests(&path) => _ = plugin.insert(path, content),
            _ => {}
        }
    }
    Ok(TestFiles { tests, scripts: Arc::new(scripts), plugin, fixtures })
}
