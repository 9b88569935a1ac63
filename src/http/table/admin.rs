//! Keys, the audit log, backups, the server itself; older clients' routes.

use crate::error::Code::*;
use crate::model::backup::Backup;
use crate::model::token::Token;

use crate::http::openapi::bodies::*;
use crate::http::openapi::schema::{items, object, of};
use crate::http::route::Gives::{Json, Nothing, Static, Text};
use crate::http::route::Takes::{self, JsonOrNothing};
use crate::http::route::{Route, delete, get, patch, post};
use crate::http::{audit, backups, compat, docs, health, metrics, tokens};

use super::IF_NONE;

#[rustfmt::skip] // a route a paragraph
pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/api/v1/tokens", "listTokens", tokens::list, "Lists the keys, never their secrets.")
            .headers(IF_NONE).gives(200, Json(items::<Token>)),
        post("/api/v1/tokens", "createToken", tokens::create, "Makes a key; the answer is the only one that shows it.")
            .takes(Takes::Json(token_create)).gives(201, Json(new_token)),
        post("/api/v1/tokens/{id}/rotate", "rotateToken", tokens::rotate, "Gives a key another secret, shown this once; the former one opens nothing any more.")
            .takes(JsonOrNothing(token_rotate)).gives(200, Json(new_token)).fails(&[TokenNotFound, Conflict]),
        delete("/api/v1/tokens/{id}", "revokeToken", tokens::revoke, "Revokes a key; the last one that may do everything only with ?force=true.")
            .query(tokens::FORCE).gives(204, Nothing).fails(&[TokenNotFound, Conflict]),
        patch("/api/v1/tokens/{id}", "updateToken", tokens::patch, "Changes what a key is called and how often it may be used (a merge patch); in force when this is answered.")
            .takes(Takes::Json(token_change)).gives(200, Json(of::<Token>)).fails(&[TokenNotFound]),

        get("/api/v1/audit", "listAudit", audit::list, "Lists who changed what, and which doors plugins found shut, newest first.")
            .query(audit::FILTERS).gives(200, Json(of::<audit::AuditPage>)),

        get("/api/v1/backups", "listBackups", backups::list, "Lists the backups in `<data_dir>/backups`, newest first, and the one that is being made or broke off last.")
            .headers(IF_NONE).gives(200, Json(items::<Backup>)),
        post("/api/v1/backups", "startBackup", backups::start, "Begins a backup of everything, to a folder of its own in `<data_dir>/backups`; one at a time.")
            .gives(202, Json(of::<Backup>)).fails(&[Conflict]),
        get("/api/v1/backups/{backup_id}", "getBackup", backups::get, "Gives a backup, or how far it is.")
            .gives(200, Json(of::<Backup>)).fails(&[BackupNotFound]),
        delete("/api/v1/backups/{backup_id}", "deleteBackup", backups::delete, "Removes a backup; one that is being made ends, and nothing of it is kept.")
            .gives(204, Nothing).fails(&[BackupNotFound]),

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
