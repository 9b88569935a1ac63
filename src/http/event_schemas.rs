//! What the data of events must be like, by type.

use actix_web::HttpResponse;
use serde_json::Value;

use crate::error::Result;
use crate::services::event_schemas;

use super::call::{Call, scope};
use super::reply;

/// The schema of a type.
pub(super) async fn get(call: Call<scope::EventsRead>) -> Result<HttpResponse> {
    reply::hashed(&call.req, &event_schemas::get(&call.state.services, call.part("type"))?)
}

/// Puts another in its place.
pub(super) async fn put(mut call: Call<scope::EventsWrite>) -> Result<HttpResponse> {
    let schema = Value::Object(call.json().await?);
    let (services, actor) = (call.state.services.clone(), call.actor());
    reply::ok(&event_schemas::put(&services, call.part("type"), schema, &actor).await?)
}

/// Drops it.
pub(super) async fn delete(call: Call<scope::EventsWrite>) -> Result<HttpResponse> {
    event_schemas::delete(&call.state.services, call.part("type"), &call.actor()).await?;
    Ok(reply::no_content())
}
