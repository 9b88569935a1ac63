//! The journal: events are written with the change they tell, and delivered after the commit.
//!
//! `journal` publishes inside a transaction, `deliverer` claims what is due and calls the handlers,
//! `retry` says when a failed delivery comes again.

pub mod deliverer;
pub mod journal;
mod done;
mod retry;

pub use deliverer::{Deferred, DeferredFuture, Deliverer, DelivererOptions, LateChange};
pub use journal::{EventDraft, Journal};
