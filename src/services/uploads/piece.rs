//! One piece of an upload, from its first byte to the row that acknowledges it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use tokio::sync::Mutex as AsyncMutex;

use crate::error::{Code, Error, Result};
use crate::model::call::Caller;
use crate::model::upload::Upload;
use crate::services::Services;
use crate::services::files::{Busy, LiveState, io_error};
use crate::services::tracks;

use super::{LOCKS, expiry, find, finish, locked, not_found, part_path};

/// So much is gathered before a thread of the pool is asked to write it.
const GATHER_BYTES: usize = 512 * 1024;
/// Of a piece that goes on for long, what came is acknowledged after this time, …
const ACKNOWLEDGE_EVERY: Duration = Duration::from_secs(1);
/// … or after so many bytes.
const ACKNOWLEDGE_BYTES: u64 = 16 << 20;

/// What a piece hashes to, as its sender says.
#[derive(Debug, Clone)]
pub enum Checksum {
    /// 20 bytes.
    Sha1(Sha1, Vec<u8>),
    /// 32 bytes.
    Sha256(Sha256, Vec<u8>),
    /// 64 bytes.
    Sha512(Sha512, Vec<u8>),
}

impl Checksum {
    /// The names of the algorithms.
    pub const ALGORITHMS: &'static [&'static str] = &["sha1", "sha256", "sha512"];

    /// The checksum `expected` of an algorithm; none when the algorithm is not known or the length is not its own.
    pub fn new(algorithm: &str, expected: Vec<u8>) -> Option<Self> {
        match (algorithm, expected.len()) {
            ("sha1", 20) => Some(Checksum::Sha1(Sha1::new(), expected)),
            ("sha256", 32) => Some(Checksum::Sha256(Sha256::new(), expected)),
            ("sha512", 64) => Some(Checksum::Sha512(Sha512::new(), expected)),
            _ => None,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Checksum::Sha1(hash, _) => hash.update(bytes),
            Checksum::Sha256(hash, _) => hash.update(bytes),
            Checksum::Sha512(hash, _) => hash.update(bytes),
        }
    }

    fn fits(self) -> bool {
        match self {
            Checksum::Sha1(hash, expected) => hash.finalize()[..] == expected[..],
            Checksum::Sha256(hash, expected) => hash.finalize()[..] == expected[..],
            Checksum::Sha512(hash, expected) => hash.finalize()[..] == expected[..],
        }
    }
}

/// A piece being received. Dropped in the middle, it keeps what came, unless it has a checksum: that cannot be held
/// against a part of it.
pub struct Piece(Option<Open>);

struct Open {
    services: Services,
    caller: Caller,
    upload: Upload,
    held: Busy,
    checksum: Option<Checksum>,
    gathered: Vec<Bytes>,
    gathered_len: usize,
    /// What is in the file.
    written: u64,
    acknowledged: u64,
    acknowledged_at: Instant,
}

/// Begins a piece at `offset`, which must be what is there; `len` is its length, where it is told.
///
/// # Errors
/// `UploadNotFound`, `UploadLocked` while somebody else sends it, `OffsetMismatch` with `expected_offset`, `TooLarge`
/// when it goes beyond the announced length; `RecordingNotFound` and `RecordingCompleted` when it cannot become a track
/// any more.
pub async fn begin(
    services: &Services,
    caller: &Caller,
    id: &str,
    offset: u64,
    len: Option<u64>,
    checksum: Option<Checksum>,
) -> Result<Piece> {
    let upload = super::get(services, id).await?;
    let held = services.files.live.begin(LOCKS, id).ok_or_else(locked)?;
    // Read under the right to write: nobody else changes it now.
    let upload = Upload { ..find(services, &upload.id)? };
    let there = u64::try_from(upload.offset).unwrap_or_default();
    if offset != there {
        let detail = format!("The upload has {there} bytes; Upload-Offset says {offset}.");
        let hint = "HEAD tells the offset; go on from there.";
        return Err(Error::new(Code::OffsetMismatch, detail)
            .with_hint(hint)
            .with_member("expected_offset", there));
    }
    if len.is_some_and(|it| it > remaining(&upload, there)) {
        return Err(beyond(&upload));
    }
    if upload.completed_at.is_none() {
        tracks::check_upload(services, &upload.recording_id, &upload.track, upload.replace)?;
    }
    services.pulse.beat(id);
    Ok(Piece(Some(Open {
        services: services.clone(),
        caller: caller.clone(),
        upload,
        held,
        checksum,
        gathered: Vec::new(),
        gathered_len: 0,
        written: there,
        acknowledged: there,
        acknowledged_at: Instant::now(),
    })))
}

/// Acknowledges what a connection brought that is silent now, and takes the right to write from it.
pub(super) async fn take_over(services: &Services, upload: Upload) -> Result<Upload> {
    let Some(held) = services.files.live.close(LOCKS, &upload.id).await else { return Ok(upload) };
    let upload = find(services, &upload.id)?;
    if upload.completed_at.is_some() {
        return Ok(upload);
    }
    let (file, length) = (services.files.own(&part_path(&upload.id)), upload.length);
    let state = Arc::clone(&held.state);
    let Some(written) = state.lock().await.written() else { return Ok(upload) };
    let sync = move || std::fs::File::open(&file).and_then(|it| it.sync_data()).map_err(io_error);
    services.blocking.run(sync).await?;
    // The whole length is told once it is a track.
    let kept = written.min(u64::try_from(length - 1).unwrap_or_default());
    log::info!("the connection of upload {} is silent: {kept} bytes of it are kept", upload.id);
    acknowledge(services, &upload.id, kept).await
}

impl Piece {
    /// Takes the next bytes; of a long piece, what came so far is acknowledged from time to time.
    ///
    /// # Errors
    /// `TooLarge` beyond the announced length; `DiskFull`; `UploadLocked` when somebody has taken the upload over.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let Some(open) = &mut self.0 else { return Ok(()) };
        open.write(chunk).await
    }

    /// Makes all of it durable and its length known; stores the track when it was the last piece.
    ///
    /// # Errors
    /// `ChecksumMismatch`: nothing of the piece is kept then. What keeps the upload from becoming a track: what came is
    /// kept all but its last byte.
    pub async fn finish(mut self) -> Result<Upload> {
        let Some(open) = self.0.take() else { return Err(Error::internal("a piece ended twice")) };
        // A client that goes away now has sent everything: it is not in vain.
        let blocking = open.services.blocking.clone();
        blocking.task(open.finish()).await?
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            let blocking = open.services.blocking.clone();
            blocking.start_task(async move {
                let id = open.upload.id.clone();
                if let Err(error) = open.keep().await {
                    log::debug!("what a cut connection brought of upload {id} is not kept: {error}");
                }
            });
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.services.pulse.end(&self.upload.id);
    }
}

impl Open {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.services.pulse.beat(&self.upload.id);
        let gathered = self.written + self.gathered_len as u64;
        if chunk.len() as u64 > remaining(&self.upload, gathered) {
            return Err(beyond(&self.upload));
        }
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&chunk);
        }
        self.gathered_len += chunk.len();
        self.gathered.push(chunk);
        let come = self.written + self.gathered_len as u64;
        let due = self.acknowledged_at.elapsed() >= ACKNOWLEDGE_EVERY
            || come >= self.acknowledged + ACKNOWLEDGE_BYTES;
        if due && self.checksum.is_none() && remaining(&self.upload, come) > 0 {
            self.flush(true).await?;
            self.acknowledge(self.written).await?;
        } else if self.gathered_len >= GATHER_BYTES {
            self.flush(false).await?;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Upload> {
        self.flush(true).await?;
        if let Some(checksum) = self.checksum.take()
            && !checksum.fits()
        {
            let detail =
                format!("The piece is not what Upload-Checksum says; go on from {}.", self.acknowledged);
            return Err(
                Error::new(Code::ChecksumMismatch, detail).with_member("expected_offset", self.acknowledged)
            );
        }
        self.settle().await
    }

    /// After a cut connection.
    async fn keep(mut self) -> Result<()> {
        if self.checksum.is_some() {
            return Ok(());
        }
        self.flush(true).await?;
        self.settle().await.map(drop)
    }

    async fn settle(mut self) -> Result<Upload> {
        if remaining(&self.upload, self.written) > 0 || self.upload.completed_at.is_some() {
            if self.written == self.acknowledged {
                return find(&self.services, &self.upload.id);
            }
            return self.acknowledge(self.written).await;
        }
        // Held until it is a track: nobody takes the upload over while its file is read and given its name.
        let state = Arc::clone(&self.held.state).lock_owned().await;
        if state.closed {
            return Err(locked());
        }
        match finish::finish(&self.services, &self.caller, &self.upload).await {
            Ok(done) => Ok(done),
            Err(error) => {
                // Only the last byte is to be sent again once it can be a track.
                let kept = self.written.saturating_sub(1).max(self.acknowledged);
                self.acknowledge(kept).await?;
                Err(error)
            }
        }
    }

    /// Writes what was gathered.
    async fn flush(&mut self, sync: bool) -> Result<()> {
        let chunks = std::mem::take(&mut self.gathered);
        self.gathered_len = 0;
        let (path, acknowledged) = (self.services.files.own(&part_path(&self.upload.id)), self.acknowledged);
        let state: Arc<AsyncMutex<LiveState>> = Arc::clone(&self.held.state);
        let mut state = state.lock_owned().await;
        if state.closed {
            return Err(locked());
        }
        if self.upload.completed_at.is_some() {
            return Ok(());
        }
        let work = move || {
            if !state.is_open() {
                state.open(&path, acknowledged).map_err(io_error)?;
            }
            state.append(&chunks, sync).map_err(io_error)
        };
        self.written = self.services.blocking.run(work).await?;
        Ok(())
    }

    async fn acknowledge(&mut self, len: u64) -> Result<Upload> {
        let upload = acknowledge(&self.services, &self.upload.id, len).await?;
        self.acknowledged = len;
        self.acknowledged_at = Instant::now();
        Ok(upload)
    }
}

/// Puts a length that is on disk into the row.
async fn acknowledge(services: &Services, id: &str, len: u64) -> Result<Upload> {
    let (id, now, expires_at) = (id.to_owned(), services.now(), expiry(services));
    let len = i64::try_from(len).map_err(Error::internal)?;
    services
        .store
        .write(move |tx| {
            let mut upload = tx.upload(&id)?.ok_or_else(|| not_found(&id))?;
            upload.offset = upload.offset.max(len);
            (upload.updated_at, upload.expires_at) = (now, expires_at);
            tx.put_upload(&upload)?;
            Ok(upload)
        })
        .await
}

fn remaining(upload: &Upload, from: u64) -> u64 {
    u64::try_from(upload.length).unwrap_or_default().saturating_sub(from)
}

fn beyond(upload: &Upload) -> Error {
    let detail = format!("The piece goes beyond the {} bytes that Upload-Length announced.", upload.length);
    Error::new(Code::TooLarge, detail).with_member("limit_bytes", upload.length)
}
