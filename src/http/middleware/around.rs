//! The order of a request's two questions and of its answer.
//!
//! Where a plugin alone is asked both and the answer takes one look at the database, it is made before the first question:
//! then both are asked in one go, which saves a way to another thread and back. It goes to the client only when the first
//! question let the request pass, and did nothing else, and nothing was stored meanwhile: it is what would be read then.
//! Else it is thrown away, and everything happens in its order.

use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpResponse};

use crate::error::Result;
use crate::hooks::Hook;
use crate::hooks::pair::{BothAsked, Pair};
use crate::http::meta::Meta;
use crate::http::state::HttpState;

use super::answer;
use super::ask::{self, Around, check};

/// Asks both questions around a request, and has it answered in between.
///
/// # Errors
/// What `next` fails with.
pub(super) async fn around(
    state: &HttpState,
    mut req: ServiceRequest,
    next: &Next<impl MessageBody + 'static>,
    meta: &Meta,
) -> std::result::Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let early = match pair_of(state, &req, meta) {
        None => ask::before(state, &mut req, meta).await,
        Some((pair, stamp)) => match answer_first(state, req, next, meta, &pair, stamp).await? {
            Answered::Whole(response) => return Ok(response),
            Answered::Not(again, early) => {
                req = again;
                early
            }
        },
    };
    let mut response = match early {
        Ok(None) => next.call(req).await?.map_into_boxed_body(),
        Ok(Some(given)) => req.into_response(given),
        Err(error) => answer(req, error),
    };
    ask::after(state, &mut response, meta).await;
    Ok(response)
}

enum Answered {
    /// With both questions asked.
    Whole(ServiceResponse<BoxBody>),
    /// With the first one asked, and what came of it.
    Not(ServiceRequest, Result<Option<HttpResponse>>),
}

/// Whoever is asked both questions about this request in one go, and the stamp of the store before it is answered. Not when
/// the client wants to know how long each takes.
fn pair_of(state: &HttpState, req: &ServiceRequest, meta: &Meta) -> Option<(Pair, u64)> {
    let is_soon_read = req.method() == Method::GET && req.query_string().is_empty() && is_of_one(req.path());
    if !is_soon_read || meta.timing().is_some() {
        return None;
    }
    let pair = state.services.hooks.pair(Hook::BeforeRequest, Hook::AfterRequest)?;
    Some((pair, state.services.store.stamp()?))
}

/// Whether a path is that of one clip or one recording.
fn is_of_one(path: &str) -> bool {
    let named = |list| path.strip_prefix(list).filter(|it| !it.is_empty());
    named("/api/v1/clips/").is_some_and(|it| it.bytes().all(|byte| byte.is_ascii_digit()))
        || named("/api/v1/recordings/").is_some_and(|it| !it.contains('/'))
}

async fn answer_first(
    state: &HttpState,
    req: ServiceRequest,
    next: &Next<impl MessageBody + 'static>,
    meta: &Meta,
    pair: &Pair,
    stamp: u64,
) -> std::result::Result<Answered, actix_web::Error> {
    let around = match Around::of(state, &req, meta) {
        Ok(around) => around,
        Err(error) => return Ok(Answered::Not(req, Err(error))),
    };
    let mut response = next.call(req).await?.map_into_boxed_body();
    let about = (around.before(), around.after(&response, meta, None));
    let BothAsked { first, second } =
        state.services.hooks.ask_both(pair, about, &around.caller, &check, stamp).await;
    if let Some(second) = second {
        ask::settle_after(state, second, &mut response, &around.caller, meta).await;
        return Ok(Answered::Whole(response));
    }
    let mut req = ServiceRequest::from_request(response.into_parts().0);
    let caller = Arc::clone(&around.caller);
    req.extensions_mut().insert(around);
    let early = ask::settle_before(state, &mut req, first, &caller, meta).await;
    Ok(Answered::Not(req, early))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_not_one_of_its_things() {
        for path in ["/api/v1/clips/12", "/api/v1/recordings/r-1"] {
            assert!(is_of_one(path), "{path}");
        }
        for path in [
            "/api/v1/clips/",
            "/api/v1/clips",
            "/api/v1/recordings/",
            "/api/v1/clips/1/content",
            "/api/v1/clips/x",
        ] {
            assert!(!is_of_one(path), "{path}");
        }
    }
}
