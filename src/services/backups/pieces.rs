//! Single files on their way into a backup and out of it: copied, linked, hashed; and the list of what lies in a folder.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::model::backup::BackupFault;

use super::progress::Progress;

/// Bytes read at once.
const PART_BYTES: usize = 1 << 20;

/// What went by.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Passed {
    /// Bytes.
    pub size: u64,
    /// BLAKE3 in hex.
    pub blake3: String,
}

/// Opens a file that is no link and nothing that blocks.
pub(super) fn open_file(path: &Path) -> std::io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(std::io::Error::new(ErrorKind::InvalidInput, "is no file")),
    }
}

/// Copies a file, at most its first `most` bytes, to a new one that only its owner reads; it is on disk when this returns.
pub(super) fn copy(
    from: impl Read,
    to: &Path,
    most: u64,
    progress: &Progress,
) -> Result<Passed, BackupFault> {
    let told = |error: std::io::Error| BackupFault::io(to, &error);
    make_folders(to)?;
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(told)?;
    let passed = pass(from.take(most), to, progress, |bytes| target.write_all(bytes))?;
    target.sync_all().map_err(told)?;
    Ok(passed)
}

/// Reads a file once.
pub(super) fn hash(path: &Path, progress: &Progress) -> Result<Passed, BackupFault> {
    let file = open_file(path).map_err(|error| BackupFault::io(path, &error))?;
    pass(file, path, progress, |_| Ok(()))
}

/// Reads something to its end, and hands each part on.
pub(super) fn pass(
    mut from: impl Read,
    about: &Path,
    progress: &Progress,
    mut each: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<Passed, BackupFault> {
    let told = |error: std::io::Error| BackupFault::io(about, &error);
    let mut hasher = blake3::Hasher::new();
    let mut part = vec![0; PART_BYTES];
    let mut size = 0;
    loop {
        progress.check()?;
        let count = match from.read(&mut part) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(told(error)),
        };
        hasher.update(&part[..count]);
        each(&part[..count]).map_err(told)?;
        #[cfg(test)]
        progress.take_room(count as u64).map_err(told)?;
        size += count as u64;
        progress.did(count as u64);
    }
    Ok(Passed { size, blake3: hasher.finalize().to_hex().to_string() })
}

/// Makes the folders above a file, for their owner alone.
pub(super) fn make_folders(file: &Path) -> Result<(), BackupFault> {
    let Some(folder) = file.parent() else { return Ok(()) };
    make_folder(folder)
}

/// Makes a folder and those above it, for their owner alone.
pub(super) fn make_folder(folder: &Path) -> Result<(), BackupFault> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| BackupFault::io(folder, &error))
}

/// Makes the names in every folder below `root` durable.
pub(super) fn sync_folders(root: &Path) -> Result<(), BackupFault> {
    let told = |error: std::io::Error| BackupFault::io(root, &error);
    for entry in fs::read_dir(root).map_err(told)? {
        let entry = entry.map_err(told)?;
        if entry.file_type().map_err(told)?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    sync_folder(root)
}

/// Makes the names in one folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), BackupFault> {
    let synced = File::open(folder).and_then(|it| it.sync_all());
    synced.map_err(|error| BackupFault::io(folder, &error))
}

/// What lies below a folder.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Files: the path from the folder on, with `/`, and where they are.
    pub files: Vec<(String, PathBuf)>,
    /// What is no file and no folder, or has a name that is no text.
    pub others: Vec<PathBuf>,
}

/// Lists what lies below a folder by name, through no link; `wanted` is asked about each name. Nothing when there is no
/// such folder; what goes meanwhile is left out.
pub(super) fn list(root: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Listed, BackupFault> {
    let mut listed = Listed::default();
    let mut open = vec![(String::new(), root.to_owned())];
    while let Some((prefix, folder)) = open.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries.map_err(|error| BackupFault::io(&folder, &error))?,
        };
        for entry in entries {
            let entry = entry.map_err(|error| BackupFault::io(&folder, &error))?;
            let Ok(name) = entry.file_name().into_string() else {
                listed.others.push(entry.path());
                continue;
            };
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            let Ok(kind) = entry.file_type() else { continue };
            if !wanted(&path) {
                continue;
            }
            if kind.is_dir() {
                open.push((path, entry.path()));
            } else if kind.is_file() {
                listed.files.push((path, entry.path()));
            } else {
                listed.others.push(entry.path());
            }
        }
    }
    listed.files.sort();
    Ok(listed)
}

/// A folder beside another, hidden, that becomes it or goes; two have never the same.
pub(super) fn stage_beside(folder: &Path, what: &str) -> PathBuf {
    let name = folder.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    folder.with_file_name(format!(".{name}.{what}-{}.part", std::process::id()))
}

/// A folder that is removed with all in it unless it was kept.
pub(super) struct Stage {
    /// Where it is.
    pub folder: PathBuf,
    kept: bool,
}

impl Stage {
    /// Makes the folder, in place of a former one.
    pub(super) fn make(folder: PathBuf) -> Result<Self, BackupFault> {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(BackupFault::io(&folder, &error));
            }
            _ => {}
        }
        let stage = Stage { folder, kept: false };
        make_folder(&stage.folder)?;
        Ok(stage)
    }

    /// Gives the folder its name for good, in place of an empty one.
    pub(super) fn keep_as(mut self, folder: &Path) -> Result<(), BackupFault> {
        sync_folders(&self.folder)?;
        fs::rename(&self.folder, folder).map_err(|error| BackupFault::io(folder, &error))?;
        self.kept = true;
        folder.parent().map_or(Ok(()), sync_folder)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = fs::remove_dir_all(&self.folder)
        {
            log::warn!("{} cannot be removed: {error}", self.folder.display());
        }
    }
}
