//! The fields of recordings' bodies.

use serde_json::{Map, Value};

use crate::services::fields::{Kind, Rule};

const TITLE: Kind = Kind::Text { min: 1, max: 500 };
const PATH: Kind = Kind::Text { min: 0, max: 500 };

const fn rule(name: &'static str, aliases: &'static [&'static str], kind: Kind, doc: &'static str) -> Rule {
    Rule { name, aliases, kind, required: false, doc }
}

/// What starts a recording.
pub const START: &[Rule] = &[
    rule("id", &[], Kind::Id, "Chosen by the client: 1 to 128 of A-Z a-z 0-9 . _ -; without it one is made."),
    rule("title", &[], TITLE, "What people call it, 1 to 500 characters."),
    rule("started_at", &[], Kind::Time, "When it started; now, without it."),
    rule(
        "metadata",
        &[],
        Kind::Metadata,
        "Free JSON; known keys are eventTitle, eventProviderId, eventProvider, eventAttendees, systemLabel, microphoneLabel, recordingStarted, recordingEnded, recordingDateTime.",
    ),
];

/// What ends a recording.
pub const END: &[Rule] = &[
    rule("ended_at", &[], Kind::Time, "When it ended; now, without it. Not before its start."),
    rule(
        "tracks",
        &[],
        Kind::TrackPaths,
        "Files on this machine, below the recordings directory: track name -> {path}.",
    ),
    rule("system_audio_path", &[], PATH, "The file of the track `system`, below the recordings directory."),
    rule(
        "microphone_audio_path",
        &[],
        PATH,
        "The file of the track `microphone`, below the recordings directory.",
    ),
    rule("metadata", &[], Kind::Metadata, "Merged into the recording's metadata."),
];

/// What changes a recording.
pub const PATCH: &[Rule] = &[
    rule("title", &[], TITLE, "What people call it, 1 to 500 characters; null removes it."),
    rule("metadata", &[], Kind::Metadata, "A merge patch: null removes a key."),
];

const OLDER_ID: &[&str] = &["recordingId", "recording_id", "session_id", "sessionId"];
const OLDER_TIME: &[&str] = &["timestamp", "recordingTimestamp", "recording_timestamp"];

/// COMPAT: what starts a recording in the words of PanottiServer's clients.
pub(super) const OLDER_START: &[Rule] = &[
    rule("id", OLDER_ID, Kind::Id, "The recording."),
    rule("title", &[], TITLE, "What people call it."),
    rule("started_at", OLDER_TIME, Kind::Time, "When it started."),
    rule("metadata", &[], Kind::Metadata, "Free JSON."),
];

/// COMPAT: what ends a recording in the words of PanottiServer's clients.
pub(super) const OLDER_END: &[Rule] = &[
    rule("id", OLDER_ID, Kind::Id, "The recording."),
    rule("ended_at", OLDER_TIME, Kind::Time, "When it ended."),
    rule("tracks", &[], Kind::TrackPaths, "Files of tracks."),
    rule(
        "system_audio_path",
        &["systemAudioPath", "SystemAudioPath"],
        PATH,
        "The file of the track `system`.",
    ),
    rule(
        "microphone_audio_path",
        &["microphoneAudioPath", "MicrophoneAudioPath"],
        PATH,
        "The file of the track `microphone`.",
    ),
    rule("metadata", &[], Kind::Metadata, "Merged into the recording's metadata."),
];

/// Keys of the metadata that PanottiServer's clients and plugins know.
pub const METADATA_KEYS: &[&str] = &[
    "eventTitle",
    "eventProviderId",
    "eventProvider",
    "eventAttendees",
    "systemLabel",
    "microphoneLabel",
    "recordingStarted",
    "recordingEnded",
    "recordingDateTime",
];

/// COMPAT: known metadata that an older client sent beside the fields is put among them; empty texts
/// and the event's name, which the route fixes, are nothing.
pub(super) fn older_body(mut body: Map<String, Value>) -> Map<String, Value> {
    body.retain(|_, value| value.as_str() != Some(""));
    let mut found = Map::new();
    for key in METADATA_KEYS {
        found.extend(body.shift_remove(*key).map(|value| ((*key).to_owned(), value)));
    }
    if found.is_empty() {
        return body;
    }
    match body.entry("metadata").or_insert_with(|| Value::Object(Map::new())) {
        Value::Object(metadata) => {
            for (key, value) in found {
                metadata.entry(key).or_insert(value);
            }
        }
        null @ Value::Null => *null = Value::Object(found),
        _ => {}
    }
    body
}
