//! The HTTP surface: every route is a row in `table`.
//!
//! A handler takes, authorises, calls one service and wraps; the scope of its key stands in the type of its
//! argument. `route` registers the rows, `openapi` writes the document from them, `middleware` is what every
//! request passes, `problem` the only place that shapes an error.

mod acts;
mod assets;
mod audit;
mod backups;
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
mod grants;
mod health;
mod hooks;
mod lua_api;
mod media;
mod meta;
mod metrics;
mod middleware;
mod openapi;
mod plugin_bulk;
mod plugin_config;
mod plugin_database;
mod plugin_drafts;
mod plugin_files;
mod plugin_logs;
mod plugin_preview;
mod plugin_routes;
mod plugin_versions;
mod plugin_tests;
mod plugin_upload;
mod plugins;
mod problem;
mod query;
mod recordings;
mod reply;
mod route;
mod router;
mod schedules;
mod server;
mod sse;
mod state;
mod table;
mod tokens;
mod traces;
mod tracks;
mod tus;
mod uploads;
mod webhooks;

pub use middleware::ACCESS;
pub use server::serve;
pub use state::{HttpState, IsReady};

use table::routes;

/// The OpenAPI document.
pub fn openapi() -> serde_json::Value {
    openapi::document(&routes())
}
