//! Hooks: what plugins can be asked and told, and how their answers combine.
//!
//! `catalogue` lists them, `chain` orders those who listen, `dispatcher` asks them, `patch` applies
//! what they answer. Nobody here knows Lua: a handler is any [`HookHandler`], a closure in tests.

pub mod catalogue;
pub mod chain;
pub mod dispatcher;
pub mod fields;
pub mod given;
pub mod handler;
pub mod offer;
pub mod pair;
pub mod patch;
pub mod route_path;
pub mod table;
pub mod texts;
pub mod timetable;
pub mod when;
#[cfg(test)]
mod fuzz;

pub use catalogue::{Hook, HookKind};
pub use dispatcher::{Asked, Check, Dispatcher, send_away};
pub use fields::{Field, Fields};
pub use given::Given;
pub use handler::{
    Answer, CallFailure, CallFuture, HookCall, HookHandler, NextCall, OnError, Registration, Reply,
    Subscription, Target, Then,
};
pub use offer::{ExportOffer, Missed, Offer, Overlap, RouteOffer, ScheduleOffer, ScheduleWhen};
pub use pair::Pair;
pub use table::{Entry, Member, Table};
pub use texts::Texts;
