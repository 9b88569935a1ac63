//! The files of recordings and clips: where the server's own lie, and the one door to those that a
//! client named. Every path is opened inside its folder by cap-std, so none leads out of it.

mod blocking;
mod hold;
mod kind;
mod live;
mod open;
mod sink;
#[cfg(test)]
mod fuzz;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Settings;
use crate::error::{Code, Error, Result};
use crate::model::clip::Clip;

pub use blocking::Blocking;
pub use hold::{Hold, Holds};
pub use kind::{SNIFF_BYTES, content_type, sniff};
pub use live::{Busy, Live, LiveState};
pub use open::{OpenMedia, media_error, open_in};
pub use sink::{Expected, Sink, Written};

/// Where media lie. Cheap to clone.
#[derive(Clone)]
pub struct MediaFiles {
    /// The server's own media, absolute.
    root: Arc<Path>,
    /// Where files named by clients may lie, absolute.
    recordings_dir: Arc<Path>,
    /// The largest upload in bytes; 0 is no limit.
    upload_max_bytes: u64,
    /// Who writes which track at this moment.
    pub live: Live,
    /// Who needs files although their rows are gone.
    holds: Holds,
}

impl MediaFiles {
    /// The media below `data_dir`, whose folders are made when they are missing.
    ///
    /// # Errors
    /// When a folder cannot be made.
    pub fn open(settings: &Settings) -> Result<Self> {
        let root = absolute(&settings.data_dir.join("media"));
        for folder in ["recordings", "clips"] {
            std::fs::create_dir_all(root.join(folder)).map_err(io_error)?;
        }
        let recordings_dir = absolute(&settings.recordings_dir);
        Ok(MediaFiles {
            root: root.into(),
            recordings_dir: recordings_dir.into(),
            upload_max_bytes: settings.upload_max_bytes,
            live: Live::default(),
            holds: Holds::default(),
        })
    }

    /// The folder of the server's own media.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path, from the media folder on, of a recording's folder.
    pub fn recording_folder(id: &str) -> String {
        format!("recordings/{id}")
    }

    /// The path, from the media folder on, of a clip that the server cuts.
    pub fn clip_path(id: i64) -> String {
        format!("clips/{id}.wav")
    }

    /// The path, from the media folder on, of the file that the server wrote for a clip; none when it wrote
    /// none. Only the name counts: the media folder may have moved since.
    pub fn own_clip_path(clip: &Clip) -> Option<String> {
        let name = Path::new(&clip.file_path).file_name()?.to_str()?;
        clip.owns_file.then(|| format!("clips/{name}"))
    }

    /// A free name for media sent for a clip, from the media folder on.
    pub fn free_clip_path(&self, id: i64, ext: &str) -> String {
        self.free(&format!("clips/{id}"), ext)
    }

    /// The place of one of the server's own files.
    pub fn own(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A free name for a track's file, from the media folder on: `<track>.<ext>`, numbered when a
    /// former file of the track is still there.
    pub fn free_track_path(&self, id: &str, track: &str, ext: &str) -> String {
        self.free(&format!("{}/{track}", Self::recording_folder(id)), ext)
    }

    fn free(&self, stem: &str, ext: &str) -> String {
        let first = format!("{stem}.{ext}");
        let numbered = (2..).map(|n: u32| format!("{stem}.{n}.{ext}"));
        let mut names = std::iter::once(first).chain(numbered);
        names.find(|name| !self.own(name).exists()).unwrap_or_default()
    }

    /// Refuses an upload that has become too large.
    ///
    /// # Errors
    /// [`Code::TooLarge`], naming the setting.
    pub fn check_size(&self, bytes: u64) -> Result<()> {
        match self.upload_max_bytes {
            0 => Ok(()),
            max if bytes <= max => Ok(()),
            max => Err(Error::new(
                Code::TooLarge,
                format!("The upload is larger than {max} bytes (setting `upload_max_bytes`)."),
            )),
        }
    }

    /// While this is there, no file of the server's own is removed: those whose rows go wait.
    pub fn hold(&self) -> Hold {
        self.holds.hold()
    }

    /// Leaves it to the end of a hold to remove a file; false when there is none.
    pub fn put_off(&self, file: PathBuf) -> bool {
        self.holds.put_off(file)
    }

    /// A file that was left to the end of a hold is wanted again.
    pub fn take_back(&self, file: &Path) {
        self.holds.take_back(file);
    }

    /// Removes one of the server's own files; one that is gone already is fine.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_own(&self, relative: &str) -> Result<()> {
        if self.put_off(self.own(relative)) {
            return Ok(());
        }
        match self.own_dir()?.remove_file(relative) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error(error)),
            _ => Ok(()),
        }
    }

    /// Removes a recording's folder when nothing is left in it.
    pub fn remove_folder_if_empty(&self, id: &str) {
        // One with something left in it stays, which is what is wanted.
        std::fs::remove_dir(self.own(&Self::recording_folder(id))).ok();
    }
}

/// What the system says about a file, as an error of the product.
pub fn io_error(error: std::io::Error) -> Error {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    if matches!(error.kind(), StorageFull | QuotaExceeded) {
        let mut full = Error::new(Code::DiskFull, "There is no room on the disk for this.");
        full.retry_after = Some(60);
        full.source = Some(error.into());
        return full;
    }
    Error::internal(error)
}

/// Gives a file another name, in a folder that is made when it is missing; after a power cut it has one of the two. Blocks.
///
/// # Errors
/// When it cannot be renamed.
pub fn rename_durably(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().unwrap_or(to);
    sink::make_folder(folder).map_err(io_error)?;
    std::fs::rename(from, to).map_err(io_error)?;
    sync_folder(folder).map_err(io_error)
}

/// Makes a folder's entries durable: a new name in it survives a power cut.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
