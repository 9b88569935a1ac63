//! Past events told again, deliveries that were given up, and what one request set off.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::Result;
use crate::model::replay::Replay;
use crate::model::time::Timestamp;
use crate::services::events::dead::{self, DeadFilter, GivenUp};
use crate::services::events::replay::{self, Asked};
use crate::services::events::trace;

use super::call::{Call, scope};
use super::query::{Kind, Param, param};
use super::reply;

/// Rows a page when nobody says how many.
const DEFAULT_LIMIT: i64 = 100;

/// Which replays.
pub(super) const PAGE: &[Param] = &[
    param(
        "before",
        Kind::Whole(1, i64::MAX),
        "Ahead of the one with this number; the `next` of the page before.",
    ),
    param("limit", Kind::Whole(1, 1000), "How many; 100 without."),
];

/// Which deliveries that were given up.
pub(super) const FILTERS: &[Param] = &[
    param("plugin", Kind::Text, "To this plugin, or `webhook/<id>`."),
    param("type", Kind::Text, "Of events whose type fits: `*` is one word, `**` the rest."),
];

/// Some replays, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayPage {
    /// Newest first.
    pub items: Vec<Replay>,
    /// The `before` of the page of older ones; null when there are none.
    pub next: Option<i64>,
}

/// A delivery that was given up.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadDelivery {
    /// Its number.
    pub id: i64,
    /// Who could not be told: a plugin, or `webhook/<id>`.
    pub plugin: String,
    /// A question that was asked in the background; null = an event that was told.
    pub hook: Option<String>,
    /// `dead` (the last try failed) or `quarantined` (the server died three times with it).
    pub state: String,
    /// Tries.
    pub attempts: i32,
    /// Processes that died meanwhile.
    pub crashes: i32,
    /// What the last try came to.
    pub last_error: Option<String>,
    /// When it was given up (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// When it was noted (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The event's place on the journal.
    pub sequence: i64,
    /// What could not be told, as CloudEvents 1.0.
    pub event: Value,
}

/// Some of them, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadPage {
    /// Newest first.
    pub items: Vec<DeadDelivery>,
    /// The `before` of the page of older ones; null when there are none.
    pub next: Option<i64>,
}

/// Begins a replay, or tells what it would do.
pub(super) async fn replay(mut call: Call<scope::EventsWrite>) -> Result<HttpResponse> {
    let (body, once) = call.json_once().await?;
    if let Some(answer) = call.recalled(once.as_ref())? {
        return Ok(answer);
    }
    match replay::ask(&call.state.services, body, &call.actor(), once).await? {
        Asked::Preview(preview) => reply::ok(&preview),
        Asked::Begun(replay) => reply::json(StatusCode::ACCEPTED, &replay),
    }
}

/// Replays, newest first.
pub(super) async fn list(call: Call<scope::EventsRead>) -> Result<HttpResponse> {
    let limit = call.query.whole("limit").unwrap_or(DEFAULT_LIMIT);
    let items = replay::list(&call.state.services, call.query.whole("before"), limit).await?;
    let next = items.last().filter(|_| items.len() as i64 == limit).map(|it| it.id);
    reply::ok(&ReplayPage { items, next })
}

/// A replay and how far it is.
pub(super) async fn get(call: Call<scope::EventsRead>) -> Result<HttpResponse> {
    reply::ok(&replay::get(&call.state.services, call.number("replay_id")?)?)
}

/// Ends a replay.
pub(super) async fn cancel(call: Call<scope::EventsWrite>) -> Result<HttpResponse> {
    reply::ok(&replay::cancel(&call.state.services, call.number("replay_id")?, &call.actor()).await?)
}

/// Deliveries that were given up, newest first.
pub(super) async fn list_dead(call: Call<scope::EventsRead>) -> Result<HttpResponse> {
    let query = &call.query;
    let filter =
        DeadFilter { plugin: query.text("plugin"), kind: query.text("type"), before: query.whole("before") };
    let page =
        dead::list(&call.state.services, filter, query.whole("limit").unwrap_or(DEFAULT_LIMIT)).await?;
    reply::ok(&DeadPage { items: page.items.into_iter().map(shown).collect(), next: page.next })
}

/// Lets one of them be tried anew.
pub(super) async fn replay_dead(call: Call<scope::EventsWrite>) -> Result<HttpResponse> {
    let replay = dead::replay_one(&call.state.services, call.number("delivery_id")?, &call.actor()).await?;
    reply::json(StatusCode::ACCEPTED, &replay)
}

/// Forgets one of them.
pub(super) async fn discard_dead(call: Call<scope::EventsWrite>) -> Result<HttpResponse> {
    dead::discard(&call.state.services, call.number("delivery_id")?, &call.actor()).await?;
    Ok(reply::no_content())
}

/// What one request set off.
pub(super) async fn trace(call: Call<scope::EventsRead>) -> Result<HttpResponse> {
    let id = call.part("correlation_id").to_owned();
    reply::ok(&trace::trace(&call.state.services, id).await?)
}

fn shown(row: GivenUp) -> DeadDelivery {
    DeadDelivery {
        id: row.id,
        plugin: row.subscriber,
        hook: row.hook,
        state: row.state,
        attempts: row.attempts,
        crashes: row.crashes,
        last_error: row.last_error,
        since: row.ended_at,
        created_at: row.created_at,
        sequence: row.event_seq,
        event: row.event.to_cloud_event(),
    }
}
