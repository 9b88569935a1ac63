//! Versions as they are shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Code, Error, Result};
use crate::model::kept_version::{VersionFile, VersionRow};
use crate::model::page::{Page, Window};
use crate::plugins::manager::Manager;
use crate::plugins::manager::scan::blocking;
use crate::plugins::manager::slot::Slot;
use crate::plugins::sources;
use crate::plugins::versions::diff::{FileDiff, Files, diff};

/// A version as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VersionView {
    /// What is kept of it.
    #[serde(flatten)]
    pub row: VersionRow,
    /// Whether it is the one that runs.
    pub live: bool,
}

/// A version with its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VersionDetail {
    /// The version.
    #[serde(flatten)]
    pub view: VersionView,
    /// Its files, by path.
    pub contents: Vec<VersionFile>,
}

/// One side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The version of this number.
    Number(i64),
    /// The version that runs; the last one when none does.
    Live,
    /// The version before the other side.
    Previous,
    /// The files in the plugin's folder.
    Disk,
}

/// How two versions differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VersionDiff {
    /// The plugin.
    pub plugin: String,
    /// The number of the version it was, `disk`, or `none` before the first one.
    pub from: String,
    /// The number of the version it became, or `disk`.
    pub to: String,
    /// Lines that came, in all files.
    pub lines_added: usize,
    /// Lines that went, in all files.
    pub lines_removed: usize,
    /// The files that differ, by path.
    pub files: Vec<FileDiff>,
}

impl Side {
    /// `disk`, `live`, `previous` or a number.
    ///
    /// # Errors
    /// [`Code::BadQuery`].
    pub fn read(name: &str, text: &str) -> Result<Self> {
        let number = || text.parse().ok().filter(|it: &i64| *it > 0).map(Side::Number);
        let side = match text {
            "disk" => Some(Side::Disk),
            "live" => Some(Side::Live),
            "previous" => Some(Side::Previous),
            _ => number(),
        };
        side.ok_or_else(|| {
            let message = "must be the number of a version, `live`, `previous` or `disk`";
            Error { code: Code::BadQuery, ..Error::field(name, message) }
        })
    }
}

impl Manager {
    /// A window of a plugin's versions, newest first.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`].
    pub async fn versions(&self, id: &str, window: Window) -> Result<Page<VersionView>> {
        let slot = self.slot(id)?;
        let (plugin, hash) = running(&slot);
        let read = move |it: &mut crate::store::Reader| {
            let live = hash.map(|hash| it.version_with_hash(plugin, &hash)).transpose()?.flatten();
            Ok((it.list_versions(plugin, window)?, live))
        };
        let ((rows, total), live) = self.0.registry.store.read_async(read).await?;
        let live = live.map(|it| it.number);
        let items = rows.into_iter().map(|row| VersionView { live: live == Some(row.number), row });
        Ok(Page::new(items.collect(), total, false, window))
    }

    /// One version with its files.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`], [`Code::VersionNotFound`].
    pub async fn version(&self, id: &str, number: i64) -> Result<VersionDetail> {
        let slot = self.slot(id)?;
        let row = self.version_row(&slot, number).await?;
        let live = self.live_version(&slot).await?.is_some_and(|it| it.number == number);
        let version = row.id;
        let contents = self.0.registry.store.read_async(move |it| it.version_files(version)).await?;
        Ok(VersionDetail { view: VersionView { row, live }, contents })
    }

    /// The bytes of one file of a version, and their hash.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`], [`Code::VersionNotFound`], [`Code::NotFound`].
    pub async fn version_file(&self, id: &str, number: i64, path: &str) -> Result<(String, Arc<[u8]>)> {
        let slot = self.slot(id)?;
        let version = self.version_row(&slot, number).await?.id;
        let wanted = path.to_owned();
        let found = self.0.registry.store.read_async(move |it| it.version_file(version, &wanted)).await?;
        found.ok_or_else(|| {
            let shown: String = path.chars().take(200).collect();
            let detail =
                format!("Version {number} of `{}` has no file `{}`.", slot.name, shown.escape_debug());
            Error::new(Code::NotFound, detail)
                .with_hint(format!("GET /api/v1/plugins/{}/versions/{number} lists its files.", slot.name))
        })
    }

    /// How two versions of a plugin's files differ; without sides how the one that runs differs from the one before.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`], [`Code::VersionNotFound`]; [`Code::NoSuchFolder`] for a folder that is gone.
    pub async fn version_diff(&self, id: &str, from: Option<Side>, to: Option<Side>) -> Result<VersionDiff> {
        let slot = self.slot(id)?;
        let (from, to) = (from.unwrap_or(Side::Previous), to.unwrap_or(Side::Live));
        let (from_name, old) = self.side(&slot, from, to).await?;
        let (to_name, new) = self.side(&slot, to, from).await?;
        let files = blocking(move || diff(&old, &new)).await?;
        Ok(VersionDiff {
            plugin: slot.name.to_string(),
            from: from_name,
            to: to_name,
            lines_added: files.iter().map(|it| it.lines_added).sum(),
            lines_removed: files.iter().map(|it| it.lines_removed).sum(),
            files,
        })
    }

    /// The version that runs.
    pub(in crate::plugins::manager) async fn live_version(&self, slot: &Slot) -> Result<Option<VersionRow>> {
        let (plugin, hash) = running(slot);
        let Some(hash) = hash else { return Ok(None) };
        self.0.registry.store.read_async(move |it| it.version_with_hash(plugin, &hash)).await
    }

    /// The version that runs, else the last one.
    pub(super) async fn current_version(&self, slot: &Slot) -> Result<VersionRow> {
        let live = self.live_version(slot).await?;
        let plugin = running(slot).0;
        let last = match live {
            Some(live) => Some(live),
            None => self.0.registry.store.read_async(move |it| it.last_version(plugin)).await?,
        };
        last.ok_or_else(|| {
            let detail = format!("The plugin `{}` has no version: it has never run.", slot.name);
            Error::new(Code::VersionNotFound, detail)
        })
    }

    /// A version by its number.
    pub(super) async fn version_row(&self, slot: &Slot, number: i64) -> Result<VersionRow> {
        let plugin = running(slot).0;
        let found = self.0.registry.store.read_async(move |it| it.version(plugin, number)).await?;
        found.ok_or_else(|| {
            let detail = format!("The plugin `{}` has no version {number}.", slot.name);
            Error::new(Code::VersionNotFound, detail)
        })
    }

    /// The version that a rollback from `version` goes to.
    pub(super) async fn version_before(&self, version: &VersionRow) -> Result<Option<VersionRow>> {
        let (plugin, number, hash) = (version.plugin_id, version.number, version.hash.clone());
        self.0.registry.store.read_async(move |it| it.version_before(plugin, number, &hash)).await
    }

    /// All files of a version.
    pub(super) async fn version_files(&self, version: &VersionRow) -> Result<BTreeMap<String, Arc<[u8]>>> {
        let id = version.id;
        self.0.registry.store.read_async(move |it| it.version_contents(id)).await
    }

    /// The files in a plugin's folder that make a version.
    pub(in crate::plugins::manager) async fn files_on_disk(&self, slot: &Slot) -> Result<Files> {
        let folder = slot.read(|it| it.folder.clone()).ok_or_else(|| {
            Error::new(Code::NoSuchFolder, format!("The folder of the plugin `{}` is gone.", slot.name))
        })?;
        let mut files = blocking(move || sources::read_all(&folder)).await??;
        files.retain(|path, _| sources::Kind::of(path).is_some_and(sources::Kind::makes_a_version));
        Ok(files)
    }

    async fn side(&self, slot: &Slot, side: Side, other: Side) -> Result<(String, Files)> {
        let row = match (side, other) {
            (Side::Disk, _) => return Ok(("disk".to_owned(), self.files_on_disk(slot).await?)),
            (Side::Number(number), _) => Some(self.version_row(slot, number).await?),
            (Side::Live, _) => Some(self.current_version(slot).await?),
            // The last one is what the folder was before it became what it is.
            (Side::Previous, Side::Disk) => Some(self.current_version(slot).await?),
            (Side::Previous, Side::Number(number)) => {
                self.version_before(&self.version_row(slot, number).await?).await?
            }
            (Side::Previous, _) => self.version_before(&self.current_version(slot).await?).await?,
        };
        match row {
            Some(row) => Ok((row.number.to_string(), self.version_files(&row).await?)),
            None => Ok(("none".to_owned(), Files::new())),
        }
    }
}

/// The number of a plugin's row, and the hash of what runs of it.
fn running(slot: &Slot) -> (i64, Option<Arc<str>>) {
    slot.read(|it| (it.row.id, it.live.as_ref().map(|it| Arc::clone(&it.prepared.snapshot.hash))))
}
