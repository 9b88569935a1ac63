//! A new file, streamed in constant memory: `*.part` beside its place, synced, renamed, folder synced.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256, Sha512};

use crate::error::{Code, Error, Result};

use super::{Blocking, io_error, sync_folder};

/// So much is gathered before a thread of the pool is asked to write it.
const GATHER_BYTES: usize = 512 * 1024;

/// What the sender said about the whole.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Content-Length, where it was told.
    pub len: Option<u64>,
    /// SHA-256 in lower-case hex, where it was told.
    pub sha256: Option<String>,
    /// SHA-512 in lower-case hex, where it was told.
    pub sha512: Option<String>,
}

impl Expected {
    /// Holds what was told against what was found; what was not told is not asked for.
    ///
    /// # Errors
    /// [`Code::DigestMismatch`].
    pub fn check_hashes(&self, sha256: Option<&str>, sha512: Option<&str>) -> Result<()> {
        for (name, told, found) in [("SHA-256", &self.sha256, sha256), ("SHA-512", &self.sha512, sha512)] {
            let Some(told) = told else { continue };
            let found = found.unwrap_or("unknown");
            if !told.eq_ignore_ascii_case(found) {
                let detail =
                    format!("The body's {name} is {found}, but {told} was announced; nothing was stored.");
                return Err(Error::new(Code::DigestMismatch, detail));
            }
        }
        Ok(())
    }
}

/// A file that is complete and durable under its `.part` name.
#[derive(Debug)]
pub struct Written {
    /// Bytes.
    pub len: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
    /// Its first bytes, for telling what it is.
    pub head: Vec<u8>,
    part: Part,
}

/// A file being written; what is dropped unfinished leaves nothing behind.
#[derive(Debug)]
pub struct Sink {
    blocking: Blocking,
    gathered: Vec<Bytes>,
    gathered_len: usize,
    len: u64,
    head: Vec<u8>,
    /// None only while a write is under way or after one has failed.
    inner: Option<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    hash: Sha256,
    /// Only where the sender told one.
    long_hash: Option<Sha512>,
    part: Part,
}

/// The `.part` file; removed when dropped.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    kept: bool,
}

impl Sink {
    /// Begins the file `part`, whose folder is made when it is missing.
    ///
    /// # Errors
    /// When it cannot be made; [`Code::DiskFull`] when there is no room.
    pub async fn create(blocking: &Blocking, part: PathBuf) -> Result<Self> {
        let inner = blocking.run(move || open_part(part).map_err(io_error)).await?;
        Ok(Sink {
            blocking: blocking.clone(),
            gathered: Vec::new(),
            gathered_len: 0,
            len: 0,
            head: Vec::new(),
            inner: Some(inner),
        })
    }

    /// Hashes what comes by SHA-512 too; to be said before the first byte.
    pub fn with_sha512(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.long_hash = Some(Sha512::new());
        }
    }

    /// Bytes taken so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing came yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When they cannot be written; [`Code::DiskFull`] when there is no room.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        if self.head.len() < super::kind::SNIFF_BYTES {
            let wanted = super::kind::SNIFF_BYTES - self.head.len();
            self.head.extend_from_slice(&chunk[..wanted.min(chunk.len())]);
        }
        self.len += chunk.len() as u64;
        self.gathered_len += chunk.len();
        self.gathered.push(chunk);
        if self.gathered_len >= GATHER_BYTES {
            self.flush(false).await?;
        }
        Ok(())
    }

    /// Makes the file complete and durable, if it is what its sender said it is.
    ///
    /// # Errors
    /// [`Code::BadHeader`] when the length, [`Code::DigestMismatch`] when a hash is not what was told; nothing is kept then.
    pub async fn finish(mut self, expected: &Expected) -> Result<Written> {
        if let Some(told) = expected.len
            && told != self.len
        {
            return Err(Error::new(
                Code::BadHeader,
                format!("The body has {} bytes, but {told} were announced; nothing was stored.", self.len),
            ));
        }
        self.flush(true).await?;
        let Some(Inner { hash, long_hash, part, .. }) = self.inner else { return Err(broken()) };
        let sha256 = format!("{:x}", hash.finalize());
        let sha512 = long_hash.map(|it| format!("{:x}", it.finalize()));
        expected.check_hashes(Some(&sha256), sha512.as_deref())?;
        Ok(Written { len: self.len, sha256, head: self.head, part })
    }

    async fn flush(&mut self, sync: bool) -> Result<()> {
        let Some(mut inner) = self.inner.take() else { return Err(broken()) };
        let chunks = std::mem::take(&mut self.gathered);
        self.gathered_len = 0;
        let work = move || {
            for chunk in &chunks {
                inner.file.write_all(chunk)?;
                inner.hash.update(chunk);
                if let Some(hash) = &mut inner.long_hash {
                    hash.update(chunk);
                }
            }
            if sync {
                inner.file.sync_all()?;
            }
            Ok(inner)
        };
        let written = self.blocking.run(move || work().map_err(io_error)).await?;
        self.inner = Some(written);
        Ok(())
    }
}

impl Written {
    /// Where the bytes lie at this moment.
    pub fn part_path(&self) -> &Path {
        &self.part.path
    }

    /// Gives the file its name, durably. Blocks.
    ///
    /// # Errors
    /// When it cannot be renamed; the `.part` is removed then.
    pub fn rename(mut self, to: &Path) -> Result<()> {
        std::fs::rename(&self.part.path, to).map_err(io_error)?;
        self.part.kept = true;
        match to.parent() {
            Some(folder) => sync_folder(folder).map_err(io_error),
            None => Ok(()),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            log::warn!("an unfinished upload could not be removed: {error}");
        }
    }
}

fn open_part(path: PathBuf) -> std::io::Result<Inner> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
    Ok(Inner { file, hash: Sha256::new(), long_hash: None, part: Part { path, kept: false } })
}

/// Makes a folder whose name survives a power cut.
pub(super) fn make_folder(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    folder.parent().map_or(Ok(()), sync_folder)
}

fn broken() -> Error {
    Error::internal("the upload went on after one of its writes had failed")
}
