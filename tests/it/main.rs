//! The product, proven from outside: one binary, one harness, a file per noun.

#![allow(clippy::unwrap_used, dead_code)]

mod architecture;
mod assets;
mod clips;
mod command_line;
mod common;
mod compat;
mod crash;
mod errors;
mod event_bounds;
mod exports;
mod first_recording;
mod grants;
mod guide;
mod hooks;
mod keys;
mod library;
mod limits;
mod metrics;
mod openapi;
mod plugin_db;
mod plugin_files;
mod plugins;
mod recordings;
mod requests;
mod routes;
mod schedules;
mod shipped;
mod sounds;
mod start_stop;
mod strays;
mod tracks;
mod webhooks;
mod world;
mod zoo;
