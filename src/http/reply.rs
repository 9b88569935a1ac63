//! Answers: bare resources as JSON, with validators, and lists with links.

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::page::Page;

/// Answers may be kept by the client alone, and are asked for again each time.
const CACHE: &str = "private, no-cache";

/// A value as JSON.
///
/// # Errors
/// The value cannot be written as JSON.
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Result<HttpResponse> {
    Ok(of_json(status, text_of(value)?))
}

fn of_json(status: StatusCode, body: Vec<u8>) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CACHE_CONTROL, CACHE))
        .body(body)
}

/// A value as the text of a body.
fn text_of<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    // Most have room in it: a body that grows is copied each time.
    let mut body = Vec::with_capacity(1024);
    serde_json::to_writer(&mut body, value).map_err(Error::internal)?;
    Ok(body)
}

/// A value as JSON with status 200.
///
/// # Errors
/// The value cannot be written as JSON.
pub fn ok<T: Serialize>(value: &T) -> Result<HttpResponse> {
    json(StatusCode::OK, value)
}

/// A resource with its ETag; 304 when the client has it already.
///
/// # Errors
/// The value cannot be written as JSON.
pub fn resource<T: Serialize>(req: &HttpRequest, value: &T, version: i64) -> Result<HttpResponse> {
    let tag = tag_of(version);
    if is_read(req) && none_match(req, &tag) {
        return Ok(not_modified(&tag));
    }
    with_tag(ok(value)?, &tag)
}

/// A resource that was just made, with its place and ETag.
///
/// # Errors
/// The value cannot be written as JSON.
pub fn created<T: Serialize>(location: &str, value: &T, version: Option<i64>) -> Result<HttpResponse> {
    let tag = match version {
        Some(version) => tag_of(version),
        None => hash_of(value)?,
    };
    placed(with_tag(json(StatusCode::CREATED, value)?, &tag)?, location)
}

fn placed(mut response: HttpResponse, location: &str) -> Result<HttpResponse> {
    if let Ok(place) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// As [`created`], of what was written as JSON already.
///
/// # Errors
/// None that can happen: a version fits into a header.
pub fn created_text(location: &str, text: &str, version: i64) -> Result<HttpResponse> {
    placed(with_tag(of_json(StatusCode::CREATED, text.to_owned().into_bytes()), &tag_of(version))?, location)
}

/// What has no version of its own: its ETag is the hash of its text.
///
/// # Errors
/// The value cannot be written as JSON.
pub fn hashed<T: Serialize>(req: &HttpRequest, value: &T) -> Result<HttpResponse> {
    let body = text_of(value)?;
    let tag = hash_tag(&body);
    if is_read(req) && none_match(req, &tag) {
        return Ok(not_modified(&tag));
    }
    let response = HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CACHE_CONTROL, CACHE))
        .body(body);
    with_tag(response, &tag)
}

/// One page of a list, with links to its neighbours.
///
/// # Errors
/// The value cannot be written as JSON.
pub fn page<T: Serialize>(req: &HttpRequest, page: &Page<T>) -> Result<HttpResponse> {
    page_before(req, page, None)
}

/// The same; the next page is found by the id of the last row of this one.
///
/// # Errors
/// The value cannot be written as JSON.
pub fn page_before<T: Serialize>(
    req: &HttpRequest,
    page: &Page<T>,
    last: Option<i64>,
) -> Result<HttpResponse> {
    let mut response = hashed(req, page)?;
    let links = links(req, page.page, page.page_size, (page.total_pages, page.total_is_more), last);
    if let Ok(links) = HeaderValue::from_str(&links) {
        response.headers_mut().insert(header::LINK, links);
    }
    Ok(response)
}

/// Done, and nothing to tell.
pub fn no_content() -> HttpResponse {
    HttpResponse::NoContent().insert_header((header::CACHE_CONTROL, CACHE)).finish()
}

/// The ETag of a row's version.
pub fn tag_of(version: i64) -> String {
    format!("\"v{version}\"")
}

/// The ETag of what has no version of its own.
///
/// # Errors
/// The value cannot be written as JSON.
pub fn hash_of<T: Serialize>(value: &T) -> Result<String> {
    Ok(hash_tag(&serde_json::to_vec(value).map_err(Error::internal)?))
}

/// Whether If-None-Match names the ETag.
pub fn none_match(req: &HttpRequest, tag: &str) -> bool {
    let Some(sent) = req.headers().get(header::IF_NONE_MATCH).and_then(|it| it.to_str().ok()) else {
        return false;
    };
    sent.split(',').map(str::trim).any(|it| it == "*" || it.strip_prefix("W/").unwrap_or(it) == tag)
}

/// The client has it already.
pub fn not_modified(tag: &str) -> HttpResponse {
    let mut response = HttpResponse::NotModified();
    response.insert_header((header::ETAG, tag)).insert_header((header::CACHE_CONTROL, CACHE)).finish()
}

/// Puts the ETag of a version on an answer.
///
/// # Errors
/// None that can happen: a version fits into a header.
pub fn tag(response: &mut HttpResponse, version: i64) -> Result<()> {
    let tag = HeaderValue::from_str(&tag_of(version)).map_err(Error::internal)?;
    response.headers_mut().insert(header::ETAG, tag);
    Ok(())
}

fn hash_tag(body: &[u8]) -> String {
    format!("\"{}\"", &blake3::hash(body).to_hex()[..32])
}

fn with_tag(mut response: HttpResponse, tag: &str) -> Result<HttpResponse> {
    let tag = HeaderValue::from_str(tag).map_err(Error::internal)?;
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

fn is_read(req: &HttpRequest) -> bool {
    req.method() == Method::GET || req.method() == Method::HEAD
}

/// RFC 8288 links: first, prev, next, last, with the other parameters of the query kept.
fn links(
    req: &HttpRequest,
    page: i64,
    page_size: i64,
    (pages, more): (i64, bool),
    last: Option<i64>,
) -> String {
    let link = |to: i64, rel: &str| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let kept = url::form_urlencoded::parse(req.query_string().as_bytes());
        query.extend_pairs(
            kept.filter(|(name, _)| !matches!(&**name, "page" | "page_size" | "skip" | "limit" | "after")),
        );
        query.append_pair("page", &to.to_string()).append_pair("page_size", &page_size.to_string());
        if let (true, Some(last)) = (rel == "next", last) {
            query.append_pair("after", &last.to_string());
        }
        format!("<{}?{}>; rel=\"{rel}\"", req.path(), query.finish())
    };
    let mut links = vec![link(1, "first")];
    if page > 1 {
        links.push(link((page - 1).min(pages.max(1)), "prev"));
    }
    if page < pages || more {
        links.push(link(page + 1, "next"));
    }
    if !more {
        links.push(link(pages.max(1), "last"));
    }
    links.join(", ")
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn links_keep_the_filters_and_lead_to_the_neighbours() {
        let req = TestRequest::with_uri("/api/v1/clips?tag=a%20b&page=2").to_http_request();
        let links = links(&req, 2, 50, (3, false), Some(7));
        assert!(
            links.contains("</api/v1/clips?tag=a+b&page=3&page_size=50&after=7>; rel=\"next\""),
            "{links}"
        );
        assert!(links.contains("page=1&page_size=50>; rel=\"prev\""), "{links}");
        assert!(links.contains("page=3&page_size=50>; rel=\"last\""), "{links}");
    }

    #[test]
    fn a_client_that_has_the_version_gets_304() {
        let req = TestRequest::get().insert_header(("if-none-match", "W/\"v3\", \"v4\"")).to_http_request();
        assert_eq!(resource(&req, &1, 4).unwrap().status(), StatusCode::NOT_MODIFIED);
        assert_eq!(resource(&req, &1, 5).unwrap().status(), StatusCode::OK);
    }
}
