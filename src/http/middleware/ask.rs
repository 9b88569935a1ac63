//! The two questions around a request: `before_request` and `after_request`.

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use crate::error::{Code, Error, Result};
use crate::hooks::{Answer, Asked, Hook};
use crate::model::call::Caller;
use crate::model::token::Scope;

use crate::http::meta::{Identity, Meta};
use crate::http::state::HttpState;

/// Never shown to a plugin and never changed by one.
const SECRETS: &[&str] = &["authorization", "cookie", "x-api-key", "proxy-authorization", "set-cookie"];
/// Shown, but not to be changed: they steer the connection, or decide who the request is meant for.
const FIXED: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "keep-alive",
    "x-request-id",
    "content-security-policy",
    "x-content-type-options",
];

/// Asks `before_request`; an answer given by a plugin takes the place of the route's.
///
/// # Errors
/// The refusal of a plugin; 429 for a stranger that asks too much.
pub async fn before(
    state: &HttpState,
    req: &mut ServiceRequest,
    meta: &Meta,
) -> Result<Option<HttpResponse>> {
    if !state.services.hooks.listens(Hook::BeforeRequest) {
        return Ok(None);
    }
    let identity = state.identify(req.request())?;
    if matches!(identity, Identity::Nobody(_)) && !stranger_may_ask(state, req) {
        let detail = "Without a key, this address asks too much at once.";
        return Err(Error::new(Code::TooManyRequests, detail));
    }
    let shown = request_payload(req, meta);
    let caller = caller(req.path(), meta, &identity);
    let before = headers_of(&shown);
    let asked = match state.services.hooks.ask(Hook::BeforeRequest, shown, &caller, &check).await {
        Ok(asked) => asked,
        // Also a gate that fails closed must not lock the admin out.
        Err(error) if caller.unrefusable => {
            log::warn!(request_id = &*meta.request_id(); "refusal ignored for an admin's plugin request: {}", error.detail);
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    apply(&before, &asked, req.headers_mut());
    Ok(settle(state, asked, &caller).await)
}

/// Asks `after_request`, which may change the headers of the answer.
pub async fn after(state: &HttpState, response: &mut ServiceResponse<BoxBody>, meta: &Meta) {
    if !state.services.hooks.listens(Hook::AfterRequest) {
        return;
    }
    let req = response.request();
    let Ok(identity) = state.identify(req) else { return };
    let asked_before = state.services.hooks.listens(Hook::BeforeRequest);
    let stranger = matches!(identity, Identity::Nobody(_)) && !asked_before;
    if stranger && req.peer_addr().is_some_and(|it| !state.strangers.may_ask(it.ip())) {
        return;
    }
    let request = shown_request(
        req.method().as_str(),
        req.path(),
        req.query_string(),
        req.headers(),
        req.peer_addr(),
        meta,
    );
    let mut shown = Map::new();
    shown.insert("status".into(), response.status().as_u16().into());
    shown.insert("headers".into(), Value::Object(shown_headers(response.headers())));
    shown.insert("duration".into(), json!(meta.seconds()));
    shown.insert("request".into(), Value::Object(request));
    let caller = caller(req.path(), meta, &identity);
    let before = headers_of(&shown);
    match state.services.hooks.ask(Hook::AfterRequest, shown, &caller, &check).await {
        Ok(asked) => {
            apply(&before, &asked, response.headers_mut());
            settle(state, asked, &caller).await;
        }
        Err(error) => log::warn!(request_id = &*meta.request_id(); "after_request: {}", error.detail),
    }
}

fn stranger_may_ask(state: &HttpState, req: &ServiceRequest) -> bool {
    req.peer_addr().is_none_or(|it| state.strangers.may_ask(it.ip()))
}

fn caller(path: &str, meta: &Meta, identity: &Identity) -> Caller {
    let on_plugins =
        path.strip_prefix("/api/v1/plugins").is_some_and(|it| it.is_empty() || it.starts_with('/'));
    Caller { unrefusable: on_plugins && identity.allows(Scope::Admin), ..meta.caller() }
}

/// Commits what the plugins did meanwhile, and gives the answer one of them gave.
async fn settle(state: &HttpState, asked: Asked, caller: &Caller) -> Option<HttpResponse> {
    if !asked.effects.is_empty()
        && let Err(error) = state.services.commit_effects(asked.effects, caller).await
    {
        log::error!("what plugins did around a request is lost: {error} {:?}", error.source);
    }
    match &asked.response {
        Some(Answer::Respond { status, headers, body }) => Some(respond(*status, headers, body)),
        _ => None,
    }
}

fn respond(status: u16, headers: &[(String, String)], body: &[u8]) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::OK));
    for (name, value) in headers.iter().filter(|(name, _)| may_change(name)) {
        response.append_header((name.as_str(), value.as_str()));
    }
    response.body(body.to_vec())
}

fn request_payload(req: &ServiceRequest, meta: &Meta) -> Map<String, Value> {
    shown_request(req.method().as_str(), req.path(), req.query_string(), req.headers(), req.peer_addr(), meta)
}

fn shown_request(
    method: &str,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    remote: Option<std::net::SocketAddr>,
    meta: &Meta,
) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("id".into(), (*meta.request_id()).into());
    shown.insert("method".into(), method.into());
    shown.insert("path".into(), path.into());
    shown.insert("query".into(), query.into());
    shown.insert("headers".into(), Value::Object(shown_headers(headers)));
    shown.insert("remote".into(), remote.map(|it| it.ip().to_string()).into());
    shown
}

/// Headers as plugins see them: lower-case names, several of one name joined, secrets left out.
pub(in crate::http) fn shown_headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut shown = Map::new();
    for (name, value) in headers {
        let name = name.as_str();
        if SECRETS.contains(&name) {
            continue;
        }
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        match shown.get_mut(name) {
            Some(Value::String(former)) => *former = format!("{former}, {value}"),
            _ => {
                shown.insert(name.to_owned(), Value::String(value));
            }
        }
    }
    shown
}

fn headers_of(payload: &Map<String, Value>) -> Map<String, Value> {
    payload.get("headers").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Headers must stay names with texts that can stand in a header.
fn check(payload: &Map<String, Value>) -> std::result::Result<(), String> {
    let Some(Value::Object(headers)) = payload.get("headers") else {
        return Err("headers must be a table".to_owned());
    };
    for (name, value) in headers {
        let shown = name.escape_debug();
        let Some(text) = value.as_str() else { return Err(format!("headers.{shown} must be a string")) };
        if HeaderName::try_from(name.as_str()).is_err() || HeaderValue::from_str(text).is_err() {
            return Err(format!("headers.{shown} cannot stand in a header"));
        }
    }
    Ok(())
}

/// Whether an answer of a plugin may set a header.
pub(in crate::http) fn may_change(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !SECRETS.contains(&name.as_str()) && !FIXED.contains(&name.as_str())
}

/// Carries over what plugins changed.
fn apply(before: &Map<String, Value>, asked: &Asked, headers: &mut HeaderMap) {
    let after = headers_of(&asked.payload);
    let gone = before.keys().filter(|it| !after.contains_key(*it)).map(|it| (it, None));
    let set = after.iter().filter(|(name, value)| before.get(*name) != Some(*value));
    for (name, value) in gone.chain(set.map(|(name, value)| (name, value.as_str()))) {
        if !may_change(name) {
            let pointer = format!("/headers/{name}");
            let by = asked.changes.iter().rfind(|(it, _)| *it == pointer);
            let plugin = by.map_or("", |(_, plugin)| plugin);
            log::warn!(plugin; "may not change the header `{}`: dropped", name.escape_debug());
            continue;
        }
        let Ok(name) = HeaderName::try_from(name.as_str()) else { continue };
        match value.map(HeaderValue::from_str) {
            Some(Ok(value)) => {
                headers.insert(name, value);
            }
            Some(Err(_)) => {}
            None => {
                headers.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "cookie", "x-api-key", "accept"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        headers.append(HeaderName::from_static("accept"), HeaderValue::from_static("w"));
        assert_eq!(shown_headers(&headers), map(json!({ "accept": "v, w" })));
    }

    #[test]
    fn a_patch_sets_and_removes_but_never_touches_who_the_request_comes_from() {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("accept"), HeaderValue::from_static("a"));
        headers.insert(HeaderName::from_static("host"), HeaderValue::from_static("h"));
        let before = shown_headers(&headers);
        let after = map(json!({ "X-New": "1", "host": "evil", "authorization": "Bearer x" }));
        assert!(check(&map(json!({ "headers": after }))).is_ok());
        let payload = map(json!({ "headers": after }));
        apply(&before, &Asked { payload, ..Asked::default() }, &mut headers);
        assert_eq!(shown_headers(&headers), map(json!({ "x-new": "1", "host": "h" })));
        assert!(!headers.contains_key("authorization"));
    }

    #[test]
    fn headers_that_could_split_an_answer_are_refused() {
        for headers in [json!({ "x": "a\r\nb: c" }), json!({ "x y": "1" }), json!({ "x": 1 }), json!([])] {
            assert!(check(&map(json!({ "headers": headers }))).is_err(), "{headers}");
        }
    }
}
