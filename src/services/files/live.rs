//! Who writes which track at this moment: one at a time, and nobody while its recording ends.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use super::sink::make_folder;
use super::sync_folder;

/// The tracks that are being written, by `<recording>/<track>`. Cheap to clone.
#[derive(Clone, Default)]
pub struct Live(Arc<Mutex<HashMap<String, Entry>>>);

struct Entry {
    state: Arc<AsyncMutex<LiveState>>,
    closing: bool,
}

/// The growing file of a track, as its writer and the end of its recording share it.
#[derive(Default)]
pub struct LiveState {
    /// Open while somebody appends.
    file: Option<File>,
    /// Bytes that are in the file on purpose.
    pub len: u64,
    /// The recording has ended meanwhile.
    pub closed: bool,
}

/// The right to write a track, given back when dropped.
pub struct Busy {
    live: Live,
    key: String,
    closes: bool,
    /// Shared with the end of the recording.
    pub state: Arc<AsyncMutex<LiveState>>,
}

impl Live {
    /// The right to write a track; none while somebody else has it.
    pub fn begin(&self, id: &str, track: &str) -> Option<Busy> {
        let key = format!("{id}/{track}");
        let mut entries = self.0.lock();
        if entries.contains_key(&key) {
            return None;
        }
        let state = Arc::<AsyncMutex<LiveState>>::default();
        entries.insert(key.clone(), Entry { state: Arc::clone(&state), closing: false });
        Some(Busy { live: self.clone(), key, closes: false, state })
    }

    /// Whether somebody has the right to write a track at this moment.
    pub fn is_held(&self, id: &str, track: &str) -> bool {
        self.0.lock().contains_key(&format!("{id}/{track}"))
    }

    /// The bytes in the file of a track that somebody appends to at this moment, acknowledged or not.
    pub fn written(&self, id: &str, track: &str) -> Option<u64> {
        let state = Arc::clone(&self.0.lock().get(&format!("{id}/{track}"))?.state);
        // Who holds it is writing: what is acknowledged counts then.
        state.try_lock().ok()?.written()
    }

    /// Takes the track over from whoever appends to it, for the end of its recording: what they
    /// wrote so far counts, what they write from now on is refused.
    pub async fn close(&self, id: &str, track: &str) -> Option<Busy> {
        let key = format!("{id}/{track}");
        let state = {
            let mut entries = self.0.lock();
            let entry =
                entries.entry(key.clone()).or_insert_with(|| Entry { state: Arc::default(), closing: false });
            if std::mem::replace(&mut entry.closing, true) {
                return None;
            }
            Arc::clone(&entry.state)
        };
        state.lock().await.closed = true;
        Some(Busy { live: self.clone(), key, closes: true, state })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut entries = self.live.0.lock();
        // Whoever takes a track over frees it; the one it was taken from does not.
        let frees = entries
            .get(&self.key)
            .is_some_and(|it| Arc::ptr_eq(&it.state, &self.state) && (self.closes || !it.closing));
        if frees {
            entries.remove(&self.key);
        }
    }
}

impl LiveState {
    /// Whether somebody has begun to append.
    pub fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// The length of the file, when somebody has begun to append.
    pub fn written(&self) -> Option<u64> {
        self.file.is_some().then_some(self.len)
    }

    /// Opens the file at its acknowledged length: whatever lies beyond it was never promised to anybody.
    /// Blocks.
    ///
    /// # Errors
    /// When it cannot be opened, or is shorter than it should be.
    pub fn open(&mut self, path: &Path, acknowledged: u64) -> std::io::Result<()> {
        let is_new = !path.exists();
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.len() < acknowledged {
            return Err(std::io::Error::other("the track's file is shorter than what was acknowledged"));
        }
        file.set_len(acknowledged)?;
        file.seek(SeekFrom::Start(acknowledged))?;
        if let (true, Some(folder)) = (is_new, path.parent()) {
            sync_folder(folder)?;
        }
        self.file = Some(file);
        self.len = acknowledged;
        Ok(())
    }

    /// Appends, and makes it durable when asked to. Blocks.
    ///
    /// # Errors
    /// When it cannot be written; the file is cut back to what it was then.
    pub fn append(&mut self, chunks: &[Bytes], sync: bool) -> std::io::Result<u64> {
        let Some(file) = &mut self.file else { return Err(std::io::Error::other("the track is not open")) };
        let mut added = 0;
        for chunk in chunks {
            if let Err(error) = file.write_all(chunk) {
                // The next one to append cuts it again, should this fail too.
                file.set_len(self.len).ok();
                file.seek(SeekFrom::Start(self.len)).ok();
                return Err(error);
            }
            added += chunk.len() as u64;
        }
        if sync {
            file.sync_data()?;
        }
        self.len += added;
        Ok(self.len)
    }
}
