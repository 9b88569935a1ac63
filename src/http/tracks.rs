//! Tracks: whole uploads, live appends, downloads, waveforms.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use futures_util::StreamExt;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::model::recording::Track;
use crate::services::files::{Expected, OpenMedia};
use crate::services::recordings::{self, Include};
use crate::services::tracks;

use super::call::{Access, Call, scope};
use super::digest;
use super::media::{self, Media};
use super::query::{Kind, Param, param};
use super::reply;

/// The offset at which the next part goes on, in and out.
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// Whether a track of a completed recording is replaced.
pub(super) const REPLACE: &[Param] =
    &[param("replace", Kind::Flag, "Replaces a track of a recording that has ended.")];

/// How fine a waveform is.
pub(super) const POINTS: &[Param] =
    &[param("points", Kind::Whole(1, 100_000), "Points of the waveform; 800 without.")];

/// The tracks of a recording.
pub(super) async fn list(call: Call<scope::RecordingsRead>) -> Result<HttpResponse> {
    let detail = recordings::get(&call.state.services, &call.recording_id()?, Include::default())?;
    let mut items = Vec::new();
    for (name, track) in &detail.recording.tracks {
        items.push(named(name, track)?);
    }
    reply::hashed(&call.req, &json!({ "items": items, "total": items.len() }))
}

/// The bytes of a track, also while it grows.
pub(super) async fn download(call: Call<scope::RecordingsRead>) -> Result<HttpResponse> {
    let (id, name) = (call.recording_id()?, call.track()?);
    let (track, open) = tracks::open(&call.state.services, &id, &name)?;
    // The acknowledged bytes never change: length and hash name them.
    let tag = match &track.sha256 {
        Some(sha256) => sha256.clone(),
        None => format!("{}-{}", track.created_at.0, open.len),
    };
    answer(&call, open, tag, track.sha256.as_deref())
}

/// Stores a whole track.
pub(super) async fn upload(mut call: Call<scope::RecordingsWrite>) -> Result<HttpResponse> {
    let (id, name) = (call.recording_id()?, call.track()?);
    let expected = expected(&call)?;
    let about = tracks::Upload {
        replace: call.query.flag("replace").unwrap_or(false),
        content_type: call.header(header::CONTENT_TYPE.as_str())?.map(str::to_owned),
        len: expected.len,
    };
    let services = call.state.services.clone();
    let existed = recordings::get(&services, &id, Include::default())?.recording.tracks.contains_key(&name);
    let mut upload = tracks::begin_upload(&services, &call.caller(), &id, &name, about).await?;
    upload.expect(&expected);
    let mut body = call.upload()?;
    while let Some(bytes) = body.next().await {
        upload.write(bytes?).await?;
    }
    let track = upload.finish(&expected).await?;
    let status = if existed { StatusCode::OK } else { StatusCode::CREATED };
    let mut response = reply::json(status, &named(&name, &track)?)?;
    if let (false, Ok(place)) = (existed, HeaderValue::from_str(call.req.path().trim_end_matches('/'))) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// Appends to a live track; what is answered is on disk.
pub(super) async fn append(mut call: Call<scope::RecordingsWrite>) -> Result<HttpResponse> {
    let (id, name) = (call.recording_id()?, call.track()?);
    // A first part may leave it out; a later one without it gets 409 and is told the offset.
    let offset = call.header_number(UPLOAD_OFFSET.as_str())?.unwrap_or(0);
    let kind = call.header(header::CONTENT_TYPE.as_str())?.map(str::to_owned);
    let services = call.state.services.clone();
    let mut append = tracks::begin_append(&services, &id, &name, offset, kind.as_deref()).await?;
    let mut body = call.upload()?;
    while let Some(bytes) = body.next().await {
        match bytes {
            Ok(bytes) => append.write(bytes).await?,
            Err(error) => {
                // What came before the break is kept and acknowledged: the client goes on from there.
                let kept = append.finish().await?;
                return Err(error.with_member("expected_offset", kept.size));
            }
        }
    }
    let track = append.finish().await?;
    let mut response = reply::ok(&named(&name, &track)?)?;
    response.headers_mut().insert(UPLOAD_OFFSET, HeaderValue::from(track.size));
    Ok(response)
}

/// Deletes a track.
pub(super) async fn delete(call: Call<scope::RecordingsWrite>) -> Result<HttpResponse> {
    let (id, name) = (call.recording_id()?, call.track()?);
    tracks::delete(&call.state.services, &call.caller(), &id, &name).await?;
    Ok(reply::no_content())
}

/// The peaks of a track.
pub(super) async fn waveform(call: Call<scope::RecordingsRead>) -> Result<HttpResponse> {
    let (id, name) = (call.recording_id()?, call.track()?);
    let peaks = tracks::waveform(&call.state.services, &id, &name, points(&call)).await?;
    drawn(&call, peaks.iter().map(|it| (it.min, it.max, it.rms)))
}

/// Answers with peaks: lowest, highest, mean of each.
pub(super) fn drawn<A: Access>(
    call: &Call<A>,
    peaks: impl Iterator<Item = (f32, f32, f32)>,
) -> Result<HttpResponse> {
    let peaks: Vec<Value> =
        peaks.map(|(min, max, rms)| json!({ "min": min, "max": max, "rms": rms })).collect();
    reply::hashed(&call.req, &json!({ "points": peaks.len(), "peaks": peaks }))
}

/// How many points are asked for.
pub(super) fn points<A: Access>(call: &Call<A>) -> usize {
    call.query.whole("points").and_then(|it| usize::try_from(it).ok()).unwrap_or(800)
}

/// Answers with an open file.
pub(super) fn answer<A: Access>(
    call: &Call<A>,
    open: OpenMedia,
    tag: String,
    sha256: Option<&str>,
) -> Result<HttpResponse> {
    let OpenMedia { file, len, name, content_type, .. } = open;
    let digest = sha256.and_then(|it| digest::known(call.req.headers(), it));
    media::answer(&call.req, Media { file, length: len, tag, content_type, name, digest })
}

/// What the client says of a whole body.
pub(super) fn expected<A: Access>(call: &Call<A>) -> Result<Expected> {
    digest::expected(call.req.headers(), call.header_number(header::CONTENT_LENGTH.as_str())?)
}

/// A track with its name.
fn named(name: &str, track: &Track) -> Result<Value> {
    let mut named = Map::from_iter([("name".to_owned(), Value::from(name))]);
    if let Value::Object(row) = serde_json::to_value(track).map_err(Error::internal)? {
        named.extend(row);
    }
    Ok(Value::Object(named))
}
