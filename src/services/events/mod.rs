//! The journal, read and written from outside: `read` finds events, `overview` counts them and tells who
//! listens, `replay` tells past ones again, `dead` has what was given up, `trace` what one request set off;
//! `incoming` reads what clients send and `publish` tells it.

pub mod dead;
mod incoming;
mod overview;
mod publish;
mod read;
pub mod replay;
pub mod trace;

pub use crate::store::{EventFilter, EventWindow};
pub use incoming::is_json;
pub use overview::{
    DeliveryStats, EventStats, EventTypePage, EventTypeView, SubscriberBacklog, SubscriptionView, backlogs,
    stats, subscriptions, types,
};
pub use publish::{Published, Teller, Told, await_deliveries, check_count, cloud_event, plain, publish};
pub use read::{DeliveryView, Found, get, list};

/// The most events of one page.
pub const MAX_PAGE: usize = 1000;

/// A page ends once the data of its events have so many bytes.
const PAGE_BYTES: i64 = 8 << 20;

/// Deliveries of one event that are shown.
const MAX_DELIVERIES: i64 = 1000;
