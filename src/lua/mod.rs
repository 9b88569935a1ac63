//! The Lua host: one VM per plugin generation, and what it may touch.

pub mod context;
pub mod convert;
pub mod guards;
pub mod permission;
