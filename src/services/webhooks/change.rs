//! Making, changing and removing webhooks. A change is in force when it is answered.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::error::{Code, Error, Result};
use crate::model::time::Timestamp;
use crate::model::webhook::{Webhook, subscriber};
use crate::services::fields;
use crate::services::idempotency::{self, Idempotency};
use crate::services::{Services, audit, check_version};
use crate::store::Tx;

use super::not_found;
use super::rules::{CHANGE, CREATE, ROTATE, TIMEOUT_S, apply, reading};
use super::secret;
use super::subscriber::load;

/// The most webhooks there can be.
const MAX_WEBHOOKS: i64 = 100;

/// The old secret signs so long beside a new one.
const OVERLAP_US: i64 = 86_400_000_000;

/// A webhook with its secret: the only time it is told.
#[derive(Clone, PartialEq, Serialize, ToSchema)]
pub struct Made {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// What its requests are signed with: `whsec_<base64>`.
    pub secret: String,
}

/// Makes a webhook. The answer kept for an `Idempotency-Key` is without the secret.
///
/// # Errors
/// `Invalid` with the faults of the body; `Conflict` when there are too many.
pub async fn create(
    services: &Services,
    actor: &str,
    body: Map<String, Value>,
    once: Option<&Idempotency>,
) -> Result<Made> {
    let sent = fields::check(CREATE, body, reading(services, true))?;
    let secret = secret::sent_or_new(&sent)?;
    let now = services.now();
    let mut webhook = Webhook {
        id: new_id()?,
        name: String::new(),
        url: String::new(),
        events: Vec::new(),
        when: None,
        enabled: true,
        disabled_reason: None,
        timeout_s: TIMEOUT_S,
        failing_since: None,
        old_secret_until: None,
        created_at: now,
        created_by: actor.to_owned(),
        updated_at: now,
        version: 1,
    };
    apply(services, &mut webhook, &sent)?;
    let made = Made { webhook, secret };
    let (kept, once) = (made.clone(), once.cloned());
    let written = services.store.write(move |tx| {
        if tx.count_webhooks()? >= MAX_WEBHOOKS {
            let detail = format!("There are {MAX_WEBHOOKS} webhooks, and there can be no more.");
            return Err(Error::new(Code::Conflict, detail));
        }
        let Made { webhook, secret } = kept;
        tx.insert_webhook(&webhook, &secret)?;
        note(tx, now, &webhook.created_by, "webhook.create", &webhook)?;
        idempotency::remember(tx, once.as_ref(), 201, &webhook, now)
    });
    written.await?;
    load(services).await?;
    Ok(made)
}

/// Changes a webhook (a merge patch). Switched on again, it is told what has waited.
///
/// # Errors
/// `Invalid`, `WebhookNotFound`, `PreconditionFailed` when `if_version` is not the row's.
pub async fn update(
    services: &Services,
    actor: &str,
    id: &str,
    body: Map<String, Value>,
    if_version: Option<i64>,
) -> Result<Webhook> {
    let sent = fields::check(CHANGE, body, reading(services, false))?;
    let (own, actor, id) = (services.clone(), actor.to_owned(), id.to_owned());
    let written = services.store.write(move |tx| {
        let before = found(tx, &id, if_version)?;
        let mut after = before.clone();
        apply(&own, &mut after, &sent)?;
        if after == before {
            return Ok(before);
        }
        after.updated_at = own.now();
        after.version = tx.update_webhook(&after)?;
        note(tx, after.updated_at, &actor, "webhook.update", &after)?;
        Ok(after)
    });
    let changed = written.await?;
    load(services).await?;
    Ok(changed)
}

/// Gives a webhook a new secret; the one it has had signs too for a day.
///
/// # Errors
/// As [`update`].
pub async fn rotate(
    services: &Services,
    actor: &str,
    id: &str,
    body: Map<String, Value>,
    if_version: Option<i64>,
) -> Result<Made> {
    let sent = fields::check(ROTATE, body, reading(services, true))?;
    let secret = secret::sent_or_new(&sent)?;
    let (own, actor, id) = (services.clone(), actor.to_owned(), id.to_owned());
    let written = services.store.write(move |tx| {
        let mut webhook = found(tx, &id, if_version)?;
        let now = own.now();
        tx.rotate_webhook_secret(&id, &secret)?;
        (webhook.updated_at, webhook.old_secret_until) = (now, Some(Timestamp(now.0 + OVERLAP_US)));
        webhook.version = tx.update_webhook(&webhook)?;
        note(tx, now, &actor, "webhook.rotate_secret", &webhook)?;
        Ok(Made { webhook, secret })
    });
    let made = written.await?;
    load(services).await?;
    Ok(made)
}

/// Removes a webhook, its log and what it was still to be told.
///
/// # Errors
/// `WebhookNotFound`, `PreconditionFailed`.
pub async fn delete(services: &Services, actor: &str, id: &str, if_version: Option<i64>) -> Result<()> {
    let (now, actor, gone) = (services.now(), actor.to_owned(), id.to_owned());
    let written = services.store.write_freeing(move |tx| {
        let webhook = found(tx, &gone, if_version)?;
        tx.delete_webhook(&gone)?;
        clear(tx, &gone)?;
        note(tx, now, &actor, "webhook.delete", &webhook)
    });
    written.await?;
    load(services).await?;
    // Until now something could still be noted for it.
    let gone = id.to_owned();
    services.store.write_freeing(move |tx| clear(tx, &gone)).await
}

fn clear(tx: &mut Tx, id: &str) -> Result<()> {
    tx.delete_webhook_attempts(id)?;
    tx.delete_deliveries_of(&[&subscriber(id)]).map(drop)
}

fn found(tx: &mut Tx, id: &str, if_version: Option<i64>) -> Result<Webhook> {
    let webhook = tx.webhook(id)?.ok_or_else(|| not_found(id))?;
    check_version(if_version, webhook.version)?;
    Ok(webhook)
}

fn note(tx: &mut Tx, now: Timestamp, actor: &str, action: &str, webhook: &Webhook) -> Result<()> {
    let detail = json!({
        "name": webhook.name, "url": webhook.url, "events": webhook.events, "enabled": webhook.enabled,
    });
    audit::note(tx, now, actor, action, Some(subscriber(&webhook.id)), detail)
}

fn new_id() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    Ok(format!("wh_{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}
