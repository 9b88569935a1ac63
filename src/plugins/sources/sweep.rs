//! What a change that was cut off left behind.

use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirEntry};

use crate::error::Result;

use super::{io_error, tree};

/// How the hidden folder of a change under way begins.
pub const STAGE_PREFIX: &str = ".panotti-";

/// Removes the hidden folders of changes that did not come to their end; answers how many there were.
/// Only for a start: a change under way has such a folder, too.
///
/// # Errors
/// The folder cannot be read.
pub fn sweep(folder: &Path) -> Result<usize> {
    sweep_dir(&tree::open(folder)?)
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

fn sweep_dir(dir: &Dir) -> Result<usize> {
    let entries = dir.entries().and_then(Iterator::collect::<std::io::Result<Vec<DirEntry>>>);
    let mut swept = 0;
    for entry in entries.map_err(|fault| io_error("", fault))? {
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|it| it.starts_with(STAGE_PREFIX));
        if is_ours && entry.file_type().is_ok_and(|it| it.is_dir()) {
            dir.remove_dir_all(&name).map_err(|fault| io_error("", fault))?;
            swept += 1;
        }
    }
    Ok(swept)
}
