//! Puts the pieces together: start and stop order, signals, what is said at the start.

pub mod banner;
mod delivery_thread;
mod denials;
pub mod lines;
pub mod lock;
pub mod lost_database;
pub mod logging;
mod opening;
mod serve;
pub mod server_file;
pub mod signals;
mod tee;
mod text_line;

pub use serve::run;
