//! Opening media: the server's own, or below the recordings directory; nothing else.

use std::fs::File;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::error::{Code, Error, Result};
use crate::media::MediaError;
use crate::model::clip::Clip;
use crate::model::recording::{Track, TrackOrigin, TrackState};

use super::{MediaFiles, content_type, io_error};

/// A media file, opened for reading.
#[derive(Debug)]
pub struct OpenMedia {
    /// The open file; what is read is this, whatever happens to the path.
    pub file: File,
    /// How many bytes of it count.
    pub len: u64,
    /// Whether it may still grow.
    pub live: bool,
    /// Its name without folders.
    pub name: String,
    /// What it is served as.
    pub content_type: &'static str,
    /// Where it was found.
    pub path: PathBuf,
}

impl OpenMedia {
    /// A path for functions that open for themselves; valid as long as `self`.
    ///
    /// On Linux it leads to the very file that was opened, so that nobody can put another in its place.
    pub fn path(&self) -> PathBuf {
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd;
            let _ = &self.path;
            PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
        }
        #[cfg(not(target_os = "linux"))]
        self.path.clone()
    }

    /// The length for the functions of `media`: none when all of the file counts.
    pub fn limit(&self) -> Option<u64> {
        self.live.then_some(self.len)
    }
}

impl MediaFiles {
    /// Opens a track's file.
    ///
    /// # Errors
    /// [`Code::MediaUnavailable`] when it is not there or lies outside.
    pub fn open_track(&self, track: &Track) -> Result<OpenMedia> {
        let mut media = match track.origin {
            TrackOrigin::Server => self.open_own(&track.path)?,
            TrackOrigin::Client => self.open_client(&track.path)?,
        };
        if track.state == TrackState::Live {
            media.live = true;
            media.len = media.len.min(u64::try_from(track.size).unwrap_or_default());
        }
        Ok(media)
    }

    /// Opens a clip's file: the server's own, or one below the recordings directory.
    ///
    /// # Errors
    /// [`Code::MediaUnavailable`] when it is not there or lies outside.
    pub fn open_clip(&self, clip: &Clip) -> Result<OpenMedia> {
        match MediaFiles::own_clip_path(clip) {
            Some(path) => self.open_own(&path),
            None => self.open_client(&clip.file_path),
        }
    }

    /// Opens what a path names: below the media folder, or below the recordings directory.
    ///
    /// # Errors
    /// [`Code::MediaUnavailable`] when it is not there or lies outside of both.
    pub fn open_path(&self, path: &str) -> Result<OpenMedia> {
        let given = Path::new(path);
        match given.strip_prefix(self.root()) {
            Ok(inside) => self.open_own(&inside.to_string_lossy()),
            Err(_) if given.is_absolute() => self.open_client(path),
            Err(_) => self.open_own(path).or_else(|_| self.open_client(path)),
        }
    }

    /// Opens one of the server's own files by its path from the media folder on.
    ///
    /// # Errors
    /// [`Code::MediaUnavailable`] when it is not there.
    pub fn open_own(&self, relative: &str) -> Result<OpenMedia> {
        open_in(&self.own_dir()?, Path::new(relative), self.own(relative))
    }

    /// Whether a client's path lies, as text, below the recordings directory, and how it is kept then.
    pub fn client_path(&self, path: &str) -> Option<PathBuf> {
        let inside = self.inside_recordings(path)?;
        let climbs = inside.components().any(|it| !matches!(it, std::path::Component::Normal(_)));
        (!climbs && inside.components().next().is_some()).then(|| self.recordings_dir.join(inside))
    }

    /// Opens a file that a client named.
    ///
    /// # Errors
    /// [`Code::MediaUnavailable`] when it is not there, or not below the recordings directory.
    pub fn open_client(&self, path: &str) -> Result<OpenMedia> {
        let inside = self.inside_recordings(path).ok_or_else(unavailable)?;
        let dir =
            Dir::open_ambient_dir(&self.recordings_dir, ambient_authority()).map_err(|_| unavailable())?;
        open_in(&dir, &inside, self.recordings_dir.join(&inside))
    }

    /// Whether a path that a client named lies below the recordings directory, there or not.
    pub fn is_in_recordings(&self, path: &str) -> bool {
        self.inside_recordings(path).is_some()
    }

    fn inside_recordings(&self, path: &str) -> Option<PathBuf> {
        let given = Path::new(path);
        if given.is_relative() {
            return Some(given.to_owned());
        }
        if let Ok(inside) = given.strip_prefix(&self.recordings_dir) {
            return Some(inside.to_owned());
        }
        // The same folder under another name, such as /private/var for /var.
        let real = self.recordings_dir.canonicalize().ok()?;
        given.strip_prefix(real).ok().map(Path::to_owned)
    }

    /// The media folder.
    pub(super) fn own_dir(&self) -> Result<Dir> {
        Dir::open_ambient_dir(self.root(), ambient_authority()).map_err(io_error)
    }
}

/// Opens a file inside a folder.
///
/// # Errors
/// [`Code::MediaUnavailable`] when it is not there.
pub fn open_in(dir: &Dir, inside: &Path, path: PathBuf) -> Result<OpenMedia> {
    let file = dir.open(inside).map_err(|_| unavailable())?;
    let meta = file.metadata().map_err(|_| unavailable())?;
    if !meta.is_file() {
        return Err(unavailable());
    }
    let name = inside.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(OpenMedia {
        file: file.into_std(),
        len: meta.len(),
        live: false,
        content_type: content_type(&name),
        name,
        path,
    })
}

fn unavailable() -> Error {
    Error::new(Code::MediaUnavailable, "There is no media file here that the server may read.")
}

/// What a media function says, as an error of the product.
pub fn media_error(error: MediaError) -> Error {
    match error {
        MediaError::OutOfRange { duration_s, .. } => {
            Error::new(Code::OutOfRange, format!("{error}.")).with_member("duration", duration_s)
        }
        MediaError::Stopped => Error::new(Code::Overloaded, "The time for this was over."),
        MediaError::BadRange { why } => Error::field("/", why),
        MediaError::Io(io) if io.kind() == std::io::ErrorKind::NotFound => unavailable(),
        MediaError::Io(io) => io_error(io),
        other => Error::new(Code::NoAudio, format!("{other}.")),
    }
}
