//! Backups: begun, watched, listed, removed. Where they lie is the server's business: no path comes from a client.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use serde_json::json;

use crate::error::Result;
use crate::services::backups;

use super::call::{Call, scope};
use super::reply;

/// The backups, newest first.
pub(super) async fn list(call: Call<scope::Admin>) -> Result<HttpResponse> {
    let items = backups::list(&call.state.services).await?;
    reply::hashed(&call.req, &json!({ "items": items, "total": items.len() }))
}

/// Begins one.
pub(super) async fn start(call: Call<scope::Admin>) -> Result<HttpResponse> {
    let begun = backups::start(&call.state.services, &call.actor()).await?;
    let mut answer = reply::json(StatusCode::ACCEPTED, &begun)?;
    if let Ok(place) = HeaderValue::from_str(&format!("/api/v1/backups/{}", begun.id)) {
        answer.headers_mut().insert(header::LOCATION, place);
    }
    Ok(answer)
}

/// One of them, or how far it is.
pub(super) async fn get(call: Call<scope::Admin>) -> Result<HttpResponse> {
    reply::ok(&backups::get(&call.state.services, call.part("backup_id")).await?)
}

/// Removes or ends one.
pub(super) async fn delete(call: Call<scope::Admin>) -> Result<HttpResponse> {
    backups::delete(&call.state.services, &call.actor(), call.part("backup_id")).await?;
    Ok(reply::no_content())
}
