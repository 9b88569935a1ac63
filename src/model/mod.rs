//! Plain data: what the product keeps and hands about. No behaviour but checks of its own shape.

pub mod asked;
pub mod asset;
pub mod backup;
pub mod call;
pub mod clip;
pub mod event;
pub mod event_data;
pub mod event_schema;
pub mod event_types;
pub mod id;
pub mod kept_version;
pub mod log_line;
pub mod page;
pub mod plugin;
pub mod plugin_version;
pub mod provenance;
pub mod rate;
pub mod recording;
pub mod replay;
pub mod schedule;
pub mod schema_bounds;
pub mod spelling;
pub mod tally;
pub mod time;
pub mod timing;
pub mod token;
pub mod trace;
pub mod trace_context;
pub mod upload;
pub mod webhook;
#[cfg(test)]
mod fuzz;
