//! Making a backup. The database comes first; then what its copy names, from which nothing is removed meanwhile
//! ([`MediaFiles::hold`](crate::services::files::MediaFiles::hold)); then plugins' own data, of a later moment; `backup.json` last.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Settings;
use crate::model::backup::{BackupFault, BackupFile, BackupPhase, DATABASE, FORMAT, MANIFEST, Manifest};
use crate::model::id::is_plugin_name;
use crate::model::time::Timestamp;
use crate::store;

use super::manifest::{self, CODE, MEDIA, PLUGINS, SETTINGS};
use super::pieces::{self, Passed, Stage, list, open_file};
use super::progress::Progress;

/// A plugin's own database, in its folder of data.
const PLUGIN_DATABASE: &str = "plugin.db";
/// Warnings that are kept; the rest is counted.
const MAX_WARNINGS: usize = 200;

/// What a backup is called and when it was begun.
#[derive(Debug, Clone)]
pub struct Label {
    /// Its id.
    pub id: String,
    /// The moment.
    pub begun_at: Timestamp,
}

/// Makes a backup as `<data_dir>/backups/<id>`. `linked` is called when everything that the database names is held by the
/// backup itself; `now` tells when it is complete. Blocks.
///
/// # Errors
/// Why there is none; nothing of it is kept then.
pub fn take(
    settings: &Settings,
    label: &Label,
    progress: &Arc<Progress>,
    linked: impl FnOnce(),
    now: impl FnOnce() -> Timestamp,
) -> Result<Manifest, BackupFault> {
    let folder = super::folder_of(settings, &label.id);
    pieces::make_folders(&folder)?;
    let stage = Stage::make(folder.with_file_name(format!(".{}.part", label.id)))?;
    let mut taking = Taking {
        settings,
        root: stage.folder.clone(),
        progress,
        files: BTreeMap::new(),
        warnings: Vec::new(),
        more_warnings: 0,
    };
    let contents = taking.database()?;
    taking.media(&contents)?;
    linked();
    taking.plugin_databases()?;
    taking.plugins()?;
    taking.hashes()?;
    let manifest = taking.manifest(label, contents, now())?;
    write_manifest(&stage.folder, &manifest)?;
    stage.keep_as(&folder)?;
    progress.enter(BackupPhase::Ended);
    Ok(manifest)
}

/// Writes `backup.json`, whole or not at all.
pub(super) fn write_manifest(folder: &Path, manifest: &Manifest) -> Result<(), BackupFault> {
    let (part, path) = (folder.join("backup.json.part"), folder.join(MANIFEST));
    let told = |error: std::io::Error| BackupFault::io(&path, &error);
    // Everything it names is there for good before it is.
    pieces::sync_folders(folder)?;
    fs::write(&part, manifest::encode(manifest)?).map_err(told)?;
    fs::File::open(&part).and_then(|it| it.sync_all()).map_err(told)?;
    fs::rename(&part, &path).map_err(told)
}

struct Taking<'a> {
    settings: &'a Settings,
    root: PathBuf,
    progress: &'a Arc<Progress>,
    /// What is there, hashed or still to be.
    files: BTreeMap<String, Option<Passed>>,
    warnings: Vec<String>,
    more_warnings: usize,
}

impl Taking<'_> {
    fn database(&mut self) -> Result<store::DatabaseContents, BackupFault> {
        self.progress.enter(BackupPhase::Database);
        let from = self.settings.database_path();
        self.copy_database(&from, DATABASE)?;
        store::database_contents(&self.root.join(DATABASE))
    }

    /// Copies a database; it is hashed later, with what was linked.
    fn copy_database(&mut self, from: &Path, path: &str) -> Result<(), BackupFault> {
        let to = self.root.join(path);
        pieces::make_folders(&to)?;
        let size = fs::metadata(from).map_or(0, |it| it.len());
        self.progress.expect(size.saturating_mul(2));
        let watched = Arc::clone(self.progress);
        store::copy_database(from, &to, move || watched.is_cancelled())?;
        self.progress.did(size);
        self.files.insert(path.to_owned(), None);
        Ok(())
    }

    /// What the rows of the copy name, and what plugins keep for clients.
    fn media(&mut self, contents: &store::DatabaseContents) -> Result<(), BackupFault> {
        self.progress.enter(BackupPhase::Media);
        let media = self.settings.data_dir.join(MEDIA);
        for track in &contents.tracks {
            let path = format!("{MEDIA}/{}", track.path);
            let from = media.join(&track.path);
            match track.live {
                // It grows, and its header is mended when it ends: a copy of what was acknowledged.
                true => self.copy(&path, &from, Some(track.size))?,
                false => self.link(&path, &from)?,
            }
        }
        for clip in &contents.clips {
            if let Some(name) = Path::new(clip).file_name().and_then(|it| it.to_str()) {
                self.link(&format!("{MEDIA}/clips/{name}"), &media.join("clips").join(name))?;
            }
        }
        let lost = media.join("lost+found");
        match fs::read_dir(&lost) {
            // That of a disk of its own is root's.
            Err(fault) if fault.kind() == ErrorKind::PermissionDenied => {
                self.warn(format!("not in it: {} cannot be read: {fault}", lost.display()));
            }
            _ => {
                for (path, from) in self.listed(&lost, &|_| true)? {
                    self.link(&format!("{MEDIA}/lost+found/{path}"), &from)?;
                }
            }
        }
        for plugin in self.plugin_folders()? {
            let assets = self.settings.data_dir.join(PLUGINS).join(&plugin).join("assets");
            for (path, from) in self.listed(&assets, &|path| !path.ends_with(".part"))? {
                self.link(&format!("{PLUGINS}/{plugin}/assets/{path}"), &from)?;
            }
        }
        if contents.client_tracks > 0 {
            let dir = self.settings.recordings_dir.display();
            let many = contents.client_tracks;
            self.warn(format!(
                "not in it: {many} tracks whose files clients named, below {dir}; copy that folder, too"
            ));
        }
        Ok(())
    }

    fn plugin_databases(&mut self) -> Result<(), BackupFault> {
        self.progress.enter(BackupPhase::PluginDatabases);
        for plugin in self.plugin_folders()? {
            let from = self.settings.data_dir.join(PLUGINS).join(&plugin).join(PLUGIN_DATABASE);
            if !fs::symlink_metadata(&from).is_ok_and(|it| it.is_file()) {
                continue;
            }
            let path = format!("{PLUGINS}/{plugin}/{PLUGIN_DATABASE}");
            match self.copy_database(&from, &path) {
                Err(BackupFault::Damaged(why)) => {
                    // Nobody has a damaged one open: its bytes are better than nothing.
                    let _ = fs::remove_file(self.root.join(&path));
                    self.warn(format!("a plugin's database is damaged and was copied as it is: {why}"));
                    self.copy(&path, &from, None)?;
                }
                done => done?,
            }
        }
        Ok(())
    }

    fn plugins(&mut self) -> Result<(), BackupFault> {
        self.progress.enter(BackupPhase::Plugins);
        for plugin in self.plugin_folders()? {
            let folder = self.settings.data_dir.join(PLUGINS).join(&plugin);
            let wanted = |path: &str| {
                !path.starts_with("assets") && !path.starts_with(PLUGIN_DATABASE) && !path.starts_with("cuts")
            };
            for (path, from) in self.listed(&folder, &wanted)? {
                self.copy(&format!("{PLUGINS}/{plugin}/{path}"), &from, None)?;
            }
        }
        let mut known = BTreeSet::new();
        for root in &self.settings.plugin_dirs {
            for plugin in folders(root) {
                if !is_plugin_name(&plugin) || !known.insert(plugin.clone()) {
                    continue;
                }
                let visible = |path: &str| !path.split('/').any(|it| it.starts_with('.'));
                for (path, from) in self.listed(&root.join(&plugin), &visible)? {
                    self.copy(&format!("{CODE}/{plugin}/{path}"), &from, None)?;
                }
            }
        }
        match &self.settings.config_file {
            Some(file) => self.copy(SETTINGS, &file.clone(), None),
            None => Ok(()),
        }
    }

    /// Reads what was linked or written by the database once.
    fn hashes(&mut self) -> Result<(), BackupFault> {
        self.progress.enter(BackupPhase::Hashes);
        for (path, passed) in &mut self.files {
            if passed.is_none() {
                *passed = Some(pieces::hash(&self.root.join(path), self.progress)?);
            }
        }
        Ok(())
    }

    fn manifest(
        self,
        label: &Label,
        contents: store::DatabaseContents,
        ended_at: Timestamp,
    ) -> Result<Manifest, BackupFault> {
        let files = self.files.into_iter().filter_map(|(path, passed)| {
            passed.map(|Passed { size, blake3 }| BackupFile { path, size, blake3 })
        });
        let files: Vec<BackupFile> = files.collect();
        let mut warnings = self.warnings;
        if self.more_warnings > 0 {
            warnings.push(format!("and {} more", self.more_warnings));
        }
        Ok(Manifest {
            format: FORMAT,
            id: label.id.clone(),
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            schema: contents.schema,
            begun_at: label.begun_at,
            ended_at,
            counts: contents.counts,
            bytes: files.iter().map(|it| it.size).sum(),
            warnings,
            files,
        })
    }

    /// Takes a file that nobody changes any more: by a link where that can be, else as a copy.
    fn link(&mut self, path: &str, from: &Path) -> Result<(), BackupFault> {
        self.progress.check()?;
        let to = self.root.join(path);
        pieces::make_folders(&to)?;
        if self.files.contains_key(path) {
            return Ok(());
        }
        let is_file = fs::symlink_metadata(from).map(|it| (it.is_file(), it.len()));
        match is_file {
            Ok((true, size)) if fs::hard_link(from, &to).is_ok() => {
                self.progress.expect(size);
                self.files.insert(path.to_owned(), None);
                Ok(())
            }
            _ => self.copy(path, from, None),
        }
    }

    /// Copies a file, or the first bytes of it; one that is not there is told.
    fn copy(&mut self, path: &str, from: &Path, most: Option<u64>) -> Result<(), BackupFault> {
        self.progress.check()?;
        if self.files.contains_key(path) {
            return Ok(());
        }
        let file = match open_file(from) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if path.starts_with(MEDIA) {
                    self.warn(format!("the database names the file {path}, which does not exist"));
                }
                return Ok(());
            }
            Err(error) => {
                self.warn(format!("not in it: {} ({error})", from.display()));
                return Ok(());
            }
            Ok(file) => file,
        };
        let size = file.metadata().map_or(0, |it| it.len());
        self.progress.expect(size.min(most.unwrap_or(u64::MAX)));
        let passed = pieces::copy(file, &self.root.join(path), most.unwrap_or(u64::MAX), self.progress)?;
        if let Some(wanted) = most.filter(|it| *it > passed.size) {
            self.warn(format!("the file {path} has {} bytes of {wanted}", passed.size));
        }
        self.files.insert(path.to_owned(), Some(passed));
        Ok(())
    }

    fn plugin_folders(&self) -> Result<Vec<String>, BackupFault> {
        Ok(folders(&self.settings.data_dir.join(PLUGINS))
            .into_iter()
            .filter(|it| is_plugin_name(it))
            .collect())
    }

    /// Lists a folder; links and the like are told.
    fn listed(
        &mut self,
        folder: &Path,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<(String, PathBuf)>, BackupFault> {
        let listed = list(folder, wanted)?;
        for other in listed.others {
            self.warn(format!("not in it: {} (a link, or no file)", other.display()));
        }
        Ok(listed.files)
    }

    fn warn(&mut self, what: String) {
        match self.warnings.len() < MAX_WARNINGS {
            true => self.warnings.push(what),
            false => self.more_warnings += 1,
        }
    }
}

/// The names of the folders in a folder, in order; links to folders count.
fn folders(root: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|it| it.path().is_dir())
        .filter_map(|it| it.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}
