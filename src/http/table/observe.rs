//! What plugins say and do: lines, health, numbers; and the same done with several of them.

use crate::error::Code::*;
use crate::plugins::health::HealthReport;
use crate::plugins::manager::{BulkDone, PluginMetrics};
use crate::services::plugin_logs::LogPage;

use crate::http::openapi::schema::of;
use crate::http::route::Gives::{Events, Json};
use crate::http::route::Takes;
use crate::http::route::{Route, get, post};
use crate::http::{plugin_bulk, plugin_logs, plugins};

#[rustfmt::skip] // a route a paragraph
pub(super) fn routes() -> Vec<Route> {
    vec![
        post("/api/v1/plugins/bulk", "changePlugins", plugin_bulk::bulk, "Enables, disables or reloads several plugins, named or all that fit a filter: enabled and reloaded after what they need, disabled before it. One that fails stops none of the others; the answer has a result for each.")
            .takes(Takes::Json(plugin_bulk::bulk_ask)).gives(200, Json(of::<BulkDone>)).fails(&[Stopping]),
        get("/api/v1/plugins/{id}/health", "getPluginHealth", plugins::health, "Tells what a plugin says of its health, now and before; it is asked every health.every_s seconds while it runs.")
            .gives(200, Json(of::<HealthReport>)).fails(&[PluginNotFound]),
        get("/api/v1/plugins/{id}/metrics", "getPluginMetrics", plugins::metrics, "Tells what a plugin did since the server started and what it uses, in numbers.")
            .gives(200, Json(of::<PluginMetrics>)).fails(&[PluginNotFound]),
        get("/api/v1/plugins/{id}/logs", "listPluginLogs", plugin_logs::list, "Gives the last lines of a plugin, its own and those the server says of it, or those behind a place; the oldest first. They are held in memory (logs.lines, logs.kib).")
            .query(plugin_logs::WINDOW).query(plugin_logs::FILTERS).gives(200, Json(of::<LogPage>)).fails(&[PluginNotFound]),
        get("/api/v1/plugins/{id}/logs/stream", "streamPluginLogs", plugin_logs::stream, "Streams the lines of a plugin as server-sent events: `id` is the line's, `data` the line as the list gives it. The first is `start` {after}. Goes on behind Last-Event-ID; an event `gap` {after, first} tells that lines between are not kept any more, `end` {reason} that no more will come (plugin_deleted, server_stopping, key_ended). A comment comes every 15 s.")
            .query(plugin_logs::STREAM).query(plugin_logs::FILTERS).headers(&["Last-Event-ID"]).gives(200, Events).fails(&[PluginNotFound, Stopping]),
        get("/api/v1/logs", "listLogs", plugin_logs::list, "Gives the last lines of all plugins, or those behind a place; the oldest first.")
            .query(plugin_logs::WINDOW).query(plugin_logs::PLUGIN).query(plugin_logs::FILTERS).gives(200, Json(of::<LogPage>)).fails(&[PluginNotFound]),
        get("/api/v1/logs/stream", "streamLogs", plugin_logs::stream, "Streams the lines of all plugins, or of one, as server-sent events, as /api/v1/plugins/{id}/logs/stream does.")
            .query(plugin_logs::STREAM).query(plugin_logs::PLUGIN).query(plugin_logs::FILTERS).headers(&["Last-Event-ID"]).gives(200, Events).fails(&[PluginNotFound, Stopping]),
    ]
}
