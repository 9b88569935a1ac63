//! Events by filter and place, and one event with what became of its deliveries.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::{Code, Error, Result};
use crate::model::time::Timestamp;
use crate::services::Services;
use crate::store::{DeliveryRow, EventFilter, EventWindow};

use super::{MAX_DELIVERIES, MAX_PAGE, PAGE_BYTES};

/// Some events, as CloudEvents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// In the order asked for.
    pub items: Vec<Value>,
    /// The place to go on from; null = the journal was read to its end.
    pub next: Option<i64>,
    /// The newest place there is: a client that has read to the end asks for what comes after it.
    pub last: i64,
}

/// One event for one subscriber.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DeliveryView {
    /// Its number.
    pub id: i64,
    /// Who is told: a plugin, or `webhook/<id>`.
    pub subscriber: String,
    /// A question that is asked in the background; null = whoever subscribed.
    pub hook: Option<String>,
    /// waiting (behind an earlier one about the same subject), ready, suspect (it is tried alone, after a crash), claimed (it
    /// runs), delayed (until `next_at`); or final: done, dead, quarantined, expired.
    pub state: String,
    /// Tries so far.
    pub attempts: i32,
    /// What came of the last try that failed.
    pub last_error: Option<String>,
    /// Whether it is told again, behind the live ones.
    pub replay: bool,
    /// The replay that asked for it.
    pub replay_id: Option<i64>,
    /// When it was noted (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the last try began (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub began_at: Option<Timestamp>,
    /// When the last try ended (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// When it may run next (UTC); null once it is final.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_at: Option<Timestamp>,
}

impl From<DeliveryRow> for DeliveryView {
    fn from(row: DeliveryRow) -> Self {
        let is_final = matches!(row.state.as_str(), "done" | "dead" | "quarantined" | "expired");
        DeliveryView {
            id: row.id,
            subscriber: row.subscriber,
            hook: row.hook,
            state: row.state,
            attempts: row.attempts,
            last_error: row.last_error,
            replay: row.replay,
            replay_id: row.replay_id,
            created_at: row.created_at,
            began_at: row.began_at,
            ended_at: row.ended_at,
            next_at: (!is_final).then_some(row.next_at),
        }
    }
}

/// One page of events.
///
/// # Errors
/// The store's.
pub async fn list(services: &Services, filter: EventFilter, window: EventWindow) -> Result<Found> {
    let window = EventWindow {
        limit: window.limit.clamp(1, MAX_PAGE),
        max_bytes: window.max_bytes.min(PAGE_BYTES),
        ..window
    };
    let page = services.read_long(move |r| r.event_page(&filter, window)).await?;
    let items = page.rows.iter().map(|(seq, event)| event.to_placed_cloud_event(*seq)).collect();
    Ok(Found { items, next: page.next, last: page.last })
}

/// An event as a CloudEvent with `deliveries` beside it.
///
/// # Errors
/// `EventNotFound`.
pub async fn get(services: &Services, id: &str) -> Result<Value> {
    let id = id.to_owned();
    services
        .read_long(move |r| {
            let Some((seq, event)) = r.event(&id)? else {
                let shown: String = id.chars().take(64).collect();
                let detail = format!("There is no event `{}`.", shown.escape_debug());
                return Err(Error::new(Code::EventNotFound, detail));
            };
            let deliveries = r.deliveries_of(seq, MAX_DELIVERIES)?.into_iter().map(DeliveryView::from);
            let deliveries: Vec<DeliveryView> = deliveries.collect();
            let mut told = event.to_placed_cloud_event(seq);
            told["deliveries"] = serde_json::to_value(deliveries).map_err(Error::internal)?;
            Ok(told)
        })
        .await
}
