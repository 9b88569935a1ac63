//! The journal over HTTP: read by place and filter, counted, and who listens to it.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use serde_json::json;

use crate::error::{Code, Error, Result};
use crate::model::event::check_pattern;
use crate::services::events::{self, EventFilter, EventWindow};

use super::call::{Access, Call, scope};
use super::query::{Kind, Param, param};
use super::reply;

/// Events a page when nobody says how many.
const DEFAULT_LIMIT: i64 = 100;
/// Patterns one request may name.
const MAX_PATTERNS: usize = 50;

/// What events are narrowed by.
pub(super) const FILTERS: &[Param] = &[
    Param {
        repeat: true,
        ..param(
            "type",
            Kind::Text,
            "Of a type that fits: words joined by dots, `*` is one word, `**` the rest; several are separated by commas, or the parameter comes again.",
        )
    },
    param(
        "source",
        Kind::Text,
        "Told by this source, such as `panotti`, `plugin/example` or `http/<id of a key>`.",
    ),
    param("subject", Kind::Text, "About this subject, such as `recording/r1`."),
];

/// What else a list of events is narrowed by.
pub(super) const MORE_FILTERS: &[Param] = &[
    param("from", Kind::Time, "At this time or later."),
    param("to", Kind::Time, "At this time or earlier."),
    param("correlation_id", Kind::Text, "Set off by the request with this id."),
];

/// The part of the journal.
pub(super) const WINDOW: &[Param] = &[
    param("after", Kind::Whole(0, i64::MAX), "Events after this sequence; the `next` of the page before."),
    param(
        "before",
        Kind::Whole(0, i64::MAX),
        "Events before this sequence; the `next` of the page before when the newest come first.",
    ),
    param("limit", Kind::Whole(1, events::MAX_PAGE as i64), "The most events of the page; 100 without."),
    param(
        "order",
        Kind::OneOf(&["asc", "desc"]),
        "`asc`: the oldest first, as without it; `desc`: the newest first, as with `before` alone.",
    ),
];

/// The part of a list by name.
pub(super) const BY_NAME: &[Param] = &[
    param("after", Kind::Text, "Types after this one; the `next` of the page before."),
    param("limit", Kind::Whole(1, 1000), "How many; 200 without."),
];

/// One page of events.
pub(super) async fn list(call: Call<scope::EventsRead>) -> Result<HttpResponse> {
    let query = &call.query;
    let filter = EventFilter {
        from: query.time("from"),
        to: query.time("to"),
        correlation_id: query.text("correlation_id"),
        ..filter(&call)?
    };
    let (after, before) = (query.whole("after"), query.whole("before"));
    let newest_first = match query.get("order") {
        Some(order) => order == "desc",
        None => before.is_some() && after.is_none(),
    };
    let limit = query.whole("limit").unwrap_or(DEFAULT_LIMIT);
    let window = EventWindow {
        after: after.unwrap_or(0),
        before: before.unwrap_or(i64::MAX),
        newest_first,
        limit: usize::try_from(limit).unwrap_or(1),
        max_bytes: i64::MAX,
    };
    let found = events::list(&call.state.services, filter, window).await?;
    let mut response = reply::ok(&found)?;
    if let Some(next) = found.next
        && let Ok(link) = HeaderValue::from_str(&next_link(&call, next, newest_first))
    {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// One event with its deliveries.
pub(super) async fn get(call: Call<scope::EventsRead>) -> Result<HttpResponse> {
    let event = events::get(&call.state.services, call.part("id")).await?;
    reply::hashed(&call.req, &event)
}

/// The types of events there are.
pub(super) async fn types(call: Call<scope::EventsRead>) -> Result<HttpResponse> {
    let after = call.query.text("after").unwrap_or_default();
    let limit = call.query.whole("limit").unwrap_or(200);
    reply::hashed(&call.req, &events::types(&call.state.services, &after, limit).await?)
}

/// The journal in numbers.
pub(super) async fn stats(call: Call<scope::EventsRead>) -> Result<HttpResponse> {
    reply::ok(&events::stats(&call.state.services).await?)
}

/// Who is told of what.
pub(super) async fn subscriptions(call: Call<scope::EventsRead>) -> Result<HttpResponse> {
    reply::hashed(&call.req, &json!({ "items": events::subscriptions(&call.state.services) }))
}

/// The filter of a query: types, source and subject.
///
/// # Errors
/// [`Code::BadQuery`] for a pattern outside the grammar.
pub(super) fn filter<A: Access>(call: &Call<A>) -> Result<EventFilter> {
    let sent = call.query.all("type");
    let patterns: Vec<String> =
        sent.iter().flat_map(|it| it.split(',')).map(|it| it.trim().to_owned()).collect();
    if patterns.len() > MAX_PATTERNS {
        return Err(wrong_type(&format!("names {} patterns; {MAX_PATTERNS} is the most", patterns.len())));
    }
    for pattern in &patterns {
        check_pattern(pattern)
            .map_err(|why| wrong_type(&format!("{why}; it is `{}`", pattern.escape_debug())))?;
    }
    Ok(EventFilter {
        patterns,
        source: call.query.text("source"),
        subject: call.query.text("subject"),
        ..EventFilter::default()
    })
}

fn wrong_type(message: &str) -> Error {
    Error { code: Code::BadQuery, ..Error::field("type", message) }
}

/// The link to the page after this one, the other parameters kept.
fn next_link(call: &Call<scope::EventsRead>, next: i64, newest_first: bool) -> String {
    let moved = if newest_first { "before" } else { "after" };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let kept = url::form_urlencoded::parse(call.req.query_string().as_bytes());
    query.extend_pairs(kept.filter(|(name, _)| name != moved && name != "order"));
    query.append_pair("order", if newest_first { "desc" } else { "asc" });
    query.append_pair(moved, &next.to_string());
    format!("<{}?{}>; rel=\"next\"", call.req.path(), query.finish())
}
