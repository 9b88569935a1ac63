//! Events told by clients, in the product's own shape or in any of CloudEvents' three.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::error::{Code, Error, Result};
use crate::services::Services;
use crate::services::events::{self, Published, Teller, Told};

use super::body;
use super::call::{Call, REPLAYED, scope};
use super::query::{Kind, Param, param};
use super::reply;

/// Whether the answer comes after the deliveries.
pub(super) const WAIT: &[Param] = &[param(
    "wait",
    Kind::Whole(0, 30),
    "Seconds to wait for its deliveries, which the answer then carries; those that are not done by then go on.",
)];

/// What a refusal of another content type adds.
const TAKEN_TOO: &str = " CloudEvents come as application/cloudevents+json, as application/cloudevents-batch+json, or \
    with ce- headers.";

/// Publishes one event, or a batch of them: all or none.
pub(super) async fn publish(mut call: Call<scope::EventsWrite>) -> Result<HttpResponse> {
    let bytes = call.bytes().await?;
    let deadline = Instant::now() + Duration::from_secs(call.query.whole("wait").unwrap_or(0).unsigned_abs());
    let waits = call.query.get("wait").is_some_and(|it| it != "0");
    let once = call.once(&bytes)?;
    if !waits && let Some(answer) = call.recalled(once.as_ref())? {
        return Ok(answer);
    }
    let services = call.state.services.clone();
    let sent = Sent::read(&services, call.req.headers(), &bytes)?;
    let mut published = match once.as_ref().map(|it| recalled(&services, it)).transpose()?.flatten() {
        Some(before) => before,
        None => {
            let token = call.token.as_ref().map(|it| it.id.clone()).unwrap_or_default();
            let (teller, shape) = (Teller { token, caller: call.caller() }, sent.shape());
            events::publish(&services, &teller, sent.events, once.as_ref(), shape).await?
        }
    };
    if waits {
        for it in &mut published {
            events::await_deliveries(&services, &mut it.event, deadline).await?;
        }
    }
    let shape = if sent.is_batch { batch } else { single };
    let mut response = reply::json(StatusCode::CREATED, &shape(&published))?;
    if published.iter().all(|it| it.duplicate) {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    if let (false, Some(id)) = (sent.is_batch, published.first().and_then(|it| it.event["id"].as_str()))
        && let Ok(place) = HeaderValue::from_str(&format!("/api/v1/events/{id}"))
    {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// What a request brings.
struct Sent {
    events: Vec<Told>,
    is_batch: bool,
}

impl Sent {
    fn read(services: &Services, headers: &HeaderMap, bytes: &[u8]) -> Result<Self> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let one = |told| Ok(Sent { events: vec![told], is_batch: false });
        match kind.as_str() {
            "application/cloudevents+json" => {
                one(events::cloud_event(services, body::parse_object(bytes)?, "")?)
            }
            "application/cloudevents-batch+json" => {
                let sent = body::parse_array(bytes)?;
                events::check_count(sent.len())?;
                let each = sent.into_iter().enumerate().map(|(at, it)| match it {
                    Value::Object(it) => events::cloud_event(services, it, &format!("/{at}")),
                    _ => Err(Error::field(format!("/{at}"), "must be a JSON object")),
                });
                Ok(Sent { events: each.collect::<Result<_>>()?, is_batch: true })
            }
            other if other.starts_with("application/cloudevents") => {
                let detail = format!("CloudEvents are taken as JSON, not as `{}`.", other.escape_debug());
                Err(Error::new(Code::UnsupportedMediaType, detail))
            }
            _ if headers.contains_key("ce-specversion") => {
                one(events::cloud_event(services, binary(headers, bytes)?, "")?)
            }
            _ => {
                body::require_json(headers).map_err(|mut error| {
                    error.detail.push_str(TAKEN_TOO);
                    error
                })?;
                one(events::plain(services, body::parse_object(bytes)?)?)
            }
        }
    }

    fn shape(&self) -> fn(&[Published]) -> Value {
        if self.is_batch { batch } else { single }
    }
}

fn single(published: &[Published]) -> Value {
    published.first().map(|it| it.event.clone()).unwrap_or_default()
}

fn batch(published: &[Published]) -> Value {
    json!({ "items": published.iter().map(|it| &it.event).collect::<Vec<_>>() })
}

/// What was published under an Idempotency-Key before.
fn recalled(services: &Services, once: &crate::services::Idempotency) -> Result<Option<Vec<Published>>> {
    let Some(kept) = crate::services::idempotency::recall(services, once)? else { return Ok(None) };
    let before = |event| Published { event, duplicate: true };
    Ok(Some(match kept.body {
        Value::Object(mut it) if it.contains_key("items") => {
            let items = it.shift_remove("items");
            let Some(Value::Array(items)) = items else { return Ok(None) };
            items.into_iter().map(before).collect()
        }
        event => vec![before(event)],
    }))
}

/// A CloudEvent whose attributes are headers and whose data is the body.
fn binary(headers: &HeaderMap, bytes: &[u8]) -> Result<Map<String, Value>> {
    let mut event = Map::new();
    for (name, value) in headers {
        if let Some(name) = name.as_str().strip_prefix("ce-") {
            let text = value.to_str().ok().and_then(unescaped).ok_or_else(|| {
                let detail =
                    format!("The header ce-{name} must be text with its odd characters percent-encoded.");
                Error::new(Code::BadHeader, detail)
            })?;
            event.insert(name.to_owned(), Value::String(text));
        }
    }
    if bytes.is_empty() {
        return Ok(event);
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    // Some SDKs do not say what their data is.
    if !kind.is_empty() && !events::is_json(kind) {
        let detail = format!("The data of an event is JSON; the content type is `{}`.", kind.escape_debug());
        return Err(Error::new(Code::UnsupportedMediaType, detail));
    }
    event.insert("data".to_owned(), body::parse(bytes)?);
    Ok(event)
}

/// A header's text with its percent escapes read; none when they are no text.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        rest = match (first, others) {
            (b'%', [high, low, others @ ..]) => {
                let digit = |it: &u8| char::from(*it).to_digit(16);
                let code = digit(high)? * 16 + digit(low)?;
                bytes.push(u8::try_from(code).ok()?);
                others
            }
            (b'%', _) => return None,
            _ => {
                bytes.push(*first);
                others
            }
        };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_a_header_are_read_once() {
        assert_eq!(unescaped("Euro %E2%82%AC %2525"), Some("Euro € %25".to_owned()));
        assert!(["%", "%2", "%zz", "%ff"].iter().all(|it| unescaped(it).is_none()));
    }
}
