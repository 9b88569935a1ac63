//! Files whose rows are gone stay while somebody needs them all the same: a backup that has copied the rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

/// What is to be removed once nobody holds it. Cheap to clone.
#[derive(Clone, Default)]
pub struct Holds(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    holders: usize,
    waiting: Vec<PathBuf>,
}

/// While it is there, nothing is removed.
pub struct Hold(Holds);

impl Holds {
    /// From now on nothing is removed.
    pub fn hold(&self) -> Hold {
        self.0.lock().holders += 1;
        Hold(self.clone())
    }

    /// Takes a file over that is to be removed later; false when nobody holds anything.
    pub fn put_off(&self, file: PathBuf) -> bool {
        let mut held = self.0.lock();
        if held.holders > 0 {
            held.waiting.push(file);
        }
        held.holders > 0
    }

    /// A file that is put in its place again is not removed any more.
    pub fn take_back(&self, file: &Path) {
        self.0.lock().waiting.retain(|it| it != file);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.0.0.lock();
        held.holders -= 1;
        let due = if held.holders == 0 { std::mem::take(&mut held.waiting) } else { Vec::new() };
        // Still locked: nobody takes one back that is just going.
        for file in due {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    log::warn!("{} stays behind: {error}", file.display());
                }
                _ => {}
            }
            // The folder of a recording goes with the last file; one with something left in it stays.
            if let Some(folder) = file.parent() {
                std::fs::remove_dir(folder).ok();
            }
        }
    }
}
