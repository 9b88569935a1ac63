//! Taking a backup back, onto a data folder that holds nothing; and copying one elsewhere. Every byte is checked on its way:
//! what is wrong with the backup leaves everything as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::config::Settings;
use crate::model::backup::{BackupFault, BackupFile, DATABASE, Manifest};
use crate::services::tokens::wanted_file;
use crate::store;

use super::manifest::{CODE, SETTINGS};
use super::pieces::{self, Stage, hash, list, open_file, stage_beside};
use super::progress::Progress;
use super::take::write_manifest;
use super::verify::{bounded, known_schema, read_manifest, strangers};

/// The name under which the settings file of a backup is put into the data folder; it is not read from there.
pub const RESTORED_SETTINGS: &str = "panotti.yaml.restored";

/// What came of taking a backup back.
#[derive(Debug)]
pub struct Restored {
    /// What was in the backup.
    pub manifest: Manifest,
    /// Plugins whose code was put into the plugin folder.
    pub plugins_placed: Vec<String>,
    /// Plugins whose folder was there already and stays.
    pub plugins_kept: Vec<String>,
    /// Where the settings file lies, if there was one.
    pub settings: Option<PathBuf>,
}

/// Takes a backup back. The data folder must be empty, or hold a lock and nothing else, and whoever calls this holds it.
/// With `keep_plugins` the code of plugins that are there already stays, whatever it is. Blocks.
///
/// # Errors
/// What is wrong with the backup or with the place; nothing has changed then but for folders of plugins' code that were not there.
pub fn restore(
    folder: &Path,
    settings: &Settings,
    keep_plugins: bool,
    progress: &Progress,
) -> Result<Restored, BackupFault> {
    let manifest = read_manifest(folder)?;
    sound_tree(folder, &manifest)?;
    let data_dir = std::path::absolute(&settings.data_dir)
        .map_err(|error| BackupFault::io(&settings.data_dir, &error))?;
    check_empty(&data_dir)?;
    let places = Places::of(settings, &data_dir, &manifest, keep_plugins)?;
    progress.expect(manifest.bytes);
    let code_root = places.code_root.clone().filter(|it| !it.exists());
    let done = unpack(folder, &data_dir, manifest, places, progress);
    if let (Err(_), Some(root)) = (&done, code_root) {
        // Made for nothing; one with something in it stays.
        fs::remove_dir(root).ok();
    }
    done
}

/// Copies everything beside its places, then puts it there.
fn unpack(
    folder: &Path,
    data_dir: &Path,
    manifest: Manifest,
    places: Places,
    progress: &Progress,
) -> Result<Restored, BackupFault> {
    let stage = Stage::make(stage_beside(data_dir, "restoring"))?;
    let code = places.code_root.as_ref().map(|root| Stage::make(stage_beside(&root.join(CODE), "restoring")));
    let code = code.transpose()?;
    let place = |path: &str| match path.split_once('/') {
        Some((CODE, rest)) => {
            let name = rest.split('/').next().unwrap_or_default();
            code.as_ref().filter(|_| places.place.contains(name)).map(|it| it.folder.join(rest))
        }
        _ if path == SETTINGS => Some(stage.folder.join(RESTORED_SETTINGS)),
        _ if path == DATABASE => Some(stage.folder.join(&places.database)),
        _ => Some(stage.folder.join(path)),
    };
    transfer(folder, &manifest, place, progress)?;
    let database = stage.folder.join(&places.database);
    store::check_database(&database)?;
    known_schema(&database, &manifest)?;
    let wanted = wanted_file(&stage.folder.join("admin.token"));
    fs::write(&wanted, "").map_err(|error| BackupFault::io(&wanted, &error))?;
    for name in &places.place {
        let (Some(code), Some(root)) = (&code, &places.code_root) else { continue };
        pieces::sync_folders(&code.folder.join(name))?;
        let to = root.join(name);
        fs::rename(code.folder.join(name), &to).map_err(|error| BackupFault::io(&to, &error))?;
        pieces::sync_folder(root)?;
    }
    put_in_place(stage, data_dir)?;
    let settings = manifest.files.iter().any(|it| it.path == SETTINGS);
    Ok(Restored {
        settings: settings.then(|| data_dir.join(RESTORED_SETTINGS)),
        plugins_placed: places.place.into_iter().collect(),
        plugins_kept: places.kept,
        manifest,
    })
}

/// Copies a whole backup to a folder that does not exist. Blocks.
///
/// # Errors
/// What is wrong with the backup or the place; there is nothing then.
pub fn copy_out(folder: &Path, to: &Path, progress: &Progress) -> Result<Manifest, BackupFault> {
    let manifest = read_manifest(folder)?;
    progress.expect(manifest.bytes);
    let to = &std::path::absolute(to).map_err(|error| BackupFault::io(to, &error))?;
    pieces::make_folders(to)?;
    let stage = Stage::make(stage_beside(to, "backup"))?;
    transfer(folder, &manifest, |path| Some(stage.folder.join(path)), progress)?;
    write_manifest(&stage.folder, &manifest)?;
    stage.keep_as(to)?;
    Ok(manifest)
}

/// Copies every file to its place, if it has one, and compares it on the way.
fn transfer(
    folder: &Path,
    manifest: &Manifest,
    place: impl Fn(&str) -> Option<PathBuf>,
    progress: &Progress,
) -> Result<(), BackupFault> {
    let mut faults = Vec::new();
    for file in &manifest.files {
        let from = folder.join(&file.path);
        let opened = match open_file(&from) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                faults.push(format!("{}: is missing", file.path));
                continue;
            }
            opened => opened.map_err(|error| BackupFault::io(&from, &error))?,
        };
        let passed = match place(&file.path) {
            Some(to) => pieces::copy(opened, &to, u64::MAX, progress)?,
            None => hash(&from, progress)?,
        };
        if passed.size != file.size || passed.blake3 != file.blake3 {
            faults.push(format!("{}: its bytes are not those that were written", file.path));
        }
    }
    refuse(faults)
}

fn sound_tree(folder: &Path, manifest: &Manifest) -> Result<(), BackupFault> {
    refuse(strangers(folder, manifest)?)
}

fn refuse(faults: Vec<String>) -> Result<(), BackupFault> {
    match faults.is_empty() {
        true => Ok(()),
        false => {
            Err(BackupFault::Damaged(format!("the backup is damaged:\n  {}", bounded(faults).join("\n  "))))
        }
    }
}

pub(super) fn check_empty(data_dir: &Path) -> Result<(), BackupFault> {
    let entries = match fs::read_dir(data_dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| BackupFault::io(data_dir, &error))?,
    };
    match entries.flatten().find(|it| it.file_name() != ".lock") {
        None => Ok(()),
        Some(found) => Err(BackupFault::Failed(format!(
            "the data folder {} is in use: it has {}. A backup goes onto an empty one: move this one away, or name another \
             with --data-dir",
            data_dir.display(),
            found.file_name().to_string_lossy(),
        ))),
    }
}

/// The finished folder takes the place of the empty one.
fn put_in_place(stage: Stage, data_dir: &Path) -> Result<(), BackupFault> {
    // The lock is held on; its name goes, so that the folder is empty. Whoever makes it anew meanwhile keeps us out.
    let _ = fs::remove_file(data_dir.join(".lock"));
    stage.keep_as(data_dir).map_err(|fault| {
        BackupFault::Failed(format!(
            "the restored folder could not be put in place ({fault}); when the data folder is a mount, name a folder below \
             it that does not exist yet with --data-dir"
        ))
    })
}

/// Where things go that do not lie in the data folder as they do in the backup.
struct Places {
    /// The database, from the data folder on.
    database: PathBuf,
    /// The folder that gets plugins' code.
    code_root: Option<PathBuf>,
    /// Plugins whose code is put there.
    place: BTreeSet<String>,
    /// Plugins whose code is there already.
    kept: Vec<String>,
}

impl Places {
    fn of(
        settings: &Settings,
        data_dir: &Path,
        manifest: &Manifest,
        keep_plugins: bool,
    ) -> Result<Self, BackupFault> {
        let database = settings.database_path();
        let absolute = std::path::absolute(&database).map_err(|error| BackupFault::io(&database, &error))?;
        let Ok(database) = absolute.strip_prefix(data_dir).map(Path::to_owned) else {
            return Err(BackupFault::Failed(format!(
                "the database {} lies outside of the data folder: restore with a `database_url` inside of it, then move the \
                 file",
                absolute.display()
            )));
        };
        let mut plugins: BTreeMap<&str, Vec<(&str, &BackupFile)>> = BTreeMap::new();
        for file in &manifest.files {
            let Some(rest) = file.path.strip_prefix("code/") else { continue };
            if let Some((name, path)) = rest.split_once('/') {
                plugins.entry(name).or_default().push((path, file));
            }
        }
        let (mut place, mut kept, mut others) = (BTreeSet::new(), Vec::new(), Vec::new());
        for (name, files) in &plugins {
            let there =
                settings.plugin_dirs.iter().map(|it| it.join(name)).find(|it| it.symlink_metadata().is_ok());
            match there {
                None => drop(place.insert((*name).to_owned())),
                Some(folder) if keep_plugins || is_same(&folder, files)? => kept.push((*name).to_owned()),
                Some(folder) => others.push(folder.display().to_string()),
            }
        }
        if !others.is_empty() {
            return Err(BackupFault::Failed(format!(
                "these plugin folders are there already, with other files than in the backup: {}. Move them away, name an \
                 empty folder with --plugin-dir, or let them stay with --keep-plugins",
                others.join(", ")
            )));
        }
        let code_root = (!place.is_empty()).then(|| settings.plugin_dirs.first().cloned()).flatten();
        let code_root = code_root.map(|it| std::path::absolute(&it).unwrap_or(it));
        if code_root.is_none() {
            place.clear();
        }
        Ok(Places { database, code_root, place, kept })
    }
}

/// Whether a plugin's folder has just these files, hidden ones aside.
fn is_same(folder: &Path, files: &[(&str, &BackupFile)]) -> Result<bool, BackupFault> {
    let visible = |path: &str| !path.split('/').any(|it| it.starts_with('.'));
    let found = list(folder, &visible)?;
    let wanted: BTreeMap<&str, &BackupFile> = files.iter().copied().collect();
    if found.files.len() != wanted.len() {
        return Ok(false);
    }
    let unseen = Progress::default();
    for (path, place) in &found.files {
        let Some(file) = wanted.get(path.as_str()) else { return Ok(false) };
        if hash(place, &unseen)?.blake3 != file.blake3 {
            return Ok(false);
        }
    }
    Ok(true)
}
