//! The Lua host: one VM per plugin generation, and what it may touch.

pub mod context;
pub mod permission;
pub mod registry;
pub mod rate;
pub mod convert;
pub mod guards;
pub mod api;
