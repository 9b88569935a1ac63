//! A file that holds some disk space back: given up when the disk is full so that a start and deletes get through, and
//! made again when there is room for more than it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::disk;

/// A full disk is given this long before space is taken from it again.
const PAUSE: Duration = Duration::from_secs(30);

/// The ballast never takes the last of the room, and a start that has less gets it.
const SPARE_BYTES: u64 = 8 << 20;

/// The ballast file.
#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
    bytes: u64,
    /// Not there: make it again at this time.
    missing_until: Option<Instant>,
    /// Bytes that are free where a file lies.
    free: fn(&Path) -> u64,
}

impl Ballast {
    /// The ballast beside the database; 0 bytes = none is kept.
    pub(super) fn beside(database: &Path, bytes: u64) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push(".ballast");
        let path = PathBuf::from(name);
        let there = bytes == 0 || fs::metadata(&path).is_ok_and(|it| it.len() == bytes);
        Ballast { path, bytes, missing_until: (!there).then(Instant::now), free }
    }

    /// Gives the space up before a start that would have none.
    pub(super) fn make_way(&mut self) {
        if self.missing_until.is_none() && (self.free)(&self.path) < SPARE_BYTES {
            self.release();
        }
    }

    /// How long to wait before looking again whether it can be made; none while it is there.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.missing_until.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether as much is held back as is to be.
    pub(super) fn is_there(&self) -> bool {
        self.missing_until.is_none()
    }

    /// Gives the space up; false when there was none left.
    pub(super) fn release(&mut self) -> bool {
        self.missing_until = (self.bytes > 0).then(|| Instant::now() + PAUSE);
        let released = self.bytes > 0 && fs::remove_file(&self.path).is_ok();
        if released {
            let (path, mib) = (self.path.display(), self.bytes >> 20);
            log::warn!(
                "database: the disk is full: {path} is deleted, the {mib} MiB it held back are for deletes"
            );
        }
        released
    }

    /// Makes it again when it is time; a disk that is still full leaves it for later.
    pub(super) fn restore(&mut self) {
        if self.patience() != Some(Duration::ZERO) {
            return;
        }
        if (self.free)(&self.path) < self.bytes + SPARE_BYTES {
            self.missing_until = Some(Instant::now() + PAUSE);
            return;
        }
        match self.write() {
            Ok(()) => self.missing_until = None,
            Err(error) => {
                log::debug!("database: no room for the ballast yet: {error}");
                self.missing_until = Some(Instant::now() + PAUSE);
            }
        }
    }

    /// Real bytes, as a hole in a file holds nothing back.
    fn write(&self) -> io::Result<()> {
        let part = self.path.with_extension("ballast.part");
        let written = (|| {
            let mut file = File::create(&part)?;
            let block = [0xA5_u8; 64 * 1024];
            let mut left = self.bytes;
            while left > 0 {
                let now = left.min(block.len() as u64);
                file.write_all(&block[..now as usize])?;
                left -= now;
            }
            file.sync_all()?;
            fs::rename(&part, &self.path)
        })();
        if written.is_err() {
            // What was taken of the full disk is given back at once.
            fs::remove_file(&part).ok();
        }
        written
    }
}

/// Of the disk on which a file lies or will lie; as much as can be where that is not known.
fn free(file: &Path) -> u64 {
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    disk::free_bytes(folder).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ballast(folder: &Path, free: fn(&Path) -> u64) -> Ballast {
        Ballast { free, ..Ballast::beside(&folder.join("t.db"), 1 << 20) }
    }

    #[test]
    fn a_start_on_a_full_disk_has_the_room_that_was_held_back_and_does_not_take_it_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.db.ballast");
        ballast(folder.path(), |_| u64::MAX).restore();
        assert_eq!(fs::metadata(&file).unwrap().len(), 1 << 20);
        ballast(folder.path(), |_| SPARE_BYTES).make_way();
        assert!(file.exists(), "there is room");
        let mut full = ballast(folder.path(), |_| SPARE_BYTES - 1);
        full.make_way();
        assert!(!file.exists());
        full.restore();
        assert!(!file.exists(), "it was given up just now");
        ballast(folder.path(), |_| SPARE_BYTES + (1 << 20) - 1).restore();
        assert!(!file.exists(), "it would take the last of the room");
        ballast(folder.path(), |_| SPARE_BYTES + (1 << 20)).restore();
        assert!(file.exists());
    }
}
