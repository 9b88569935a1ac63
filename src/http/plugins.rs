//! Plugins: listed, registered, changed, enabled, disabled, deleted; what they are doing.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::model::page::Page;
use crate::model::plugin::PluginState;
use crate::model::time::MissingOffset;
use crate::plugins::{NewPlugin, PluginFilter, PluginPatch, PluginSort};
use crate::services::fields::{self, Checked, Kind as FieldKind, Reading, Rule};
use crate::services::idempotency;

use super::call::{Access, Call, scope};
use super::query::{Kind, Param, param};
use super::reply;

const SHORT: FieldKind = FieldKind::Text { min: 0, max: 255 };

/// What a list of plugins is narrowed by.
pub(super) const FILTERS: &[Param] = &[
    param("q", Kind::Text, "Text in name, display name or description."),
    param("type", Kind::Text, "Of this type; `lua` runs."),
    param("enabled", Kind::Flag, "Meant to run, or not."),
    param(
        "state",
        Kind::OneOf(&[
            "discovered",
            "disabled",
            "loading",
            "running",
            "failed",
            "draining",
            "quarantined",
            "missing",
            "unsupported",
        ]),
        "Doing this.",
    ),
    param("sort", Kind::OneOf(PluginSort::NAMES), "The order; by name without, `-` is the other way round."),
];

/// Whether what the scripts kept goes too.
pub(super) const PURGE: &[Param] = &[param("purge", Kind::Flag, "Also drops what its scripts kept.")];

/// What registers a plugin.
pub(super) const CREATE: &[Rule] = &[
    Rule { required: true, ..rule("name", FieldKind::Text { min: 1, max: 64 }, "The folder's name.") },
    DISPLAY_NAME,
    DESCRIPTION,
    VERSION,
    AUTHOR,
    TYPE,
    ENTRY_POINT,
    INSTALL_PATH,
    ENABLED,
    METADATA,
];

/// What changes a plugin.
pub(super) const CHANGE: &[Rule] =
    &[DISPLAY_NAME, DESCRIPTION, VERSION, AUTHOR, TYPE, ENTRY_POINT, INSTALL_PATH, ENABLED, METADATA];

const DISPLAY_NAME: Rule = rule("display_name", SHORT, "What people call it.");
const DESCRIPTION: Rule = rule("description", FieldKind::Text { min: 0, max: 65_536 }, "What it does.");
const VERSION: Rule = rule("version", SHORT, "Used where the manifest says none.");
const AUTHOR: Rule = rule("author", SHORT, "Used where the manifest says none.");
const TYPE: Rule =
    rule("plugin_type", FieldKind::Text { min: 1, max: 64 }, "`lua` runs; others are kept as unsupported.");
const ENTRY_POINT: Rule = rule("entry_point", SHORT, "Taken and passed over: the folder decides what runs.");
const INSTALL_PATH: Rule = rule(
    "install_path",
    FieldKind::Text { min: 0, max: 500 },
    "Taken and passed over: no path of a client is ever run.",
);
const ENABLED: Rule = rule("enabled", FieldKind::Flag, "Whether it shall run.");
const METADATA: Rule = Rule {
    aliases: &["plugin_metadata"],
    ..rule("metadata", FieldKind::Metadata, "Free JSON; in a change a merge patch.")
};

const fn rule(name: &'static str, kind: FieldKind, doc: &'static str) -> Rule {
    Rule { name, aliases: &[], kind, required: false, doc }
}

/// One page of plugins.
pub(super) async fn list(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    let filter = PluginFilter {
        q: call.query.text("q"),
        plugin_type: call.query.text("type"),
        enabled: call.query.flag("enabled"),
        state: call.query.get("state").and_then(PluginState::from_name),
    };
    let sort = call.query.get("sort").and_then(PluginSort::from_name).unwrap_or_default();
    let found = call.state.manager.list_sorted(&filter, sort);
    let window = call.query.window();
    let total = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let (skip, take) = (usize::try_from(window.offset), usize::try_from(window.limit));
    let items = found.into_iter().skip(skip.unwrap_or(usize::MAX)).take(take.unwrap_or_default());
    reply::page(&call.req, &Page::new(items.collect(), total, false, window))
}

/// Registers a folder.
pub(super) async fn register(mut call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    let (body, once) = call.json_once().await?;
    if let Some(answer) = call.recalled(once.as_ref())? {
        return Ok(answer);
    }
    let sent = fields::check(CREATE, body, reading(&call, true))?;
    let new = NewPlugin {
        name: sent.text("name").unwrap_or_default(),
        display_name: sent.text("display_name"),
        description: sent.text("description"),
        version: sent.text("version"),
        author: sent.text("author"),
        plugin_type: sent.text("plugin_type"),
        enabled: sent.flag("enabled"),
        metadata: sent.object("metadata").cloned().unwrap_or_default(),
    };
    let view = call.state.manager.register(new, &call.actor()).await?;
    idempotency::keep(&call.state.services, once, 201, &view).await?;
    reply::created(&format!("/api/v1/plugins/{}", view.id), &view, None)
}

/// One plugin.
pub(super) async fn get(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    reply::hashed(&call.req, &call.state.manager.get(call.part("id"))?)
}

/// Everything about one plugin at this moment.
pub(super) async fn status(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    reply::ok(&call.state.manager.full_status(call.part("id")).await?)
}

/// What a plugin says of its health, now and before.
pub(super) async fn health(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    reply::ok(&call.state.manager.health(call.part("id"))?)
}

/// What a plugin did and uses, in numbers.
pub(super) async fn metrics(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    reply::ok(&call.state.manager.metrics(call.part("id"))?)
}

/// What a plugin needs, and whether it has it.
pub(super) async fn dependencies(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    let items = call.state.manager.dependencies(call.part("id"))?;
    reply::ok(&json!({ "items": items, "total": items.len() }))
}

/// Which plugins need this one.
pub(super) async fn dependents(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    let items = call.state.manager.dependents(call.part("id"))?;
    reply::ok(&json!({ "items": items, "total": items.len() }))
}

/// Changes a plugin's row; `enabled` starts or stops it.
pub(super) async fn patch(mut call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    let sent = fields::check(CHANGE, call.json().await?, reading(&call, false))?;
    let (manager, id) = (call.state.manager.clone(), call.part("id").to_owned());
    call.require_match(&reply::hash_of(&manager.get(&id)?)?)?;
    let change = PluginPatch {
        display_name: optional(&sent, "display_name"),
        description: optional(&sent, "description"),
        version: optional(&sent, "version"),
        author: optional(&sent, "author"),
        plugin_type: sent.text("plugin_type"),
        enabled: sent.flag("enabled"),
        metadata: sent.get("metadata").map(|it| it.as_object().cloned().unwrap_or_else(Map::new)),
    };
    reply::hashed(&call.req, &manager.update(&id, change, &call.actor()).await?)
}

/// Stops a plugin and forgets its row; the folder stays.
pub(super) async fn delete(call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    let (manager, id) = (&call.state.manager, call.part("id"));
    call.require_match(&reply::hash_of(&manager.get(id)?)?)?;
    manager.delete(id, call.query.flag("purge").unwrap_or(false), &call.actor()).await?;
    Ok(reply::no_content())
}

/// Lets a plugin run, now and after a restart.
pub(super) async fn enable(call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    reply::ok(&call.state.manager.enable(call.part("id"), &call.actor()).await?)
}

/// Stops a plugin, now and after a restart.
pub(super) async fn disable(call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    reply::ok(&call.state.manager.disable(call.part("id"), &call.actor()).await?)
}

/// Looks through the plugin folders again.
pub(super) async fn rescan(call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    reply::json(StatusCode::OK, &call.state.manager.rescan().await?)
}

/// Makes a plugin anew of what its folder holds.
pub(super) async fn reload(call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    reply::json(StatusCode::OK, &call.state.manager.reload(call.part("id")).await?)
}

/// Loads a plugin that does not run.
pub(super) async fn load(call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    reply::json(StatusCode::OK, &call.state.manager.load_now(call.part("id"), &call.actor()).await?)
}

/// Stops a plugin for a while.
pub(super) async fn unload(call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    reply::json(StatusCode::OK, &call.state.manager.unload(call.part("id"), &call.actor()).await?)
}

/// Lets a plugin be called again that was left alone.
pub(super) async fn reset_breaker(call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    reply::ok(&call.state.manager.reset_breaker(call.part("id"))?)
}

fn reading<A: Access>(call: &Call<A>, creates: bool) -> Reading {
    Reading {
        creates,
        ignores_unknown: false,
        offset: MissingOffset::Refused,
        metadata_max_bytes: call.state.settings.metadata_max_bytes,
    }
}

/// A text that null clears.
fn optional(sent: &Checked, name: &str) -> Option<Option<String>> {
    sent.get(name).map(|it| match it {
        Value::String(text) => Some(text.clone()),
        _ => None,
    })
}
