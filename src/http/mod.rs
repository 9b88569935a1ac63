//! The HTTP surface: every route on one page.
//!
//! A handler takes, authorises, calls one service and wraps; the scope of its key stands in the type of its
//! argument. `route` registers the rows, `openapi` writes the document from them, `middleware` is what every
//! request passes, `problem` the only place that shapes an error.

mod assets;
mod audit;
mod body;
mod call;
mod clips;
mod compat;
mod digest;
mod docs;
mod event_publish;
mod event_schemas;
mod event_stream;
mod events;
mod event_replays;
mod fails;
mod grants;
mod health;
mod hooks;
mod media;
mod meta;
mod metrics;
mod middleware;
mod openapi;
mod plugin_config;
mod plugin_database;
mod plugin_drafts;
mod plugin_files;
mod plugin_preview;
mod plugin_routes;
mod plugin_versions;
mod plugin_upload;
mod plugins;
mod problem;
mod query;
mod recordings;
mod reply;
mod route;
mod schedules;
mod server;
mod state;
mod tokens;
mod traces;
mod tracks;
mod webhooks;

use crate::error::Code::*;
use crate::model::clip::{Clip, ClipStats};
use crate::model::recording::Recording;
use crate::model::replay::Replay;
use crate::model::schedule::ScheduleRun;
use crate::model::token::Token;
use crate::model::webhook::{Webhook, WebhookAttempt};
use crate::plugins::drafts::{DraftCheck, DraftView};
use crate::plugins::manager::{
    DependencyView, Edited, GrantsView, Preview, ReplayView, ScheduleView, Uploaded,
};
use crate::plugins::manager::{RollbackDone, VersionDetail, VersionDiff, VersionView};
use crate::plugins::sources::SourceFile;
use crate::plugins::{ConfigItem, MigrationView, PluginStatus, PluginView, Rescan};
use crate::services::event_schemas::EventSchemaRow;
use crate::services::events::trace::Trace;
use crate::services::events::{EventStats, EventTypePage, SubscriptionView};
use crate::services::recordings::{Detail, Told};
use crate::services::webhooks::{Made, Redelivery};

use fails::{DRAFT_FAULTS, DRAFT_PUBLISH_FAULTS, FILE_FAULTS, UPLOAD_FAULTS};
use openapi::bodies::*;
use openapi::schema::{items, object, of, page};
use query::PAGING;
use route::Gives::{Events, Json, Media, Nothing, Static, Text};
use route::Takes::{self, JsonOrNothing};
use route::{Route, delete, get, patch, post, put};

pub use server::serve;
pub use state::{HttpState, IsReady};

/// The OpenAPI document.
pub fn openapi() -> serde_json::Value {
    openapi::document(&routes())
}

const IF_MATCH: &[&str] = &["If-Match"];
const IF_NONE: &[&str] = &["If-None-Match"];
const IF_EITHER: &[&str] = &["If-Match", "If-None-Match"];
const ONCE: &[&str] = &["Idempotency-Key"];
const RANGE: &[&str] = &["Range", "If-Range", "If-None-Match"];

/// The table of routes. Of two that fit a path, the first one is taken.
#[rustfmt::skip] // a route a paragraph
fn routes() -> Vec<Route> {
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
            .headers(RANGE).gives(200, Media).gives(206, Media).gives(304, Nothing).fails(&[RecordingNotFound, TrackNotFound, MediaUnavailable, RangeNotSatisfiable]),
        put("/api/v1/recordings/{id}/tracks/{track}", "uploadTrack", tracks::upload, "Stores a whole track of any size; tells track.stored.")
            .query(tracks::REPLACE).takes(Takes::Media).headers(&["Repr-Digest"]).gives(201, Json(track)).gives(200, Json(track)).fails(&[RecordingNotFound, RecordingCompleted, Conflict]),
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
            .takes(Takes::Media).headers(&["Repr-Digest"]).gives(200, Json(of::<Clip>)).fails(&[ClipNotFound, Conflict]),
        get("/api/v1/clips/{id}/waveform", "getClipWaveform", clips::waveform, "Gives the peaks of a clip's audio.")
            .query(tracks::POINTS).gives(200, Json(waveform)).fails(&[ClipNotFound, MediaUnavailable, NoAudio]),

        get("/api/v1/plugins", "listPlugins", plugins::list, "Lists plugins by name.")
            .query(PAGING).query(plugins::FILTERS).headers(IF_NONE).gives(200, Json(page::<PluginView>)),
        post("/api/v1/plugins", "registerPlugin", plugins::register, "Registers a plugin folder; it is loaded when it is meant to run.")
            .takes(Takes::Json(plugin_create)).headers(ONCE).gives(201, Json(of::<PluginView>)).fails(&[PluginExists, NoSuchFolder]),
        post("/api/v1/plugins/rescan", "rescanPlugins", plugins::rescan, "Looks through the plugin folders again: new plugins are loaded, edited ones replaced, failed ones tried again, gone ones stopped.")
            .gives(200, Json(of::<Rescan>)),
        post("/api/v1/plugins/upload", "uploadPlugin", plugin_upload::upload, "Takes up a plugin that comes as one zip file (application/zip, 4 MiB): a new one gets its folder, is registered and loaded; with ?replace=true and If-Match a known one gets these files as one change, and those that are not among them go.")
            .query(plugin_upload::UPLOAD).query(plugin_files::NOTE).takes(Takes::Media).headers(IF_MATCH).gives(201, Json(of::<Uploaded>)).gives(200, Json(of::<Uploaded>)).fails(UPLOAD_FAULTS),
        get("/api/v1/plugins/{id}", "getPlugin", plugins::get, "Gives a plugin by its number or name.")
            .headers(IF_NONE).gives(200, Json(of::<PluginView>)).gives(304, Nothing).fails(&[PluginNotFound]),
        patch("/api/v1/plugins/{id}", "updatePlugin", plugins::patch, "Changes what is said of a plugin (a merge patch); enabled starts or stops it.")
            .takes(Takes::Json(plugin_change)).headers(IF_MATCH).gives(200, Json(of::<PluginView>)).fails(&[PluginNotFound, Conflict, PluginLoadFailed]),
        put("/api/v1/plugins/{id}", "replacePlugin", plugins::patch, "The same as PATCH: what is not sent stays.")
            .takes(Takes::Json(plugin_change)).headers(IF_MATCH).gives(200, Json(of::<PluginView>)).fails(&[PluginNotFound, Conflict, PluginLoadFailed]),
        delete("/api/v1/plugins/{id}", "deletePlugin", plugins::delete, "Stops a plugin and forgets its row, config and grants; the folder stays and shows as discovered until POST /api/v1/plugins registers it again.")
            .query(plugins::PURGE).headers(IF_MATCH).gives(204, Nothing).fails(&[PluginNotFound]),
        post("/api/v1/plugins/{id}/enable", "enablePlugin", plugins::enable, "Lets a plugin run, now and after a restart.")
            .gives(200, Json(of::<PluginView>)).fails(&[PluginNotFound, Conflict, PluginLoadFailed]),
        post("/api/v1/plugins/{id}/disable", "disablePlugin", plugins::disable, "Stops a plugin, now and after a restart.")
            .gives(200, Json(of::<PluginView>)).fails(&[PluginNotFound, Conflict]),
        post("/api/v1/plugins/{id}/reload", "reloadPlugin", plugins::reload, "Reads a plugin's folder and makes the plugin anew, also when nothing has changed; the running generation stays when the new one does not load.")
            .gives(200, Json(of::<Edited>)).fails(&[PluginNotFound, Conflict, PluginNotRunning, PluginLoadFailed]),
        post("/api/v1/plugins/{id}/load", "loadPlugin", plugins::load, "Loads a plugin that does not run; whether it is enabled stays as it is.")
            .gives(200, Json(of::<PluginView>)).fails(&[PluginNotFound, Conflict, PluginLoadFailed]),
        post("/api/v1/plugins/{id}/unload", "unloadPlugin", plugins::unload, "Stops a plugin until it is loaded again or the server restarts; whether it is enabled stays as it is.")
            .gives(200, Json(of::<PluginView>)).fails(&[PluginNotFound, Conflict]),
        get("/api/v1/plugins/{id}/status", "getPluginStatus", plugins::status, "Tells everything about a plugin at this moment.")
            .gives(200, Json(of::<PluginStatus>)).fails(&[PluginNotFound]),
        post("/api/v1/plugins/{id}/breaker/reset", "resetPluginBreaker", plugins::reset_breaker, "Lets a plugin be called again that was left alone.")
            .gives(200, Json(of::<PluginStatus>)).fails(&[PluginNotFound]),
        get("/api/v1/plugins/{id}/files", "listPluginFiles", plugin_files::list, "Lists the files of a plugin by path.")
            .headers(IF_NONE).gives(200, Json(items::<SourceFile>)).gives(304, Nothing).fails(&[PluginNotFound, Conflict]),
        post("/api/v1/plugins/{id}/files/rename", "renamePluginFile", plugin_files::rename, "Gives a file of a plugin another name: {from, to}; If-Match names the ETag of the one that is there. The plugin runs with it when this is answered.")
            .query(plugin_files::DRAFT).query(plugin_files::NOTE).takes(Takes::Json(rename_file)).headers(IF_MATCH).gives(200, Json(saved)).fails(FILE_FAULTS),
        get("/api/v1/plugins/{id}/files/{path:.*}", "getPluginFile", plugin_files::get, "Gives the bytes of a file of a plugin.")
            .headers(IF_NONE).gives(200, Media).gives(304, Nothing).fails(&[PluginNotFound, NotFound, Conflict]),
        put("/api/v1/plugins/{id}/files/{path:.*}", "savePluginFile", plugin_files::put, "Writes a file of a plugin: the body is its bytes, If-Match the ETag of the one that is there, or If-None-Match: * for a new one. The new version is made aside and runs when this is answered; one that does not load changes nothing.")
            .query(plugin_files::DRAFT).query(plugin_files::NOTE).takes(Takes::Anything).headers(IF_EITHER).gives(200, Json(saved)).gives(201, Json(saved)).fails(FILE_FAULTS),
        delete("/api/v1/plugins/{id}/files/{path:.*}", "deletePluginFile", plugin_files::delete, "Deletes a file of a plugin; If-Match names its ETag. The plugin runs without it when this is answered.")
            .query(plugin_files::DRAFT).query(plugin_files::NOTE).headers(IF_MATCH).gives(200, Json(saved)).fails(FILE_FAULTS),
        get("/api/v1/plugins/{id}/archive", "getPluginArchive", plugin_files::archive, "Gives all files of a plugin as one zip file.")
            .headers(IF_NONE).gives(200, Media).gives(304, Nothing).fails(&[PluginNotFound, Conflict]),
        get("/api/v1/plugins/{id}/draft", "getPluginDraft", plugin_drafts::get, "Gives the draft of a plugin: what it changes, and what somebody else has changed meanwhile.")
            .headers(IF_NONE).gives(200, Json(of::<DraftView>)).gives(304, Nothing).fails(&[PluginNotFound, NotFound, Conflict]),
        delete("/api/v1/plugins/{id}/draft", "deletePluginDraft", plugin_drafts::delete, "Drops the draft of a plugin.")
            .gives(204, Nothing).fails(&[PluginNotFound, NotFound]),
        get("/api/v1/plugins/{id}/draft/files/{path:.*}", "getPluginDraftFile", plugin_drafts::get_file, "Gives the bytes of a file as the draft would have it: its own, else the live one.")
            .headers(IF_NONE).gives(200, Media).gives(304, Nothing).fails(&[PluginNotFound, NotFound, Conflict]),
        put("/api/v1/plugins/{id}/draft/files/{path:.*}", "savePluginDraftFile", plugin_drafts::put_file, "Writes a file in the draft of a plugin, which is begun when there is none; nothing of it is live. If-Match names the ETag the file has in the draft.")
            .takes(Takes::Anything).headers(IF_EITHER).gives(200, Json(of::<DraftView>)).gives(201, Json(of::<DraftView>)).fails(DRAFT_FAULTS),
        delete("/api/v1/plugins/{id}/draft/files/{path:.*}", "deletePluginDraftFile", plugin_drafts::delete_file, "Deletes a file in the draft of a plugin; with ?revert=true the draft leaves the file alone again.")
            .query(plugin_drafts::REVERT).headers(IF_MATCH).gives(200, Json(of::<DraftView>)).fails(DRAFT_FAULTS),
        post("/api/v1/plugins/{id}/draft/check", "checkPluginDraft", plugin_drafts::check, "Loads the draft of a plugin aside and throws it away again: whether it would run, and what for it would be called.")
            .gives(200, Json(of::<DraftCheck>)).fails(&[PluginNotFound, NotFound, Conflict]),
        post("/api/v1/plugins/{id}/preview", "previewPlugin", plugin_preview::preview, "Runs the last calls of a plugin on its files as they would be, beside the ones that run, in VMs that are thrown away: what would be refused, returned, written, told or fail otherwise.")
            .takes(Takes::Json(plugin_preview::preview_ask)).gives(200, Json(of::<Preview>)).fails(&[PluginNotFound, NotFound, Conflict, PluginLoadFailed]),
        post("/api/v1/plugins/{id}/draft/publish", "publishPluginDraft", plugin_drafts::publish, "Makes the draft of a plugin live, all its files at once; it is gone then. Refused when somebody else has changed the same files, and when it does not load.")
            .query(plugin_drafts::FORCE).query(plugin_files::NOTE).gives(200, Json(of::<Edited>)).fails(DRAFT_PUBLISH_FAULTS),
        get("/api/v1/plugins/{id}/x/{path:.*}", "getPluginRoute", plugin_routes::read, "Is answered by a route of a plugin.")
            .any_query().gives(200, Media).fails(&[PluginNotFound, NotFound, MethodNotAllowed, HookDenied, PluginFailed, PluginUnavailable, PluginTimeout]),
        post("/api/v1/plugins/{id}/x/{path:.*}", "postPluginRoute", plugin_routes::change, "Is answered by a route of a plugin.")
            .any_query().takes(Takes::Anything).gives(200, Media).fails(&[PluginNotFound, NotFound, MethodNotAllowed, HookDenied, PluginFailed, PluginUnavailable, PluginTimeout]),
        put("/api/v1/plugins/{id}/x/{path:.*}", "putPluginRoute", plugin_routes::change, "Is answered by a route of a plugin.")
            .any_query().takes(Takes::Anything).gives(200, Media).fails(&[PluginNotFound, NotFound, MethodNotAllowed, HookDenied, PluginFailed, PluginUnavailable, PluginTimeout]),
        patch("/api/v1/plugins/{id}/x/{path:.*}", "patchPluginRoute", plugin_routes::change, "Is answered by a route of a plugin.")
            .any_query().takes(Takes::Anything).gives(200, Media).fails(&[PluginNotFound, NotFound, MethodNotAllowed, HookDenied, PluginFailed, PluginUnavailable, PluginTimeout]),
        delete("/api/v1/plugins/{id}/x/{path:.*}", "deletePluginRoute", plugin_routes::change, "Is answered by a route of a plugin.")
            .any_query().takes(Takes::Anything).gives(200, Media).fails(&[PluginNotFound, NotFound, MethodNotAllowed, HookDenied, PluginFailed, PluginUnavailable, PluginTimeout]),
        get("/api/v1/plugins/{id}/assets", "listPluginAssets", assets::list, "Lists what a plugin keeps for clients, by name.")
            .query(assets::PAGE).gives(200, Json(items::<assets::AssetItem>)).fails(&[PluginNotFound]),
        get("/api/v1/plugins/{id}/assets/{name}", "getPluginAsset", assets::get, "Gives the bytes of an asset.")
            .headers(IF_NONE).gives(200, Media).gives(304, Nothing).fails(&[PluginNotFound, NotFound]),
        delete("/api/v1/plugins/{id}/assets/{name}", "deletePluginAsset", assets::delete, "Removes an asset.")
            .gives(204, Nothing).fails(&[PluginNotFound, NotFound]),
        get("/api/v1/plugins/{id}/dependencies", "listPluginDependencies", plugins::dependencies, "Tells what a plugin needs, and whether it has it.")
            .gives(200, Json(items::<DependencyView>)).fails(&[PluginNotFound]),
        get("/api/v1/plugins/{id}/dependents", "listPluginDependents", plugins::dependents, "Tells which plugins need this one: they stop before it and reload after it.")
            .gives(200, Json(items::<DependencyView>)).fails(&[PluginNotFound]),
        get("/api/v1/plugins/{id}/grants", "getPluginGrants", grants::get, "Tells what a plugin asks for, what it has and what waits.")
            .headers(IF_NONE).gives(200, Json(of::<GrantsView>)).fails(&[PluginNotFound]),
        put("/api/v1/plugins/{id}/grants", "replacePluginGrants", grants::put, "Grants a plugin permissions in place of those it was granted; in force when this is answered.")
            .takes(Takes::Json(grants_change)).gives(200, Json(of::<GrantsView>)).fails(&[PluginNotFound, Conflict, PluginLoadFailed]),
        post("/api/v1/plugins/{id}/grants", "grantPlugin", grants::put, "The same as PUT; {\"all\": true} grants everything the manifest asks for.")
            .takes(Takes::Json(grants_change)).gives(200, Json(of::<GrantsView>)).fails(&[PluginNotFound, Conflict, PluginLoadFailed]),
        delete("/api/v1/plugins/{id}/grants", "revokePluginGrants", grants::delete, "Takes back everything a plugin was granted; in force when this is answered.")
            .gives(200, Json(of::<GrantsView>)).fails(&[PluginNotFound, Conflict, PluginLoadFailed]),
        get("/api/v1/plugins/{id}/config", "listPluginConfig", plugin_config::list, "Gives every value of a plugin's config with its source; secrets are not shown.")
            .headers(IF_NONE).gives(200, Json(items::<ConfigItem>)).fails(&[PluginNotFound]),
        post("/api/v1/plugins/{id}/config", "createPluginConfig", plugin_config::create, "Stores a value under a new key; it reaches the running plugin at once.")
            .takes(Takes::Json(config_create)).headers(ONCE).gives(201, Json(of::<ConfigItem>)).fails(&[PluginNotFound, KeyExists, Conflict]),
        put("/api/v1/plugins/{id}/config/{config_id}", "updatePluginConfig", plugin_config::update, "Changes a stored value; it reaches the running plugin at once.")
            .takes(Takes::Json(config_change)).gives(200, Json(of::<ConfigItem>)).fails(&[PluginNotFound, ConfigNotFound, Conflict]),
        delete("/api/v1/plugins/{id}/config/{config_id}", "deletePluginConfig", plugin_config::delete, "Drops a stored value: the manifest's or the schema's counts again.")
            .gives(204, Nothing).fails(&[PluginNotFound, ConfigNotFound, Conflict]),

        get("/api/v1/plugins/{id}/versions", "listPluginVersions", plugin_versions::list, "Lists the versions of a plugin's files that went live, newest first; `live` marks the one that runs.")
            .query(PAGING).headers(IF_NONE).gives(200, Json(page::<VersionView>)).fails(&[PluginNotFound]),
        get("/api/v1/plugins/{id}/versions/{version}", "getPluginVersion", plugin_versions::get, "Gives a version with the paths, hashes and sizes of its files.")
            .headers(IF_NONE).gives(200, Json(of::<VersionDetail>)).gives(304, Nothing).fails(&[PluginNotFound, VersionNotFound]),
        get("/api/v1/plugins/{id}/versions/{version}/files/{path:.*}", "getPluginVersionFile", plugin_versions::file, "Gives the bytes of one file of a version; the ETag is its hash.")
            .headers(IF_NONE).gives(200, Media).gives(304, Nothing).fails(&[PluginNotFound, VersionNotFound, NotFound]),
        get("/api/v1/plugins/{id}/diff", "diffPluginVersions", plugin_versions::compare, "Tells how two versions of a plugin's files differ, file by file; `Accept: text/x-diff` gives one unified diff. Without sides: what runs against the version before.")
            .query(plugin_versions::SIDES).headers(&["If-None-Match", "Accept"]).gives(200, Json(of::<VersionDiff>)).gives(304, Nothing).fails(&[PluginNotFound, VersionNotFound, NoSuchFolder]),
        post("/api/v1/plugins/{id}/rollback", "rollBackPlugin", plugin_versions::roll_back, "Puts the files of a former version (the one before the one that runs, without a number) into the plugin's folder as a new version; they are made sure to load first.")
            .takes(JsonOrNothing(rollback)).gives(200, Json(of::<RollbackDone>)).fails(&[PluginNotFound, VersionNotFound, NoSuchFolder, Conflict, PreconditionFailed, PluginLoadFailed]),

        get("/api/v1/plugins/{id}/migrations", "listPluginMigrations", plugin_database::list, "Gives the migrations of a plugin's own database, and which are applied.")
            .headers(IF_NONE).gives(200, Json(items::<MigrationView>)).fails(&[PluginNotFound, MigrationFailed]),
        post("/api/v1/plugins/{id}/migrations/rollback", "rollBackPluginMigrations", plugin_database::roll_back, "Takes back the migrations after a number, the last one first; the plugin must not run.")
            .takes(Takes::Json(migration_rollback)).gives(200, Json(items::<MigrationView>)).fails(&[PluginNotFound, Conflict, MigrationFailed]),

        get("/api/v1/hooks", "listHooks", hooks::list, "Gives every hook with its effective chain.")
            .headers(IF_NONE).gives(200, Json(items::<hooks::HookChain>)),
        get("/api/v1/hooks/{hook}", "getHook", hooks::get, "Gives the effective chain of a hook, and why it is in that order.")
            .headers(IF_NONE).gives(200, Json(of::<hooks::HookChain>)).fails(&[HookNotFound]),

        post("/api/v1/events/replay", "replayEvents", event_replays::replay, "Tells past events again, behind everything live: by id, by a filter, or those whose delivery was given up. With dry_run: true it answers 200 and only counts.")
            .takes(Takes::Json(replay_ask)).headers(ONCE).gives(202, Json(of::<Replay>)).gives(200, Json(object)).fails(&[PluginNotRunning]),
        get("/api/v1/events/replays", "listReplays", event_replays::list, "Lists replays, newest first.")
            .query(event_replays::PAGE).gives(200, Json(of::<event_replays::ReplayPage>)),
        get("/api/v1/events/replays/{replay_id}", "getReplay", event_replays::get, "Gives a replay and how far it is.")
            .gives(200, Json(of::<Replay>)).fails(&[ReplayNotFound]),
        delete("/api/v1/events/replays/{replay_id}", "cancelReplay", event_replays::cancel, "Ends a replay: what it has queued and what has not begun is taken back.")
            .gives(200, Json(of::<Replay>)).fails(&[ReplayNotFound, Conflict]),
        get("/api/v1/traces", "listCallTraces", traces::list, "Lists recorded calls into plugins, newest first: the last ones of each hook, failures, refusals, and samples.")
            .query(traces::FILTERS).gives(200, Json(of::<traces::TracePage>)),
        get("/api/v1/traces/{trace_id}", "getCallTrace", traces::get, "Gives a recorded call as one file: what it was given, what the host answered, what it came to; secrets are removed.")
            .gives(200, Json(traces::trace)).fails(&[TraceNotFound]),
        post("/api/v1/traces/{trace_id}/replay", "replayCallTrace", traces::replay, "Runs a recorded call again in a VM that is thrown away: nothing of it reaches the world. On the files it was recorded with, or with {\"code\": \"live\"} on those that run, or with {\"files\": {path: text}} on changed ones.")
            .takes(JsonOrNothing(traces::replay_ask)).gives(200, Json(of::<ReplayView>)).fails(&[TraceNotFound, PluginNotFound, PluginNotRunning, PluginLoadFailed, Conflict]),
        get("/api/v1/events/dead", "listDeadDeliveries", event_replays::list_dead, "Lists the deliveries that were given up, newest first.")
            .query(event_replays::PAGE).query(event_replays::FILTERS).gives(200, Json(of::<event_replays::DeadPage>)),
        post("/api/v1/events/dead/{delivery_id}/replay", "replayDeadDelivery", event_replays::replay_dead, "Lets a delivery that was given up be tried anew.")
            .gives(202, Json(of::<Replay>)).fails(&[DeliveryNotFound, PluginNotRunning]),
        delete("/api/v1/events/dead/{delivery_id}", "discardDeadDelivery", event_replays::discard_dead, "Forgets a delivery that was given up; its event stays.")
            .gives(204, Nothing).fails(&[DeliveryNotFound]),
        get("/api/v1/events/trace/{correlation_id}", "getTrace", event_replays::trace, "Gives what one request set off: events, to whom each was told, and what that caused. The X-Request-Id of the request's answer is its correlation id.")
            .gives(200, Json(of::<Trace>)),

        get("/api/v1/schedules", "listSchedules", schedules::list, "Lists what plugins are called for again and again.")
            .query(schedules::FILTERS).gives(200, Json(items::<ScheduleView>)),
        get("/api/v1/schedules/{id}", "getSchedule", schedules::get, "Gives a schedule with its last 100 runs.")
            .gives(200, Json(of::<ScheduleView>)).fails(&[ScheduleNotFound]),
        patch("/api/v1/schedules/{id}", "pauseSchedule", schedules::patch, "Holds a schedule, or lets it go on from now.")
            .takes(Takes::Json(schedule_change)).gives(200, Json(of::<ScheduleView>)).fails(&[ScheduleNotFound]),
        post("/api/v1/schedules/{id}/run", "runSchedule", schedules::run, "Runs a schedule now; answers when the run has begun.")
            .gives(202, Json(of::<ScheduleRun>)).fails(&[ScheduleNotFound, PluginNotRunning]),

        get("/api/v1/events", "listEvents", events::list, "Reads the journal by sequence, the oldest first or the newest first. A page may hold fewer events than asked for, or none, and still have a next: it looks at 10 000 rows at most and holds 8 MiB of data.")
            .query(events::WINDOW).query(events::FILTERS).query(events::MORE_FILTERS).gives(200, Json(event_page)),
        post("/api/v1/events", "publishEvent", event_publish::publish, "Publishes an event: {type, subject?, data?, priority?, ttl?}, or a CloudEvent 1.0 in structured, binary or batch mode. The server stamps id, source and time; a CloudEvent whose source and id came before is not told again. A batch is answered with {items}.")
            .query(event_publish::WAIT).takes(Takes::JsonOf(EVENT_BODIES)).headers(ONCE).gives(201, Json(event_detail)),
        get("/api/v1/events/types", "listEventTypes", events::types, "Lists the types of events by name: those on the journal, those that have a schema, and those the product tells.")
            .query(events::BY_NAME).headers(IF_NONE).gives(200, Json(of::<EventTypePage>)),
        get("/api/v1/events/types/{type}/schema", "getEventSchema", event_schemas::get, "Gives the JSON schema that the data of events of a type is held to.")
            .headers(IF_NONE).gives(200, Json(of::<EventSchemaRow>)).fails(&[EventSchemaNotFound]),
        put("/api/v1/events/types/{type}/schema", "replaceEventSchema", event_schemas::put, "Sets the JSON schema of a type that is not the product's own; who publishes other data is told every fault.")
            .takes(Takes::Json(object)).gives(200, Json(of::<EventSchemaRow>)).fails(&[Conflict]),
        delete("/api/v1/events/types/{type}/schema", "deleteEventSchema", event_schemas::delete, "Drops the schema of a type: any data will do.")
            .gives(204, Nothing).fails(&[EventSchemaNotFound]),
        get("/api/v1/events/stats", "getEventStats", events::stats, "Gives the journal in numbers: events by type, deliveries by state, the oldest one that is not done.")
            .gives(200, Json(of::<EventStats>)),
        get("/api/v1/events/subscriptions", "listEventSubscriptions", events::subscriptions, "Lists who is told of what, hooks included.")
            .headers(IF_NONE).gives(200, Json(items::<SubscriptionView>)),
        get("/api/v1/events/stream", "streamEvents", event_stream::stream, "Streams events as server-sent events: `id` is the sequence, `event` the type, `data` the CloudEvent. The first is `start` {sequence}: where it begins. Goes on after Last-Event-ID; an event `gap` {from, to} tells what is not kept any more. A comment comes every 15 s.")
            .query(event_stream::STREAM).query(events::FILTERS).headers(&["Last-Event-ID"]).gives(200, Events).fails(&[Stopping]),
        get("/api/v1/events/{id}", "getEvent", events::get, "Gives an event with its deliveries.")
            .headers(IF_NONE).gives(200, Json(event_detail)).gives(304, Nothing).fails(&[EventNotFound]),

        get("/api/v1/tokens", "listTokens", tokens::list, "Lists the keys, never their secrets.")
            .headers(IF_NONE).gives(200, Json(items::<Token>)),
        post("/api/v1/tokens", "createToken", tokens::create, "Makes a key; the answer is the only one that shows it.")
            .takes(Takes::Json(token_create)).gives(201, Json(new_token)),
        delete("/api/v1/tokens/{id}", "revokeToken", tokens::revoke, "Revokes a key.")
            .gives(204, Nothing).fails(&[TokenNotFound]),

        get("/api/v1/webhooks", "listWebhooks", webhooks::list, "Lists the other servers that are told of events, oldest first.")
            .headers(IF_NONE).gives(200, Json(items::<Webhook>)),
        post("/api/v1/webhooks", "createWebhook", webhooks::create, "Has another server told of events by signed requests; its secret is shown this once.")
            .takes(Takes::Json(webhook_create)).headers(ONCE).gives(201, Json(of::<Made>)).fails(&[Conflict]),
        get("/api/v1/webhooks/{id}", "getWebhook", webhooks::get, "Gives a webhook.")
            .headers(IF_NONE).gives(200, Json(of::<Webhook>)).gives(304, Nothing).fails(&[WebhookNotFound]),
        patch("/api/v1/webhooks/{id}", "updateWebhook", webhooks::patch, "Changes a webhook (a merge patch); in force when this is answered. Switched on again, it is told what has waited.")
            .takes(Takes::Json(webhook_change)).headers(IF_MATCH).gives(200, Json(of::<Webhook>)).fails(&[WebhookNotFound]),
        delete("/api/v1/webhooks/{id}", "deleteWebhook", webhooks::delete, "Removes a webhook, its log and what it was still to be told.")
            .headers(IF_MATCH).gives(204, Nothing).fails(&[WebhookNotFound]),
        post("/api/v1/webhooks/{id}/rotate-secret", "rotateWebhookSecret", webhooks::rotate, "Gives a webhook a new secret, shown this once; the old one signs too for 24 hours.")
            .takes(JsonOrNothing(webhook_rotate)).headers(IF_MATCH).gives(200, Json(of::<Made>)).fails(&[WebhookNotFound]),
        post("/api/v1/webhooks/{id}/test", "testWebhook", webhooks::test, "Sends webhook.ping now and tells what came back.")
            .gives(200, Json(of::<WebhookAttempt>)).fails(&[WebhookNotFound]),
        get("/api/v1/webhooks/{id}/deliveries", "listWebhookDeliveries", webhooks::attempts, "Gives what was sent to a webhook and what came back, newest first.")
            .query(webhooks::ATTEMPTS).gives(200, Json(of::<webhooks::WebhookAttemptPage>)).fails(&[WebhookNotFound]),
        post("/api/v1/webhooks/{id}/deliveries/{event_id}/redeliver", "redeliverWebhook", webhooks::redeliver, "Has a webhook told an event again, behind everything that it is still to be told.")
            .headers(ONCE).gives(202, Json(of::<Redelivery>)).fails(&[WebhookNotFound, EventNotFound, Conflict]),

        get("/api/v1/audit", "listAudit", audit::list, "Lists who changed what, and which doors plugins found shut, newest first.")
            .query(audit::FILTERS).gives(200, Json(of::<audit::AuditPage>)),

        get("/healthz", "getHealth", health::alive, "Tells that the process runs.").any_query().gives(200, Json(probe)),
        get("/readyz", "getReadiness", health::ready, "Tells whether requests will be served.").any_query().gives(200, Json(probe)).fails(&[Overloaded]),
        get("/metrics", "getMetrics", metrics::all, "Tells everything that is counted, as Prometheus reads it.").any_query().gives(200, Text),
        get("/api/openapi.json", "getOpenapi", docs::document, "Gives this document; without a key on this machine alone.").gives(200, Json(object)).fails(&[KeyMissing, KeyInvalid]),
        get("/api/docs", "getDocs", docs::index, "Shows this document as a page.").any_query().gives(200, Static),
        get("/api/docs/{file}", "getDocsFile", docs::asset, "Gives a file of that page.").any_query().gives(200, Static).fails(&[NotFound]),

        post("/api/recording-started", "olderRecordingStarted", compat::started, "Starts a recording, for PanottiServer's clients.")
            .any_query().takes(Takes::Json(object)).gives(200, Json(of::<compat::Started>)).fails(&[HookDenied, ContradictingContent]),
        post("/api/recording-ended", "olderRecordingEnded", compat::ended, "Ends a recording, for PanottiServer's clients; also one whose start was lost.")
            .any_query().takes(Takes::Json(object)).gives(200, Json(of::<compat::Ended>)).fails(&[ContradictingContent]),
        post("/recording/started", "oldRecordingStarted", compat::started, "The same as /api/recording-started.")
            .any_query().takes(Takes::Json(object)).gives(200, Json(of::<compat::Started>)).fails(&[HookDenied, ContradictingContent]),
        post("/recording/ended", "oldRecordingEnded", compat::ended, "The same as /api/recording-ended.")
            .any_query().takes(Takes::Json(object)).gives(200, Json(of::<compat::Ended>)).fails(&[ContradictingContent]),
        post("/start-recording", "oldestStartRecording", compat::started, "The same as /api/recording-started.")
            .any_query().takes(Takes::Json(object)).gives(200, Json(of::<compat::Started>)).fails(&[HookDenied, ContradictingContent]),
        post("/end-recording", "oldestEndRecording", compat::ended, "The same as /api/recording-ended.")
            .any_query().takes(Takes::Json(object)).gives(200, Json(of::<compat::Ended>)).fails(&[ContradictingContent]),
        get("/api/active-recordings", "olderActiveRecordings", compat::active, "Gives the recordings that run, for PanottiServer's clients.")
            .any_query().gives(200, Json(of::<compat::Active>)),
        get("/health", "olderHealth", compat::health, "Tells that the server is there, for PanottiServer's clients.")
            .any_query().gives(200, Json(of::<compat::Healthy>)),
    ]
}
