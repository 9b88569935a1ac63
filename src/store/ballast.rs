//! A file that holds some disk space back: given up when the disk is full so that deletes get through, and
//! made again when there is room.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A full disk is given this long before space is taken from it again.
const PAUSE: Duration = Duration::from_secs(30);

/// The ballast file.
#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
    bytes: u64,
    /// Not there: make it again at this time.
    missing_until: Option<Instant>,
}

impl Ballast {
    /// The ballast beside the database; 0 bytes = none is kept.
    pub(super) fn beside(database: &Path, bytes: u64) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push(".ballast");
        let path = PathBuf::from(name);
        let there = bytes == 0 || fs::metadata(&path).is_ok_and(|it| it.len() == bytes);
        Ballast { path, bytes, missing_until: (!there).then(Instant::now) }
    }

    /// How long to wait before looking again whether it can be made; none while it is there.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.missing_until.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Gives the space up; false when there was none left.
    pub(super) fn release(&mut self) -> bool {
        self.missing_until = (self.bytes > 0).then(|| Instant::now() + PAUSE);
        let released = self.bytes > 0 && fs::remove_file(&self.path).is_ok();
        if released {
            log::warn!("database: the disk is full; {} bytes held back are released for deletes", self.bytes);
        }
        released
    }

    /// Makes it again when it is time; a disk that is still full leaves it for later.
    pub(super) fn restore(&mut self) {
        if self.patience() != Some(Duration::ZERO) {
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
