//! `panotti`: a self-hosted recording and clip server that its users extend with Lua plugins.
//!
//! The way of a request, in reading order: `http` takes it, a function of `services` does it, `hooks`
//! ask the plugins, `lua` runs their scripts, `store` keeps the result, `events` tell the rest.

#![cfg_attr(test, allow(clippy::disallowed_methods))] // tests run scripts as they like

pub mod error;
pub mod config;
pub mod clock;
pub mod disk;
pub mod model;
pub mod media;
pub mod net;
pub mod process;
pub mod hooks;
pub mod events;
pub mod store;
pub mod services;
pub mod lua;
pub mod plugins;
pub mod http;
pub mod app;
pub mod cli;
#[cfg(test)]
mod fuzz;
