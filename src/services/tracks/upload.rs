//! A whole track, streamed to disk in constant memory.

use bytes::Bytes;

use crate::error::{Code, Error, Result};
use crate::model::call::Caller;
use crate::model::recording::{Recording, RecordingStatus, Track, TrackOrigin};
use crate::services::Services;
use crate::services::files::{Busy, Expected, MediaFiles, Sink, Written, sniff};
use crate::services::recordings::not_found;
use crate::store::Tx;

use super::{Measured, busy, recording_for, stored_news};

/// What is said about an upload before its first byte.
#[derive(Debug, Clone, Default)]
pub struct Upload {
    /// Replace a track of a recording that has ended.
    pub replace: bool,
    /// The Content-Type, which counts when the bytes themselves do not tell.
    pub content_type: Option<String>,
    /// The Content-Length; more than the limit is refused before anything is read.
    pub len: Option<u64>,
}

/// A whole track being received; dropping it leaves nothing behind.
pub struct TrackUpload {
    services: Services,
    caller: Caller,
    id: String,
    track: String,
    upload: Upload,
    sink: Sink,
    _busy: Busy,
}

/// Begins the upload of a whole track. One at a time for each track.
///
/// # Errors
/// `RecordingNotFound`; `RecordingCompleted` for a track that is there when the recording has ended, without
/// `replace`; `TooLarge`; `Conflict` while somebody else writes the track; `DiskFull`.
pub async fn begin_upload(
    services: &Services,
    caller: &Caller,
    id: &str,
    track: &str,
    upload: Upload,
) -> Result<TrackUpload> {
    check_upload(services, id, track, upload.replace)?;
    services.files.check_size(upload.len.unwrap_or(0))?;
    let held = services.files.live.begin(id, track).ok_or_else(|| busy(track))?;
    let part = format!("{}/{track}.part", MediaFiles::recording_folder(id));
    let sink = Sink::create(&services.blocking, services.files.own(&part)).await?;
    Ok(TrackUpload {
        services: services.clone(),
        caller: caller.clone(),
        id: id.to_owned(),
        track: track.to_owned(),
        upload,
        sink,
        _busy: held,
    })
}

impl TrackUpload {
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

    /// Makes the file durable, probes it, and stores the row. Tells `track.stored`.
    ///
    /// # Errors
    /// `BadHeader` when the length, `DigestMismatch` when a hash is not as announced; `RecordingNotFound`, `RecordingCompleted` when
    /// the recording changed meanwhile. Nothing is kept then.
    pub async fn finish(self, expected: &Expected) -> Result<Track> {
        let TrackUpload { services, caller, id, track: name, upload, sink, _busy } = self;
        let written = sink.finish(expected).await?;
        let track = keep(&services, &id, &name, &upload, written).await?;
        match store_whole(&services, &caller, &id, &name, upload.replace, &track, |_| Ok(())).await {
            Ok(()) => Ok(track),
            Err(error) => {
                remove(&services, track.path);
                Err(error)
            }
        }
    }
}

/// Stores the row of a whole track whose file has its name, and what `also` does with it, and removes the file it takes
/// the place of. Tells `track.stored`.
///
/// # Errors
/// `RecordingNotFound`, `RecordingCompleted` when the recording changed meanwhile; the new file is its caller's then.
pub(in crate::services) async fn store_whole<T: Send + 'static>(
    services: &Services,
    caller: &Caller,
    id: &str,
    name: &str,
    replace: bool,
    track: &Track,
    also: impl FnOnce(&mut Tx) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (journal, stored, caller) = (services.journal.clone(), track.clone(), caller.clone());
    let (key, name, now) = (id.to_owned(), name.to_owned(), services.now());
    let former = services.store.write(move |tx| {
        let recording = tx.recording(&key)?.ok_or_else(|| not_found(&key))?;
        check_replace(&recording, &name, replace)?;
        tx.put_track(&key, &name, &stored)?;
        tx.touch_recording(&key, now)?;
        journal.publish(tx, stored_news(&key, &name, &stored), &caller)?;
        Ok((recording.tracks.get(&name).cloned(), also(tx)?))
    });
    let (former, done) = former.await?;
    let former = former.filter(|it| it.origin == TrackOrigin::Server && it.path != track.path);
    if let Some(former) = former {
        remove(services, former.path);
    }
    Ok(done)
}

/// Whether a whole track could be stored at this moment.
///
/// # Errors
/// `BadPath` for its name; `RecordingNotFound`; `RecordingCompleted` without `replace`.
pub(in crate::services) fn check_upload(
    services: &Services,
    id: &str,
    track: &str,
    replace: bool,
) -> Result<()> {
    check_replace(&recording_for(services, id, track)?, track, replace)
}

/// Probes the file and gives it its name.
async fn keep(services: &Services, id: &str, name: &str, upload: &Upload, written: Written) -> Result<Track> {
    let (files, now) = (services.files.clone(), services.now());
    let path = files.free_track_path(id, name, sniff(&written.head, upload.content_type.as_deref()));
    let work = move || {
        let measured = Measured::of(written.part_path(), None);
        let mut track = measured.track(path, TrackOrigin::Server, written.len, now);
        track.sha256 = Some(written.sha256.clone());
        written.rename(&files.own(&track.path))?;
        Ok(track)
    };
    services.blocking.run(work).await
}

fn check_replace(recording: &Recording, track: &str, replace: bool) -> Result<()> {
    let completed = recording.status == RecordingStatus::Completed;
    if completed && recording.tracks.contains_key(track) && !replace {
        let detail = format!("Recording `{}` has ended and has a track `{track}`.", recording.id);
        return Err(Error::new(Code::RecordingCompleted, detail));
    }
    Ok(())
}

/// A file no row names any more; one that stays is swept at the next start.
fn remove(services: &Services, path: String) {
    let files = services.files.clone();
    services.blocking.start(move || {
        if let Err(error) = files.remove_own(&path) {
            log::warn!("the replaced file {path} stays behind: {error}");
        }
    });
}
