//! Cutting a passage out of a recording that may still be running.

use std::path::PathBuf;

use crate::error::{Code, Error, FieldError, Result};
use crate::media::{self, CutRange};
use crate::model::clip::Clip;
use crate::model::recording::{Recording, Track, TrackState};
use crate::model::time::Timestamp;
use crate::services::Services;
use crate::services::fields::Checked;
use crate::services::files::{MediaFiles, io_error, media_error, sync_folder};

use super::create::no_recording;

/// What is to be cut.
pub(super) struct Plan {
    recording: Recording,
    name: String,
    track: Track,
    range: CutRange,
}

/// A file that was cut; dropped before its row is there, it is removed again.
pub(super) struct CutFile {
    path: PathBuf,
    kept: bool,
}

/// Finds recording, track and range of a body.
///
/// # Errors
/// `Invalid` when the body does not say what to cut; `NoAudio` when the recording has no track.
pub(super) fn plan(services: &Services, sent: &Checked) -> Result<Plan> {
    let range = range(sent)?;
    let id = sent.text("recording_id").unwrap_or_default();
    let recording = services.store.read(|r| r.recording(&id))?.ok_or_else(no_recording)?;
    let (name, track) = track(&recording, sent.text("track"))?;
    Ok(Plan { recording, name, track, range })
}

fn range(sent: &Checked) -> Result<CutRange> {
    let wrong = |at: &str, why: &str| Err(Error::field(format!("/{at}"), why));
    match (sent.number("start"), sent.number("end"), sent.number("last")) {
        (Some(start_s), Some(end_s), None) if start_s < end_s => Ok(CutRange::Between { start_s, end_s }),
        (Some(_), Some(_), None) => wrong("end", "must come after start"),
        (None, None, Some(seconds)) => Ok(CutRange::Last { seconds }),
        (None, None, None) => wrong("start", "is required: give start and end, or last, or a file_path"),
        (_, _, Some(_)) => wrong("last", "stands alone: give start and end, or last"),
        (None, ..) => wrong("start", "is required beside end"),
        (_, None, _) => wrong("end", "is required beside start"),
    }
}

fn track(recording: &Recording, wanted: Option<String>) -> Result<(String, Track)> {
    let names = || recording.tracks.keys().cloned().collect::<Vec<_>>().join(", ");
    let name = match (wanted, recording.tracks.len()) {
        (_, 0) => {
            let detail = format!("Recording `{}` has no track to cut yet.", recording.id);
            return Err(Error::new(Code::NoAudio, detail));
        }
        (Some(name), _) => name,
        (None, 1) => names(),
        (None, _) => "system".to_owned(),
    };
    match recording.tracks.get(&name) {
        Some(track) => Ok((name, track.clone())),
        None => Err(Error::fields(vec![FieldError {
            pointer: "/track".to_owned(),
            message: format!("names no track of the recording; there are {}", names()),
        }])),
    }
}

/// Writes the file and puts into the clip what it holds.
///
/// # Errors
/// `OutOfRange`, `NoAudio`, `MediaUnavailable`, `DiskFull`; no file stays then.
pub(super) async fn cut(services: &Services, clip: &mut Clip, plan: Plan) -> Result<CutFile> {
    let Plan { recording, name, track, range } = plan;
    let mut source = services.files.open_track(&track)?;
    if track.state == TrackState::Live {
        // What somebody is sending at this moment counts too.
        let received = services.files.live.written(&recording.id, &name).unwrap_or(0);
        source.len = source.len.max(received);
    }
    let relative = MediaFiles::clip_path(clip.id);
    let path = services.files.own(&relative);
    let part = services.files.own(&format!("{relative}.part"));
    let work = move || {
        let done = media::cut(&source.path(), source.limit(), range, &part).map_err(media_error)?;
        let probe = media::probe(&part, None).map_err(media_error);
        let file = CutFile { path: path.clone(), kept: false };
        let named = probe.and_then(|probe| {
            std::fs::rename(&part, &path).map_err(io_error)?;
            path.parent().map_or(Ok(()), |it| sync_folder(it).map_err(io_error))?;
            Ok(probe)
        });
        match named {
            Ok(probe) => Ok((done, probe, file)),
            Err(error) => {
                // The error that stopped it matters more than the half file, which the next start sweeps.
                std::fs::remove_file(&part).ok();
                Err(error)
            }
        }
    };
    let (done, probe, file) = services.blocking.run(work).await?;
    clip.file_path = file.path.to_string_lossy().into_owned();
    clip.owns_file = true;
    clip.file_size = i64::try_from(done.bytes).ok();
    clip.duration = Some(probe.duration_s);
    clip.codec = Some(probe.codec);
    clip.recording_id = Some(recording.id.clone());
    if clip.title.is_empty() {
        clip.title = default_title(&recording, done.start_s);
    }
    if clip.recorded_at.is_none() {
        clip.recorded_at = Some(Timestamp(recording.started_at.0 + (done.start_s * 1e6).round() as i64));
    }
    Ok(file)
}

/// The recording's title and where in it the passage begins.
fn default_title(recording: &Recording, start_s: f64) -> String {
    let second = start_s as u64;
    let place = format!(" {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    let title = recording.title.as_deref().unwrap_or(&recording.id);
    title.chars().take(255 - place.chars().count()).collect::<String>() + &place
}

impl CutFile {
    /// Its row is there: it stays.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for CutFile {
    fn drop(&mut self) {
        // The next start sweeps what cannot be removed now.
        if !self.kept
            && let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            log::warn!("the file of a clip that was not made stays behind: {error}");
        }
    }
}
