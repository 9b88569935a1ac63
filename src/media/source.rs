//! A file of which only the first bytes count: a live track grows while it is read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use symphonia::core::io::MediaSource;

use super::stop::{Scope, Stop};

/// A readable, seekable view of a file's first `len` bytes.
pub(super) struct Limited {
    file: File,
    pos: u64,
    len: u64,
    stop: Stop,
}

impl Limited {
    /// Opens what counts of `path`: the acknowledged length of a live track, else the whole file.
    pub(super) fn open(path: &Path, scope: &Scope) -> io::Result<Self> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let len = scope.len.map_or(meta.len(), |len| len.min(meta.len()));
        Ok(Self { file, pos: 0, len, stop: scope.stop.clone() })
    }

    /// How many bytes can be read.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The file itself, standing at byte `pos`, for a copy that counts its own bytes.
    pub(super) fn into_file_at(mut self, pos: u64) -> io::Result<File> {
        self.file.seek(SeekFrom::Start(pos))?;
        Ok(self.file)
    }
}

impl Read for Limited {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stop.check().map_err(io::Error::other)?;
        let left = self.len.saturating_sub(self.pos);
        let want = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let got = self.file.read(&mut buf[..want])?;
        self.pos += got as u64;
        Ok(got)
    }
}

impl Seek for Limited {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(pos) => Some(pos),
            SeekFrom::Current(by) => self.pos.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        let target = target.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a seek before the start of the file")
        })?;
        self.pos = self.file.seek(SeekFrom::Start(target))?;
        Ok(self.pos)
    }
}

impl MediaSource for Limited {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limited_file_ends_at_its_limit_even_when_more_is_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, b"0123456789").unwrap();
        let mut source = Limited::open(&path, &Some(4).into()).unwrap();
        let mut text = String::new();
        source.read_to_string(&mut text).unwrap();
        assert_eq!(text, "0123");
        source.seek(SeekFrom::End(-1)).unwrap();
        let mut one = String::new();
        source.read_to_string(&mut one).unwrap();
        assert_eq!(one, "3");
        source.seek(SeekFrom::Start(8)).unwrap();
        assert_eq!(source.read(&mut [0; 4]).unwrap(), 0);
        assert_eq!(Limited::open(&path, &Some(99).into()).unwrap().len(), 10);
    }
}
