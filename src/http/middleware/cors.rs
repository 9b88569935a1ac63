//! Pages of other origins (CORS): those the admin has listed may call, nobody else gets a header of it.
//!
//! Around everything else, so that refusals carry the headers too: a page could not read them otherwise.

use actix_cors::Cors;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::{Condition, Next};
use actix_web::web::Data;

use crate::error::{Code, Error};
use crate::http::meta::Meta;
use crate::http::state::HttpState;

use super::{answer, dress, host, note};

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/// A browser may keep a permission for so many seconds.
const MAX_AGE_S: usize = 600;

/// Answers preflights of these origins and lets their pages read answers; without cookies.
pub fn allow(origins: &[String]) -> Condition<Cors> {
    let cors = Cors::default()
        .allowed_methods(METHODS)
        // Routes of plugins have headers of their own, attributes of CloudEvents too: there is no list of all.
        .allow_any_header()
        .expose_any_header()
        .max_age(MAX_AGE_S)
        .block_on_origin_mismatch(false);
    let cors = origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin));
    Condition::new(!origins.is_empty(), cors)
}

/// Around [`allow`]: what that answers itself looks like every other answer, and what other origins send never gets
/// to be a preflight or to carry a header of CORS.
///
/// # Errors
/// None of its own.
pub async fn guard(
    state: Data<HttpState>,
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let origin = req.headers().get(header::ORIGIN);
    let is_listed = origin.is_some_and(|it| state.settings.cors_origins.iter().any(|listed| it == listed));
    let asks =
        req.method() == Method::OPTIONS && req.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if is_listed && asks {
        return preflight(&state, req, next).await;
    }
    req.headers_mut().remove(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = next.call(req).await?.map_into_boxed_body();
    if !is_listed {
        response.headers_mut().remove(header::ACCESS_CONTROL_EXPOSE_HEADERS);
    }
    Ok(response)
}

/// No key is needed and no plugin is asked; the host must be the right one all the same.
async fn preflight(
    state: &HttpState,
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let meta = Meta::begin(&req);
    let (method, path) = (req.method().clone(), req.path().to_owned());
    let mut response = match host::check(&req, &state.settings) {
        Err(error) => answer(req, error),
        Ok(()) => {
            let response = next.call(req).await?.map_into_boxed_body();
            match response.response().error().map(ToString::to_string) {
                None => response,
                Some(why) => {
                    let (req, _) = response.into_parts();
                    let error = Error::new(Code::BadHeader, format!("The preflight is refused: {why}."));
                    ServiceResponse::new(req.clone(), crate::http::problem::answer(error, &req))
                }
            }
        }
    };
    dress(response.headers_mut(), &meta);
    note(state, &meta, &method, &path, response.status().as_u16());
    Ok(response)
}
