//! A track that grows while its recording runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Mutex as AsyncMutex;

use crate::error::{Code, Error, Result};
use crate::model::recording::{RecordingStatus, Track, TrackOrigin, TrackState};
use crate::services::Services;
use crate::services::files::{Busy, LiveState, io_error, sniff};
use crate::services::recordings::{ended, not_found};

use super::{Measured, busy, recording_for};

/// So much is gathered before a thread of the pool is asked to write it.
const GATHER_BYTES: usize = 512 * 1024;
/// What trickles in is in the file, for a cut of the last seconds, after this time.
const FLUSH_EVERY: Duration = Duration::from_millis(100);
/// A body that goes on for long is acknowledged in the row after this time, …
const ACKNOWLEDGE_EVERY: Duration = Duration::from_secs(1);
/// … or after so many bytes.
const ACKNOWLEDGE_BYTES: u64 = 16 << 20;

/// An append under way; what was not acknowledged when it is dropped is cut off by the next one.
pub struct TrackAppend {
    services: Services,
    id: String,
    name: String,
    content_type: Option<String>,
    held: Busy,
    /// The row; none before the first bytes.
    track: Option<Track>,
    acknowledged: u64,
    /// What is in the file.
    written: u64,
    gathered: Vec<Bytes>,
    gathered_len: usize,
    acknowledged_at: Instant,
    flushed_at: Instant,
}

/// Begins an append at `offset`, which must be the stored length. One at a time for each track.
///
/// # Errors
/// `RecordingNotFound`; `RecordingCompleted`; `OffsetMismatch` with `expected_offset`; `Conflict` when the
/// track is whole already or somebody else writes it.
pub async fn begin_append(
    services: &Services,
    id: &str,
    track: &str,
    offset: u64,
    content_type: Option<&str>,
) -> Result<TrackAppend> {
    recording_for(services, id, track)?;
    let held = services.files.live.begin(id, track).ok_or_else(|| busy(track))?;
    // Read under the right to write: nobody else changes the length now.
    let recording = recording_for(services, id, track)?;
    if recording.status == RecordingStatus::Completed {
        return Err(ended(id));
    }
    let row = recording.tracks.get(track).cloned();
    if row.as_ref().is_some_and(|it| it.state == TrackState::Stored) {
        let detail = format!("The track `{track}` is whole; PUT replaces it.");
        return Err(Error::new(Code::Conflict, detail));
    }
    let stored = row.as_ref().map_or(0, |it| u64::try_from(it.size).unwrap_or_default());
    if offset != stored {
        let detail = format!("The track `{track}` has {stored} bytes; Upload-Offset says {offset}.");
        return Err(Error::new(Code::OffsetMismatch, detail).with_member("expected_offset", stored));
    }
    Ok(TrackAppend {
        services: services.clone(),
        id: id.to_owned(),
        name: track.to_owned(),
        content_type: content_type.map(str::to_owned),
        held,
        track: row,
        acknowledged: stored,
        written: stored,
        gathered: Vec::new(),
        gathered_len: 0,
        acknowledged_at: Instant::now(),
        flushed_at: Instant::now(),
    })
}

impl TrackAppend {
    /// Takes the next bytes; of a long body, what came so far is acknowledged from time to time.
    ///
    /// # Errors
    /// `RecordingCompleted` when the recording ends meanwhile; `TooLarge`; `DiskFull`.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let gathered = self.gathered_len as u64 + chunk.len() as u64;
        self.services.files.check_size(self.written + gathered)?;
        self.gathered_len += chunk.len();
        self.gathered.push(chunk);
        let due = self.acknowledged_at.elapsed() >= ACKNOWLEDGE_EVERY
            || self.written + self.gathered_len as u64 >= self.acknowledged + ACKNOWLEDGE_BYTES;
        if due {
            let len = self.flush(true).await?;
            self.acknowledge(len).await?;
        } else if self.gathered_len >= GATHER_BYTES || self.flushed_at.elapsed() >= FLUSH_EVERY {
            self.flush(false).await?;
        }
        Ok(())
    }

    /// Makes everything durable and its length known.
    ///
    /// # Errors
    /// As [`TrackAppend::write`].
    pub async fn finish(mut self) -> Result<Track> {
        let len = self.flush(true).await?;
        self.acknowledge(len).await
    }

    /// Writes what was gathered; answers the length of the file.
    async fn flush(&mut self, sync: bool) -> Result<u64> {
        let chunks = std::mem::take(&mut self.gathered);
        self.gathered_len = 0;
        let path = self.path(&chunks);
        let (files, acknowledged, id) = (self.services.files.clone(), self.acknowledged, self.id.clone());
        let state: Arc<AsyncMutex<LiveState>> = Arc::clone(&self.held.state);
        let mut state = state.lock_owned().await;
        if state.closed {
            return Err(ended(&id));
        }
        let work = move || {
            if !state.is_open() {
                state.open(&files.own(&path), acknowledged).map_err(io_error)?;
            }
            state.append(&chunks, sync).map_err(io_error)
        };
        self.flushed_at = Instant::now();
        self.written = self.services.blocking.run(work).await?;
        Ok(self.written)
    }

    /// The file of the track; a new one is called after what its first bytes are.
    fn path(&mut self, chunks: &[Bytes]) -> String {
        let now = self.services.now();
        let (files, id, name) = (&self.services.files, &self.id, &self.name);
        let content_type = self.content_type.as_deref();
        let track = self.track.get_or_insert_with(|| {
            let head = chunks.first().map_or(&[][..], |it| it);
            let path = files.free_track_path(id, name, sniff(head, content_type));
            let mut track = Measured::default().track(path, TrackOrigin::Server, 0, now);
            track.state = TrackState::Live;
            track
        });
        track.path.clone()
    }

    /// Puts the length into the row, so that it survives.
    async fn acknowledge(&mut self, len: u64) -> Result<Track> {
        let Some(mut track) = self.track.clone() else {
            return Err(Error::internal("an append without a track"));
        };
        track.size = i64::try_from(len).map_err(Error::internal)?;
        track.updated_at = self.services.now();
        self.measure(&mut track, len).await?;
        let (id, name, row) = (self.id.clone(), self.name.clone(), track.clone());
        let written = self.services.store.write(move |tx| {
            let recording = tx.recording(&id)?.ok_or_else(|| not_found(&id))?;
            if recording.status == RecordingStatus::Completed {
                return Err(ended(&id));
            }
            tx.put_track(&id, &name, &row)
        });
        written.await?;
        self.acknowledged = len;
        self.acknowledged_at = Instant::now();
        self.track = Some(track.clone());
        Ok(track)
    }

    /// A WAV tells how long it is at every moment; other codecs are measured at the end.
    async fn measure(&self, track: &mut Track, len: u64) -> Result<()> {
        if !track.path.ends_with(".wav") {
            return Ok(());
        }
        let path = self.services.files.own(&track.path);
        let measured = self.services.blocking.run(move || Ok(Measured::of(&path, Some(len)))).await?;
        track.duration = measured.duration;
        track.codec = measured.codec;
        track.sample_rate = measured.sample_rate;
        track.channels = measured.channels;
        Ok(())
    }
}
