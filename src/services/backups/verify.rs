//! Whether a backup is what it was when it was made.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::model::backup::{BackupFault, DATABASE, MANIFEST, Manifest};
use crate::store;

use super::manifest::{self, PLUGINS};
use super::pieces::{self, list, open_file};
use super::progress::Progress;

/// The largest `backup.json` that is read, in bytes: some millions of files.
const MAX_MANIFEST_BYTES: u64 = 1 << 30;
/// Faults that are told; the rest is counted.
const MAX_FAULTS: usize = 100;

/// Reads `backup.json`.
///
/// # Errors
/// There is none, it is damaged, or a newer server made it.
pub fn read_manifest(folder: &Path) -> Result<Manifest, BackupFault> {
    let path = folder.join(MANIFEST);
    let told = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => BackupFault::Failed(format!(
            "{} is no backup: it has no backup.json, which is written last; one that broke off has none",
            folder.display()
        )),
        _ => BackupFault::io(&path, &error),
    };
    let mut text = String::new();
    open_file(&path).and_then(|it| it.take(MAX_MANIFEST_BYTES).read_to_string(&mut text)).map_err(told)?;
    manifest::decode(&text)
}

/// Everything that is wrong with a backup, in words; nothing when it is sound. Blocks.
///
/// # Errors
/// It is no backup, its `backup.json` is damaged, a newer server made it, or it was cancelled.
pub fn verify(folder: &Path, progress: &Progress) -> Result<(Manifest, Vec<String>), BackupFault> {
    let manifest = read_manifest(folder)?;
    progress.expect(manifest.bytes);
    let mut faults = strangers(folder, &manifest)?;
    for file in &manifest.files {
        let path = folder.join(&file.path);
        match pieces::hash(&path, progress) {
            Ok(passed) if passed.size != file.size => {
                faults.push(format!("{}: has {} bytes of {}", file.path, passed.size, file.size));
            }
            Ok(passed) if passed.blake3 != file.blake3 => {
                faults.push(format!("{}: its bytes are not those that were written", file.path));
            }
            Ok(_) => {}
            Err(BackupFault::Cancelled) => return Err(BackupFault::Cancelled),
            Err(_) if fs::symlink_metadata(&path).is_err() => {
                faults.push(format!("{}: is missing", file.path));
            }
            Err(error) => faults.push(error.to_string()),
        }
    }
    if faults.is_empty() {
        check_databases(folder, &manifest, &mut faults)?;
    }
    Ok((manifest, bounded(faults)))
}

/// What is in the folder and not in the manifest, and what is no file.
pub(super) fn strangers(folder: &Path, manifest: &Manifest) -> Result<Vec<String>, BackupFault> {
    let known: BTreeMap<&str, ()> = manifest.files.iter().map(|it| (it.path.as_str(), ())).collect();
    let listed = list(folder, &|_| true)?;
    let mut faults = Vec::new();
    for (path, _) in &listed.files {
        if path != MANIFEST && !known.contains_key(path.as_str()) {
            faults.push(format!("{path}: does not belong to it"));
        }
    }
    for other in &listed.others {
        let shown = other.strip_prefix(folder).unwrap_or(other).display().to_string();
        faults.push(format!("{shown}: is a link, or no file"));
    }
    Ok(faults)
}

/// Looks through the databases, whose bytes are right.
fn check_databases(folder: &Path, manifest: &Manifest, faults: &mut Vec<String>) -> Result<(), BackupFault> {
    let path = folder.join(DATABASE);
    if let Err(fault) = store::check_database(&path) {
        faults.push(fault.to_string());
        return Ok(());
    }
    known_schema(&path, manifest)?;
    let is_damaged =
        |path: &str| manifest.warnings.iter().any(|it| it.contains("damaged") && it.contains(path));
    for file in manifest.files.iter().filter(|it| is_plugin_database(&it.path) && !is_damaged(&it.path)) {
        if let Err(fault) = store::check_database(&folder.join(&file.path)) {
            faults.push(fault.to_string());
        }
    }
    Ok(())
}

/// Refuses a database that a newer server has migrated; an older one is migrated at the next start.
pub(super) fn known_schema(database: &Path, manifest: &Manifest) -> Result<(), BackupFault> {
    match store::database_contents(database)?.unknown {
        None => Ok(()),
        Some(unknown) => Err(BackupFault::Failed(format!(
            "the backup was made by panotti {}, whose database has the migration {unknown}, which this panotti {} does \
             not know: use the version that made it, or a newer one",
            manifest.server_version,
            env!("CARGO_PKG_VERSION"),
        ))),
    }
}

fn is_plugin_database(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.next() == Some(PLUGINS) && parts.nth(1) == Some("plugin.db") && parts.next().is_none()
}

/// The first faults, and how many more there are.
pub(super) fn bounded(mut faults: Vec<String>) -> Vec<String> {
    let more = faults.len().saturating_sub(MAX_FAULTS);
    faults.truncate(MAX_FAULTS);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    faults
}
