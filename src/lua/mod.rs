//! The Lua host: runs plugins on threads of its own, within their limits.
//!
//! `host` loads a plugin into a `generation`, which is one or more VMs. Each VM is an `actor`: a queue and the
//! coroutines of its calls (`strand`), kept in a `room` that one thread of the `pool` enters at a time. Calls
//! `begin`, pass through `call` whenever their script runs, and `finish`; `budget` counts their time, `watchdog`
//! stops them, `fault` says what went wrong. A `vm` is closed by `guards`, finds modules by `require`, and reaches
//! the host by `api`; `convert` carries values across, `effects` is the door to time and the world. The `recorder`
//! notes what each call asks and answers, and `replay` runs it again from that. When a plugin is tested, a `stand_in` takes
//! the place of the world, and the `examiner` does what the test asks for.

pub mod host;
pub mod generation;
mod fresh;
mod migrate;
pub mod pool;
pub mod actor;
pub mod room;
mod rush;
mod wants;
pub mod strand;
mod waiting;
pub mod supervisor;
pub mod parked;
mod pointless;
mod begin;
mod arguments;
pub mod call;
mod finish;
pub mod budget;
pub mod watchdog;
pub mod fault;
pub mod under_way;
pub mod vm;
pub mod context;
pub mod permission;
mod json_size;
pub mod learned;
pub mod known;
pub mod registry;
pub mod quota;
mod seat;
mod counts;
pub mod secrets;
pub mod declared;
pub mod task;
pub mod transactions;
pub mod workers;
pub mod answer;
pub mod convert;
pub mod guards;
pub mod surface;
pub mod require;
pub mod library;
pub mod sources;
pub mod recorder;
pub mod stand_in;
pub mod examiner;
pub mod replay;
mod prelude;
mod chance;
mod share;
mod slots;
mod coroutines;
pub mod effects;
pub mod exports;
pub mod api;

pub use generation::{Generation, GenerationStats, PluginSource};
pub(crate) use host::Shared;
pub use host::{EffectSink, HostOptions, LuaHost};
pub use wants::{FieldRead, FieldReader, FieldsRead};

#[cfg(test)]
mod tests;
