//! A request and an answer as plugins see them.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;

use crate::hooks::{Field, Fields, Texts};
use crate::http::meta::Meta;

/// Never shown to a plugin and never changed by one.
pub(super) const SECRETS: &[&str] =
    &["authorization", "cookie", "x-api-key", "proxy-authorization", "set-cookie"];

/// A request, copied once for all who are asked about it.
pub(super) struct ShownRequest {
    id: Arc<str>,
    method: Method,
    path: String,
    query: String,
    headers: Texts,
    remote: Option<IpAddr>,
}

impl ShownRequest {
    pub(super) fn of(req: &HttpRequest, meta: &Meta) -> Self {
        ShownRequest {
            id: meta.request_id(),
            method: req.method().clone(),
            path: req.path().to_owned(),
            query: req.query_string().to_owned(),
            headers: shown_headers(req.headers()),
            remote: req.peer_addr().map(|it| it.ip()),
        }
    }
}

impl Fields for ShownRequest {
    fn fields(&self) -> Vec<(&'static str, Field<'_>)> {
        vec![
            ("id", Field::Text(&self.id)),
            ("method", Field::Text(self.method.as_str())),
            ("path", Field::Text(&self.path)),
            ("query", Field::Text(&self.query)),
            ("headers", Field::Texts(&self.headers)),
            ("remote", self.remote.map_or(Field::Null, Field::Address)),
        ]
    }
}

/// An answer before its first byte.
pub(super) struct ShownResponse {
    status: u16,
    headers: Texts,
    started: Instant,
    /// From then until it was there; where both questions are asked in one go, until somebody looked.
    seconds: OnceLock<f64>,
    request: Arc<ShownRequest>,
}

impl ShownResponse {
    pub(super) fn of(
        response: &ServiceResponse<BoxBody>,
        request: Arc<ShownRequest>,
        meta: &Meta,
        took: Option<Duration>,
    ) -> Self {
        ShownResponse {
            status: response.status().as_u16(),
            headers: shown_headers(response.headers()),
            started: meta.started(),
            seconds: took.map_or_else(OnceLock::new, |it| OnceLock::from(it.as_secs_f64())),
            request,
        }
    }
}

impl Fields for ShownResponse {
    fn fields(&self) -> Vec<(&'static str, Field<'_>)> {
        vec![
            ("status", Field::Whole(self.status.into())),
            ("headers", Field::Texts(&self.headers)),
            ("duration", Field::Number(*self.seconds.get_or_init(|| self.started.elapsed().as_secs_f64()))),
            ("request", Field::Fields(&*self.request)),
        ]
    }
}

/// Headers as plugins see them: lower-case names, several of one name joined, secrets left out.
pub(in crate::http) fn shown_headers(headers: &HeaderMap) -> Texts {
    let mut shown = Texts::with_capacity(headers.len());
    // Those of one name follow each other.
    for (name, value) in headers {
        let name = name.as_str();
        if SECRETS.contains(&name) {
            continue;
        }
        let text = match value.to_str() {
            Ok(plain) => Cow::Borrowed(plain),
            Err(_) => String::from_utf8_lossy(value.as_bytes()),
        };
        if shown.last_name() == Some(name) {
            shown.extend_last(", ");
            shown.extend_last(&text);
        } else {
            shown.push(name, &text);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn secrets_are_not_shown_and_several_of_one_name_are_joined() {
        let mut headers = HeaderMap::new();
        for name in ["accept", "authorization", "cookie", "x-api-key", "x-other", "set-cookie"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        headers.append(HeaderName::from_static("accept"), HeaderValue::from_static("w"));
        let shown = shown_headers(&headers);
        assert_eq!(shown.iter().len(), 2);
        assert_eq!((shown.get("accept"), shown.get("x-other")), (Some("v, w"), Some("v")));
    }
}
