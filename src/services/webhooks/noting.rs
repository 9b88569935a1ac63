//! What came of telling a webhook, noted; one that fails for days is given up.

use std::sync::Arc;

use serde_json::json;

use crate::error::{Error, Result};
use crate::events::EventDraft;
use crate::model::call::Caller;
use crate::model::time::Timestamp;
use crate::model::webhook::{Webhook, WebhookAttempt, subscriber};
use crate::services::{Services, audit, news};
use crate::store::Tx;

use super::subscriber::load;

/// A webhook of which nothing went well for so long is told no more.
const PATIENCE_US: i64 = 5 * 86_400_000_000;

/// Notes an attempt to tell a webhook, and whether it still goes on. Whatever becomes of the note, what came of the
/// attempt stands.
pub(super) async fn note(services: &Services, id: &str, attempt: WebhookAttempt, is_gone: bool) {
    let (own, webhook) = (services.clone(), id.to_owned());
    let written = services.store.write(move |tx| {
        let Some(before) = tx.webhook(&webhook)? else { return Ok(false) };
        tx.insert_webhook_attempt(&webhook, &attempt)?;
        let now = own.now();
        let after = judged(&before, &attempt, is_gone, now);
        if after != before {
            tx.update_webhook(&after)?;
        }
        let given_up = before.enabled && !after.enabled;
        if given_up {
            tell(&own, tx, &after, now)?;
        }
        Ok(given_up)
    });
    let done = match written.await {
        Ok(false) => Ok(()),
        Ok(true) => load(services).await,
        Err(err) => Err(err),
    };
    if let Err(err) = done {
        log::error!(webhook = id; "what came of telling it could not be noted: {err}");
    }
}

/// The webhook after an attempt.
fn judged(before: &Webhook, attempt: &WebhookAttempt, is_gone: bool, now: Timestamp) -> Webhook {
    let mut after = before.clone();
    let Some(error) = &attempt.error else {
        after.failing_since = None;
        return after;
    };
    let since = *after.failing_since.get_or_insert(attempt.at);
    let lasted = now.0.saturating_sub(since.0);
    if after.enabled && (is_gone || lasted >= PATIENCE_US) {
        let reason = match is_gone {
            true => error.clone(),
            false => format!("nothing went well since {since}; the last time: {error}"),
        };
        (after.enabled, after.disabled_reason, after.updated_at) = (false, Some(reason), now);
    }
    after
}

/// Tells everybody that a webhook was switched off by the server itself.
fn tell(services: &Services, tx: &mut Tx, webhook: &Webhook, now: Timestamp) -> Result<()> {
    let reason = webhook.disabled_reason.as_deref().unwrap_or_default();
    log::warn!(webhook = &*webhook.id; "the webhook `{}` is switched off: {reason}", webhook.name.escape_debug());
    let subject = subscriber(&webhook.id);
    audit::note(tx, now, "server", "webhook.disable", Some(subject.clone()), json!({ "reason": reason }))?;
    let data = serde_json::to_value(webhook).map_err(Error::internal)?;
    let draft: EventDraft = news("webhook.disabled", subject, Arc::new(data));
    services.journal.publish(tx, draft, &Caller::server()).map(drop)
}
