//! How much plugins keep in their own folders.

use std::collections::HashMap;
use std::sync::Arc;

use cap_std::fs::Dir;
use parking_lot::{Mutex, MutexGuard};

use super::{FileFault, MAX_DEPTH, Result, tree};

/// What a plugin keeps; locked while something of it changes, so that the count is always right.
#[derive(Default)]
pub struct Usage(Mutex<Option<Count>>);

/// A count of files and folders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// How much a plugin may keep.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    /// Files and folders together.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

impl Usage {
    /// Files with folders, and bytes, as far as they have been counted.
    pub fn read(&self) -> (u64, u64) {
        self.0.lock().map_or((0, 0), |it| (it.files, it.bytes))
    }

    /// Counts what is there, unless that is known, for something that adds to it.
    pub(super) fn lock(&self, dir: &Dir) -> Result<Counted<'_>> {
        let mut guard = self.0.lock();
        if guard.is_none() {
            let counted =
                tree::count(dir).map_err(|error| FileFault::of("the plugin's own folder", &error))?;
            *guard = Some(counted.ok_or_else(|| FileFault::Limit(too_deep("the plugin's own folder")))?);
        }
        Ok(Counted { guard })
    }

    /// Counts nothing, for something that only removes: it must be possible whatever is there.
    pub(super) fn lock_uncounted(&self) -> Counted<'_> {
        Counted { guard: self.0.lock() }
    }
}

/// What to tell of folders nested too deep.
pub(super) fn too_deep(path: &str) -> String {
    format!("`{path}`: folders are nested more than {MAX_DEPTH} deep, the most that a plugin may keep")
}

/// The count of a plugin that is about to change.
pub(super) struct Counted<'a> {
    guard: MutexGuard<'a, Option<Count>>,
}

impl Counted<'_> {
    /// Whether a file of `before` bytes (none: a new one) may become one of `after`, with `folders` new ones made for it;
    /// what to tell otherwise.
    pub(super) fn check(
        &self,
        before: Option<u64>,
        after: u64,
        folders: u64,
        quota: Quota,
    ) -> std::result::Result<(), String> {
        let count = self.guard.unwrap_or_default();
        let added = u64::from(before.is_none()) + folders;
        let bytes = count.bytes.saturating_sub(before.unwrap_or(0)).saturating_add(after);
        if added > 0 && count.files + added > quota.files {
            return Err(format!(
                "the plugin keeps {} files and folders, and wants {added} more; the limit is {} (limits.files)",
                count.files, quota.files
            ));
        }
        if bytes > quota.bytes && bytes > count.bytes {
            return Err(format!(
                "the plugin would keep {bytes} bytes; the limit is {} MiB (limits.files_mib)",
                quota.bytes >> 20
            ));
        }
        Ok(())
    }

    /// Notes that a file has become one of `after` bytes, and that `folders` were made for it.
    pub(super) fn written(mut self, before: Option<u64>, after: u64, folders: u64) {
        if let Some(count) = &mut *self.guard {
            count.files += u64::from(before.is_none()) + folders;
            count.bytes = count.bytes.saturating_add(after).saturating_sub(before.unwrap_or(0));
        }
    }

    /// Notes that a file of `bytes`, or an empty folder (0), is gone.
    pub(super) fn removed(mut self, bytes: u64) {
        if let Some(count) = &mut *self.guard {
            count.files = count.files.saturating_sub(1);
            count.bytes = count.bytes.saturating_sub(bytes);
        }
    }

    /// Has it counted anew next time: nobody knows how much a tree held.
    pub(super) fn recount(mut self) {
        *self.guard = None;
    }
}

/// The counts of all plugins.
#[derive(Default)]
pub(super) struct Usages(Mutex<HashMap<String, Arc<Usage>>>);

impl Usages {
    pub(super) fn of(&self, plugin: &str) -> Arc<Usage> {
        Arc::clone(self.0.lock().entry(plugin.to_owned()).or_default())
    }

    pub(super) fn forget(&self, plugin: &str) {
        self.0.lock().remove(plugin);
    }
}
