//! What is sent to a webhook because somebody wants it now.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::error::{Code, Error, Result};
use crate::model::event::{Event, OWN_SOURCE, Priority};
use crate::model::id::new_event_id;
use crate::model::webhook::{AttemptKind, WebhookAttempt, subscriber};
use crate::services::Services;
use crate::services::audit;
use crate::services::idempotency::{self, Idempotency};

use super::not_found;
use super::send::{Target, send};

/// What is told again because of a request of its own belongs to no replay.
const NO_REPLAY: i64 = 0;

/// An event that a webhook will be told again.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Redelivery {
    /// The webhook.
    pub webhook: String,
    /// The event.
    pub event_id: String,
}

/// Sends `webhook.ping`, which is on no journal, and answers what came back; also to one that is switched off.
///
/// # Errors
/// `WebhookNotFound`.
pub async fn test(services: &Services, id: &str) -> Result<WebhookAttempt> {
    let read = services.store.read(|r| Ok(r.webhook(id)?.zip(r.webhook_secrets(id)?)))?;
    let (webhook, secrets) = read.ok_or_else(|| not_found(id))?;
    let event_id = new_event_id();
    let event = Event {
        kind: "webhook.ping".to_owned(),
        source: OWN_SOURCE.to_owned(),
        subject: Some(subscriber(id)),
        time: services.now(),
        data: json!({ "webhook": webhook.id, "name": webhook.name }).into(),
        correlation_id: event_id.clone(),
        causation_id: None,
        priority: Priority::Normal,
        depth: 0,
        expires_at: None,
        plugins: Arc::default(),
        traceparent: None,
        id: event_id,
    };
    let (own, target) = (services.clone(), Target { webhook, secrets });
    // In the runtime of all webhooks, whose client it uses; noted also when nobody waits any more.
    let work = async move {
        let sent = send(&own, &target, &event).await;
        let mut attempt = sent.attempt(&event, AttemptKind::Test, 1);
        let noted = attempt.clone();
        let written = own.store.write(move |tx| match tx.webhook(&target.webhook.id)? {
            Some(_) => tx.insert_webhook_attempt(&target.webhook.id, &noted),
            None => Ok(0),
        });
        attempt.id = written.await?;
        Ok(attempt)
    };
    services.blocking.task(work).await?
}

/// Has a webhook told an event of the journal again, behind everything that it is still to be told.
///
/// # Errors
/// `WebhookNotFound`, `EventNotFound`; `Conflict` when it is switched off.
pub async fn redeliver(
    services: &Services,
    actor: &str,
    id: &str,
    event_id: &str,
    once: Option<&Idempotency>,
) -> Result<Redelivery> {
    let (now, actor, once) = (services.now(), actor.to_owned(), once.cloned());
    let journal = services.journal.clone();
    let wanted = Redelivery { webhook: id.to_owned(), event_id: event_id.to_owned() };
    let written = services.store.write(move |tx| {
        let Redelivery { webhook: id, event_id } = &wanted;
        let webhook = tx.webhook(id)?.ok_or_else(|| not_found(id))?;
        if !webhook.enabled {
            let detail =
                format!("The webhook `{id}` is switched off: PATCH it with {{\"enabled\": true}} first.");
            return Err(Error::new(Code::Conflict, detail));
        }
        let Some((seq, event)) = tx.event(event_id)? else {
            let shown: String = event_id.chars().take(64).collect();
            let detail = format!("There is no event `{}`.", shown.escape_debug());
            return Err(Error::new(Code::EventNotFound, detail));
        };
        let name = subscriber(id);
        tx.insert_replayed(seq, &event, &name, NO_REPLAY, now)?;
        journal.told(tx, vec![name.as_str().into()]);
        audit::note(tx, now, &actor, "webhook.redeliver", Some(name), json!({ "event_id": event_id }))?;
        idempotency::remember(tx, once.as_ref(), 202, &wanted, now)?;
        Ok(wanted)
    });
    written.await
}
