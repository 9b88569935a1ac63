//! The versions of a plugin's files: listed, read, compared, gone back to.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde_json::Value;

use crate::error::{Error, FieldError, Result};
use crate::plugins::manager::Side;
use crate::plugins::versions::diff;

use super::call::{Call, scope};
use super::digest;
use super::query::{Kind, Param, param};
use super::reply;

/// The type of a diff as text.
const DIFF_TYPE: &str = "text/x-diff";

/// The longest note, in characters.
const NOTE_MAX_CHARS: usize = 1000;

/// What is compared.
pub(super) const SIDES: &[Param] = &[
    param(
        "from",
        Kind::Text,
        "A version's number, `live`, `previous` or `disk`; without it the one before `to`.",
    ),
    param("to", Kind::Text, "A version's number, `live` or `disk`; without it the one that runs."),
];

/// One page of versions, newest first.
pub(super) async fn list(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    let page = call.state.manager.versions(call.part("id"), call.query.window()).await?;
    reply::page(&call.req, &page)
}

/// One version with the names of its files.
pub(super) async fn get(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    let version = call.state.manager.version(call.part("id"), call.number("version")?).await?;
    reply::hashed(&call.req, &version)
}

/// The bytes of one file of a version.
pub(super) async fn file(call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    let (id, number, path) = (call.part("id"), call.number("version")?, call.part("path"));
    let (hash, bytes) = call.state.manager.version_file(id, number, path).await?;
    let tag = format!("\"{hash}\"");
    if reply::none_match(&call.req, &tag) {
        return Ok(reply::not_modified(&tag));
    }
    let mut response = HttpResponse::Ok();
    if let Some(digest) = digest::made(call.req.headers(), &bytes) {
        response.insert_header(("repr-digest", digest));
    }
    Ok(response
        .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header((header::ETAG, tag))
        .body(bytes.to_vec()))
}

/// Goes back to a version.
pub(super) async fn roll_back(mut call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    let (mut body, _) = call.json_once().await?;
    let (version, note) = (body.shift_remove("version"), body.shift_remove("note"));
    let fault = |pointer: String, message: &str| FieldError { pointer, message: message.to_owned() };
    let unknown = |key: &String| fault(format!("/{key}"), "is not a field here; known are version, note");
    let mut faults: Vec<FieldError> = body.keys().map(unknown).collect();
    let version = version.filter(|it| !it.is_null());
    let number = version.as_ref().and_then(Value::as_i64).filter(|it| *it > 0);
    if version.is_some() && number.is_none() {
        faults.push(fault("/version".to_owned(), "must be the number of a version"));
    }
    let note = note.filter(|it| !it.is_null());
    let text = note.as_ref().and_then(Value::as_str).filter(|it| it.chars().count() <= NOTE_MAX_CHARS);
    if note.is_some() && text.is_none() {
        faults.push(fault("/note".to_owned(), "must be text of at most 1000 characters"));
    }
    if !faults.is_empty() {
        return Err(Error::fields(faults));
    }
    let done =
        call.state.manager.roll_back(call.part("id"), number, text.map(str::to_owned), &call.actor()).await?;
    reply::ok(&done)
}

/// How two versions differ, as JSON or, when `Accept` asks for it, as one text.
pub(super) async fn compare(call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    let side = |name: &str| call.query.get(name).map(|it| Side::read(name, it)).transpose();
    let found = call.state.manager.version_diff(call.part("id"), side("from")?, side("to")?).await?;
    let as_text = call.header(header::ACCEPT.as_str())?.is_some_and(|it| it.contains(DIFF_TYPE));
    let mut answer = match as_text {
        false => reply::hashed(&call.req, &found)?,
        true => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, format!("{DIFF_TYPE}; charset=utf-8")))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((header::CACHE_CONTROL, "private, no-cache"))
            .body(diff::text(&found.files)),
    };
    answer.headers_mut().insert(header::VARY, header::HeaderValue::from_static("Accept"));
    Ok(answer)
}
