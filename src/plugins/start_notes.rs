//! Which plugins were being started when the process died: noted on disk before they are, taken back when they have been.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The file in the data folder; there is none while nothing is noted.
const FILE: &str = "starting.json";

/// After so many deaths those under way are started one by one, to learn whose they were.
pub const SUSPECT_AFTER: u32 = 2;
/// After so many it is not started any more.
pub const QUARANTINE_AFTER: u32 = 3;

/// What is noted of one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// The hash of the files that were started; others are no matter of it.
    hash: Arc<str>,
    /// In so many processes in a row that died it was under way.
    deaths: u32,
    is_under_way: bool,
}

/// The notes of one data folder.
#[derive(Debug)]
pub struct StartNotes {
    path: PathBuf,
    notes: Mutex<BTreeMap<Arc<str>, Note>>,
}

impl StartNotes {
    /// Reads what the former process has left; whatever was under way then has died with it.
    pub fn read(data_dir: &Path) -> Self {
        let path = data_dir.join(FILE);
        let mut notes: BTreeMap<Arc<str>, Note> = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|fault| {
                log::warn!("{} cannot be read and is not minded: {fault}", path.display());
                BTreeMap::new()
            }),
            Err(_) => BTreeMap::new(),
        };
        for note in notes.values_mut().filter(|it| it.is_under_way) {
            (note.deaths, note.is_under_way) = (note.deaths + 1, false);
        }
        StartNotes { path, notes: Mutex::new(notes) }
    }

    /// In how many processes in a row that died these files of a plugin were being started.
    pub fn deaths(&self, plugin: &str, hash: &str) -> u32 {
        self.notes.lock().get(plugin).filter(|it| &*it.hash == hash).map_or(0, |it| it.deaths)
    }

    /// Notes that these plugins, with the hashes of their files, are being started now; waits for the disk.
    ///
    /// # Errors
    /// The note cannot be written.
    pub fn begin(&self, plugins: impl IntoIterator<Item = (Arc<str>, Arc<str>)>) -> io::Result<()> {
        let mut notes = self.notes.lock();
        for (plugin, hash) in plugins {
            let deaths = notes.get(&plugin).filter(|it| it.hash == hash).map_or(0, |it| it.deaths);
            notes.insert(plugin, Note { hash, deaths, is_under_way: true });
        }
        self.write(&notes)
    }

    /// Forgets these plugins: they have been started, or are to be tried anew; waits for the disk.
    ///
    /// # Errors
    /// The note cannot be written.
    pub fn end<'a>(&self, plugins: impl IntoIterator<Item = &'a Arc<str>>) -> io::Result<()> {
        let mut notes = self.notes.lock();
        let before = notes.len();
        plugins.into_iter().for_each(|it| _ = notes.remove(it));
        if notes.len() == before { Ok(()) } else { self.write(&notes) }
    }

    fn write(&self, notes: &BTreeMap<Arc<str>, Note>) -> io::Result<()> {
        if notes.is_empty() {
            // A note that comes back after a power cut costs one of three deaths.
            return fs::remove_file(&self.path);
        }
        let part = self.path.with_extension("json.part");
        let mut file = File::create(&part)?;
        file.write_all(&serde_json::to_vec(notes)?)?;
        file.sync_all()?;
        fs::rename(&part, &self.path)?;
        self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(plugin: &str, hash: &str) -> (Arc<str>, Arc<str>) {
        (plugin.into(), hash.into())
    }

    #[test]
    fn deaths_in_a_row_are_counted_for_the_same_files_and_forgotten_after_a_start() {
        let folder = tempfile::tempdir().unwrap();
        for deaths in 0..4 {
            let notes = StartNotes::read(folder.path());
            assert_eq!(notes.deaths("a", "1"), deaths);
            assert_eq!(notes.deaths("a", "2"), 0, "other files");
            notes.begin([pair("a", "1"), pair("b", "1")]).unwrap();
            notes.end([&Arc::from("b")]).unwrap();
        }
        let notes = StartNotes::read(folder.path());
        assert_eq!(notes.deaths("b", "1"), 0);
        notes.begin([pair("c", "1")]).unwrap();
        let notes = StartNotes::read(folder.path());
        assert_eq!((notes.deaths("a", "1"), notes.deaths("c", "1")), (4, 1), "who waits does not die");
        notes.end([&Arc::from("a"), &Arc::from("c")]).unwrap();
        assert!(!folder.path().join(FILE).exists());
        fs::write(folder.path().join(FILE), "no JSON").unwrap();
        assert_eq!(StartNotes::read(folder.path()).deaths("a", "1"), 0);
    }
}
