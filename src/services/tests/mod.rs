//! What the product promises, without HTTP and without Lua: a real store, plugins that are closures.

mod clips;
mod cuts;
mod recordings;
mod rig;
mod tokens;
mod tracks;
mod uploads;
