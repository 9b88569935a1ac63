//! Recordings: start, end, read, change, delete.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::json;

use crate::error::Result;
use crate::model::recording::RecordingStatus;
use crate::services::recordings::{self, Dialect, Include, RecordingFilter, Told};

use super::call::{Call, scope};
use super::query::{Kind, Param, param};
use super::reply;

/// What a list of recordings is narrowed by.
pub(super) const FILTERS: &[Param] = &[
    param("status", Kind::OneOf(&["active", "completed"]), "Running or ended."),
    param("from", Kind::Time, "Started at this time or later."),
    param("to", Kind::Time, "Started at this time or earlier."),
    param("q", Kind::Text, "Part of the title or of the id."),
];

/// What is answered beside a recording.
pub(super) const INCLUDE: &[Param] =
    &[param("include", Kind::SomeOf(&["clips", "events", "tasks"]), "The last 50 of each of these too.")];

/// Whether the files go too.
pub(super) const FILES: &[Param] =
    &[param("files", Kind::Flag, "Also removes the files that the server wrote for it.")];

/// One page of recordings, newest first.
pub(super) async fn list(call: Call<scope::RecordingsRead>) -> Result<HttpResponse> {
    let filter = RecordingFilter {
        status: call.query.get("status").map(|it| match it {
            "active" => RecordingStatus::Active,
            _ => RecordingStatus::Completed,
        }),
        from: call.query.time("from"),
        to: call.query.time("to"),
        q: call.query.text("q"),
    };
    let page = recordings::list(&call.state.services, filter, call.query.window()).await?;
    reply::page(&call.req, &page)
}

/// Starts a recording: 201, or 200 when it was started so before.
pub(super) async fn start(mut call: Call<scope::RecordingsWrite>) -> Result<HttpResponse> {
    let (body, once) = call.json_once().await?;
    if let Some(answer) = call.recalled(once.as_ref())? {
        return Ok(answer);
    }
    let told =
        recordings::start(&call.state.services, &call.caller(), body, Dialect::V1, once.as_ref()).await?;
    let place = format!("/api/v1/recordings/{}", told.recording.id);
    match told.duplicate {
        true => tagged(&told),
        false => reply::created(&place, &told, Some(told.recording.version)),
    }
}

/// Ends a recording.
pub(super) async fn end(mut call: Call<scope::RecordingsWrite>) -> Result<HttpResponse> {
    let id = call.recording_id()?;
    let (body, once) = call.json_once().await?;
    if let Some(answer) = call.recalled(once.as_ref())? {
        return Ok(answer);
    }
    let services = &call.state.services;
    let told = recordings::end(services, &call.caller(), Some(&id), body, Dialect::V1, once.as_ref()).await?;
    tagged(&told)
}

/// A recording with its tracks.
pub(super) async fn get(call: Call<scope::RecordingsRead>) -> Result<HttpResponse> {
    let include = Include {
        clips: call.query.has("include", "clips"),
        events: call.query.has("include", "events"),
        tasks: call.query.has("include", "tasks"),
    };
    let detail = recordings::get(&call.state.services, &call.recording_id()?, include)?;
    match include == Include::default() {
        true => reply::resource(&call.req, &detail, detail.recording.version),
        // What is included changes without the recording: its version names only itself.
        false => reply::hashed(&call.req, &detail),
    }
}

/// Changes title and metadata.
pub(super) async fn patch(mut call: Call<scope::RecordingsWrite>) -> Result<HttpResponse> {
    let (id, if_match) = (call.recording_id()?, call.if_match()?);
    let body = call.json().await?;
    let recording = recordings::patch(&call.state.services, &call.caller(), &id, body, if_match).await?;
    reply::resource(&call.req, &recording, recording.version)
}

/// Deletes a recording that has ended; its clips stay.
pub(super) async fn delete(call: Call<scope::RecordingsWrite>) -> Result<HttpResponse> {
    let (id, if_match) = (call.recording_id()?, call.if_match()?);
    let files = call.query.flag("files").unwrap_or(false);
    recordings::delete(&call.state.services, &call.caller(), &id, files, if_match).await?;
    Ok(reply::no_content())
}

/// The last events about a recording.
pub(super) async fn events(call: Call<scope::RecordingsRead>) -> Result<HttpResponse> {
    let include = Include { events: true, ..Include::default() };
    let detail = recordings::get(&call.state.services, &call.recording_id()?, include)?;
    reply::hashed(&call.req, &json!({ "items": detail.events }))
}

/// What plugins did last for a recording.
pub(super) async fn tasks(call: Call<scope::RecordingsRead>) -> Result<HttpResponse> {
    let include = Include { tasks: true, ..Include::default() };
    let detail = recordings::get(&call.state.services, &call.recording_id()?, include)?;
    reply::hashed(&call.req, &json!({ "items": detail.tasks }))
}

fn tagged(told: &Told) -> Result<HttpResponse> {
    let mut response = reply::json(StatusCode::OK, told)?;
    reply::tag(&mut response, told.recording.version)?;
    Ok(response)
}
