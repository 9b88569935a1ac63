//! COMPAT: the routes of PanottiServer, for its clients as they are. Always 200 when all went well, whatever
//! else their bodies and queries hold; a meeting's audio is never turned away over a detail.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::header;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::Result;
use crate::services::recordings::{self, Dialect};

use super::body;
use super::call::{Access, Call, Open, scope};
use super::reply;

/// The answer to a start.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Started {
    /// Always `success`.
    status: &'static str,
    /// The recording's id.
    recording_id: String,
}

/// The answer to an end.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ended {
    /// Always `success`.
    status: &'static str,
    /// The event that tells it.
    event_id: String,
}

/// The recordings that run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Active {
    /// Always `success`.
    status: &'static str,
    /// When each of them started, by id.
    recordings: BTreeMap<String, String>,
}

/// That the server is there.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Healthy {
    /// Always `healthy`.
    status: &'static str,
}

/// A recording has started.
pub(super) async fn started(mut call: Call<scope::RecordingsWrite>) -> Result<HttpResponse> {
    let body = read(&mut call).await?;
    let told = recordings::start(&call.state.services, &call.caller(), body, Dialect::Older, None).await?;
    reply::ok(&Started { status: "success", recording_id: told.recording.id })
}

/// A recording has ended; one whose start was lost is stored all the same.
pub(super) async fn ended(mut call: Call<scope::RecordingsWrite>) -> Result<HttpResponse> {
    let body = read(&mut call).await?;
    let told =
        recordings::end(&call.state.services, &call.caller(), None, body, Dialect::Older, None).await?;
    let event_id = told.event_id.unwrap_or(told.recording.id);
    reply::ok(&Ended { status: "success", event_id })
}

/// The recordings that run.
pub(super) async fn active(call: Call<scope::RecordingsRead>) -> Result<HttpResponse> {
    let running = recordings::active(&call.state.services).await?;
    let recordings = running.into_iter().map(|(id, at)| (id, at.to_string())).collect();
    reply::ok(&Active { status: "success", recordings })
}

/// That the server is there.
pub(super) async fn health(_: Call<Open>) -> Result<HttpResponse> {
    let mut response = reply::ok(&Healthy { status: "healthy" })?;
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The body as JSON, whatever its content type says.
async fn read<A: Access>(call: &mut Call<A>) -> Result<Map<String, Value>> {
    body::parse_object(&call.bytes().await?)
}
