//! The journal: events are written with the change they tell, and delivered after the commit.
//!
//! `journal` publishes inside a transaction, `deliverer` claims what is due and calls the handlers, `ahead` claims what
//! can begin at once as it is noted,
//! `expiry` says what is told no more, `retry` when a failed delivery comes again, `subscribers` who is told beside
//! the plugins, `retention` what is removed, `schemas` what data must be like, `stream` follows the journal for
//! clients, `telling` what the log says; `sabotage` breaks promises in tests of the tests.

pub mod deliverer;
pub mod journal;
mod ahead;
mod cycle;
mod done;
mod replay;
mod expiry;
mod lanes;
mod retention;
mod retry;
mod sabotage;
mod schemas;
mod settle;
mod stream;
mod subscribers;
mod telling;
mod told;
mod waiting;
mod wall;

pub use deliverer::{Deferred, DeferredFuture, Deliverer, DelivererOptions, LateChange};
pub use journal::{EventDraft, Journal};
pub use replay::{Preview, Replays};
pub use retention::Retention;
pub use sabotage::{Promise, Sabotage};
pub use schemas::{EventSchema, EventSchemas};
pub use stream::{EventStream, StreamConnection, StreamPlace, Streamed, Streams};
pub use subscribers::{Subscriber, Subscribers, TellFuture};
