//! The fields of clips' bodies.

use serde_json::{Value, json};

use crate::model::clip::ProcessingStatus;
use crate::services::fields::{Kind, Purpose, Rule, schema};

const SHORT: Kind = Kind::Text { min: 0, max: 255 };
const TITLE: Kind = Kind::Text { min: 1, max: 255 };
const STATUSES: &[&str] = &["pending", "processing", "completed", "failed"];

const fn rule(name: &'static str, kind: Kind, doc: &'static str) -> Rule {
    Rule { name, aliases: &[], kind, required: false, doc }
}

const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Rule {
    Rule { name, aliases: &[], kind, required: true, doc }
}

const METADATA: Rule = Rule {
    name: "metadata",
    aliases: &["clip_metadata"],
    kind: Kind::Metadata,
    required: false,
    doc: "Free JSON; in a change a merge patch: null removes a key.",
};
const DESCRIPTION: Rule = rule("description", Kind::Text { min: 0, max: 65_536 }, "Free text.");
const GAME_NAME: Rule = rule("game_name", SHORT, "Name of the game, up to 255 characters.");
const GAME_ID: Rule = rule("game_id", SHORT, "Id of the game elsewhere, up to 255 characters.");
const TAGS: Rule = rule("tags", Kind::Tags, "Labels, up to 100.");
const RECORDED_AT: Rule = rule("recorded_at", Kind::Time, "When it was recorded.");

/// What a clip is made from and changed by.
pub const FIELDS: &[Rule] = &[
    required("title", TITLE, "What people call it, 1 to 255 characters."),
    required(
        "file_path",
        Kind::Text { min: 1, max: 500 },
        "Where the media lies, 1 to 500 characters; read only below the recordings directory.",
    ),
    rule("recording_id", Kind::Id, "The recording it belongs to."),
    DESCRIPTION,
    GAME_NAME,
    GAME_ID,
    TAGS,
    METADATA,
    rule("file_size", Kind::Integer { min: 1 }, "Bytes, above zero."),
    rule("duration", Kind::Number { or_zero: false }, "Seconds, above zero."),
    rule("resolution", Kind::Text { min: 0, max: 50 }, "Such as 1920x1080."),
    rule("fps", Kind::Number { or_zero: false }, "Frames a second, above zero."),
    rule("codec", Kind::Text { min: 0, max: 50 }, "Such as h264 or pcm_s16le."),
    RECORDED_AT,
    rule("processed", Kind::Flag, "Whether processing is done; true completes the clip from any state."),
    rule("processing_status", Kind::Choice(STATUSES), "pending -> processing -> completed or failed."),
];

/// What a clip is cut from.
pub const CUT: &[Rule] = &[
    required("recording_id", Kind::Id, "The recording to cut from; it may still be running."),
    rule("track", Kind::TrackName, "The track to cut; the only one, else `system`, without it."),
    rule(
        "start",
        Kind::Number { or_zero: true },
        "Where the passage begins: seconds of audio from the start.",
    ),
    rule("end", Kind::Number { or_zero: false }, "Where it ends: seconds of audio from the start."),
    rule(
        "last",
        Kind::Number { or_zero: false },
        "Instead: so many seconds back from the last byte received.",
    ),
    rule("title", TITLE, "What people call it; \"<recording title> HH:MM:SS\" without it."),
    DESCRIPTION,
    GAME_NAME,
    GAME_ID,
    TAGS,
    METADATA,
    RECORDED_AT,
];

/// The schema of the body that makes a clip: from fields, or by a cut.
pub fn create_schema() -> Value {
    json!({"oneOf": [schema(FIELDS, Purpose::Create), schema(CUT, Purpose::Create)]})
}

/// The status of a name that the check has let through.
pub(super) fn status(name: &str) -> Option<ProcessingStatus> {
    use ProcessingStatus::{Completed, Failed, Pending, Processing};
    [Pending, Processing, Completed, Failed].into_iter().find(|it| it.as_str() == name)
}
