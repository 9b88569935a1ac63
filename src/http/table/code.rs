//! Plugins' code: files, drafts, versions, recorded calls, and making plugins anew.

use crate::error::Code::*;
use crate::plugins::PluginView;
use crate::plugins::drafts::{DraftCheck, DraftView};
use crate::plugins::manager::{Edited, Preview, ReplayView, Uploaded};
use crate::plugins::manager::{RollbackDone, VersionDetail, VersionDiff, VersionView};
use crate::plugins::sources::SourceFile;
use crate::plugins::testing::TestReport;

use crate::http::openapi::bodies::*;
use crate::http::openapi::schema::{items, of, page};
use crate::http::query::PAGING;
use crate::http::route::Gives::{Diff, Json, Media, Nothing};
use crate::http::route::Takes::{self, JsonOrNothing};
use crate::http::route::{Route, delete, get, post, put};
use crate::http::{
    plugin_drafts, plugin_files, plugin_preview, plugin_tests, plugin_upload, plugin_versions, plugins,
    traces,
};

use super::fails::{DRAFT_FAULTS, DRAFT_PUBLISH_FAULTS, FILE_FAULTS, UPLOAD_FAULTS};
use super::{DIGEST, IF_EITHER, IF_MATCH, IF_NONE, WANTS};

#[rustfmt::skip] // a route a paragraph
pub(super) fn routes() -> Vec<Route> {
    vec![
        post("/api/v1/plugins/upload", "uploadPlugin", plugin_upload::upload, "Takes up a plugin that comes as one zip file (application/zip, 4 MiB): a new one gets its folder, is registered and loaded; with ?replace=true and If-Match a known one gets these files as one change, and those that are not among them go.")
            .query(plugin_upload::UPLOAD).query(plugin_files::NOTE).takes(Takes::Media).headers(DIGEST).headers(IF_MATCH).gives(201, Json(of::<Uploaded>)).gives(200, Json(of::<Uploaded>)).fails(UPLOAD_FAULTS),
        post("/api/v1/plugins/{id}/reload", "reloadPlugin", plugins::reload, "Reads a plugin's folder and makes the plugin anew, also when nothing has changed; the running generation stays when the new one does not load.")
            .gives(200, Json(of::<Edited>)).fails(&[PluginNotFound, Conflict, PluginNotRunning, PluginLoadFailed]),
        post("/api/v1/plugins/{id}/load", "loadPlugin", plugins::load, "Loads a plugin that does not run; whether it is enabled stays as it is.")
            .gives(200, Json(of::<PluginView>)).fails(&[PluginNotFound, Conflict, PluginLoadFailed]),
        post("/api/v1/plugins/{id}/unload", "unloadPlugin", plugins::unload, "Stops a plugin until it is loaded again or the server restarts; whether it is enabled stays as it is.")
            .gives(200, Json(of::<PluginView>)).fails(&[PluginNotFound, Conflict]),
        get("/api/v1/plugins/{id}/files", "listPluginFiles", plugin_files::list, "Lists the files of a plugin by path.")
            .headers(IF_NONE).gives(200, Json(items::<SourceFile>)).gives(304, Nothing).fails(&[PluginNotFound, Conflict]),
        post("/api/v1/plugins/{id}/files/rename", "renamePluginFile", plugin_files::rename, "Gives a file of a plugin another name: {from, to}; If-Match names the ETag of the one that is there. The plugin runs with it when this is answered.")
            .query(plugin_files::DRAFT).query(plugin_files::NOTE).takes(Takes::Json(rename_file)).headers(IF_MATCH).gives(200, Json(saved)).fails(FILE_FAULTS),
        get("/api/v1/plugins/{id}/files/{path:.*}", "getPluginFile", plugin_files::get, "Gives the bytes of a file of a plugin.")
            .headers(IF_NONE).headers(WANTS).tells(DIGEST).gives(200, Media).gives(304, Nothing).fails(&[PluginNotFound, NotFound, Conflict]),
        put("/api/v1/plugins/{id}/files/{path:.*}", "savePluginFile", plugin_files::put, "Writes a file of a plugin: the body is its bytes, If-Match the ETag of the one that is there, or If-None-Match: * for a new one. The new version is made aside and runs when this is answered; one that does not load changes nothing.")
            .query(plugin_files::DRAFT).query(plugin_files::NOTE).takes(Takes::Media).headers(DIGEST).headers(IF_EITHER).gives(200, Json(saved)).gives(201, Json(saved)).fails(FILE_FAULTS),
        delete("/api/v1/plugins/{id}/files/{path:.*}", "deletePluginFile", plugin_files::delete, "Deletes a file of a plugin; If-Match names its ETag. The plugin runs without it when this is answered.")
            .query(plugin_files::DRAFT).query(plugin_files::NOTE).headers(IF_MATCH).gives(200, Json(saved)).fails(FILE_FAULTS),
        get("/api/v1/plugins/{id}/archive", "getPluginArchive", plugin_files::archive, "Gives all files of a plugin as one zip file.")
            .headers(IF_NONE).headers(WANTS).tells(DIGEST).gives(200, Media).gives(304, Nothing).fails(&[PluginNotFound, Conflict]),
        get("/api/v1/plugins/{id}/draft", "getPluginDraft", plugin_drafts::get, "Gives the draft of a plugin: what it changes, and what somebody else has changed meanwhile.")
            .headers(IF_NONE).gives(200, Json(of::<DraftView>)).gives(304, Nothing).fails(&[PluginNotFound, NotFound, Conflict]),
        delete("/api/v1/plugins/{id}/draft", "deletePluginDraft", plugin_drafts::delete, "Drops the draft of a plugin.")
            .gives(204, Nothing).fails(&[PluginNotFound, NotFound]),
        get("/api/v1/plugins/{id}/draft/files/{path:.*}", "getPluginDraftFile", plugin_drafts::get_file, "Gives the bytes of a file as the draft would have it: its own, else the live one.")
            .headers(IF_NONE).headers(WANTS).tells(DIGEST).gives(200, Media).gives(304, Nothing).fails(&[PluginNotFound, NotFound, Conflict]),
        put("/api/v1/plugins/{id}/draft/files/{path:.*}", "savePluginDraftFile", plugin_drafts::put_file, "Writes a file in the draft of a plugin, which is begun when there is none; nothing of it is live. If-Match names the ETag the file has in the draft.")
            .takes(Takes::Media).headers(DIGEST).headers(IF_EITHER).gives(200, Json(of::<DraftView>)).gives(201, Json(of::<DraftView>)).fails(DRAFT_FAULTS),
        delete("/api/v1/plugins/{id}/draft/files/{path:.*}", "deletePluginDraftFile", plugin_drafts::delete_file, "Deletes a file in the draft of a plugin; with ?revert=true the draft leaves the file alone again.")
            .query(plugin_drafts::REVERT).headers(IF_MATCH).gives(200, Json(of::<DraftView>)).fails(DRAFT_FAULTS),
        post("/api/v1/plugins/{id}/draft/check", "checkPluginDraft", plugin_drafts::check, "Loads the draft of a plugin aside and throws it away again: whether it would run, and what for it would be called.")
            .gives(200, Json(of::<DraftCheck>)).fails(&[PluginNotFound, NotFound, Conflict]),
        post("/api/v1/plugins/{id}/validate", "validatePlugin", plugin_files::validate, "Loads the files in the folder of a plugin aside and throws them away again: whether they would run, and what for they would be called. Nothing goes live.")
            .gives(200, Json(of::<DraftCheck>)).fails(&[PluginNotFound, NoSuchFolder, Conflict]),
        post("/api/v1/plugins/{id}/preview", "previewPlugin", plugin_preview::preview, "Runs the last calls of a plugin on its files as they would be, beside the ones that run, in VMs that are thrown away: what would be refused, returned, written, told or fail otherwise.")
            .takes(Takes::Json(plugin_preview::preview_ask)).gives(200, Json(of::<Preview>)).fails(&[PluginNotFound, NotFound, Conflict, PluginLoadFailed]),
        post("/api/v1/plugins/{id}/test", "testPlugin", plugin_tests::test, "Runs the tests that lie in a plugin's folder, in a process of their own over folders that are thrown away: the plugin that runs, its data and the world are not touched. No case is begun after 60 seconds (`cut` is true then); one such run at a time.")
            .takes(JsonOrNothing(plugin_tests::test_ask)).gives(200, Json(of::<TestReport>)).fails(&[PluginNotFound, Conflict, PluginTimeout]),
        post("/api/v1/plugins/{id}/draft/publish", "publishPluginDraft", plugin_drafts::publish, "Makes the draft of a plugin live, all its files at once; it is gone then. Refused when somebody else has changed the same files, and when it does not load.")
            .query(plugin_drafts::FORCE).query(plugin_files::NOTE).gives(200, Json(of::<Edited>)).fails(DRAFT_PUBLISH_FAULTS),
        get("/api/v1/plugins/{id}/versions", "listPluginVersions", plugin_versions::list, "Lists the versions of a plugin's files that went live, newest first; `live` marks the one that runs.")
            .query(PAGING).headers(IF_NONE).gives(200, Json(page::<VersionView>)).fails(&[PluginNotFound]),
        get("/api/v1/plugins/{id}/versions/{version}", "getPluginVersion", plugin_versions::get, "Gives a version with the paths, hashes and sizes of its files.")
            .headers(IF_NONE).gives(200, Json(of::<VersionDetail>)).gives(304, Nothing).fails(&[PluginNotFound, VersionNotFound]),
        get("/api/v1/plugins/{id}/versions/{version}/files/{path:.*}", "getPluginVersionFile", plugin_versions::file, "Gives the bytes of one file of a version; the ETag is its hash.")
            .headers(IF_NONE).headers(WANTS).tells(DIGEST).gives(200, Media).gives(304, Nothing).fails(&[PluginNotFound, VersionNotFound, NotFound]),
        get("/api/v1/plugins/{id}/diff", "diffPluginVersions", plugin_versions::compare, "Tells how two versions of a plugin's files differ, file by file; `Accept: text/x-diff` gives one unified diff. Without sides: what runs against the version before.")
            .query(plugin_versions::SIDES).headers(&["If-None-Match", "Accept"]).gives(200, Json(of::<VersionDiff>)).gives(200, Diff).gives(304, Nothing).fails(&[PluginNotFound, VersionNotFound, NoSuchFolder]),
        post("/api/v1/plugins/{id}/rollback", "rollBackPlugin", plugin_versions::roll_back, "Puts the files of a former version (the one before the one that runs, without a number) into the plugin's folder as a new version; they are made sure to load first.")
            .takes(JsonOrNothing(rollback)).gives(200, Json(of::<RollbackDone>)).fails(&[PluginNotFound, VersionNotFound, NoSuchFolder, Conflict, PreconditionFailed, PluginLoadFailed]),

        get("/api/v1/traces", "listCallTraces", traces::list, "Lists recorded calls into plugins, newest first: the last ones of each hook, failures, refusals, and samples.")
            .query(traces::FILTERS).gives(200, Json(of::<traces::TracePage>)),
        get("/api/v1/traces/{trace_id}", "getCallTrace", traces::get, "Gives a recorded call as one file: what it was given, what the host answered, what it came to; secrets are removed.")
            .gives(200, Json(traces::trace)).fails(&[TraceNotFound]),
        post("/api/v1/traces/{trace_id}/replay", "replayCallTrace", traces::replay, "Runs a recorded call again in a VM that is thrown away: nothing of it reaches the world. On the files it was recorded with, or with {\"code\": \"live\"} on those that run, or with {\"files\": {path: text}} on changed ones.")
            .takes(JsonOrNothing(traces::replay_ask)).gives(200, Json(of::<ReplayView>)).fails(&[TraceNotFound, PluginNotFound, PluginNotRunning, PluginLoadFailed, Conflict]),
    ]
}
