//! Plugins that come as one zip file.

use actix_web::HttpResponse;
use actix_web::http::header;
use futures_util::StreamExt;

use crate::error::{Code, Error, Result};
use crate::plugins::archive::{self, ARCHIVE_MAX_BYTES};
use crate::plugins::manager::Upload;

use super::call::{Call, scope};
use super::digest;
use super::plugin_files::authorship;
use super::query::{Kind, Param, param};
use super::reply;

/// What is said of the file.
pub(super) const UPLOAD: &[Param] = &[
    param("name", Kind::Text, "What the plugin is called, where its manifest does not say so."),
    param("replace", Kind::Flag, "Gives a plugin that is there these files; If-Match names its hash."),
];

/// Takes up a new plugin, or a whole new version of a known one.
pub(super) async fn upload(mut call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    let kind = call.header(header::CONTENT_TYPE.as_str())?.unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
    if !["application/zip", "application/x-zip-compressed", "application/octet-stream"]
        .contains(&kind.as_str())
    {
        let detail =
            format!("The content type is `{}`; this route takes application/zip.", kind.escape_debug());
        return Err(Error::new(Code::UnsupportedMediaType, detail)
            .with_hint("Send the zip file itself as the body, with Content-Type: application/zip."));
    }
    let expected = call.header(header::IF_MATCH.as_str())?.map(|it| it.trim().trim_matches('"').to_owned());
    let mut bytes = Vec::new();
    let mut body = call.upload()?;
    while let Some(part) = body.next().await {
        let part = part?;
        if (bytes.len() + part.len()) as u64 > ARCHIVE_MAX_BYTES {
            let detail = format!("The zip file of a plugin may have {ARCHIVE_MAX_BYTES} bytes.");
            return Err(Error::new(Code::TooLarge, detail).with_member("limit_bytes", ARCHIVE_MAX_BYTES));
        }
        bytes.extend_from_slice(&part);
    }
    digest::check(call.req.headers(), &bytes)?;
    let unpacked = tokio::task::spawn_blocking(move || archive::unpack(&bytes)).await;
    let upload = Upload {
        unpacked: unpacked.map_err(Error::internal)??,
        name: call.query.text("name"),
        replace: call.query.flag("replace").unwrap_or(false),
        expected,
    };
    let uploaded = call.state.manager.upload(upload, authorship(&call)).await?;
    match uploaded.created {
        true => reply::created(&format!("/api/v1/plugins/{}", uploaded.plugin.id), &uploaded, None),
        false => reply::ok(&uploaded),
    }
}
