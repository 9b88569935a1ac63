//! The two questions around a request: `before_request` and `after_request`.

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpResponse};
use serde_json::{Map, Value};

use crate::error::{Code, Error, Result};
use crate::hooks::{Answer, Asked, Given, Hook};
use crate::model::call::Caller;
use crate::model::token::Scope;

use crate::http::meta::{Identity, Meta};
use crate::http::state::HttpState;

use super::shown::{SECRETS, ShownRequest, ShownResponse};

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
    let around = Around::of(state, req, meta)?;
    let given = around.before();
    let caller = Arc::clone(&around.caller);
    req.extensions_mut().insert(around);
    let asked = state.services.hooks.ask(Hook::BeforeRequest, given, Arc::clone(&caller), &check).await;
    settle_before(state, req, asked, &caller, meta).await
}

/// What came of the question before a request.
///
/// # Errors
/// The refusal of a plugin.
pub(super) async fn settle_before(
    state: &HttpState,
    req: &mut ServiceRequest,
    asked: Result<Asked>,
    caller: &Caller,
    meta: &Meta,
) -> Result<Option<HttpResponse>> {
    let asked = match asked {
        Ok(asked) => asked,
        // Also a gate that fails closed must not lock the admin out.
        Err(error) if caller.unrefusable => {
            log::warn!(request_id = &*meta.request_id(); "refusal ignored for an admin's plugin request: {}", error.detail);
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    if apply(&asked, req.headers_mut()) {
        // Who is asked after it is shown what became of it.
        req.extensions_mut().remove::<Around>();
    }
    Ok(settle(state, asked, caller).await)
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
    let around = req.extensions_mut().remove::<Around>().unwrap_or_else(|| Around {
        shown: Arc::new(ShownRequest::of(req, meta)),
        caller: Arc::new(caller(req.path(), meta, &identity)),
    });
    let given = around.after(response, meta, Some(meta.started().elapsed()));
    let asked = state.services.hooks.ask(Hook::AfterRequest, given, Arc::clone(&around.caller), &check);
    settle_after(state, asked.await, response, &around.caller, meta).await;
}

/// What came of the question after a request.
pub(super) async fn settle_after(
    state: &HttpState,
    asked: Result<Asked>,
    response: &mut ServiceResponse<BoxBody>,
    caller: &Caller,
    meta: &Meta,
) {
    match asked {
        Ok(asked) => {
            apply(&asked, response.headers_mut());
            settle(state, asked, caller).await;
        }
        Err(error) => log::warn!(request_id = &*meta.request_id(); "after_request: {}", error.detail),
    }
}

/// What is made to ask before a request, kept with it to ask after it.
pub(super) struct Around {
    shown: Arc<ShownRequest>,
    pub(super) caller: Arc<Caller>,
}

impl Around {
    /// Of a request that comes from someone about whom plugins may be asked.
    pub(super) fn of(state: &HttpState, req: &ServiceRequest, meta: &Meta) -> Result<Self> {
        let identity = state.identify(req.request())?;
        if matches!(identity, Identity::Nobody(_)) && !stranger_may_ask(state, req) {
            let detail = "Without a key, this address asks too much at once.";
            return Err(Error::new(Code::TooManyRequests, detail));
        }
        let shown = Arc::new(ShownRequest::of(req.request(), meta));
        Ok(Around { shown, caller: Arc::new(caller(req.path(), meta, &identity)) })
    }

    /// What is asked about before it.
    pub(super) fn before(&self) -> Given {
        Given::fields(Arc::clone(&self.shown) as _)
    }

    /// What is asked about after it, `took` after it came; if it is not known yet, that ends when somebody looks.
    pub(super) fn after(
        &self,
        response: &ServiceResponse<BoxBody>,
        meta: &Meta,
        took: Option<Duration>,
    ) -> Given {
        Given::fields(Arc::new(ShownResponse::of(response, Arc::clone(&self.shown), meta, took)))
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

/// Headers must stay names with texts that can stand in a header; null removes one.
pub(super) fn check(patch: &Map<String, Value>) -> std::result::Result<(), String> {
    let Some(Value::Object(headers)) = patch.get("headers") else {
        return Err("headers must be a table".to_owned());
    };
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_null()) {
        let shown = || name.escape_debug();
        let Some(text) = value.as_str() else { return Err(format!("headers.{} must be a string", shown())) };
        if !can_stand(name, text) {
            return Err(format!("headers.{} cannot stand in a header", shown()));
        }
    }
    Ok(())
}

/// Whether they can stand in a header: that [`HeaderName`] and [`HeaderValue`] can be made of them, and neither is.
fn can_stand(name: &str, text: &str) -> bool {
    const LONGEST_NAME: usize = (1 << 16) - 1;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_visible = |byte: u8| byte == b'\t' || byte >= b' ' && byte != 0x7f;
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_token) && text.bytes().all(is_visible)
}

/// Whether an answer of a plugin may set a header.
pub(in crate::http) fn may_change(name: &str) -> bool {
    !SECRETS.iter().chain(FIXED).any(|it| it.eq_ignore_ascii_case(name))
}

/// Carries over what plugins changed; whether that was anything.
fn apply(asked: &Asked, headers: &mut HeaderMap) -> bool {
    let patches = asked.payload.patches();
    for (at, patch) in patches.iter().enumerate() {
        for (name, value) in patch.get("headers").and_then(Value::as_object).into_iter().flatten() {
            if !may_change(name) {
                let plugin = asked.patched_by.get(at).map_or("", |it| it);
                log::warn!(plugin; "may not change the header `{}`: dropped", name.escape_debug());
                continue;
            }
            let Ok(name) = HeaderName::try_from(name.as_str()) else { continue };
            match value.as_str().map(HeaderValue::from_str) {
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
    !patches.is_empty()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::hooks::{Field, Fields};
    use crate::http::middleware::shown::shown_headers;

    struct Shown(crate::hooks::Texts);

    impl Fields for Shown {
        fn fields(&self) -> Vec<(&'static str, Field<'_>)> {
            vec![("headers", Field::Texts(&self.0))]
        }
    }

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    /// What becomes of `headers` when one plugin after another returns a patch.
    fn patched(headers: &mut HeaderMap, patches: &[Value]) -> bool {
        let mut payload = Given::fields(Arc::new(Shown(shown_headers(headers))));
        for patch in patches {
            let reduced = payload.reduce(map(json!({ "headers": patch })));
            payload = payload.patched(reduced, &check).unwrap();
        }
        apply(&Asked { payload, ..Asked::default() }, headers)
    }

    #[test]
    fn a_patch_sets_and_removes_but_never_touches_who_the_request_comes_from() {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("accept"), HeaderValue::from_static("a"));
        headers.insert(HeaderName::from_static("host"), HeaderValue::from_static("h"));
        let patch = json!({ "X-New": "1", "host": "evil", "authorization": "Bearer x", "accept": null });
        assert!(patched(&mut headers, &[patch]));
        let shown = shown_headers(&headers);
        assert_eq!((shown.iter().len(), shown.get("x-new"), shown.get("host")), (2, Some("1"), Some("h")));
        assert!(!headers.contains_key("authorization"));
    }

    #[test]
    fn of_several_patches_the_last_one_stands() {
        let mut headers = HeaderMap::new();
        assert!(!patched(&mut headers, &[]));
        assert!(patched(&mut headers, &[json!({ "a": "1", "b": "1" }), json!({ "a": "2", "b": null })]));
        let shown = shown_headers(&headers);
        assert_eq!((shown.get("a"), shown.get("b")), (Some("2"), None));
    }

    #[test]
    fn what_can_stand_in_a_header_is_what_can_be_made_one() {
        let long = "x".repeat((1 << 16) - 1);
        let longer = format!("{long}x");
        let characters =
            (0..=300).filter_map(char::from_u32).flat_map(|it| [it.to_string(), format!("a{it}b")]);
        for text in characters.chain(["".to_owned(), long, longer]) {
            // It takes quotes, which no name has.
            let is_name = HeaderName::try_from(text.as_str()).is_ok() && !text.contains('"');
            assert_eq!(can_stand(&text, ""), is_name, "{text:?}");
            assert_eq!(can_stand("x", &text), HeaderValue::from_str(&text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn headers_that_could_split_an_answer_are_refused() {
        for headers in [json!({ "x": "a\r\nb: c" }), json!({ "x y": "1" }), json!({ "x": 1 }), json!([])] {
            assert!(check(&map(json!({ "headers": headers }))).is_err(), "{headers}");
        }
    }
}
