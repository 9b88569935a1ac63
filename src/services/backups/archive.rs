//! A backup as one tar file: written from front to back, looked through without unpacking it, and unpacked to be taken back.
//! `backup.json` is the last file in it, as it is the last one of a folder.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::model::backup::{BackupFault, MANIFEST, Manifest};

use super::manifest::{decode, is_inside};
use super::pieces::{self, Passed, Stage, open_file, stage_beside};
use super::progress::Progress;
use super::restore::{Restored, restore};
use super::tar;
use super::verify::{bounded, read_manifest};
use crate::config::Settings;

/// The largest `backup.json` that is read, in bytes.
const MAX_MANIFEST_BYTES: u64 = 1 << 30;

/// Whether a path is that of a backup in one file.
pub fn is_archive(path: &Path) -> bool {
    path.is_file()
}

/// Writes the backup of a folder to one file that does not exist, comparing every byte on its way. Blocks.
///
/// # Errors
/// What is wrong with the backup or the place; there is no file then.
pub fn pack(folder: &Path, to: &Path, progress: &Progress) -> Result<Manifest, BackupFault> {
    let told = |error: std::io::Error| BackupFault::io(to, &error);
    let manifest = read_manifest(folder)?;
    progress.expect(manifest.bytes);
    let to = &std::path::absolute(to).map_err(told)?;
    if to.symlink_metadata().is_ok() {
        return Err(BackupFault::Failed(format!("{} is there already", to.display())));
    }
    pieces::make_folders(to)?;
    let part = stage_beside(to, "backup");
    let done = write(folder, &manifest, &part, progress)
        .and_then(|()| std::fs::rename(&part, to).map_err(told))
        .and_then(|()| to.parent().map_or(Ok(()), pieces::sync_folder));
    if done.is_err() {
        // Nothing is left of one that broke off.
        std::fs::remove_file(&part).ok();
    }
    done.map(|()| manifest)
}

fn write(folder: &Path, manifest: &Manifest, part: &Path, progress: &Progress) -> Result<(), BackupFault> {
    let told = |error: std::io::Error| BackupFault::io(part, &error);
    let mut to =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(part).map_err(told)?;
    for file in &manifest.files {
        let from = folder.join(&file.path);
        let opened = open_file(&from).map_err(|error| BackupFault::io(&from, &error))?;
        tar::begin(&mut to, &file.path, file.size).map_err(told)?;
        // One byte more would shift all that follows.
        let passed = pieces::pass(opened.take(file.size), &from, progress, |bytes| to.write_all(bytes))?;
        if passed.size != file.size || passed.blake3 != file.blake3 {
            return Err(BackupFault::Damaged(format!(
                "the backup is damaged:\n  {}: its bytes are not those that were written",
                file.path
            )));
        }
        tar::end(&mut to, file.size).map_err(told)?;
    }
    let path = folder.join(MANIFEST);
    let text = std::fs::read(&path).map_err(|error| BackupFault::io(&path, &error))?;
    let size = text.len() as u64;
    tar::begin(&mut to, MANIFEST, size).map_err(told)?;
    to.write_all(&text).map_err(told)?;
    tar::end(&mut to, size).map_err(told)?;
    tar::close(&mut to).map_err(told)?;
    to.sync_all().map_err(told)
}

/// Everything that is wrong with a backup in one file, in words; nothing when it is sound. Blocks.
///
/// # Errors
/// It is no backup, it is cut off, its `backup.json` is damaged, a newer server made it, or it was cancelled.
pub fn verify_archive(path: &Path, progress: &Progress) -> Result<(Manifest, Vec<String>), BackupFault> {
    let mut found = BTreeMap::new();
    let mut faults = Vec::new();
    let manifest = walk(path, progress, |name, from| {
        let passed = pieces::pass(from, path, progress, |_| Ok(()))?;
        if found.insert(name.to_owned(), passed).is_some() {
            faults.push(format!("{name}: is there twice"));
        }
        Ok(())
    })?;
    for file in &manifest.files {
        match found.remove(&file.path) {
            None => faults.push(format!("{}: is missing", file.path)),
            Some(Passed { size, .. }) if size != file.size => {
                faults.push(format!("{}: has {size} bytes of {}", file.path, file.size));
            }
            Some(Passed { blake3, .. }) if blake3 != file.blake3 => {
                faults.push(format!("{}: its bytes are not those that were written", file.path));
            }
            Some(_) => {}
        }
    }
    faults.extend(found.into_keys().map(|name| format!("{name}: does not belong to it")));
    Ok((manifest, bounded(faults)))
}

/// Takes a backup in one file back: it is unpacked beside the data folder first, which needs its room twice. Blocks.
///
/// # Errors
/// As [`restore`]; nothing is left of what was unpacked.
pub fn restore_archive(
    path: &Path,
    settings: &Settings,
    keep_plugins: bool,
    progress: &Progress,
) -> Result<Restored, BackupFault> {
    let data_dir = std::path::absolute(&settings.data_dir)
        .map_err(|error| BackupFault::io(&settings.data_dir, &error))?;
    super::restore::check_empty(&data_dir)?;
    let stage = Stage::make(stage_beside(&data_dir, "unpacking"))?;
    let folder = stage.folder.join("backup");
    pieces::make_folder(&folder)?;
    let manifest = walk(path, progress, |name, from| {
        if !is_inside(name) {
            return Err(BackupFault::Damaged(format!("the path {name:?} does not belong in a backup")));
        }
        pieces::copy(from, &folder.join(name), u64::MAX, progress).map(drop)
    })?;
    super::take::write_manifest(&folder, &manifest)?;
    restore(&folder, settings, keep_plugins, progress)
}

/// Gives each file of an archive to `each`, but for `backup.json`, which ends it.
fn walk(
    path: &Path,
    progress: &Progress,
    mut each: impl FnMut(&str, &mut dyn Read) -> Result<(), BackupFault>,
) -> Result<Manifest, BackupFault> {
    let file = File::open(path).map_err(|error| BackupFault::io(path, &error))?;
    progress.expect(file.metadata().map_or(0, |it| it.len()));
    let mut from = BufReader::with_capacity(1 << 20, file);
    let mut last = String::new();
    let told = |error: std::io::Error, last: &str| match error.kind() {
        ErrorKind::UnexpectedEof if last.is_empty() => {
            BackupFault::Failed(format!("{} is no backup", path.display()))
        }
        ErrorKind::UnexpectedEof => {
            BackupFault::Damaged(format!("{} is cut off: the last file in it is {last}", path.display()))
        }
        ErrorKind::InvalidData if last.is_empty() => {
            BackupFault::Failed(format!("{} is no backup in one file: {error}", path.display()))
        }
        ErrorKind::InvalidData => BackupFault::Damaged(format!("{}, after {last}: {error}", path.display())),
        _ => BackupFault::io(path, &error),
    };
    while let Some(entry) = tar::next(&mut from).map_err(|error| told(error, &last))? {
        last.clone_from(&entry.path);
        if entry.path == MANIFEST {
            let mut text = String::new();
            let most = entry.size.min(MAX_MANIFEST_BYTES);
            from.by_ref().take(most).read_to_string(&mut text).map_err(|error| told(error, &last))?;
            return decode(&text);
        }
        let mut part = from.by_ref().take(entry.size);
        each(&entry.path, &mut part)?;
        if part.limit() > 0 {
            return Err(told(ErrorKind::UnexpectedEof.into(), &last));
        }
        tar::skip_end(&mut from, entry.size).map_err(|error| told(error, &last))?;
    }
    Err(BackupFault::Failed(format!(
        "{} is no backup: it has no backup.json, which is written last",
        path.display()
    )))
}
