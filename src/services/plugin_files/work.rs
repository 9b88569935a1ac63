//! What is done with files; all of it blocks.

use std::io::{ErrorKind, Read, Write};
use std::path::{Component, Path, PathBuf};

use cap_std::fs::{Dir, DirEntry, Metadata, OpenOptions, OpenOptionsExt};

use crate::model::time::Timestamp;

use super::fault::FileFault;
use super::usage::{Quota, too_deep};
use super::{MAX_DEPTH, MAX_ENTRIES, MAX_READ_BYTES, PluginFiles, Result, Root, tree};

/// What lies in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of a file.
    pub size: u64,
    /// When it was changed (UTC).
    pub modified_at: Timestamp,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A link, a device or something else that is not opened.
    Other,
}

/// All bytes of a file.
///
/// # Errors
/// [`FileFault`]; it answers at most [`MAX_READ_BYTES`].
pub fn read(files: &PluginFiles, plugin: &str, root: &Root, path: &str) -> Result<Vec<u8>> {
    let dir = files.open(plugin, root)?;
    let file = open_regular(&dir, path, OpenOptions::new().read(true))?;
    let mut bytes = Vec::new();
    file.take(MAX_READ_BYTES + 1).read_to_end(&mut bytes).map_err(|error| FileFault::of(path, &error))?;
    if bytes.len() as u64 > MAX_READ_BYTES {
        let detail =
            format!("`{path}` has more than {} MiB, which is what one read answers.", MAX_READ_BYTES >> 20);
        return Err(FileFault::Limit(detail));
    }
    Ok(bytes)
}

/// Puts `bytes` in the place of a file: whole or not at all. `quota` counts for the plugin's own folder.
///
/// # Errors
/// [`FileFault`].
pub fn write(
    files: &PluginFiles,
    plugin: &str,
    root: &Root,
    path: &str,
    bytes: &[u8],
    quota: Quota,
) -> Result<()> {
    let dir = files.open(plugin, root)?;
    let usage = files.usage(plugin);
    let counted = (*root == Root::Own).then(|| usage.lock(&dir)).transpose()?;
    let before = regular(&dir, path)?.map(|it| it.len());
    let after = bytes.len() as u64;
    let Some(counted) = counted else { return replace(&dir, path, bytes) };
    let folders = folders_to_make(&dir, path)?;
    counted.check(before, after, folders, quota).map_err(FileFault::Limit)?;
    match replace(&dir, path, bytes) {
        Ok(()) => counted.written(before, after, folders),
        Err(fault) => {
            // Some of its folders may have been made.
            counted.recount();
            return Err(fault);
        }
    }
    Ok(())
}

fn replace(dir: &Dir, path: &str, bytes: &[u8]) -> Result<()> {
    let (folder, name) = parent(dir, path)?;
    let part = format!(".{}.part", uuid::Uuid::new_v4().simple());
    let written = (|| {
        let mut file = folder.open_with(&part, OpenOptions::new().write(true).create_new(true))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        folder.rename(&part, &folder, &name)?;
        folder.open(".")?.sync_all()
    })();
    if let Err(error) = written {
        let _ = folder.remove_file(&part);
        return Err(FileFault::of(path, &error));
    }
    Ok(())
}

/// Adds `bytes` to the end of a file, which is made when it is missing.
///
/// # Errors
/// As [`write()`].
pub fn append(
    files: &PluginFiles,
    plugin: &str,
    root: &Root,
    path: &str,
    bytes: &[u8],
    quota: Quota,
) -> Result<()> {
    let dir = files.open(plugin, root)?;
    let usage = files.usage(plugin);
    let counted = (*root == Root::Own).then(|| usage.lock(&dir)).transpose()?;
    let before = regular(&dir, path)?.map(|it| it.len());
    let after = before.unwrap_or(0) + bytes.len() as u64;
    let Some(counted) = counted else { return extend(&dir, path, bytes, before) };
    let folders = folders_to_make(&dir, path)?;
    counted.check(before, after, folders, quota).map_err(FileFault::Limit)?;
    match extend(&dir, path, bytes, before) {
        Ok(()) => counted.written(before, after, folders),
        Err(fault) => {
            counted.recount();
            return Err(fault);
        }
    }
    Ok(())
}

fn extend(dir: &Dir, path: &str, bytes: &[u8], before: Option<u64>) -> Result<()> {
    let (folder, name) = parent(dir, path)?;
    let mut file = open_regular(&folder, &name, OpenOptions::new().append(true).create(true))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Half of it must not stay.
        let _ = file.set_len(before.unwrap_or(0));
        return Err(FileFault::of(path, &error));
    }
    Ok(())
}

/// What lies in a folder, by name; at most [`MAX_ENTRIES`].
///
/// # Errors
/// [`FileFault`].
pub fn list(files: &PluginFiles, plugin: &str, root: &Root, path: &str) -> Result<Vec<Entry>> {
    let dir = files.open(plugin, root)?;
    let folder = match path {
        "" | "." => dir,
        path => dir.open_dir(path).map_err(|error| FileFault::of(path, &error))?,
    };
    let mut found = Vec::new();
    for entry in folder.entries().map_err(|error| FileFault::of(path, &error))? {
        let Ok(entry) = entry else { continue };
        if found.len() == MAX_ENTRIES {
            return Err(FileFault::Limit(format!("`{path}` has more than {MAX_ENTRIES} entries.")));
        }
        found.extend(entry_of(&entry));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// What a path is; none when there is nothing.
///
/// # Errors
/// [`FileFault`].
pub fn stat(files: &PluginFiles, plugin: &str, root: &Root, path: &str) -> Result<Option<Entry>> {
    let dir = files.open(plugin, root)?;
    match dir.symlink_metadata(path) {
        Ok(it) => {
            let name =
                Path::new(path).file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
            Ok(Some(described(name, &it)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileFault::of(path, &error)),
    }
}

/// Removes a file, a link, an empty folder, or with `whole` a folder and everything in it; false when there is nothing.
///
/// # Errors
/// [`FileFault`], also for a folder that is not empty.
pub fn remove(files: &PluginFiles, plugin: &str, root: &Root, path: &str, whole: bool) -> Result<bool> {
    let dir = files.open(plugin, root)?;
    let usage = files.usage(plugin);
    let counted = (*root == Root::Own).then(|| usage.lock_uncounted());
    if !Path::new(path).components().any(|it| matches!(it, Component::Normal(_))) {
        return Err(FileFault::Wrong(format!("`{path}` names no file.")));
    }
    let it = match dir.symlink_metadata(path) {
        Ok(it) => it,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(FileFault::of(path, &error)),
    };
    let removed = match (it.is_dir(), whole) {
        (true, true) => tree::remove(&dir, Path::new(path)),
        (true, false) => dir.remove_dir(path),
        (false, _) => dir.remove_file(path),
    };
    match (counted, it.is_dir()) {
        (Some(counted), true) if whole => counted.recount(),
        (Some(counted), is_dir) if removed.is_ok() => counted.removed(if is_dir { 0 } else { it.len() }),
        _ => {}
    }
    removed.map(|()| true).map_err(|error| FileFault::of(path, &error))
}

/// How many folders have to be made for a file at `path`.
fn folders_to_make(dir: &Dir, path: &str) -> Result<u64> {
    let mut folder = PathBuf::new();
    let names = Path::new(path).parent().into_iter().flat_map(Path::components);
    let names: Vec<_> = names.filter(|it| matches!(it, Component::Normal(_))).collect();
    if names.len() > MAX_DEPTH {
        return Err(FileFault::Limit(too_deep(path)));
    }
    for (there, name) in names.iter().enumerate() {
        folder.push(name);
        match dir.metadata(&folder) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((names.len() - there) as u64),
            Err(error) => return Err(FileFault::of(path, &error)),
        }
    }
    Ok(0)
}

/// The folder a path lies in, made when it is missing, and the path's last name.
fn parent(dir: &Dir, path: &str) -> Result<(Dir, String)> {
    let path_of = Path::new(path);
    let name = match path_of.components().next_back() {
        Some(Component::Normal(name)) => name.to_string_lossy().into_owned(),
        _ => return Err(FileFault::Wrong(format!("`{path}` names no file."))),
    };
    let folder = match path_of.parent().filter(|it| !it.as_os_str().is_empty()) {
        None => dir.try_clone(),
        Some(folder) => dir.create_dir_all(folder).and_then(|()| dir.open_dir(folder)),
    };
    Ok((folder.map_err(|error| FileFault::of(path, &error))?, name))
}

/// What is known of a regular file; none when there is none.
fn regular(dir: &Dir, path: &str) -> Result<Option<Metadata>> {
    match dir.symlink_metadata(path) {
        Ok(it) if it.is_file() => Ok(Some(it)),
        Ok(_) => Err(FileFault::Wrong(format!("`{path}` is no file."))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileFault::of(path, &error)),
    }
}

/// Opens a regular file and nothing else: a pipe or a device would hold whoever opens it.
fn open_regular(dir: &Dir, path: &str, options: &mut OpenOptions) -> Result<cap_std::fs::File> {
    let no_wait = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file =
        dir.open_with(path, options.custom_flags(no_wait)).map_err(|error| FileFault::of(path, &error))?;
    match file.metadata() {
        Ok(it) if it.is_file() => Ok(file),
        Ok(_) => Err(FileFault::Wrong(format!("`{path}` is no file."))),
        Err(error) => Err(FileFault::of(path, &error)),
    }
}

fn entry_of(entry: &DirEntry) -> Option<Entry> {
    let name = entry.file_name().to_string_lossy().into_owned();
    // What is being written is not there yet.
    let is_part = name.starts_with('.') && name.ends_with(".part");
    (!is_part).then_some(())?;
    entry.metadata().ok().map(|it| described(name, &it))
}

fn described(name: String, it: &Metadata) -> Entry {
    let kind = match (it.is_file(), it.is_dir()) {
        (true, _) => EntryKind::File,
        (_, true) => EntryKind::Folder,
        _ => EntryKind::Other,
    };
    let since = it.modified().ok().and_then(|it| it.into_std().duration_since(std::time::UNIX_EPOCH).ok());
    let at = since.map_or(0, |it| i64::try_from(it.as_micros()).unwrap_or_default());
    Entry { name, kind, size: if kind == EntryKind::File { it.len() } else { 0 }, modified_at: Timestamp(at) }
}
