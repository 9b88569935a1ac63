//! The life of a plugin: found, read, checked, loaded, watched, let go.
//!
//! `discovery` finds folders, `sources` changes what is in them, `manifest` reads what they declare, `settings`
//! settles their values; the `manager` loads them in order and puts them into the dispatcher's table; `handler`
//! stands between the dispatcher and a running generation, with the `breaker` that leaves a harmful plugin alone
//! for a while; `versions` tells how two versions of its files differ, and whether a new one is worse. `watch` notices
//! edits of their files. `testing` runs the tests that lie in their folders, each case in a server of its own.

pub mod archive;
pub mod breaker;
pub mod check;
pub mod discovery;
pub mod env;
pub mod drafts;
pub mod editor;
mod fields;
pub mod handler;
mod passed;
mod quiet;
pub mod health;
pub mod listing;
pub mod lua_api;
pub mod manager;
pub mod manifest;
pub mod order;
pub mod permissions;
pub mod problem;
pub mod schema;
mod schema_check;
mod schema_fault;
mod schema_secret;
pub mod script;
pub mod settings;
mod slow;
pub mod sources;
pub mod start_notes;
pub mod stats;
pub mod status;
pub mod templates;
pub mod testing;
mod unheard;
pub mod versions;
pub mod watch;
#[cfg(test)]
mod fuzz;

pub use listing::{PluginFilter, PluginSort};
pub use manager::{Manager, MigrationView, NewPlugin, PluginPatch, Rescan};
pub use settings::{ConfigFault, ConfigItem, ConfigSource};
pub use status::{LastError, PluginStatus, PluginView};
