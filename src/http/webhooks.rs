//! Webhooks: made, changed, tried; what was sent to them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::error::Result;
use crate::model::webhook::WebhookAttempt;
use crate::services::webhooks::{self, Made};

use super::call::{Call, scope};
use super::query::{Kind, Param, param};
use super::reply;

/// Attempts a page when nobody says how many.
const DEFAULT_LIMIT: i64 = 50;

/// Which attempts.
pub(super) const ATTEMPTS: &[Param] = &[
    param(
        "before",
        Kind::Whole(1, i64::MAX),
        "Attempts before the one with this number; the `next` of the page before.",
    ),
    param("limit", Kind::Whole(1, 500), "How many; 50 without."),
    param("event_id", Kind::Text, "To tell this event."),
];

/// Some attempts, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookAttemptPage {
    /// Newest first; the last 500 of each webhook are kept.
    pub items: Vec<WebhookAttempt>,
    /// The `before` of the page of older ones; null when there are none.
    pub next: Option<i64>,
}

/// All webhooks, never their secrets.
pub(super) async fn list(call: Call<scope::EventsRead>) -> Result<HttpResponse> {
    let items = webhooks::list(&call.state.services).await?;
    reply::hashed(&call.req, &json!({ "items": items }))
}

/// Makes a webhook; nothing may keep the answer, for it holds the secret.
pub(super) async fn create(mut call: Call<scope::Admin>) -> Result<HttpResponse> {
    let (body, once) = call.json_once().await?;
    if let Some(answer) = call.recalled(once.as_ref())? {
        return Ok(answer);
    }
    let made = webhooks::create(&call.state.services, &call.actor(), body, once.as_ref()).await?;
    let mut response = secret(StatusCode::CREATED, &made)?;
    if let Ok(place) = HeaderValue::from_str(&format!("/api/v1/webhooks/{}", made.webhook.id)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// A webhook.
pub(super) async fn get(call: Call<scope::EventsRead>) -> Result<HttpResponse> {
    let webhook = webhooks::get(&call.state.services, call.part("id"))?;
    reply::resource(&call.req, &webhook, webhook.version)
}

/// Changes a webhook.
pub(super) async fn patch(mut call: Call<scope::Admin>) -> Result<HttpResponse> {
    let if_match = call.if_match()?;
    let body = call.json().await?;
    let (services, actor) = (&call.state.services, call.actor());
    let webhook = webhooks::update(services, &actor, call.part("id"), body, if_match).await?;
    reply::resource(&call.req, &webhook, webhook.version)
}

/// Removes a webhook.
pub(super) async fn delete(call: Call<scope::Admin>) -> Result<HttpResponse> {
    let if_match = call.if_match()?;
    webhooks::delete(&call.state.services, &call.actor(), call.part("id"), if_match).await?;
    Ok(reply::no_content())
}

/// Gives a webhook a new secret.
pub(super) async fn rotate(mut call: Call<scope::Admin>) -> Result<HttpResponse> {
    let if_match = call.if_match()?;
    let (body, _) = call.json_once().await?;
    let (services, actor) = (&call.state.services, call.actor());
    let made = webhooks::rotate(services, &actor, call.part("id"), body, if_match).await?;
    secret(StatusCode::OK, &made)
}

/// Sends a ping now and tells what came back.
pub(super) async fn test(call: Call<scope::Admin>) -> Result<HttpResponse> {
    reply::ok(&webhooks::test(&call.state.services, call.part("id")).await?)
}

/// What was sent to a webhook, newest first.
pub(super) async fn attempts(call: Call<scope::EventsRead>) -> Result<HttpResponse> {
    let (services, query) = (&call.state.services, &call.query);
    let limit = query.whole("limit").unwrap_or(DEFAULT_LIMIT);
    let (event, before) = (query.text("event_id"), query.whole("before"));
    let items = webhooks::attempts(services, call.part("id"), event, before, limit).await?;
    let next = items.last().filter(|_| items.len() as i64 == limit).map(|it| it.id);
    reply::ok(&WebhookAttemptPage { items, next })
}

/// Has an event told again.
pub(super) async fn redeliver(mut call: Call<scope::Admin>) -> Result<HttpResponse> {
    let (_, once) = call.json_once().await?;
    if let Some(answer) = call.recalled(once.as_ref())? {
        return Ok(answer);
    }
    let (services, actor) = (&call.state.services, call.actor());
    let (id, event) = (call.part("id"), call.part("event_id"));
    let wanted = webhooks::redeliver(services, &actor, id, event, once.as_ref()).await?;
    reply::json(StatusCode::ACCEPTED, &wanted)
}

fn secret(status: StatusCode, made: &Made) -> Result<HttpResponse> {
    let mut response = reply::json(status, made)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply::tag(&mut response, made.webhook.version)?;
    Ok(response)
}
