//! Schemas of bodies and answers that are no types: from the services' tables of fields, or written out.

use serde_json::{Value, json};

use crate::http::plugins;
use crate::model::recording::Track;
use crate::model::token::Token;
use crate::plugins::drafts::DraftView;
use crate::plugins::manager::Edited;
use crate::services::events::DeliveryView;
use crate::services::fields::{Purpose, Rule, schema};
use crate::services::{clips, recordings, tokens, webhooks};

use super::schema::{Components, SchemaFn, of};

macro_rules! bodies {
    ($($function:ident $name:literal $rules:expr, $purpose:ident;)*) => {$(
        #[doc = concat!("The schema `", $name, "`.")]
        pub fn $function(components: &mut Components) -> Value {
            body(components, $name, $rules, Purpose::$purpose)
        }
    )*};
}

bodies! {
    recording_start "RecordingStart" recordings::START, Create;
    recording_end "RecordingEnd" recordings::END, Create;
    recording_change "RecordingChange" recordings::PATCH, Change;
    plugin_create "PluginCreate" plugins::CREATE, Create;
    plugin_change "PluginChange" plugins::CHANGE, Change;
    token_create "TokenCreate" tokens::CREATE, Create;
    token_rotate "TokenRotate" tokens::ROTATE, Create;
    token_change "TokenChange" tokens::CHANGE, Change;
    clip_change "ClipChange" clips::FIELDS, Change;
    webhook_create "WebhookCreate" webhooks::CREATE, Create;
    webhook_change "WebhookChange" webhooks::CHANGE, Change;
    webhook_rotate "WebhookRotate" webhooks::ROTATE, Create;
}

/// What makes a clip: fields, or a cut.
pub fn clip_create(components: &mut Components) -> Value {
    components.named("ClipCreate", |components| {
        let mut schema = clips::create_schema();
        // With names of their own: generators make them up otherwise, and some make up the same one twice.
        for (part, name) in
            schema["oneOf"].as_array_mut().into_iter().flatten().zip(["ClipOfFile", "ClipCut"])
        {
            let whole = part.take();
            *part = components.named(name, |_| whole);
        }
        schema
    })
}

fn body(components: &mut Components, name: &str, rules: &[Rule], purpose: Purpose) -> Value {
    components.named(name, |_| schema(rules, purpose))
}

/// A track with its name.
pub fn track(components: &mut Components) -> Value {
    let row = of::<Track>(components);
    components.named("NamedTrack", |_| {
        let name = json!({ "type": "string", "description": "The track's name." });
        json!({ "allOf": [row, { "type": "object", "required": ["name"], "properties": { "name": name } }] })
    })
}

/// The tracks of a recording.
pub fn track_items(components: &mut Components) -> Value {
    let item = track(components);
    components.named("TrackItems", |_| items(item))
}

/// Events.
pub fn event_items(components: &mut Components) -> Value {
    let item = components.named("Event", |_| event());
    components.named("EventItems", |_| items(item))
}

/// What plugins did.
pub fn task_items(components: &mut Components) -> Value {
    let item = json!({ "type": "object", "description": "What one plugin did: inputs, outputs, error." });
    components.named("TaskItems", |_| items(item))
}

/// The peaks of some audio.
pub fn waveform(components: &mut Components) -> Value {
    components.named("Waveform", |_| {
        let level = |doc: &str| json!({ "type": "number", "description": doc });
        json!({
            "type": "object", "required": ["points", "peaks"],
            "properties": {
                "points": { "type": "integer", "description": "How many peaks there are." },
                "peaks": { "type": "array", "description": "From the first to the last sample; full scale is -1 to 1.", "items": {
                    "type": "object", "required": ["min", "max", "rms"],
                    "properties": { "min": level("The lowest sample."), "max": level("The highest sample."), "rms": level("Root of the mean square.") },
                } },
            },
        })
    })
}

/// A key that was just made.
pub fn new_token(components: &mut Components) -> Value {
    let row = of::<Token>(components);
    components.named("NewToken", |_| {
        let key = json!({ "type": "string", "description": "The key itself, shown this once: `pnt_<id>_<secret>`." });
        json!({ "allOf": [row, { "type": "object", "required": ["token"], "properties": { "token": key } }] })
    })
}

/// What gives a file another name.
pub fn rename_file(components: &mut Components) -> Value {
    components.named("RenameFile", |_| {
        let path = |doc: &str| json!({ "type": "string", "description": doc });
        json!({
            "type": "object", "required": ["from", "to"], "additionalProperties": false,
            "properties": { "from": path("The file's path."), "to": path("The path that it is to have.") },
        })
    })
}

/// What came of a change of files; with `?draft=true` the draft.
pub fn saved(components: &mut Components) -> Value {
    let (edited, draft) = (of::<Edited>(components), of::<DraftView>(components));
    components.named("Saved", |_| json!({ "oneOf": [edited, draft] }))
}

/// Which past events are told again, and to whom.
pub fn replay_ask(components: &mut Components) -> Value {
    components.named("ReplayAsk", |_| {
        let texts = |most: usize, doc: &str| json!({ "type": "array", "minItems": 1, "maxItems": most, "items": { "type": "string" }, "description": doc });
        let text = |doc: &str| json!({ "type": "string", "minLength": 1, "maxLength": 256, "description": doc });
        let time = |doc: &str| json!({ "type": "string", "format": "date-time", "description": doc });
        let place = |doc: &str| json!({ "type": "integer", "minimum": 0, "description": doc });
        let flag = |doc: &str| json!({ "type": "boolean", "description": doc });
        json!({
            "type": "object", "additionalProperties": false,
            "description": "At least one field says which events; all that are given must fit.",
            "properties": {
                "ids": texts(1000, "Ids of single events."),
                "type": { "oneOf": [text("A pattern: `*` is one word, `**` the rest."), texts(100, "Patterns, of which one fits.")] },
                "from": time("At this time or later."),
                "to": time("At this time or earlier."),
                "subject": text("About this."),
                "source": text("Told by: `panotti`, `plugin/<name>` or `http/<id of a key>`."),
                "after": place("Behind this place on the journal; 0 = from the beginning."),
                "before": place("Ahead of this place on the journal."),
                "failed": flag("Only deliveries that were given up; each is told to whom it could not be told."),
                "deliveries": { "type": "array", "minItems": 1, "maxItems": 1000, "items": { "type": "integer", "minimum": 1 }, "description": "Numbers of single deliveries that were given up." },
                "all": flag("All events, where nothing else narrows them."),
                "plugin": text("Only to this plugin, or `webhook/<id>`; without it to all who subscribe to the event."),
                "dry_run": flag("Only tell how many events are meant and how many deliveries that makes."),
            },
        })
    })
}

/// What changes a schedule.
pub fn schedule_change(components: &mut Components) -> Value {
    components.named("ScheduleChange", |_| {
        let paused = json!({ "type": "boolean", "description": "Whether it is held." });
        json!({ "type": "object", "required": ["paused"], "additionalProperties": false, "properties": { "paused": paused } })
    })
}

/// What is granted to a plugin.
pub fn grants_change(components: &mut Components) -> Value {
    components.named("GrantsChange", |_| {
        let parts = json!({ "type": ["boolean", "string", "array"], "items": { "type": "string" }, "description": "`true`, or the parts that open." });
        json!({
            "type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
            "properties": {
                "permissions": { "type": "object", "additionalProperties": parts, "description": "As in a manifest, such as `{\"http\": [\"api.example\"]}`." },
                "all": { "type": "boolean", "description": "`true`: everything the manifest asks for." },
            },
        })
    })
}

/// What stores a value of a config.
pub fn config_create(components: &mut Components) -> Value {
    components.named("ConfigCreate", |_| config(&["key", "value"]))
}

/// What changes a value of a config.
pub fn config_change(components: &mut Components) -> Value {
    components.named("ConfigChange", |_| config(&["value"]))
}

/// What changes several values of a config.
pub fn config_patch(components: &mut Components) -> Value {
    components.named("ConfigPatch", |_| {
        json!({
            "type": "object", "additionalProperties": true,
            "description": "A merge patch (RFC 7396) of the config: each key with its new value; null drops the stored value; an object is merged into the one in force.",
        })
    })
}

fn config(required: &[&str]) -> Value {
    json!({
        "type": "object", "required": required, "additionalProperties": false,
        "properties": {
            "key": { "type": "string", "minLength": 1, "maxLength": 255, "description": "The key in the plugin's config." },
            "value": { "description": "Any JSON that the plugin's schema allows." },
        },
    })
}

/// That all is well.
pub fn probe(components: &mut Components) -> Value {
    components.named("Probe", |_| {
        json!({ "type": "object", "required": ["status"], "properties": { "status": { "type": "string", "description": "`ok`." } } })
    })
}

fn items(item: Value) -> Value {
    json!({ "type": "object", "required": ["items"], "properties": { "items": { "type": "array", "items": item } } })
}

/// One page of events.
pub fn event_page(components: &mut Components) -> Value {
    let item = components.named("Event", |_| event());
    components.named("EventPage", |_| {
        json!({
            "type": "object", "required": ["items", "next", "last"],
            "properties": {
                "items": { "type": "array", "items": item },
                "next": { "type": ["integer", "null"], "format": "int64", "description": "The `after` (the `before`, when the newest come first) of the next page; null = read to the end." },
                "last": { "type": "integer", "format": "int64", "description": "The newest sequence there is: once read to the end, go on with `after` this one." },
            },
        })
    })
}

/// What publishes an event.
pub fn event_create(components: &mut Components) -> Value {
    components.named("EventCreate", |_| {
        json!({
            "type": "object", "required": ["type"], "additionalProperties": false,
            "properties": {
                "type": { "type": "string", "maxLength": 128, "pattern": "^[a-z0-9_]+(\\.[a-z0-9_]+)*$", "description": "Words joined by dots; the first one is none of those that the server alone tells: recording, track, clip, plugin, library, config, server, webhook." },
                "subject": { "type": ["string", "null"], "minLength": 1, "maxLength": 256, "description": "What it is about; events about one subject are delivered in order." },
                "data": { "description": "Any JSON." },
                "priority": { "enum": ["low", "normal", "high", "critical", null], "description": "Its lane; normal without it." },
                "ttl": { "type": ["number", "null"], "exclusiveMinimum": 0, "description": "Seconds for which it is worth telling; always, without it." },
            },
        })
    })
}

/// What publishes events, by content type. In binary mode the body is the data alone, and the rest is in `ce-` headers. A batch
/// (`application/cloudevents-batch+json`) stands in words alone: beside a list of models, generators for Python make a
/// client that fails at every event.
pub const EVENT_BODIES: &[(&str, SchemaFn)] =
    &[("application/json", event_create), ("application/cloudevents+json", cloud_event)];

fn cloud_event(components: &mut Components) -> Value {
    components.named("CloudEvent", |_| {
        json!({
            "type": "object", "description": "A CloudEvent 1.0, as JSON. Other extensions are passed over.",
            "required": ["specversion", "id", "source", "type"], "additionalProperties": true,
            "properties": {
                "specversion": { "const": "1.0" },
                "id": { "type": "string", "minLength": 1, "description": "With `source` what it is known by: the same two are told once. It gets another id here." },
                "source": { "type": "string", "minLength": 1, "description": "Who tells it; on the journal that is `http/<id of the key>`." },
                "type": { "type": "string", "maxLength": 128, "pattern": "^[a-z0-9_]+(\\.[a-z0-9_]+)*$", "description": "As in EventCreate." },
                "subject": { "type": "string", "minLength": 1, "maxLength": 256, "description": "What it is about." },
                "datacontenttype": { "type": "string", "description": "A JSON type." },
                "data": { "description": "Any JSON." },
                "priority": { "type": "string", "enum": ["low", "normal", "high", "critical"], "description": "Its lane; normal without it." },
                "expirytime": { "type": "string", "format": "date-time", "description": "Who has not begun to handle it by then is not told of it." },
            },
        })
    })
}

/// An event with what became of it.
pub fn event_detail(components: &mut Components) -> Value {
    let (event, delivery) = (components.named("Event", |_| event()), of::<DeliveryView>(components));
    components.named("EventDetail", |_| {
        let deliveries = json!({ "type": "array", "items": delivery, "description": "One for each subscriber, and one more for each replay." });
        json!({ "allOf": [event, { "type": "object", "properties": { "deliveries": deliveries } }] })
    })
}

fn event() -> Value {
    json!({
        "type": "object",
        "description": "An event as CloudEvents 1.0.",
        "required": ["specversion", "id", "type", "source", "time", "data"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": { "type": "string" },
            "type": { "type": "string", "examples": ["recording.ended"] },
            "source": { "type": "string", "description": "Who told it: `panotti`, `plugin/<name>` or `http/<id of a key>`." },
            "subject": { "type": ["string", "null"], "description": "What it is about; events about one subject are told in order." },
            "time": { "type": "string", "format": "date-time" },
            "datacontenttype": { "type": "string" },
            "data": {},
            "correlationid": { "type": "string", "description": "Shared by all that one request set off; the `X-Request-Id` of its answer." },
            "causationid": { "type": ["string", "null"], "description": "The event that led to this one." },
            "priority": { "type": "string", "enum": ["low", "normal", "high", "critical"] },
            "expirytime": { "type": ["string", "null"], "format": "date-time", "description": "Who has not begun to handle it by then is not told of it; null = always." },
            "traceparent": { "type": "string", "description": "The W3C trace of the request that led to it; missing when that told none." },
            "sequence": { "type": "string", "description": "Its place on the journal, counting up." },
        },
    })
}

/// Which version a plugin goes back to.
pub fn rollback(components: &mut Components) -> Value {
    let version = json!({
        "type": ["integer", "null"], "minimum": 1,
        "description": "The number of the version; without it the one before the one that runs."
    });
    let note = json!({ "type": ["string", "null"], "maxLength": 1000, "description": "Why; kept with the new version." });
    components.named("PluginRollback", |_| {
        json!({ "type": "object", "additionalProperties": false, "properties": { "version": version, "note": note } })
    })
}

/// How far the migrations of a plugin are taken back.
pub fn migration_rollback(components: &mut Components) -> Value {
    let to = json!({ "type": "integer", "minimum": 0, "description": "The number of the last migration to keep; 0 keeps none." });
    components.named("MigrationRollback", |_| {
        json!({ "type": "object", "required": ["to"], "additionalProperties": false, "properties": { "to": to } })
    })
}
