//! What every request passes, in this order: its id, a place, the right host, the plugins' question before it,
//! its route, their question after it, the headers every answer carries, the line in the log.

mod around;
pub(super) mod ask;
pub mod cors;
mod host;
pub mod limiter;
mod rate;
pub(super) mod shown;
mod timing;

use std::fmt::{self, Display};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;

use crate::error::{Code, Error};
use crate::model::token::Scope;

use super::meta::{Meta, REQUEST_ID};
use super::problem;
use super::state::HttpState;
use super::uploads::{TUS_RESUMABLE, TUS_VERSION};

/// The target of the lines of requests: the log writes them together when there are many.
pub const ACCESS: &str = "panotti::access";

/// No script but the server's own, nothing from elsewhere, in no other page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Leads one request through.
///
/// # Errors
/// None of its own: whatever goes wrong is answered as a problem.
pub async fn lead(
    state: Data<HttpState>,
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let meta = Meta::begin(&req);
    let (method, path) = (req.method().clone(), req.path().to_owned());
    let mut response = match admit(&state, &req) {
        Err(error) => answer(req, error),
        Ok(_place) => {
            let is_asked = !is_quiet(&path);
            timing::begin(&state, &req, &meta);
            match is_asked.then(|| rate::spend(&state, &req, &meta)) {
                None => next.call(req).await?.map_into_boxed_body(),
                Some(Ok(())) => around::around(&state, req, &next, &meta).await?,
                Some(Err(error)) => {
                    let mut response = answer(req, error);
                    ask::after(&state, &mut response, &meta).await;
                    response
                }
            }
        }
    };
    dress(response.headers_mut(), &meta);
    if path.starts_with("/api/v1/uploads") {
        response.headers_mut().insert(TUS_RESUMABLE, HeaderValue::from_static(TUS_VERSION));
    }
    note(&state, &meta, &method, &path, response.status().as_u16());
    Ok(response)
}

/// Counts a request that is answered, and writes its line to the log.
fn note(state: &HttpState, meta: &Meta, method: &Method, path: &str, status: u16) {
    let took = std::time::Duration::from_secs_f64(meta.seconds());
    meta.times().unwrap_or(&state.unrouted).record(status, took);
    let duration_ms = (meta.seconds() * 1e6).round() / 1e3;
    let request_id = &*meta.request_id();
    log::info!(
        target: ACCESS,
        request_id, w3c_trace_id = meta.trace_id(), method = method.as_str(), path, status, duration_ms;
        "{method} {} {status}", Shown(path)
    );
}

/// A path as it stands in a message of the log.
struct Shown<'p>(&'p str);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |it: u8| (b' '..=b'~').contains(&it) && !matches!(it, b'"' | b'\'' | b'\\');
        match self.0.bytes().all(is_plain) {
            true => f.write_str(self.0),
            false => Display::fmt(&self.0.escape_debug(), f),
        }
    }
}

/// A place among the requests being worked on; probes always get one.
fn admit(state: &HttpState, req: &ServiceRequest) -> Result<Option<limiter::Place>, Error> {
    // Probes name whatever address they know the server by, and tell nothing.
    if is_probe(req.path()) {
        return Ok(None);
    }
    host::check(req, &state.settings)?;
    let place = state.admission.enter().or_else(|| {
        // Whoever is to end this must get in.
        let is_admin =
            looks_after(req.path()) && state.identify(req.request()).is_ok_and(|it| it.allows(Scope::Admin));
        is_admin.then(|| state.admission.enter_as_admin())?
    });
    match place {
        Some(place) => Ok(Some(place)),
        None => {
            Err(Error::new(Code::Overloaded, "As many requests are being worked on as the server takes."))
        }
    }
}

fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}

/// Where an admin sees what is the matter, and switches plugins off.
fn looks_after(path: &str) -> bool {
    path == "/metrics"
        || path.strip_prefix("/api/v1/plugins").is_some_and(|it| it.is_empty() || it.starts_with('/'))
}

/// Probes and static files: no plugin is asked about them.
fn is_quiet(path: &str) -> bool {
    is_probe(path) || path == "/api/docs" || path.starts_with("/api/docs/")
}

fn answer(req: ServiceRequest, error: Error) -> ServiceResponse<BoxBody> {
    let response = problem::answer(error, req.request());
    req.into_response(response)
}

/// What every answer carries.
fn dress(headers: &mut HeaderMap, meta: &Meta) {
    if let Ok(id) = HeaderValue::from_str(&meta.request_id()) {
        headers.insert(REQUEST_ID.clone(), id);
    }
    if let Some(timing) = meta.timing() {
        timing::tell(headers, &timing, meta.seconds());
    }
    if let Some(spent) = meta.spent() {
        rate::tell(headers, spent);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // What a plugin's own route answers has a stricter one already.
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    }
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}
