//! One error type for everything a caller can see, and the table of its codes.
//!
//! Knows nobody: each layer turns its own faults into an [`Error`] where they leave it.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All that a caller is told of what was not foreseen.
const UNFORESEEN: &str = "The server could not do this; its log has the cause.";

/// What a service, a store or a plugin door answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, told so that the caller can act: a stable code, a sentence, and where.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Error {
    /// The stable code clients may match on; it decides status, title and default hint.
    pub code: Code,
    /// One sentence about this very occurrence, safe to show to the caller.
    pub detail: String,
    /// What to do about it, when the table's hint is not specific enough.
    pub hint: Option<String>,
    /// The single faults of a body or a configuration.
    pub errors: Vec<FieldError>,
    /// Where a script went wrong.
    pub script: Option<Box<ScriptFault>>,
    /// Overrides the table's status (a plugin's refusal may choose one).
    pub status: Option<u16>,
    /// Extra members of the problem document (`expected_offset`, `scope`, …).
    pub members: Vec<(&'static str, serde_json::Value)>,
    /// Seconds after which a retry makes sense.
    pub retry_after: Option<u32>,
    /// The cause, for the log only.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// One fault of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer into the body (`/started_at`); a query parameter or file position elsewhere.
    pub pointer: String,
    /// What is wrong and what is accepted.
    pub message: String,
}

/// A fault in a script, as its author reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ScriptFault {
    /// How the call ended (`runtime`, `deadline`, `memory`, `syntax`, …).
    pub outcome: String,
    /// The hook or entry that ran (`on_clip_captured`, `load`, …).
    pub hook: Option<String>,
    /// Path inside the plugin's folder.
    pub file: Option<String>,
    /// Line, counted from 1.
    pub line: Option<u32>,
    /// Column, counted from 1, where the compiler gives it.
    pub column: Option<u32>,
    /// The message, without position and host frames.
    pub message: String,
    /// The lines around the fault, the faulty one marked.
    pub excerpt: Option<String>,
    /// What to write instead, when the host knows.
    pub hint: Option<String>,
    /// The script's own frames.
    pub traceback: Option<String>,
    /// The recorded call (`GET /api/v1/traces/{id}`), if it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

impl fmt::Display for ScriptFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            write!(f, " ")?;
        }
        write!(f, "{}", self.message)
    }
}

macro_rules! codes {
    ($($variant:ident $status:literal $name:literal $title:literal $hint:literal;)*) => {
        /// Every error code of the product: status, name, title and the default hint.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $title] $variant),* }

        impl Code {
            /// All codes, in the table's order.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];
            /// The HTTP status.
            pub fn status(self) -> u16 { match self { $(Code::$variant => $status),* } }
            /// The stable name.
            pub fn name(self) -> &'static str { match self { $(Code::$variant => $name),* } }
            /// A short title that is the same for every occurrence.
            pub fn title(self) -> &'static str { match self { $(Code::$variant => $title),* } }
            /// What the caller can do about it.
            pub fn hint(self) -> &'static str { match self { $(Code::$variant => $hint),* } }
        }
    };
}

codes! {
    NotJson 400 "not_json" "The body is not JSON" "Send a JSON object and the header Content-Type: application/json.";
    BadPath 400 "bad_path" "The path is malformed" "See /api/docs for the shape of the path.";
    BadQuery 400 "bad_query" "The query is malformed" "See /api/docs for the query parameters of this route.";
    IncompleteBody 400 "incomplete_body" "The body broke off" "Send as many bytes as Content-Length says.";
    BadHeader 400 "bad_header" "A header is malformed" "Correct the header that the detail names.";
    DigestMismatch 400 "digest_mismatch" "The body is not what its digest says" "Send it again; nothing was stored.";
    KeyMissing 401 "key_missing" "A key is needed" "Send the key in X-API-Key or as Authorization: Bearer; the first one lies in <data_dir>/admin.token.";
    KeyInvalid 401 "key_invalid" "The key is not valid" "It may be mistyped, expired or revoked; `panotti token create` makes another.";
    ScopeMissing 403 "scope_missing" "The key does not allow this" "Use a key with the scope that the detail names; `panotti token create --scope …` makes one.";
    NotFound 404 "not_found" "Nothing is here" "See /api/docs for the routes, or /api/openapi.json for a program.";
    RecordingNotFound 404 "recording_not_found" "No recording has this id" "GET /api/v1/recordings lists them.";
    TrackNotFound 404 "track_not_found" "The recording has no such track" "GET /api/v1/recordings/{id}/tracks lists them.";
    ClipNotFound 404 "clip_not_found" "No clip has this id" "GET /api/v1/clips lists them.";
    ScheduleNotFound 404 "schedule_not_found" "No schedule has this id" "GET /api/v1/schedules lists them.";
    PluginNotRunning 409 "plugin_not_running" "The plugin does not run" "Enable it, or look at its status for what keeps it from running.";
    PluginNotFound 404 "plugin_not_found" "No plugin has this id or name" "GET /api/v1/plugins lists them.";
    VersionNotFound 404 "version_not_found" "The plugin has no such version" "GET /api/v1/plugins/{id}/versions lists them; the oldest go by `plugin_versions_keep`.";
    ConfigNotFound 404 "config_not_found" "The plugin has no such config row" "GET /api/v1/plugins/{id}/config lists them.";
    HookNotFound 404 "hook_not_found" "No hook has this name" "GET /api/v1/hooks lists them.";
    TraceNotFound 404 "trace_not_found" "No recorded call has this id" "GET /api/v1/traces lists them; of failures traces.failures_per_second are stored in a second, and old ones go by the settings under traces.";
    TokenNotFound 404 "token_not_found" "No key has this id" "`panotti token list` lists them.";
    BackupNotFound 404 "backup_not_found" "No backup has this id" "GET /api/v1/backups lists them.";
    WebhookNotFound 404 "webhook_not_found" "No webhook has this id" "GET /api/v1/webhooks lists them.";
    EventNotFound 404 "event_not_found" "No event has this id" "GET /api/v1/events lists them; old ones go by the settings under retention.";
    ReplayNotFound 404 "replay_not_found" "No replay has this number" "GET /api/v1/events/replays lists them.";
    DeliveryNotFound 404 "delivery_not_found" "No delivery that was given up has this number" "GET /api/v1/events/dead lists them.";
    EventSchemaNotFound 404 "event_schema_not_found" "Events of this type have no schema" "PUT one to /api/v1/events/types/{type}/schema.";
    UploadNotFound 404 "upload_not_found" "No upload has this id" "POST /api/v1/uploads begins one; unfinished ones go after `uploads.expire_hours`.";
    MediaUnavailable 404 "media_unavailable" "There is no readable media behind this" "Only files the server wrote, or below the recordings directory, are served.";
    MethodNotAllowed 405 "method_not_allowed" "The route does not know this method" "The Allow header lists the methods.";
    BodyTimeout 408 "body_timeout" "The body came too slowly" "Send it faster, or raise `body_timeout_s` in panotti.yaml.";
    Conflict 409 "conflict" "The state of the resource forbids this" "Read the resource and decide again.";
    ContradictingContent 409 "contradicting_content" "The same id was sent with other content" "Send what was sent the first time, or use another id.";
    RecordingActive 409 "recording_active" "The recording is still running" "End it first.";
    RecordingCompleted 409 "recording_completed" "The recording has ended" "Add ?replace=true to replace a track of a completed recording.";
    OffsetMismatch 409 "offset_mismatch" "Upload-Offset is not the stored length" "Go on from the offset that expected_offset tells.";
    IllegalTransition 409 "illegal_transition" "The processing status cannot move this way" "pending -> processing -> completed or failed; processed: true completes from anywhere.";
    KeyExists 409 "key_exists" "The plugin has a value for this key" "PUT the existing config row instead.";
    PluginExists 409 "plugin_exists" "A plugin of this name is registered" "PATCH it instead.";
    PreconditionFailed 412 "precondition_failed" "The resource has changed" "Read it again and send its new ETag in If-Match.";
    TusVersion 412 "tus_version" "This version of tus is not spoken" "Send the header Tus-Resumable: 1.0.0.";
    TooLarge 413 "too_large" "The body is too large" "The detail names the limit and its setting.";
    UnsupportedMediaType 415 "unsupported_media_type" "This content type is not taken here" "Send application/json, or the media itself on upload routes.";
    RangeNotSatisfiable 416 "range_not_satisfiable" "The range lies outside the file" "Ask for bytes within the length that Content-Range tells.";
    Misdirected 421 "misdirected_request" "The Host header names another server" "Add the name to `allowed_hosts` in panotti.yaml.";
    Invalid 422 "invalid" "A value is wrong" "See `errors` for every fault and its place.";
    HookDenied 422 "hook_denied" "A plugin refused this" "The detail is the plugin's reason.";
    IdempotencyKeyReused 422 "idempotency_key_reused" "The Idempotency-Key was used with another body" "Use a new key for a new request.";
    NoSuchFolder 422 "no_such_folder" "No plugin folder has this name" "Put the folder into a plugin directory first; GET /api/v1/plugins shows what was discovered.";
    PluginLoadFailed 422 "plugin_load_failed" "The plugin does not load" "Mend the script where the fault points, then enable it again.";
    ConfigRefused 422 "config_refused" "The plugin does not take this config" "Nothing was stored, and the former values are in force; send others.";
    MigrationFailed 422 "migration_failed" "A migration of the plugin failed" "See `errors` for the script and its line; nothing of it was kept.";
    OutOfRange 422 "out_of_range" "The range lies outside the recording" "Stay within the duration of the track.";
    NoAudio 422 "no_audio" "The track has no audio that can be cut" "The track's probe_error tells why it cannot be decoded.";
    UploadLocked 423 "upload_locked" "The upload is being sent" "Wait as long as Retry-After says, ask for the offset with HEAD and go on from there.";
    PreconditionRequired 428 "precondition_required" "If-Match is needed" "Send the ETag of the version you are changing in If-Match.";
    PreviewRequired 428 "preview_required" "A preview is required" "POST /api/v1/plugins/{id}/preview with these files first, then send the change again.";
    TooManyRequests 429 "too_many_requests" "Too many requests" "Wait as long as Retry-After says.";
    ChecksumMismatch 460 "checksum_mismatch" "The piece is not what its checksum says" "Send the piece again; nothing of it was kept.";
    Internal 500 "internal" "The server failed" "The log has the cause under this request_id.";
    PluginFailed 500 "plugin_failed" "A plugin failed at this" "GET /api/v1/plugins/{id}/status tells its last error.";
    PluginUnavailable 503 "plugin_unavailable" "The plugin cannot answer now" "Retry after the seconds that Retry-After tells; its status says why.";
    PluginTimeout 504 "plugin_timeout" "The plugin took too long" "Its limits say how long it may take.";
    Overloaded 503 "overloaded" "The server is busy" "Retry after the seconds that Retry-After tells.";
    Stopping 503 "stopping" "The server is stopping" "Retry in a moment.";
    UploadsFull 507 "uploads_full" "Unfinished uploads have all the room they may have" "Finish or delete others (GET /api/v1/uploads), or raise `uploads.max_mib`.";
    DiskFull 507 "disk_full" "The disk is full" "Free space; reading and deleting work meanwhile.";
}

impl Error {
    /// An error with the table's status, title and hint.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Error {
            code,
            detail: detail.into(),
            hint: None,
            errors: Vec::new(),
            script: None,
            status: None,
            members: Vec::new(),
            retry_after: None,
            source: None,
        }
    }

    /// One wrong field of a body.
    pub fn field(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { pointer: pointer.into(), message: message.into() }])
    }

    /// All wrong fields of a body at once; the first one is the detail.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let told = |it: &FieldError| match it.pointer.as_str() {
            "" => format!("The body {}", it.message),
            pointer => format!("{pointer}: {}", it.message),
        };
        let detail = match errors.as_slice() {
            [] => Code::Invalid.title().to_owned(),
            [one] => told(one),
            [first, _] => format!("{} (and 1 more fault)", told(first)),
            [first, rest @ ..] => format!("{} (and {} more faults)", told(first), rest.len()),
        };
        Error { errors, ..Self::new(Code::Invalid, detail) }
    }

    /// Something unforeseen: its text goes to the log, never to the caller.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Error { source: Some(cause.into()), ..Self::new(Code::Internal, UNFORESEEN) }
    }

    /// The same for the admin, who may see the cause.
    pub fn with_cause(&self) -> String {
        match &self.source {
            None => self.detail.clone(),
            Some(cause) if self.detail == UNFORESEEN => cause.to_string(),
            Some(cause) => format!("{} ({cause})", self.detail),
        }
    }

    /// The same error with a hint of its own.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with one more member in its problem document.
    pub fn with_member(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.members.push((name, value.into()));
        self
    }

    /// The same error with a status of its own.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The status to answer with.
    pub fn status(&self) -> u16 {
        self.status.unwrap_or_else(|| self.code.status())
    }

    /// The hint to show: its own, else the table's.
    pub fn hint(&self) -> &str {
        match &self.hint {
            Some(hint) => hint,
            // The table's hint leads to `errors`.
            None if self.code == Code::Invalid && self.errors.is_empty() => "Correct what the detail names.",
            None => self.code.hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_has_its_own_name_and_a_client_or_server_status() {
        let names: HashSet<_> = Code::ALL.iter().map(|it| it.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|it| (400..600).contains(&it.status())));
        assert!(Code::ALL.iter().all(|it| !it.hint().is_empty() && !it.title().is_empty()));
    }

    #[test]
    fn several_faults_are_counted_in_the_detail() {
        let fault = |at: &str| FieldError { pointer: at.into(), message: "is wrong".into() };
        let error = Error::fields(vec![fault("/a"), fault("/b"), fault("/c")]);
        assert_eq!(error.detail, "/a: is wrong (and 2 more faults)");
    }
}
