//! Events that clients tell: checked, stamped with the key they came by, and told once however often they are sent.

use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::error::{Code, Error, Result};
use crate::events::EventDraft;
use crate::model::call::Caller;
use crate::model::event::Event;
use crate::services::idempotency::{self, Idempotency, Recalled};
use crate::services::{Services, event_schemas};
use crate::store::Tx;

use super::read::DeliveryView;
use super::{MAX_DELIVERIES, incoming};

/// What a client tells, with what makes a repeat of it known.
#[derive(Debug, Clone)]
pub struct Told {
    /// The event.
    pub draft: EventDraft,
    /// Source and id of a CloudEvent: the same ones again are the same event.
    pub identity: Option<(String, String)>,
}

/// What became of a publication.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// The event as a CloudEvent; `deliveries` stand beside it when they were waited for.
    pub event: Value,
    /// Whether it had been told before, and was not told again.
    pub duplicate: bool,
}

/// Who tells.
#[derive(Debug, Clone)]
pub struct Teller {
    /// The id of the key.
    pub token: String,
    /// Who set it off.
    pub caller: Caller,
}

/// Tells some events in one transaction: all of them or none; `shape` makes the answer that is kept for `once`. A CloudEvent that was told before is passed over.
///
/// # Errors
/// `IdempotencyKeyReused` when a CloudEvent's source and id came before with other content; the store's.
pub async fn publish(
    services: &Services,
    teller: &Teller,
    told: Vec<Told>,
    once: Option<&Idempotency>,
    shape: fn(&[Published]) -> Value,
) -> Result<Vec<Published>> {
    let mut all = Vec::with_capacity(told.len());
    for Told { draft, identity } in told {
        let identity = identity.map(|it| repeat_of(services, teller, &it, &draft)).transpose()?;
        all.push((draft, identity));
    }
    let (own, teller, once, now) = (services.clone(), teller.clone(), once.cloned(), services.now());
    services
        .store
        .write(move |tx| {
            let mut published = Vec::with_capacity(all.len());
            for (draft, identity) in all {
                if let Some(Recalled { body: event, .. }) =
                    identity.as_ref().map(|it| idempotency::recall_in(tx, it)).transpose()?.flatten()
                {
                    published.push(Published { event, duplicate: true });
                    continue;
                }
                let event = tell(&own, tx, draft, &teller)?;
                idempotency::remember(tx, identity.as_ref(), 201, &event, now)?;
                published.push(Published { event, duplicate: false });
            }
            idempotency::remember(tx, once.as_ref(), 201, &shape(&published), now)?;
            Ok(published)
        })
        .await
}

/// Waits for the deliveries of an event, at most until `deadline`, and puts them beside it.
///
/// # Errors
/// The store's.
pub async fn await_deliveries(services: &Services, event: &mut Value, deadline: Instant) -> Result<()> {
    let Some(seq) = event["sequence"].as_str().and_then(|it| it.parse::<i64>().ok()) else { return Ok(()) };
    services.journal.wait(&services.store, seq, deadline).await?;
    let rows = services.read_long(move |r| r.deliveries_of(seq, MAX_DELIVERIES)).await?;
    let deliveries: Vec<DeliveryView> = rows.into_iter().map(DeliveryView::from).collect();
    event["deliveries"] = serde_json::to_value(deliveries).map_err(Error::internal)?;
    Ok(())
}

/// Reads what a client tells in its own shape: `{type, subject?, data?, priority?, ttl?}`.
///
/// # Errors
/// `Invalid` with all faults.
pub fn plain(services: &Services, body: Map<String, Value>) -> Result<Told> {
    let draft = incoming::plain(body)?;
    event_schemas::check(services, &draft.kind, &draft.data, "")?;
    Ok(Told { draft, identity: None })
}

/// Reads a CloudEvent; `at` is where it stands in the body, as a JSON pointer.
///
/// # Errors
/// `Invalid` with all faults.
pub fn cloud_event(services: &Services, body: Map<String, Value>, at: &str) -> Result<Told> {
    let (draft, identity) = incoming::cloud_event(body, at, services.now())?;
    event_schemas::check(services, &draft.kind, &draft.data, at)?;
    Ok(Told { draft, identity: Some(identity) })
}

fn tell(services: &Services, tx: &mut Tx, draft: EventDraft, teller: &Teller) -> Result<Value> {
    let source = format!("http/{}", teller.token);
    let event: Event = services.journal.publish_as(tx, draft, source, &teller.caller)?;
    let seq =
        tx.event_seq(&event.id)?.ok_or_else(|| Error::internal("an event that was written is not there"))?;
    Ok(event.to_placed_cloud_event(seq))
}

/// The key under which a CloudEvent is known: its source and id, for this token.
fn repeat_of(
    services: &Services,
    teller: &Teller,
    (source, id): &(String, String),
    draft: &EventDraft,
) -> Result<Idempotency> {
    let mut hash = blake3::Hasher::new();
    hash.update(&(source.len() as u64).to_le_bytes()).update(source.as_bytes()).update(id.as_bytes());
    let key = format!("cloudevent:{}", hash.finalize().to_hex());
    let content = draft.data.to_string();
    let subject = draft.subject.as_deref().unwrap_or_default();
    Idempotency::new(
        services,
        &teller.token,
        &key,
        &[draft.kind.as_bytes(), subject.as_bytes(), content.as_bytes()],
    )
}

/// Refuses more events at once than one transaction should hold.
///
/// # Errors
/// `Invalid`.
pub fn check_count(count: usize) -> Result<()> {
    match count {
        0 => Err(Error::field("", "must hold at least one event")),
        1..=MAX_BATCH => Ok(()),
        _ => Err(Error::new(
            Code::Invalid,
            format!("The batch holds {count} events; {MAX_BATCH} is the most."),
        )),
    }
}

/// The most events of a batch.
pub const MAX_BATCH: usize = 1000;
