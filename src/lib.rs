//! `panotti`: a self-hosted recording and clip server that its users extend with Lua plugins.

pub mod config;
pub mod media;

pub mod lua;
