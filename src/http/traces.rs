//! Recorded calls into plugins.
//!
//! The list tells no content and needs `plugins:read`. A call itself shows what users named their meetings and what
//! other servers answered: it needs `plugins:code`, whose holder could have a plugin tell him the same.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::error::{Code, Error, Result};
use crate::model::trace::{TraceHead, number_of};
use crate::plugins::manager::ReplayCode;
use crate::services::traces::TraceFilter;

use super::call::{Call, scope};
use super::openapi::schema::Components;
use super::query::{Kind, Param, param};
use super::reply;

/// Calls a page when nobody says how many.
const DEFAULT_LIMIT: i64 = 100;

/// Which calls.
pub(super) const FILTERS: &[Param] = &[
    param("plugin", Kind::Text, "Of this plugin."),
    param("hook", Kind::Text, "Of this hook, or `event`, `route`, `timer`, `export`, `task`, `load`."),
    param("outcome", Kind::Text, "That ended so, such as `runtime` or `refused`."),
    param("generation", Kind::Whole(0, i64::MAX), "Of this generation of its plugin."),
    param("since", Kind::Time, "That began at this time or later."),
    param(
        "request_id",
        Kind::Text,
        "That this HTTP request set off, also by way of events: the X-Request-Id of its answer.",
    ),
    param("subject", Kind::Text, "About this, such as `clip/7`."),
    param("recording_id", Kind::Text, "About this recording."),
    param("before", Kind::Text, "Ahead of the one with this id; the `next` of the page before."),
    param("limit", Kind::Whole(1, 1000), "How many; 100 without."),
];

/// Some recorded calls, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct TracePage {
    /// Newest first.
    pub items: Vec<TraceHead>,
    /// The `before` of the page of older ones; null when there are none.
    pub next: Option<String>,
}

/// Recorded calls, newest first.
pub(super) async fn list(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    let query = &call.query;
    let limit = query.whole("limit").unwrap_or(DEFAULT_LIMIT);
    let recording = query.text("recording_id").map(|it| format!("recording/{it}"));
    let filter = TraceFilter {
        plugin: query.text("plugin"),
        hook: query.text("hook"),
        outcome: query.text("outcome"),
        generation: query.whole("generation"),
        since: query.time("since"),
        request_id: query.text("request_id"),
        subject: query.text("subject").or(recording),
        // An id that is none is ahead of everything.
        before: query.text("before").map(|it| number_of(&it).unwrap_or(0)),
    };
    let items = call.state.services.traces.list(filter, limit).await?;
    let next = items.last().filter(|_| items.len() as i64 == limit).map(|it| it.id.clone());
    reply::ok(&TracePage { items, next })
}

/// A recorded call.
pub(super) async fn get(call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    reply::ok(&call.state.services.traces.get(call.part("trace_id")).await?)
}

/// Runs a recorded call again.
pub(super) async fn replay(mut call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    let (body, _) = call.json_once().await?;
    let code = match (body.get("files"), body.get("code")) {
        (Some(files), None) => ReplayCode::Files(files_of(files)?),
        (None, None) => ReplayCode::Recorded,
        (None, Some(Value::String(which))) if which == "live" => ReplayCode::Live,
        (None, Some(Value::String(which))) if which == "recorded" => ReplayCode::Recorded,
        (Some(_), Some(_)) => return Err(Error::new(Code::Invalid, "Either `files` or `code` is given.")),
        (None, Some(_)) => return Err(Error::new(Code::Invalid, "`code` must be `recorded` or `live`.")),
    };
    check_fields(&body, &["files", "code"])?;
    let trace = call.state.services.traces.get(call.part("trace_id")).await?;
    reply::ok(&call.state.manager.replay(&trace, code).await?)
}

/// Refuses fields that nobody knows.
pub(super) fn check_fields(body: &Map<String, Value>, known: &[&str]) -> Result<()> {
    match body.keys().find(|it| !known.contains(&it.as_str())) {
        None => Ok(()),
        Some(name) => {
            let detail =
                format!("There is no field `{}`; there are {}.", name.escape_debug(), known.join(", "));
            Err(Error::new(Code::Invalid, detail))
        }
    }
}

/// Files by path; null = without that file.
pub(super) fn files_of(files: &Value) -> Result<BTreeMap<String, Option<String>>> {
    serde_json::from_value(files.clone()).map_err(|_| {
        Error::new(Code::Invalid, "`files` must be an object of texts by path; null removes a file.")
    })
}

/// On which files a call is run again.
pub(super) fn replay_ask(components: &mut Components) -> Value {
    components.named("TraceReplayAsk", |_| {
        json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "code": { "type": "string", "enum": ["recorded", "live"], "description": "The files it was recorded with (without this), or those that run now." },
                "files": { "type": "object", "additionalProperties": { "type": ["string", "null"] }, "description": "Files in the place of those in the plugin's folder, by path; null = without that file." },
            },
        })
    })
}

/// A recorded call as a file.
pub(super) fn trace(components: &mut Components) -> Value {
    components.named("CallTrace", |_| {
        json!({
            "type": "object", "required": ["format", "id", "plugin", "hook", "input", "steps", "output", "outcome"],
            "description": "A recorded call: a file from which it can be run again.",
            "properties": {
                "format": { "type": "integer" }, "id": { "type": "string" }, "plugin": { "type": "string" },
                "hook": { "type": "string" }, "outcome": { "type": "string" }, "generation": { "type": "integer" },
                "hash": { "type": "string", "description": "Of the plugin's files." },
                "input": { "description": "The first argument." }, "ctx": { "description": "The second argument." },
                "steps": { "type": "array", "items": { "type": "object" }, "description": "What it asked of the host, in this order, and what it was answered." },
                "output": { "type": "object", "description": "What it returned." },
                "effects": { "type": "object", "description": "What is committed with it." },
                "cut": { "type": ["string", "null"], "description": "What was left out because of its size." },
            },
        })
    })
}
