//! The life of a plugin: found, read, checked, loaded, watched, let go.
//!
//! `discovery` finds folders, `manifest` reads what they declare, `settings` settles their values; the
//! `manager` loads them in order and puts them into the dispatcher's table; `handler` stands between the
//! dispatcher and a running generation, with the `breaker` that leaves a harmful plugin alone for a while.

pub mod breaker;
pub mod discovery;
pub mod env;
mod fields;
pub mod manifest;
pub mod problem;
pub mod schema;
pub mod settings;
