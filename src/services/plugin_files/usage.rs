//! How much plugins keep in their own folders.

use std::collections::HashMap;
use std::sync::Arc;

use cap_std::fs::Dir;
use parking_lot::{Mutex, MutexGuard};

/// What a plugin keeps; locked while something of it changes, so that the count is always right.
#[derive(Default)]
pub struct Usage(Mutex<Option<Count>>);

/// A count of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// How much a plugin may keep.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    /// Files.
    pub files: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

impl Usage {
    /// Files and bytes, as far as they have been counted.
    pub fn read(&self) -> (u64, u64) {
        self.0.lock().map_or((0, 0), |it| (it.files, it.bytes))
    }

    pub(super) fn lock(&self, dir: &Dir) -> Counted<'_> {
        let mut guard = self.0.lock();
        let count = *guard.get_or_insert_with(|| count(dir));
        Counted { guard, count }
    }
}

/// The count of a plugin that is about to change.
pub(super) struct Counted<'a> {
    guard: MutexGuard<'a, Option<Count>>,
    count: Count,
}

impl Counted<'_> {
    /// Whether a file of `before` bytes (none: a new one) may become one of `after`; what to tell otherwise.
    pub(super) fn check(&self, before: Option<u64>, after: u64, quota: Quota) -> Result<(), String> {
        let files = self.count.files + u64::from(before.is_none());
        let bytes = self.count.bytes.saturating_sub(before.unwrap_or(0)).saturating_add(after);
        if files > quota.files {
            return Err(format!(
                "the plugin keeps {} files; the limit is {} (limits.files)",
                self.count.files, quota.files
            ));
        }
        if bytes > quota.bytes && bytes > self.count.bytes {
            return Err(format!(
                "the plugin would keep {bytes} bytes; the limit is {} MiB (limits.files_mib)",
                quota.bytes >> 20
            ));
        }
        Ok(())
    }

    /// Notes that a file has become one of `after` bytes (none: it is gone).
    pub(super) fn changed(mut self, before: Option<u64>, after: Option<u64>) {
        let count = &mut self.count;
        count.files = count.files + u64::from(after.is_some()) - u64::from(before.is_some()).min(count.files);
        count.bytes = (count.bytes + after.unwrap_or(0)).saturating_sub(before.unwrap_or(0));
        *self.guard = Some(self.count);
    }

    /// Has it counted anew next time: nobody knows how much a tree held.
    pub(super) fn recount(mut self) {
        *self.guard = None;
    }
}

/// Counts what lies below `dir`, links not followed.
fn count(dir: &Dir) -> Count {
    let mut sum = Count::default();
    let Ok(entries) = dir.entries() else { return sum };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            if let Ok(inner) = entry.open_dir() {
                let below = count(&inner);
                sum = Count { files: sum.files + below.files, bytes: sum.bytes + below.bytes };
            }
        } else {
            sum.files += 1;
            sum.bytes += entry.metadata().map_or(0, |it| it.len());
        }
    }
    sum
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
