//! HTTP that scripts and webhooks send: one guarded client. Leaf: it knows nobody.
//!
//! `rules` says which hosts are open, `address` which addresses belong to everybody, `names` finds addresses and
//! hands out only those that may be reached, `client` sends, follows redirects and bounds what comes back;
//! `pinned` asks the one server whose certificate is known.

mod address;
mod client;
mod names;
mod pinned;
mod rules;

pub use address::{Reach, reach};
pub use client::{Client, Fault, Request, Response};
pub use names::{FixedNames, Found, Resolver, SystemResolver};
pub use pinned::Pinned;
pub use rules::HostRules;
