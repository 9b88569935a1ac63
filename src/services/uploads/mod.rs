//! Uploads that survive a cut connection: announced first, sent in as many pieces as it takes, and a track like any
//! other once the last byte is there.
//!
//! What is acknowledged is on disk: each piece is synced before its length goes into the row. The row says the whole
//! length only in the transaction that stores the track, so a client that is told so has nothing more to do.

mod create;
mod finish;
mod piece;
mod sweep;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::error::{Code, Error, Result};
use crate::model::time::Timestamp;
use crate::model::upload::Upload;

use super::Services;

pub use create::{Announced, create};
pub use piece::{Checksum, Piece, begin};
pub use sweep::{recover, sweep};

/// The most uploads a list tells.
const MAX_LISTED: i64 = 1000;

/// A connection that brought nothing for so long may be taken for dead.
const SILENT: Duration = Duration::from_secs(2);

/// When each upload that somebody sends at this moment last brought something. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Pulse(Arc<Mutex<HashMap<String, Instant>>>);

impl Pulse {
    fn beat(&self, id: &str) {
        self.0.lock().insert(id.to_owned(), Instant::now());
    }

    fn end(&self, id: &str) {
        self.0.lock().remove(id);
    }

    fn is_silent(&self, id: &str) -> bool {
        self.0.lock().get(id).is_none_or(|at| at.elapsed() >= SILENT)
    }
}

/// Who asks for an upload that is being sent waits so often and so long for it to be free.
const GRACE_STEPS: u32 = 20;
const GRACE_STEP: Duration = Duration::from_millis(10);

/// An upload as it is at this moment. Of one whose connection brings nothing any more, what came is acknowledged first.
///
/// # Errors
/// `UploadNotFound`, also when its time is over.
pub async fn get(services: &Services, id: &str) -> Result<Upload> {
    let upload = find(services, id)?;
    // Whoever comes back after a cut is often faster than the news of the cut.
    for _ in 0..GRACE_STEPS {
        if !services.files.live.is_held(LOCKS, id) {
            return find(services, id);
        }
        if services.pulse.is_silent(id) && services.files.live.written(LOCKS, id).is_some() {
            return piece::take_over(services, upload).await;
        }
        tokio::time::sleep(GRACE_STEP).await;
    }
    find(services, id)
}

/// The uploads that are not complete, oldest first; 1 000 at most.
///
/// # Errors
/// The store's.
pub async fn list(services: &Services) -> Result<Vec<Upload>> {
    let now = services.now();
    let mut uploads = services.read_long(|r| r.unfinished_uploads(MAX_LISTED)).await?;
    uploads.retain(|it| it.expires_at > now);
    Ok(uploads)
}

/// Gives an upload up; what came of it is removed. Of a complete one only the address goes: its track stays.
///
/// # Errors
/// `UploadNotFound`; `UploadLocked` while somebody sends it.
pub async fn delete(services: &Services, id: &str) -> Result<()> {
    find(services, id)?;
    let _held = services.files.live.begin(LOCKS, id).ok_or_else(locked)?;
    remove(services, id).await
}

/// Forgets an upload whose right to write the caller has, and removes what came of it.
async fn remove(services: &Services, id: &str) -> Result<()> {
    let key = id.to_owned();
    services.store.write_freeing(move |tx| tx.delete_upload(&key)).await?;
    let file = services.files.own(&part_path(id));
    services
        .blocking
        .run(move || match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(super::files::io_error(error)),
            _ => Ok(()),
        })
        .await
}

/// Under this name uploads are held against two writers; no recording's id begins with a dot.
const LOCKS: &str = ".uploads";

/// Where the pieces lie, from the media folder on.
fn part_path(id: &str) -> String {
    format!("uploads/{id}.part")
}

fn find(services: &Services, id: &str) -> Result<Upload> {
    let found = services.store.read(|r| r.upload(id))?;
    found.filter(|it| it.expires_at > services.now()).ok_or_else(|| not_found(id))
}

fn not_found(id: &str) -> Error {
    let shown: String = id.chars().take(64).collect();
    Error::new(
        Code::UploadNotFound,
        format!("There is no upload `{}`, or its time is over.", shown.escape_debug()),
    )
}

fn locked() -> Error {
    let detail = "Somebody else is sending this upload at this moment.";
    Error { retry_after: Some(1), ..Error::new(Code::UploadLocked, detail) }
}

/// When an upload is forgotten that was written at this moment.
fn expiry(services: &Services) -> Timestamp {
    let us = i64::try_from(services.settings.uploads.expire_hours)
        .unwrap_or(i64::MAX)
        .saturating_mul(3_600_000_000);
    Timestamp(services.now().0.saturating_add(us))
}
