//! Media sent for a clip.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::model::call::Caller;
use crate::model::clip::Clip;
use crate::services::files::{Busy, Expected, MediaFiles, Sink, sniff};
use crate::services::tracks::Measured;
use crate::services::{Services, news};

use super::{not_found, subject, to_json};

/// A clip's media being received; dropping it leaves nothing behind.
pub struct ClipUpload {
    services: Services,
    caller: Caller,
    id: i64,
    content_type: Option<String>,
    sink: Sink,
    _busy: Busy,
}

/// Begins the upload of a clip's media, in place of what it had. One at a time for each clip.
///
/// # Errors
/// `ClipNotFound`, `TooLarge`, `Conflict` while somebody else sends it, `DiskFull`.
pub async fn begin_content(
    services: &Services,
    caller: &Caller,
    id: i64,
    content_type: Option<String>,
    len: Option<u64>,
) -> Result<ClipUpload> {
    super::get(services, id)?;
    services.files.check_size(len.unwrap_or(0))?;
    // No recording's id begins with a dot.
    let held = services.files.live.begin(".clips", &id.to_string()).ok_or_else(|| {
        let detail = format!("Somebody else is sending the media of clip {id} at this moment.");
        Error { retry_after: Some(1), ..Error::new(Code::Conflict, detail) }
    })?;
    let part = services.files.own(&format!("clips/{id}.part"));
    let sink = Sink::create(&services.blocking, part).await?;
    let (services, caller) = (services.clone(), caller.clone());
    Ok(ClipUpload { services, caller, id, content_type, sink, _busy: held })
}

impl ClipUpload {
    /// Takes note of what the sender says of the whole; to be said before the first byte.
    pub fn expect(&mut self, expected: &Expected) {
        if expected.sha512.is_some() {
            self.sink.with_sha512();
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// `TooLarge`, naming the setting; `DiskFull`.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.services.files.check_size(self.sink.len() + chunk.len() as u64)?;
        self.sink.write(chunk).await
    }

    /// Makes the file durable, probes it and stores the row. Tells `clip.updated`.
    ///
    /// # Errors
    /// `BadHeader` when the length, `DigestMismatch` when a hash is not as announced; `ClipNotFound` when it is gone. Nothing is
    /// kept then.
    pub async fn finish(self, expected: &Expected) -> Result<Clip> {
        let ClipUpload { services, caller, id, content_type, sink, _busy } = self;
        let written = sink.finish(expected).await?;
        let size = i64::try_from(written.len).ok();
        let path = services.files.free_clip_path(id, sniff(&written.head, content_type.as_deref()));
        let (files, place) = (services.files.clone(), path.clone());
        let measured = services
            .blocking
            .run(move || {
                let measured = Measured::of(written.part_path(), None);
                written.rename(&files.own(&place))?;
                Ok(measured)
            })
            .await?;
        let own = services.clone();
        let file_path = services.files.own(&path).to_string_lossy().into_owned();
        let stored = services.store.write(move |tx| {
            let before = tx.clip(id)?.ok_or_else(|| not_found(id))?;
            let mut clip = before.clone();
            clip.file_path = file_path;
            clip.owns_file = true;
            clip.file_size = size.filter(|it| *it > 0);
            clip.duration = measured.duration.or(before.duration);
            clip.codec = measured.codec.or(clip.codec);
            clip.updated_at = own.now();
            clip.version = tx.update_clip(&clip)?;
            let data = Arc::new(Value::Object(to_json(&clip)?));
            own.journal.publish(tx, news("clip.updated", subject(id), data), &caller)?;
            Ok((clip, MediaFiles::own_clip_path(&before)))
        });
        let (clip, useless) = match stored.await {
            Ok((clip, former)) => (Ok(clip), former),
            Err(error) => (Err(error), Some(path)),
        };
        if let Some(useless) = useless {
            let files = services.files.clone();
            services.blocking.start(move || {
                if let Err(error) = files.remove_own(&useless) {
                    log::warn!("the replaced file {useless} stays behind: {error}");
                }
            });
        }
        clip
    }
}
