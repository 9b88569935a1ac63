//! What the server knows of a request beside its headers: its id, when it came, whose key it carries.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::HeaderMap;
use actix_web::{HttpMessage, HttpRequest};

use super::metrics::RouteTimes;
use crate::error::Code;
use crate::model::call::Caller;
use crate::model::token::{Scope, Token};

/// The header that carries a request's id, in and out.
pub const REQUEST_ID: &str = "x-request-id";

/// Who a request comes from, as its own headers say.
#[derive(Debug, Clone)]
pub enum Identity {
    /// The key it carries, checked.
    Key(Arc<Token>),
    /// No valid key: it is missing, or it is wrong.
    Nobody(Code),
}

impl Identity {
    /// Whether the key opens a door that asks for `scope`.
    pub fn allows(&self, scope: Scope) -> bool {
        matches!(self, Identity::Key(token) if token.allows(scope))
    }
}

/// Shared by all that looks at one request.
#[derive(Clone)]
pub struct Meta(Rc<Inner>);

struct Inner {
    request_id: Arc<str>,
    started: Instant,
    identity: OnceCell<Identity>,
    times: OnceCell<Arc<RouteTimes>>,
}

impl Meta {
    /// Reads or makes the id of a request that came just now, and keeps it with the request.
    pub fn begin(req: &ServiceRequest) -> Self {
        let inner = Inner {
            request_id: request_id(req.headers()),
            started: Instant::now(),
            identity: OnceCell::new(),
            times: OnceCell::new(),
        };
        let meta = Meta(Rc::new(inner));
        req.extensions_mut().insert(meta.clone());
        meta
    }

    /// Notes the route that answers it.
    pub fn set_times(&self, times: &Arc<RouteTimes>) {
        let _ = self.0.times.set(Arc::clone(times));
    }

    /// Where its time is counted, when a route answered it.
    pub fn times(&self) -> Option<&RouteTimes> {
        self.0.times.get().map(|it| &**it)
    }

    /// What is known of a request.
    pub fn of(req: &HttpRequest) -> Self {
        req.extensions().get::<Meta>().cloned().unwrap_or_else(|| {
            // Only a request that never passed the middleware: a handler called on its own.
            let inner = Inner {
                request_id: request_id(req.headers()),
                started: Instant::now(),
                identity: OnceCell::new(),
                times: OnceCell::new(),
            };
            Meta(Rc::new(inner))
        })
    }

    /// The id that the log, the answer and the hooks share.
    pub fn request_id(&self) -> Arc<str> {
        Arc::clone(&self.0.request_id)
    }

    /// Who sets off what the request does.
    pub fn caller(&self) -> Caller {
        let id = self.request_id();
        Caller {
            source: "http".into(),
            request_id: Some(Arc::clone(&id)),
            correlation_id: Some(id),
            ..Caller::default()
        }
    }

    /// Seconds since the request came.
    pub fn seconds(&self) -> f64 {
        self.0.started.elapsed().as_secs_f64()
    }

    /// Who it comes from, once that was checked.
    pub fn identity(&self) -> Option<&Identity> {
        self.0.identity.get()
    }

    /// Keeps the outcome of the check; the first one stands.
    pub fn set_identity(&self, identity: Identity) -> &Identity {
        self.0.identity.get_or_init(|| identity)
    }
}

/// The key a request carries in `X-API-Key` or as a bearer token.
pub fn key_of(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get("x-api-key") {
        return key.to_str().ok().map(str::trim);
    }
    let (scheme, key) = headers.get("authorization")?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

/// Whether an address is this machine's own; addresses of IPv4 in IPv6 count as IPv4.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// The client's id when it can be written to a log and a header as it is, else a new one.
fn request_id(headers: &HeaderMap) -> Arc<str> {
    let sent = headers.get(REQUEST_ID).and_then(|it| it.to_str().ok());
    let plain = |it: &&str| {
        (1..=128).contains(&it.len())
            && it.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    match sent.filter(plain) {
        Some(id) => id.into(),
        None => uuid::Uuid::now_v7().simple().to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn a_key_comes_in_either_header() {
        assert_eq!(key_of(&headers("x-api-key", "k")), Some("k"));
        assert_eq!(key_of(&headers("authorization", "bearer k")), Some("k"));
        assert_eq!(key_of(&headers("authorization", "Basic k")), None);
        assert_eq!(key_of(&HeaderMap::new()), None);
    }

    #[test]
    fn a_request_id_that_could_forge_a_log_line_is_replaced() {
        assert_eq!(&*request_id(&headers("x-request-id", "abc-1")), "abc-1");
        for id in ["", "a b", "a\"b", "a\tb"] {
            assert_ne!(&*request_id(&headers("x-request-id", id)), id);
        }
    }
}
