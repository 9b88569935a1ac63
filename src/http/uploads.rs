//! Uploads of tracks that survive a cut connection, as tus 1.0.0 has it.

use std::fmt::Display;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use futures_util::StreamExt;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::error::{Code, Error, Result};
use crate::model::upload::Upload;
use crate::services::uploads::{self, Checksum};

use super::call::{Call, Open, scope};
use super::{reply, tus};

pub(super) use super::tus::{TUS_RESUMABLE, TUS_VERSION};

const UPLOAD_OFFSET: &str = "upload-offset";
const CHECKSUM: &str = "upload-checksum";

/// Tells what is spoken here.
pub(super) async fn options(call: Call<Open>) -> Result<HttpResponse> {
    let mut response = reply::no_content();
    put(&mut response, "tus-version", TUS_VERSION);
    put(&mut response, "tus-extension", tus::TUS_EXTENSIONS);
    put(&mut response, "tus-checksum-algorithm", Checksum::ALGORITHMS.join(","));
    put(&mut response, "allow", "GET, HEAD, POST, OPTIONS");
    let settings = &call.state.settings;
    let limits = [settings.upload_max_bytes, settings.uploads.max_mib << 20];
    if let Some(most) = limits.into_iter().filter(|it| *it > 0).min() {
        put(&mut response, "tus-max-size", most);
    }
    Ok(response)
}

/// Announces an upload; its first piece may come with it.
pub(super) async fn create(mut call: Call<scope::RecordingsWrite>) -> Result<HttpResponse> {
    tus::require_version(call.req.headers())?;
    if call.header("upload-defer-length")?.is_some() {
        let detail = "Upload-Defer-Length is not taken: say the length of the whole in Upload-Length.";
        return Err(Error::new(Code::BadHeader, detail));
    }
    let length = call.header_number("upload-length")?;
    let length = length
        .ok_or_else(|| Error::new(Code::BadHeader, "The header Upload-Length says how long the whole is."))?;
    let announced = tus::announced(call.header("upload-metadata")?.unwrap_or_default(), length)?;
    let kind = call.header(header::CONTENT_TYPE.as_str())?.map(str::to_owned);
    let has_body = call.header_number(header::CONTENT_LENGTH.as_str())?.unwrap_or(0) > 0;
    let has_piece = has_body || kind.is_some();
    if has_piece {
        tus::require_piece(kind.as_deref())?;
    }
    let services = call.state.services.clone();
    let mut upload = uploads::create(&services, announced).await?;
    if has_piece || length == 0 {
        upload = match receive(&mut call, &upload.id, 0).await {
            Ok(upload) => upload,
            Err(error) => {
                // Nobody knows its address.
                if let Err(stays) = uploads::delete(&services, &upload.id).await {
                    log::debug!("upload {} stays until it expires: {stays}", upload.id);
                }
                return Err(error);
            }
        };
    }
    let mut response = reply::json(StatusCode::CREATED, &upload)?;
    put(&mut response, "location", format!("/api/v1/uploads/{}", upload.id));
    describe(&mut response, &upload);
    Ok(response)
}

/// The uploads that are not complete.
pub(super) async fn list(call: Call<scope::RecordingsWrite>) -> Result<HttpResponse> {
    let items = uploads::list(&call.state.services).await?;
    reply::ok(&json!({ "items": items, "total": items.len() }))
}

/// How much of an upload is there.
pub(super) async fn get(call: Call<scope::RecordingsWrite>) -> Result<HttpResponse> {
    if call.req.method() == Method::HEAD {
        tus::require_version(call.req.headers())?;
    }
    let upload = uploads::get(&call.state.services, call.part("upload_id")).await?;
    let mut response = reply::ok(&upload)?;
    describe(&mut response, &upload);
    put(&mut response, "cache-control", "no-store");
    put(&mut response, "upload-length", upload.length);
    put(&mut response, "upload-metadata", &upload.metadata);
    Ok(response)
}

/// Takes the next piece; what is answered is on disk.
pub(super) async fn patch(mut call: Call<scope::RecordingsWrite>) -> Result<HttpResponse> {
    tus::require_version(call.req.headers())?;
    tus::require_piece(call.header(header::CONTENT_TYPE.as_str())?)?;
    let offset = call.header_number(UPLOAD_OFFSET)?;
    let offset = offset.ok_or_else(|| {
        Error::new(Code::BadHeader, "The header Upload-Offset says where the piece begins.")
    })?;
    let id = call.part("upload_id").to_owned();
    let upload = receive(&mut call, &id, offset).await?;
    let mut response = reply::no_content();
    describe(&mut response, &upload);
    Ok(response)
}

/// Gives an upload up.
pub(super) async fn delete(call: Call<scope::RecordingsWrite>) -> Result<HttpResponse> {
    tus::require_version(call.req.headers())?;
    uploads::delete(&call.state.services, call.part("upload_id")).await?;
    Ok(reply::no_content())
}

/// PATCH and DELETE for clients that cannot send them.
pub(super) async fn overridden(call: Call<scope::RecordingsWrite>) -> Result<HttpResponse> {
    match call.header("x-http-method-override")?.map(str::trim) {
        Some("PATCH") => patch(call).await,
        Some("DELETE") => delete(call).await,
        _ => Err(Error::new(
            Code::BadHeader,
            "The header X-HTTP-Method-Override must be PATCH or DELETE here.",
        )),
    }
}

/// Takes the body of a request into an upload.
async fn receive(call: &mut Call<scope::RecordingsWrite>, id: &str, offset: u64) -> Result<Upload> {
    let checksum = call.header(CHECKSUM)?.map(tus::checksum).transpose()?;
    let len = call.header_number(header::CONTENT_LENGTH.as_str())?;
    let services = call.state.services.clone();
    let mut piece = uploads::begin(&services, &call.caller(), id, offset, len, checksum).await?;
    let mut body = call.upload()?;
    while let Some(bytes) = body.next().await {
        // What came before a break is kept when the piece is dropped.
        piece.write(bytes?).await?;
    }
    piece.finish().await
}

/// What every answer about an upload says of it.
fn describe(response: &mut HttpResponse, upload: &Upload) {
    put(response, UPLOAD_OFFSET, upload.offset);
    if upload.completed_at.is_none() {
        put(response, "upload-expires", http_date(upload.expires_at.to_datetime()));
    }
}

fn put(response: &mut HttpResponse, name: &'static str, value: impl Display) {
    if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// A moment as RFC 9110 writes it.
fn http_date(at: OffsetDateTime) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    at.format(FORMAT).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_moment_is_written_as_http_has_it() {
        assert_eq!(http_date(datetime!(2026-01-02 03:04:05 UTC)), "Fri, 02 Jan 2026 03:04:05 GMT");
    }
}
