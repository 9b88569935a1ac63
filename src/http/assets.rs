//! What plugins keep for clients.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Code, Error, Result};
use crate::model::asset::Asset;
use crate::services::assets;

use super::call::{Call, scope};
use super::digest;
use super::query::{Kind, Param, param};
use super::reply;

/// An asset, and where it is.
#[derive(Serialize, ToSchema)]
pub struct AssetItem {
    #[serde(flatten)]
    asset: Asset,
    /// The path of its bytes.
    url: String,
}

/// Which assets.
pub(super) const PAGE: &[Param] = &[
    param("after", Kind::Text, "Assets whose names come after this one."),
    param("limit", Kind::Whole(1, 1000), "How many; 100 without."),
];

/// What may be shown where it is; the rest is offered as a file.
const SHOWN: &[&str] =
    &["image/png", "image/jpeg", "image/gif", "image/webp", "audio/", "video/", "text/plain", "text/vtt"];

/// The assets of a plugin by name.
pub(super) async fn list(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    let plugin = call.state.manager.get(call.part("id"))?.name;
    let after = call.query.text("after").unwrap_or_default();
    let limit = call.query.whole("limit").unwrap_or(100);
    let items = assets::list(&call.state.services, &plugin, &after, limit).await?;
    let items = items.into_iter().map(|it| AssetItem { url: assets::url(&plugin, &it.name), asset: it });
    reply::ok(&serde_json::json!({ "items": items.collect::<Vec<_>>() }))
}

/// The bytes of an asset.
pub(super) async fn get(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    let plugin = call.state.manager.get(call.part("id"))?.name;
    let name = call.part("name");
    let Some(asset) = assets::get(&call.state.services, &plugin, name)? else {
        return Err(missing(&plugin, name));
    };
    let tag = format!("\"{}\"", asset.sha256);
    let known = call.header(header::IF_NONE_MATCH.as_str())?.unwrap_or_default();
    if known.split(',').any(|it| it.trim() == tag) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, tag)).finish());
    }
    let bytes = assets::read(&call.state.services, &plugin, &asset).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, asset.mime.as_str()));
    response.insert_header((header::ETAG, tag));
    response.insert_header((header::CACHE_CONTROL, "private, no-cache"));
    if let Some(digest) = digest::known(call.req.headers(), &asset.sha256) {
        response.insert_header(("repr-digest", digest));
    }
    response.insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"));
    if !SHOWN.iter().any(|it| asset.mime.starts_with(it)) {
        let file = format!("attachment; filename=\"{}\"", asset.name);
        response.insert_header((header::CONTENT_DISPOSITION, file));
    }
    Ok(response.body(bytes))
}

/// Removes an asset.
pub(super) async fn delete(call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    let plugin = call.state.manager.get(call.part("id"))?.name;
    match assets::remove(&call.state.services, &plugin, call.part("name")).await? {
        true => Ok(reply::no_content()),
        false => Err(missing(&plugin, call.part("name"))),
    }
}

fn missing(plugin: &str, name: &str) -> Error {
    let shown: String = name.chars().take(80).collect();
    Error::new(Code::NotFound, format!("The plugin `{plugin}` has no asset `{}`.", shown.escape_debug()))
}
