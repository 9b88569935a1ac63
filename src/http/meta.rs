//! What the server knows of a request beside its headers: its id, when it came, whose key it carries.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use actix_web::{HttpMessage, HttpRequest};

use super::metrics::RouteTimes;
use crate::error::Code;
use crate::model::call::Caller;
use crate::model::id::new_request_id;
use crate::model::timing::Timing;
use crate::model::token::{Scope, Token};
use crate::model::trace_context::TraceContext;
use crate::services::tokens::Spent;

/// The header that carries a request's id, in and out.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
// Looked up in each request: a name that is a text is read anew each time.
static API_KEY: HeaderName = HeaderName::from_static("x-api-key");
static TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

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
    /// The trace that the client says it belongs to.
    trace: Option<Arc<TraceContext>>,
    timing: OnceCell<Arc<Timing>>,
    spent: OnceCell<Spent>,
}

impl Inner {
    fn of(headers: &HeaderMap) -> Self {
        let (request_id, trace) = ids(headers);
        Inner {
            request_id,
            started: Instant::now(),
            identity: OnceCell::new(),
            times: OnceCell::new(),
            trace: trace.map(Arc::new),
            timing: OnceCell::new(),
            spent: OnceCell::new(),
        }
    }
}

impl Meta {
    /// Reads or makes the id of a request that came just now, and keeps it with the request.
    pub fn begin(req: &ServiceRequest) -> Self {
        let meta = Meta(Rc::new(Inner::of(req.headers())));
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
            Meta(Rc::new(Inner::of(req.headers())))
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
            trace: self.0.trace.clone(),
            timing: self.timing(),
            ..Caller::default()
        }
    }

    /// The id of the trace that the client says it belongs to.
    pub fn trace_id(&self) -> Option<&str> {
        self.0.trace.as_ref().map(|it| it.trace_id.as_str())
    }

    /// Has its time noted.
    pub fn set_timing(&self, timing: Arc<Timing>) {
        let _ = self.0.timing.set(timing);
    }

    /// Where its time is noted, if it is.
    pub fn timing(&self) -> Option<Arc<Timing>> {
        self.0.timing.get().map(Arc::clone)
    }

    /// Notes what is left of its key's limit.
    pub fn set_spent(&self, spent: Spent) {
        let _ = self.0.spent.set(spent);
    }

    /// What is left of its key's limit, if that has one.
    pub fn spent(&self) -> Option<Spent> {
        self.0.spent.get().copied()
    }

    /// When the request came.
    pub fn started(&self) -> Instant {
        self.0.started
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
    if let Some(key) = headers.get(&API_KEY) {
        return key.to_str().ok().map(str::trim);
    }
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

/// Whether an address is this machine's own; addresses of IPv4 in IPv6 count as IPv4.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// The request's id and its trace. The id is the client's X-Request-Id when it can be written to a log and a header as it
/// is, else that of the trace, else a new one. A `traceparent` that is malformed is replaced by a trace of our own.
fn ids(headers: &HeaderMap) -> (Arc<str>, Option<TraceContext>) {
    let text = |name: &HeaderName| headers.get(name).and_then(|it| it.to_str().ok());
    let plain = |it: &&str| {
        (1..=128).contains(&it.len())
            && it.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    let mut traces = headers.get_all(&TRACE_PARENT);
    let trace = traces.next().map(|first| {
        let one = first.to_str().ok().filter(|_| traces.next().is_none());
        let read = one.and_then(|it| TraceContext::parse(it, text(&TRACE_STATE)));
        read.unwrap_or_else(|| TraceContext::begin(new_request_id().to_string()))
    });
    let id = match (text(&REQUEST_ID).filter(plain), &trace) {
        (Some(id), _) => id.into(),
        (None, Some(trace)) => trace.trace_id.as_str().into(),
        (None, None) => (*new_request_id().encode_lower(&mut [0; 32])).into(),
    };
    (id, trace)
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
        assert_eq!(&*ids(&headers("x-request-id", "abc-1")).0, "abc-1");
        for id in ["", "a b", "a\"b", "a\tb"] {
            assert_ne!(&*ids(&headers("x-request-id", id)).0, id);
        }
    }

    #[test]
    fn a_request_without_an_id_goes_by_its_trace() {
        const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let (id, trace) = ids(&headers("traceparent", PARENT));
        assert_eq!((&*id, trace.unwrap().sampled), (&PARENT[3..35], true));
        let mut both = headers("traceparent", PARENT);
        both.insert(REQUEST_ID.clone(), HeaderValue::from_static("abc"));
        let (id, trace) = ids(&both);
        assert_eq!((&*id, trace.unwrap().trace_id.as_str()), ("abc", &PARENT[3..35]));
        let (id, trace) = ids(&headers("traceparent", "nonsense"));
        assert_eq!(*id, *trace.unwrap().trace_id);
        both.append(HeaderName::from_static("traceparent"), HeaderValue::from_static(PARENT));
        assert_ne!(ids(&both).1.unwrap().trace_id, PARENT[3..35]);
        assert_eq!(ids(&HeaderMap::new()).1, None);
    }
}
