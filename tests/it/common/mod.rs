//! The harness: the real server as its own process on an empty folder, plugins given as inline Lua, and audio.

pub mod audio;
pub mod client;
pub mod receiver;
pub mod server;
pub mod sse;

pub use server::Server;
