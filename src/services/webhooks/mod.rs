//! Webhooks: other servers that are told of events without a plugin, signed as Standard Webhooks say.
//!
//! `change` makes and changes them, `subscriber` is told by the journal like a plugin, `send` is the one request,
//! `noting` notes what came of it and gives a webhook up that fails for days, `again` sends on demand, `secret` signs.

mod again;
mod change;
mod noting;
mod rules;
mod secret;
mod send;
mod shared;
mod subscriber;
#[cfg(test)]
mod tests;

use crate::error::{Code, Error, Result};
use crate::model::webhook::{Webhook, WebhookAttempt};

use super::Services;

pub use again::{Redelivery, redeliver, test};
pub use change::{Made, create, delete, rotate, update};
pub use rules::{CHANGE, CREATE, ROTATE};
pub(super) use shared::Shared;
pub use subscriber::{give_up, load, unload};

/// All webhooks, oldest first.
///
/// # Errors
/// The store's.
pub async fn list(services: &Services) -> Result<Vec<Webhook>> {
    services.read_long(|r| r.list_webhooks()).await
}

/// A webhook.
///
/// # Errors
/// `WebhookNotFound`.
pub fn get(services: &Services, id: &str) -> Result<Webhook> {
    services.store.read(|r| r.webhook(id))?.ok_or_else(|| not_found(id))
}

/// At most `limit` of the last attempts before the number `before`, newest first; of one event, when named.
///
/// # Errors
/// `WebhookNotFound`.
pub async fn attempts(
    services: &Services,
    id: &str,
    event_id: Option<String>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<WebhookAttempt>> {
    let id = id.to_owned();
    let read = services.read_long(move |r| {
        if r.webhook(&id)?.is_none() {
            return Err(not_found(&id));
        }
        r.webhook_attempts(&id, event_id.as_deref(), before, limit)
    });
    read.await
}

fn not_found(id: &str) -> Error {
    let shown: String = id.chars().take(64).collect();
    Error::new(Code::WebhookNotFound, format!("There is no webhook `{}`.", shown.escape_debug()))
}
