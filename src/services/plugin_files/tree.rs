//! Folders with all that is in them. A tool may have nested them as deep as it liked, so nothing here needs a stack or
//! open files that grow with them.

use std::ffi::OsString;
use std::io::{ErrorKind, Result};
use std::path::Path;

use cap_std::fs::{Dir, Permissions, PermissionsExt};

use super::MAX_DEPTH;
use super::usage::Count;

/// Counts what lies below `dir`, links not followed; none when its folders are nested deeper than [`MAX_DEPTH`].
///
/// # Errors
/// A folder cannot be read: what is in it would not count.
pub(super) fn count(dir: &Dir) -> Result<Option<Count>> {
    let mut sum = Count::default();
    Ok(add(dir, 0, &mut sum)?.then_some(sum))
}

fn add(dir: &Dir, depth: usize, sum: &mut Count) -> Result<bool> {
    let mut folders = Vec::new();
    for entry in dir.entries()? {
        let entry = entry?;
        // A running tool may have removed it since.
        let Some(it) = present(entry.metadata())? else { continue };
        sum.files += 1;
        match it.is_dir() {
            true => folders.push(entry.file_name()),
            false => sum.bytes = sum.bytes.saturating_add(it.len()),
        }
    }
    if depth == MAX_DEPTH && !folders.is_empty() {
        return Ok(false);
    }
    for name in folders {
        let Some(inner) = present(dir.open_dir(&name))? else { continue };
        if !add(&inner, depth + 1, sum)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes the folder `path` and everything in it. What is nested deeper than [`MAX_DEPTH`] is moved up into it first, so
/// that an interrupted removal leaves nothing elsewhere.
///
/// # Errors
/// What could not be removed.
pub(super) fn remove(dir: &Dir, path: &Path) -> Result<()> {
    let top = open(dir, path)?;
    while empty(&top, &top, 0)? {}
    drop(top);
    dir.remove_dir(path)
}

/// Empties `dir`; whether something was moved up to `top`, which is then not empty yet.
fn empty(top: &Dir, dir: &Dir, depth: usize) -> Result<bool> {
    let mut moved = false;
    for (name, is_dir) in names(dir)? {
        let done = match (is_dir, depth == MAX_DEPTH) {
            (false, _) => dir.remove_file(&name),
            (true, true) => {
                moved = true;
                dir.rename(&name, top, format!(".{}.part", uuid::Uuid::new_v4().simple()))
            }
            (true, false) => open(dir, name.as_ref()).and_then(|inner| {
                moved |= empty(top, &inner, depth + 1)?;
                drop(inner);
                dir.remove_dir(&name)
            }),
        };
        present(done)?;
    }
    Ok(moved)
}

fn names(dir: &Dir) -> Result<Vec<(OsString, bool)>> {
    let entries = dir.entries()?;
    entries.map(|entry| entry.and_then(|it| Ok((it.file_name(), it.file_type()?.is_dir())))).collect()
}

/// Opens a folder whose contents are about to go, also when whoever made it has shut it.
fn open(dir: &Dir, path: &Path) -> Result<Dir> {
    let it = dir.symlink_metadata(path)?;
    if it.is_dir() && it.permissions().mode() & 0o700 != 0o700 {
        dir.set_permissions(path, Permissions::from_mode(0o700))?;
    }
    dir.open_dir(path)
}

/// What came of it; none when there is nothing any more.
fn present<T>(done: Result<T>) -> Result<Option<T>> {
    match done {
        Ok(it) => Ok(Some(it)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
