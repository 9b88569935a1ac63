//! Recordings, tracks and clips.

use crate::error::Code::*;
use crate::model::clip::{Clip, ClipStats};
use crate::model::recording::Recording;
use crate::services::recordings::{Detail, Told};

use crate::http::openapi::bodies::*;
use crate::http::openapi::schema::{of, page};
use crate::http::query::PAGING;
use crate::http::route::Gives::{Json, Media, Nothing};
use crate::http::route::Takes::{self, JsonOrNothing};
use crate::http::route::{Route, delete, get, patch, post, put};
use crate::http::{clips, recordings, tracks};

use super::{DIGEST, IF_MATCH, IF_NONE, ONCE, RANGE, WANTS};

#[rustfmt::skip] // a route a paragraph
pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/api/v1/recordings", "listRecordings", recordings::list, "Lists recordings, newest first.")
            .query(PAGING).query(recordings::FILTERS).headers(IF_NONE).gives(200, Json(page::<Recording>)),
        post("/api/v1/recordings", "startRecording", recordings::start, "Starts a recording; asks before_recording_start, tells recording.started. The same start again answers 200 with duplicate: true.")
            .takes(JsonOrNothing(recording_start)).headers(ONCE).gives(201, Json(of::<Told>)).gives(200, Json(of::<Told>)).fails(&[ContradictingContent, HookDenied]),
        get("/api/v1/recordings/{id}", "getRecording", recordings::get, "Gives a recording with its tracks.")
            .query(recordings::INCLUDE).headers(IF_NONE).gives(200, Json(of::<Detail>)).gives(304, Nothing).fails(&[RecordingNotFound]),
        patch("/api/v1/recordings/{id}", "updateRecording", recordings::patch, "Changes title and metadata (a merge patch); tells recording.updated.")
            .takes(Takes::Json(recording_change)).headers(IF_MATCH).gives(200, Json(of::<Recording>)).fails(&[RecordingNotFound]),
        put("/api/v1/recordings/{id}", "replaceRecording", recordings::patch, "The same as PATCH: what is not sent stays.")
            .takes(Takes::Json(recording_change)).headers(IF_MATCH).gives(200, Json(of::<Recording>)).fails(&[RecordingNotFound]),
        delete("/api/v1/recordings/{id}", "deleteRecording", recordings::delete, "Deletes a recording that has ended; its clips stay. Tells recording.deleted.")
            .query(recordings::FILES).headers(IF_MATCH).gives(204, Nothing).fails(&[RecordingNotFound, RecordingActive]),
        post("/api/v1/recordings/{id}/end", "endRecording", recordings::end, "Ends a recording; tells recording.ended, from which after_recording_end is told. The same end again answers duplicate: true.")
            .takes(JsonOrNothing(recording_end)).headers(ONCE).gives(200, Json(of::<Told>)).fails(&[RecordingNotFound, ContradictingContent]),
        get("/api/v1/recordings/{id}/events", "listRecordingEvents", recordings::events, "Gives the last 50 events about a recording, newest first.")
            .headers(IF_NONE).gives(200, Json(event_items)).fails(&[RecordingNotFound]),
        get("/api/v1/recordings/{id}/tasks", "listRecordingTasks", recordings::tasks, "Gives what plugins did last for a recording.")
            .headers(IF_NONE).gives(200, Json(task_items)).fails(&[RecordingNotFound]),

        get("/api/v1/recordings/{id}/tracks", "listTracks", tracks::list, "Gives the tracks of a recording by name.")
            .headers(IF_NONE).gives(200, Json(track_items)).fails(&[RecordingNotFound]),
        get("/api/v1/recordings/{id}/tracks/{track}", "downloadTrack", tracks::download, "Gives the bytes of a track, also while it grows.")
            .headers(RANGE).headers(WANTS).tells(DIGEST).gives(200, Media).gives(206, Media).gives(304, Nothing).fails(&[RecordingNotFound, TrackNotFound, MediaUnavailable, RangeNotSatisfiable]),
        put("/api/v1/recordings/{id}/tracks/{track}", "uploadTrack", tracks::upload, "Stores a whole track of any size; tells track.stored.")
            .query(tracks::REPLACE).takes(Takes::Media).headers(DIGEST).gives(201, Json(track)).gives(200, Json(track)).fails(&[RecordingNotFound, RecordingCompleted, Conflict]),
        post("/api/v1/recordings/{id}/tracks/{track}", "appendTrack", tracks::append, "Appends to a live track; what is answered is on disk.")
            .takes(Takes::Media).headers(&["Upload-Offset"]).gives(200, Json(track)).fails(&[RecordingNotFound, RecordingCompleted, OffsetMismatch, Conflict]),
        delete("/api/v1/recordings/{id}/tracks/{track}", "deleteTrack", tracks::delete, "Deletes a track, and its file if the server wrote it.")
            .gives(204, Nothing).fails(&[RecordingNotFound, TrackNotFound, Conflict]),
        get("/api/v1/recordings/{id}/tracks/{track}/waveform", "getTrackWaveform", tracks::waveform, "Gives the peaks of a track.")
            .query(tracks::POINTS).gives(200, Json(waveform)).fails(&[RecordingNotFound, TrackNotFound, MediaUnavailable, NoAudio]),

        get("/api/v1/clips", "listClips", clips::list, "Lists clips, newest first.")
            .query(PAGING).query(clips::FILTERS).headers(IF_NONE).gives(200, Json(page::<Clip>)),
        post("/api/v1/clips", "createClip", clips::create, "Creates a clip: of a file, or cut from a recording, also from one that runs. Asks on_clip_captured, tells clip.created.")
            .takes(Takes::Json(clip_create)).headers(ONCE).gives(201, Json(of::<Clip>)).fails(&[RecordingNotFound, TrackNotFound, MediaUnavailable, OutOfRange, NoAudio]),
        get("/api/v1/clips/stats/summary", "getClipStatsSummary", clips::stats, "Gives totals over all clips.")
            .headers(IF_NONE).gives(200, Json(of::<ClipStats>)),
        get("/api/v1/clips/stats", "getClipStats", clips::stats, "Gives totals over all clips.")
            .headers(IF_NONE).gives(200, Json(of::<ClipStats>)),
        get("/api/v1/clips/{id}", "getClip", clips::get, "Gives a clip.")
            .headers(IF_NONE).gives(200, Json(of::<Clip>)).gives(304, Nothing).fails(&[ClipNotFound]),
        patch("/api/v1/clips/{id}", "updateClip", clips::patch, "Changes a clip (a merge patch); asks on_clip_processed when processed becomes true, tells clip.updated.")
            .takes(Takes::Json(clip_change)).headers(IF_MATCH).gives(200, Json(of::<Clip>)).fails(&[ClipNotFound, IllegalTransition]),
        put("/api/v1/clips/{id}", "replaceClip", clips::patch, "The same as PATCH: what is not sent stays.")
            .takes(Takes::Json(clip_change)).headers(IF_MATCH).gives(200, Json(of::<Clip>)).fails(&[ClipNotFound, IllegalTransition]),
        delete("/api/v1/clips/{id}", "deleteClip", clips::delete, "Deletes a clip; its file only when asked to and the server wrote it. Tells clip.deleted.")
            .query(clips::FILES).headers(IF_MATCH).gives(204, Nothing).fails(&[ClipNotFound]),
        get("/api/v1/clips/{id}/content", "downloadClip", clips::download, "Gives the bytes of a clip's media.")
            .headers(RANGE).gives(200, Media).gives(206, Media).gives(304, Nothing).fails(&[ClipNotFound, MediaUnavailable, RangeNotSatisfiable]),
        put("/api/v1/clips/{id}/content", "uploadClip", clips::upload, "Stores the media of a clip.")
            .takes(Takes::Media).headers(DIGEST).gives(200, Json(of::<Clip>)).fails(&[ClipNotFound, Conflict]),
        get("/api/v1/clips/{id}/waveform", "getClipWaveform", clips::waveform, "Gives the peaks of a clip's audio.")
            .query(tracks::POINTS).gives(200, Json(waveform)).fails(&[ClipNotFound, MediaUnavailable, NoAudio]),
    ]
}
