//! A walk through a plugin's folder, as the reading of its files will go.

use std::collections::VecDeque;
use std::fs::{DirEntry, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::plugins::discovery::{MAX_DEPTH, belongs};

/// Folders of one plugin that are watched; a plugin may keep any number of folders with media.
pub(super) const MAX_FOLDERS: usize = 256;

/// Which file or folder it is, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    device: u64,
    number: u64,
}

impl Identity {
    /// That of what lies at `path`, links followed.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let about = std::fs::metadata(path).ok()?;
        Some(Identity { device: about.dev(), number: about.ino() })
    }
}

/// Goes through the folders of a plugin, shallow ones first; `enter` is called with each and what stands before the
/// names of its files, before it is read, and says whether it is read. False when there are more than are watched.
pub(super) fn walk(folder: &Path, mut enter: impl FnMut(&Path, &str) -> bool) -> bool {
    let mut seen = 0;
    visit(
        folder,
        |path, prefix| {
            seen += 1;
            seen <= MAX_FOLDERS && enter(path, prefix)
        },
        |_, _| {},
    );
    seen <= MAX_FOLDERS
}

/// What tells one state of a plugin's files from another without reading them.
pub(super) fn print_of(folder: &Path) -> u64 {
    let mut print = 0_u64;
    visit(
        folder,
        |_, _| true,
        |path, entry| {
            if belongs(path)
                && let Ok(about) = entry.metadata()
            {
                // Folders list their entries in any order.
                print = print.wrapping_add(print_of_file(path, &about));
            }
        },
    );
    print
}

fn print_of_file(path: &str, about: &Metadata) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    (about.dev(), about.ino(), about.size(), about.mode()).hash(&mut hasher);
    (about.mtime(), about.mtime_nsec(), about.ctime(), about.ctime_nsec()).hash(&mut hasher);
    hasher.finish()
}

fn visit(folder: &Path, mut enter: impl FnMut(&Path, &str) -> bool, mut file: impl FnMut(&str, &DirEntry)) {
    let mut open: VecDeque<(PathBuf, String, usize)> =
        VecDeque::from([(folder.to_owned(), String::new(), 0)]);
    while let Some((folder, prefix, depth)) = open.pop_front() {
        if !enter(&folder, &prefix) {
            continue;
        }
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|it| !it.starts_with('.')) else { continue };
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => {
                    open.push_back((entry.path(), format!("{prefix}{name}/"), depth + 1));
                }
                Ok(kind) if !kind.is_dir() => file(&format!("{prefix}{name}"), &entry),
                _ => {}
            }
        }
    }
}
