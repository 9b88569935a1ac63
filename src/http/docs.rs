//! The OpenAPI document and the page that shows it, both without a network.

use std::sync::{Arc, LazyLock};

use actix_web::HttpResponse;
use actix_web::http::header;
use utoipa_swagger_ui::Config;

use crate::error::{Code, Error, Result};

use super::call::{Call, Open};
use super::meta::{Identity, is_loopback};
use super::{openapi, reply, routes};

/// The document's place.
const DOCUMENT: &str = "/api/openapi.json";

static TEXT: LazyLock<serde_json::Value> = LazyLock::new(|| openapi::document(&routes()));

/// The OpenAPI document; without a key on this machine alone.
pub(super) async fn document(call: Call<Open>) -> Result<HttpResponse> {
    let near = call.req.peer_addr().is_some_and(|it| is_loopback(it.ip()));
    // Behind a proxy everybody seems to be on this machine.
    if (!near || call.state.settings.behind_proxy)
        && let Identity::Nobody(code) = call.state.identify(&call.req)?
    {
        return Err(Error::new(code, format!("{}.", code.title())));
    }
    let routes = call.state.manager.routes();
    if routes.is_empty() {
        return reply::hashed(&call.req, &*TEXT);
    }
    let mut document = TEXT.clone();
    for (plugin, routes) in &routes {
        openapi::plugins::add(&mut document, plugin, routes);
    }
    reply::hashed(&call.req, &document)
}

/// The page.
pub(super) async fn index(_: Call<Open>) -> Result<HttpResponse> {
    // The page names its files relative to itself; it is shown with and without a slash at its end.
    let page = file("index.html")?.0;
    let page = String::from_utf8_lossy(&page)
        .replace("\"./", "\"/api/docs/")
        .replace("\"index.css", "\"/api/docs/index.css");
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .body(page))
}

/// A file of the page.
pub(super) async fn asset(call: Call<Open>) -> Result<HttpResponse> {
    let name = call.part("file");
    let (bytes, kind, is_packed) = file(name)?;
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, kind));
    response.insert_header((header::CACHE_CONTROL, "public, max-age=3600"));
    if is_packed {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    Ok(response.body(bytes))
}

/// A file's bytes, type, and whether they are packed.
fn file(name: &str) -> Result<(Vec<u8>, String, bool)> {
    let missing = || Error::new(Code::NotFound, format!("The page has no file `{}`.", name.escape_debug()));
    if name.is_empty() {
        return Err(missing());
    }
    let config = Config::from(DOCUMENT).persist_authorization(true).display_operation_id(true);
    let found = utoipa_swagger_ui::serve(name, Arc::new(config))
        .map_err(|fault| Error::internal(fault.to_string()))?
        .ok_or_else(missing)?;
    Ok((found.bytes.into_owned(), found.content_type, found.gzpipped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_its_files_lie_in_the_binary() {
        for name in ["index.html", "swagger-ui.css", "swagger-ui-bundle.js", "swagger-initializer.js"] {
            assert!(!file(name).unwrap().0.is_empty(), "{name}");
        }
        let (script, ..) = file("swagger-initializer.js").unwrap();
        assert!(String::from_utf8(script).unwrap().contains(DOCUMENT));
        assert_eq!(file("nothing.js").unwrap_err().code, Code::NotFound);
    }

    #[test]
    fn the_page_runs_no_inline_script() {
        let (page, ..) = file("index.html").unwrap();
        let page = String::from_utf8(page).unwrap();
        for tag in page.split("<script").skip(1) {
            assert!(tag.split('>').next().unwrap().contains("src="), "{tag}");
        }
    }
}
