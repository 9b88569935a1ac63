//! What a change that was cut off left behind: it is taken back, and its hidden folder goes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirEntry};

use crate::error::Result;

use super::plan::Plan;
use super::{io_error, tree};

/// How the hidden folder of a change under way begins.
pub const STAGE_PREFIX: &str = ".panotti-";

/// Takes back what changes did that did not come to their end, and removes their hidden folders; answers how many there
/// were. Only for a start, and before the folder is read: a change under way has such a folder, too.
///
/// # Errors
/// The folder cannot be read.
pub fn sweep(folder: &Path) -> Result<usize> {
    let is_ours = |it: std::fs::DirEntry| is_stage(&it.file_name());
    // Most have none, and opening one so that nothing leads out of it costs several times this look.
    let has_none = std::fs::read_dir(folder).is_ok_and(|mut all| !all.any(|it| it.map_or(true, is_ours)));
    if has_none { Ok(0) } else { sweep_dir(&tree::open(folder)?) }
}

/// Removes the hidden folders of plugins that were on their way into a plugin root; answers how many there were.
///
/// # Errors
/// The root cannot be read.
pub fn sweep_root(root: &Path) -> Result<usize> {
    match Dir::open_ambient_dir(root, ambient_authority()) {
        Ok(dir) => sweep_dir(&dir),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(fault) => Err(io_error("", fault)),
    }
}

/// The folders in a plugin root that may be plugins'.
///
/// # Errors
/// The root cannot be read.
pub fn folders(root: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(fault) => return Err(io_error("", fault)),
    };
    let is_folder = |it: &std::fs::DirEntry| it.file_type().is_ok_and(|it| it.is_dir());
    let is_seen = |it: &std::fs::DirEntry| it.file_name().to_str().is_some_and(|it| !it.starts_with('.'));
    Ok(entries.flatten().filter(|it| is_folder(it) && is_seen(it)).map(|it| it.path()).collect())
}

fn sweep_dir(dir: &Dir) -> Result<usize> {
    let entries = dir.entries().and_then(Iterator::collect::<std::io::Result<Vec<DirEntry>>>);
    let mut swept = 0;
    for entry in entries.map_err(|fault| io_error("", fault))? {
        let name = entry.file_name();
        if is_stage(&name) && entry.file_type().is_ok_and(|it| it.is_dir()) {
            Plan::take_back(dir, Path::new(&name)).map_err(|fault| io_error("", fault))?;
            dir.remove_dir_all(&name).map_err(|fault| io_error("", fault))?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn is_stage(name: &OsStr) -> bool {
    name.to_str().is_some_and(|it| it.starts_with(STAGE_PREFIX))
}
