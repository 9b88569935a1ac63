//! `Server-Timing`, for a client that asks for it and may see plugins.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::http::meta::Meta;
use crate::http::state::HttpState;
use crate::model::timing::Timing;
use crate::model::token::Scope;

/// Asks for the header: `1`.
static ASKS: HeaderName = HeaderName::from_static("x-panotti-timing");

/// Has the time of a request noted when its client asks for it and its key has `plugins:read`.
pub fn begin(state: &HttpState, req: &ServiceRequest, meta: &Meta) {
    if req.headers().get(&ASKS).is_some_and(|it| it.as_bytes() == b"1")
        && state.identify(req.request()).is_ok_and(|it| it.allows(Scope::PluginsRead))
    {
        meta.set_timing(Arc::default());
    }
}

/// Tells in the headers of an answer where its time went.
pub fn tell(headers: &mut HeaderMap, timing: &Timing, total_s: f64) {
    let ms = |it: Duration| it.as_secs_f64() * 1e3;
    let mut text = String::new();
    for call in timing.calls() {
        // Names of plugins and hooks are tokens.
        let (plugin, hook) = (&call.plugin, call.hook);
        _ = write!(text, "{plugin};dur={:.3};desc=\"{hook}\";gen={}, ", ms(call.took), call.generation);
    }
    _ = write!(text, "db;dur={:.3}, total;dur={:.3}", ms(timing.db()), total_s * 1e3);
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(HeaderName::from_static("server-timing"), value);
    }
}
