//! Which folders are plugins, and what is in them: read once, never through a link that leads out.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirEntry};

use crate::model::call::Outcome;

use super::problem::{LoadFault, Problem};

/// Bytes one source file may have.
pub const FILE_MAX_BYTES: u64 = 256 * 1024;
/// Bytes all source files of a plugin may have together.
pub const PLUGIN_MAX_BYTES: u64 = 1024 * 1024;
/// Files a snapshot may have.
pub(super) const MAX_FILES: usize = 2_000;
/// Folders within folders that are searched; deeper ones are not read.
pub(super) const MAX_DEPTH: usize = 12;
/// Characters a plugin's name may have.
const NAME_MAX: usize = 64;

/// What the plugin folders hold.
#[derive(Debug, Default)]
pub struct Found {
    /// The plugins, by name.
    pub folders: BTreeMap<Arc<str>, PathBuf>,
    /// What is no plugin, and why not.
    pub rejected: Vec<Rejected>,
}

/// Something in a plugin root that is not a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Where it lies.
    pub path: PathBuf,
    /// Why it is no plugin, and what to do.
    pub reason: String,
    /// Whether it belongs there all the same (a README, a hidden file).
    pub expected: bool,
}

/// The files of a plugin at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Sources, manifest and migrations, by path with `/`.
    pub files: Arc<BTreeMap<String, Arc<[u8]>>>,
    /// BLAKE3 of names and contents.
    pub hash: Arc<str>,
    /// What was left out, and why; what will not do what it seems to.
    pub warnings: Vec<Problem>,
}

/// Whether `name` may be a plugin's: `[a-z0-9][a-z0-9_-]{0,63}`.
pub fn is_plugin_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
    first && rest && name.len() <= NAME_MAX
}

/// Looks through the plugin roots; of two folders with one name the earlier root's counts.
pub fn scan(roots: &[PathBuf]) -> Found {
    let mut found = Found::default();
    for root in roots {
        if let Err(fault) = scan_root(root, &mut found) {
            let (reason, expected) = match fault.kind() {
                io::ErrorKind::NotFound => ("there is no such folder yet".to_owned(), true),
                _ => (format!("cannot be read: {fault}"), false),
            };
            found.rejected.push(Rejected { path: root.clone(), reason, expected });
        }
    }
    found
}

/// The folder that counts of those with this name; none when there is none, or only a link that leads out of its root.
pub fn folder_of(roots: &[PathBuf], name: &str) -> Option<PathBuf> {
    let is_there = |root: &&PathBuf| {
        let root = Dir::open_ambient_dir(root, ambient_authority());
        root.and_then(|it| it.metadata(name)).is_ok_and(|it| it.is_dir())
    };
    roots.iter().find(is_there).map(|it| it.join(name))
}

/// Reads a plugin's files once.
///
/// # Errors
/// The folder cannot be read, or its sources are larger than the limits.
pub fn snapshot(folder: &Path) -> Result<Snapshot, LoadFault> {
    let unreadable = |fault: io::Error| {
        LoadFault::of_folder(
            Outcome::Skipped,
            format!("the folder cannot be read: {fault}"),
            "Check that it exists and that the server may read it.",
        )
    };
    let (Some(root), Some(name)) = (folder.parent(), folder.file_name()) else {
        return Err(unreadable(io::Error::from(io::ErrorKind::InvalidInput)));
    };
    let root = Dir::open_ambient_dir(root, ambient_authority()).map_err(unreadable)?;
    let dir = root.open_dir(name).map_err(unreadable)?;
    let mut reader = Reader::default();
    reader.read(&dir, "", 0)?;
    Ok(Snapshot { warnings: reader.warnings, ..Snapshot::of(reader.files) })
}

impl Snapshot {
    /// The snapshot that a folder with these files would give.
    pub fn of(mut files: BTreeMap<String, Arc<[u8]>>) -> Self {
        files.retain(|path, _| belongs(path));
        let mut hash = blake3::Hasher::new();
        for (path, content) in &files {
            for part in [path.as_bytes(), content] {
                hash.update(&(part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        let hash = hash.finalize().to_hex().as_str().into();
        Snapshot { files: Arc::new(files), hash, warnings: Vec::new() }
    }
}

/// The file that starts the plugin: `init`, else `plugin`, else the only script.
///
/// # Errors
/// There is none, or it is not clear which.
pub fn entry(snapshot: &Snapshot) -> Result<String, LoadFault> {
    let scripts: Vec<&String> =
        snapshot.files.keys().filter(|it| !it.contains('/') && is_script(it)).collect();
    for wanted in ["init.lua", "init.luau", "plugin.lua", "plugin.luau"] {
        if scripts.iter().any(|it| *it == wanted) {
            return Ok(wanted.to_owned());
        }
    }
    let hint = "Name the file that starts the plugin init.lua.";
    match scripts.as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(LoadFault::of_folder(Outcome::Skipped, "the folder has no script to start with", hint)),
        many => {
            let names: Vec<&str> = many.iter().map(|it| it.as_str()).collect();
            let message = format!(
                "it is not clear which script starts the plugin: {}",
                names[..names.len().min(8)].join(", ")
            );
            Err(LoadFault::of_folder(Outcome::Skipped, message, hint))
        }
    }
}

fn scan_root(root: &Path, found: &mut Found) -> io::Result<()> {
    let dir = Dir::open_ambient_dir(root, ambient_authority())?;
    let mut entries = dir.entries()?.collect::<io::Result<Vec<DirEntry>>>()?;
    entries.sort_by_key(DirEntry::file_name);
    for entry in entries {
        let file_name = entry.file_name();
        let path = root.join(&file_name);
        match judge(&dir, &entry) {
            Err((reason, expected)) => found.rejected.push(Rejected { path, reason, expected }),
            Ok(name) => match found.folders.get(name.as_str()) {
                Some(first) => found.rejected.push(Rejected {
                    path,
                    reason: format!(
                        "a plugin of this name comes first: {}; rename one of the folders",
                        first.display()
                    ),
                    expected: false,
                }),
                None => {
                    found.folders.insert(name.into(), path);
                }
            },
        }
    }
    Ok(())
}

/// The plugin's name, or why this is none and whether that is as it should be.
fn judge(root: &Dir, entry: &DirEntry) -> Result<String, (String, bool)> {
    let file_name = entry.file_name();
    let shown = file_name.to_string_lossy();
    if shown.starts_with('.') {
        return Err(("hidden files and folders are left alone".to_owned(), true));
    }
    // Opening through the root refuses links that lead out of it.
    let kind = match root.metadata(&file_name) {
        Ok(kind) => kind,
        Err(fault) if entry.file_type().is_ok_and(|it| it.is_symlink()) => {
            return Err((
                format!("a link that does not stay within the plugin folder ({fault}); move the folder here"),
                false,
            ));
        }
        Err(fault) => return Err((format!("cannot be read: {fault}"), false)),
    };
    if !kind.is_dir() {
        let expected = shown.to_ascii_lowercase().starts_with("readme");
        return Err(("a plugin is a folder, this is a file".to_owned(), expected));
    }
    match file_name.to_str().filter(|it| is_plugin_name(it)) {
        Some(name) => Ok(name.to_owned()),
        None => Err((
            "the name does not fit; use a-z, 0-9, _ and -, starting with a letter or digit, at most 64 characters"
                .to_owned(),
            false,
        )),
    }
}

pub(super) fn is_script(path: &str) -> bool {
    path.ends_with(".lua") || path.ends_with(".luau")
}

/// Whether a script is one of tests, or below `tests/` for their use: no part of what runs.
pub(super) fn is_of_tests(path: &str) -> bool {
    is_script(path) && (path.starts_with("tests/") || is_test(path))
}

/// Whether a script holds tests: `*_test.lua`, `*.test.lua`, and what stands right in `tests/`.
pub(super) fn is_test(path: &str) -> bool {
    let Some(stem) = path.strip_suffix(".lua").or_else(|| path.strip_suffix(".luau")) else { return false };
    let stands_in_tests = path.strip_prefix("tests/").is_some_and(|it| !it.contains('/'));
    stands_in_tests || stem.ends_with("_test") || stem.ends_with(".test")
}

/// What is part of a snapshot: everything else in the folder makes no other version.
pub(super) fn belongs(path: &str) -> bool {
    is_script(path) && !is_of_tests(path)
        || ["plugin.yaml", "plugin.yaml.example"].contains(&path)
        || (path.starts_with("migrations/") && path.ends_with(".sql"))
}

#[derive(Default)]
struct Reader {
    files: BTreeMap<String, Arc<[u8]>>,
    bytes: u64,
    warnings: Vec<Problem>,
}

impl Reader {
    fn read(&mut self, dir: &Dir, prefix: &str, depth: usize) -> Result<(), LoadFault> {
        let entries = match dir.entries().and_then(Iterator::collect::<io::Result<Vec<DirEntry>>>) {
            Ok(entries) => entries,
            Err(fault) => {
                self.warn(prefix, format!("cannot be read: {fault}"));
                return Ok(());
            }
        };
        for entry in entries {
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str().filter(|it| !it.starts_with('.')) else { continue };
            let path = format!("{prefix}{name}");
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                if depth >= MAX_DEPTH {
                    self.warn(&path, format!("folders deeper than {MAX_DEPTH} are not read"));
                } else if let Ok(inner) = dir.open_dir(name) {
                    self.read(&inner, &format!("{path}/"), depth + 1)?;
                }
            } else if belongs(&path) {
                self.file(dir, name, path)?;
            } else if kind.is_symlink() && dir.metadata(name).is_ok_and(|it| it.is_dir()) {
                self.warn(&path, "linked folders are not read".to_owned());
            }
        }
        Ok(())
    }

    fn file(&mut self, dir: &Dir, name: &str, path: String) -> Result<(), LoadFault> {
        match dir.metadata(name) {
            Ok(kind) if kind.is_file() => {}
            Ok(_) => {
                self.warn(&path, "is not a plain file and is not read".to_owned());
                return Ok(());
            }
            Err(fault) => {
                self.warn(&path, format!("is not read: {fault}"));
                return Ok(());
            }
        }
        let mut content = Vec::new();
        let read = dir.open(name).and_then(|file| file.take(FILE_MAX_BYTES + 1).read_to_end(&mut content));
        if let Err(fault) = read {
            self.warn(&path, format!("is not read: {fault}"));
            return Ok(());
        }
        self.bytes += content.len() as u64;
        let limit = |message: String| {
            let problem = Problem { file: path.clone(), line: None, message };
            let mut fault = LoadFault::of_problems(Outcome::Limit, vec![problem], None);
            fault.script.hint = Some("Split the file, or keep data outside the plugin's sources.".to_owned());
            fault
        };
        if content.len() as u64 > FILE_MAX_BYTES {
            return Err(limit(format!("a source file may have {} KiB", FILE_MAX_BYTES / 1024)));
        }
        if self.bytes > PLUGIN_MAX_BYTES || self.files.len() >= MAX_FILES {
            return Err(limit(format!(
                "the sources of a plugin may have {} KiB in {MAX_FILES} files",
                PLUGIN_MAX_BYTES / 1024
            )));
        }
        self.files.insert(path, content.into());
        Ok(())
    }

    fn warn(&mut self, path: &str, message: String) {
        self.warnings.push(Problem { file: path.to_owned(), line: None, message });
    }
}

#[cfg(test)]
#[path = "discovery_tests.rs"]
mod tests;
