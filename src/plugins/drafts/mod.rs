//! Drafts: changes of a plugin's files that are kept beside it and not live. One for each plugin, in the data
//! folder; a restart keeps it.

mod view;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedMutexGuard;

use crate::error::{Code, Error, Result};
use crate::model::time::Timestamp;

use super::sources;

pub use self::view::{DraftChange, DraftCheck, DraftFile, DraftView};

/// The file that says what a draft changes.
const INDEX: &str = "draft.json";

/// Files by path.
pub type Files = BTreeMap<String, Arc<[u8]>>;

/// What a draft changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The hash of the version it was begun on.
    pub base_hash: String,
    /// The hash of each file when it was begun.
    pub base: BTreeMap<String, String>,
    /// What is to become of files, by path.
    pub changes: BTreeMap<String, Change>,
    /// When it was begun (UTC).
    pub begun_at: Timestamp,
    /// Who began it.
    pub begun_by: String,
    /// When it was last changed (UTC).
    pub changed_at: Timestamp,
    /// Who changed it last.
    pub changed_by: String,
}

/// What is to become of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The hash of the live file when the draft took it up; none when there was no such file.
    pub base: Option<String>,
    /// The hash of its content in the draft; none = it is deleted.
    pub hash: Option<String>,
}

/// Held by whoever changes the draft of one plugin.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// The drafts of all plugins. Cheap to clone.
#[derive(Clone)]
pub struct Drafts {
    plugins: Arc<Path>,
    turns: Arc<Mutex<BTreeMap<Arc<str>, Turn>>>,
}

impl Drafts {
    /// Drafts below the data folder.
    pub fn new(data_dir: &Path) -> Self {
        Drafts { plugins: data_dir.join("plugins").into(), turns: Arc::default() }
    }

    /// Waits until nobody else changes the draft of a plugin.
    pub async fn turn(&self, plugin: &Arc<str>) -> OwnedMutexGuard<()> {
        let turn = Arc::clone(self.turns.lock().entry(Arc::clone(plugin)).or_default());
        turn.lock_owned().await
    }

    /// The draft of a plugin, if there is one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn load(&self, plugin: &str) -> Result<Option<Draft>> {
        let text = match fs::read(self.folder(plugin).join(INDEX)) {
            Ok(text) => text,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(fault) => return Err(Error::internal(fault)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|fault| {
            let detail = format!("The draft of the plugin `{plugin}` cannot be read: {fault}.");
            Error::new(Code::Conflict, detail).with_hint("DELETE it and begin another.")
        })
    }

    /// The contents that a draft has for files, by path.
    ///
    /// # Errors
    /// One is gone or not what it was.
    pub fn contents(&self, plugin: &str, draft: &Draft) -> Result<Files> {
        let kept = draft.changes.iter().filter_map(|(path, it)| Some((path, it.hash.as_ref()?)));
        let read = kept.map(|(path, hash)| {
            let content = fs::read(self.folder(plugin).join(hash)).unwrap_or_default();
            if sources::hash(&content) != *hash {
                let detail = format!("The draft's `{}` is damaged on the disk.", path.escape_debug());
                return Err(Error::new(Code::Conflict, detail)
                    .with_hint("Write the file anew, or take the draft's change of it back."));
            }
            Ok((path.clone(), content.into()))
        });
        read.collect()
    }

    /// Keeps a draft; `contents` has at least those that were not kept before. On disk when this is answered.
    ///
    /// # Errors
    /// [`Code::DiskFull`]; the disk's. The former draft is kept then.
    pub fn save(&self, plugin: &str, draft: &Draft, contents: &Files) -> Result<()> {
        let folder = self.folder(plugin);
        let index = serde_json::to_vec_pretty(draft).map_err(Error::internal)?;
        let written = (|| {
            fs::create_dir_all(&folder)?;
            for content in contents.values() {
                write(&folder, &sources::hash(content), content)?;
            }
            write(&folder, INDEX, &index)?;
            fs::File::open(&folder)?.sync_all()?;
            fs::File::open(self.plugins.join(plugin))?.sync_all()
        })();
        written.map_err(io_error)?;
        let wanted =
            |name: &str| name == INDEX || draft.changes.values().any(|it| it.hash.as_deref() == Some(name));
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if !entry.file_name().to_str().is_some_and(wanted) {
                // One that stays is in nobody's way.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// Forgets the draft of a plugin; false when there was none.
    ///
    /// # Errors
    /// The disk's.
    pub fn remove(&self, plugin: &str) -> Result<bool> {
        let folder = self.folder(plugin);
        // Without its index it is none, whatever is left of it.
        match fs::remove_file(folder.join(INDEX)) {
            Ok(()) => {}
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(fault) => return Err(io_error(fault)),
        }
        let _ = fs::remove_dir_all(&folder);
        Ok(true)
    }

    fn folder(&self, plugin: &str) -> PathBuf {
        self.plugins.join(plugin).join("draft")
    }
}

impl Draft {
    /// A draft that changes nothing yet, of a plugin with these files.
    pub fn begin(live: &Files, base_hash: String, at: Timestamp, by: &str) -> Self {
        Draft {
            base_hash,
            base: live.iter().map(|(path, content)| (path.clone(), sources::hash(content))).collect(),
            changes: BTreeMap::new(),
            begun_at: at,
            begun_by: by.to_owned(),
            changed_at: at,
            changed_by: by.to_owned(),
        }
    }

    /// The files as they would be, `contents` being the draft's own.
    pub fn over(&self, live: &Files, contents: &Files) -> Files {
        let mut files = live.clone();
        for (path, change) in &self.changes {
            match (&change.hash, contents.get(path)) {
                (Some(_), Some(content)) => _ = files.insert(path.clone(), Arc::clone(content)),
                _ => _ = files.remove(path),
            }
        }
        files
    }

    /// Notes that a file is to have this content, or to be gone; what is as the live one is no change.
    pub fn change(&mut self, live: &Files, path: &str, hash: Option<String>) {
        let now = live.get(path).map(|it| sources::hash(it));
        if now == hash {
            self.changes.remove(path);
            return;
        }
        let base = match self.changes.get(path) {
            Some(former) => former.base.clone(),
            None => now,
        };
        self.changes.insert(path.to_owned(), Change { base, hash });
    }

    /// The files that the draft changes and that somebody else has changed since it took them up.
    pub fn conflicts(&self, live: &Files) -> Vec<String> {
        let conflicting = self.changes.iter().filter(|(path, change)| {
            let now = live.get(*path).map(|it| sources::hash(it));
            now != change.base && now != change.hash
        });
        conflicting.map(|(path, _)| path.clone()).collect()
    }

    /// The files that are not as they were when the draft was begun.
    pub fn moved(&self, live: &Files) -> Vec<String> {
        let mut paths: Vec<String> = self.base.keys().chain(live.keys()).cloned().collect();
        paths.sort();
        paths.dedup();
        paths.retain(|path| live.get(path).map(|it| sources::hash(it)).as_ref() != self.base.get(path));
        paths
    }
}

fn write(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let part = folder.join(format!("{name}.part"));
    let mut file = fs::File::create(&part)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(part, folder.join(name))
}

fn io_error(fault: io::Error) -> Error {
    if matches!(fault.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        let mut full =
            Error::new(Code::DiskFull, "There is no room on the disk for this; nothing was changed.");
        full.retry_after = Some(60);
        full.source = Some(fault.into());
        return full;
    }
    Error::internal(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(of: &[(&str, &str)]) -> Files {
        of.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().into())).collect()
    }

    fn hash(text: &str) -> Option<String> {
        Some(sources::hash(text.as_bytes()))
    }

    #[test]
    fn a_draft_is_kept_with_its_contents_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let drafts = Drafts::new(folder.path());
        assert_eq!(drafts.load("p").unwrap(), None);
        let live = files(&[("init.lua", "1"), ("b.lua", "2")]);
        let mut draft = Draft::begin(&live, "base".into(), Timestamp(1), "me");
        draft.change(&live, "init.lua", hash("new"));
        draft.change(&live, "b.lua", None);
        draft.change(&live, "none.lua", None);
        drafts.save("p", &draft, &files(&[("init.lua", "new")])).unwrap();
        assert_eq!(drafts.load("p").unwrap().as_ref(), Some(&draft));
        let own = drafts.contents("p", &draft).unwrap();
        assert_eq!(draft.over(&live, &own), files(&[("init.lua", "new")]));
        draft.change(&live, "init.lua", hash("newer"));
        drafts.save("p", &draft, &files(&[("init.lua", "newer")])).unwrap();
        assert_eq!(fs::read_dir(folder.path().join("plugins/p/draft")).unwrap().count(), 2);
        assert!(drafts.remove("p").unwrap());
        assert!(!drafts.remove("p").unwrap());
        assert!(!folder.path().join("plugins/p/draft").exists());
    }

    #[test]
    fn what_others_changed_meanwhile_is_a_conflict_unless_they_did_the_same() {
        let live = files(&[("a.lua", "1"), ("b.lua", "1"), ("c.lua", "1")]);
        let mut draft = Draft::begin(&live, "base".into(), Timestamp(1), "me");
        for path in ["a.lua", "b.lua"] {
            draft.change(&live, path, hash("mine"));
        }
        assert!(draft.conflicts(&live).is_empty());
        let now = files(&[("a.lua", "mine"), ("b.lua", "theirs"), ("c.lua", "theirs"), ("d.lua", "new")]);
        assert_eq!(draft.conflicts(&now), ["b.lua"]);
        assert_eq!(draft.moved(&now), ["a.lua", "b.lua", "c.lua", "d.lua"]);
        draft.change(&now, "a.lua", hash("mine"));
        assert!(!draft.changes.contains_key("a.lua"), "what is live already is no change");
    }
}
