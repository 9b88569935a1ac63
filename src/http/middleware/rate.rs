//! Limits of keys: counted before anybody is asked anything, told in headers
//! (draft-ietf-httpapi-ratelimit-headers).

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{Code, Error, Result};
use crate::http::meta::{Identity, Meta};
use crate::http::state::HttpState;
use crate::model::token::Scope;
use crate::services::tokens::{self, Spent};

/// Counts a request against the limit of its key. While no key has a limit, this is one atomic load.
///
/// # Errors
/// [`Code::TooManyRequests`]; the store's.
pub fn spend(state: &HttpState, req: &ServiceRequest, meta: &Meta) -> Result<()> {
    if !tokens::any_limited(&state.services) {
        return Ok(());
    }
    let Identity::Key(token) = state.identify(req.request())? else { return Ok(()) };
    // Whoever may do everything can always mend the limits.
    if token.allows(Scope::Admin) && is_below(req.path(), "/api/v1/tokens") {
        return Ok(());
    }
    let Some(spent) = tokens::spend(&state.services, &token) else { return Ok(()) };
    meta.set_spent(spent);
    let Some(wait_s) = spent.wait_s else { return Ok(()) };
    let limit = spent.limit;
    let detail = format!(
        "The key `{}` may send {} requests in {} seconds; the next one is taken in {wait_s} seconds.",
        token.id, limit.requests, limit.per_seconds
    );
    let error = Error::new(Code::TooManyRequests, detail).with_member("requests", limit.requests);
    let error = error.with_member("per_seconds", limit.per_seconds);
    Err(Error { retry_after: u32::try_from(wait_s).ok(), ..error })
}

/// Says in the headers of an answer what is left.
pub fn tell(headers: &mut HeaderMap, spent: Spent) {
    let policy = format!("\"key\";q={};w={}", spent.limit.requests, spent.limit.per_seconds);
    let left = format!("\"key\";r={};t={}", spent.left, spent.whole_in_s);
    for (name, value) in [("ratelimit-policy", policy), ("ratelimit", left)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|it| it.is_empty() || it.starts_with('/'))
}
