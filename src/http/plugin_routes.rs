//! Requests that plugins answer, below a path of their own.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::error::{Code, Error, Result};
use crate::plugins::manager::Answered;

use super::call::{Access, Call, scope};
use super::middleware::ask::may_change;
use super::middleware::shown::shown_headers;
use super::problem;

/// A page of a plugin runs nothing and reaches nothing: it is served from where the admin's key is good.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox";

/// Reads: the key needs `plugins:read`.
pub(super) async fn read(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    answer(call).await
}

/// Changes: the key needs `plugins:manage`.
pub(super) async fn change(call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    answer(call).await
}

async fn answer<A: Access>(mut call: Call<A>) -> Result<HttpResponse> {
    let (id, path) = (call.part("id").to_owned(), call.part("path").to_owned());
    let manager = call.state.manager.clone();
    let routed = match manager.route(&id, call.req.method().as_str(), &path) {
        Ok(routed) => routed,
        Err(error) => return refused(&call.req, error),
    };
    let mut request = Map::new();
    request.insert("method".to_owned(), call.req.method().as_str().into());
    request.insert("path".to_owned(), format!("/{path}").into());
    request.insert("params".to_owned(), json!(routed.params));
    let pairs = url::form_urlencoded::parse(call.req.query_string().as_bytes()).into_owned();
    let query: Map<String, Value> = pairs.map(|(name, it)| (name, it.into())).collect();
    request.insert("query".to_owned(), Value::Object(query));
    let headers = shown_headers(call.req.headers());
    let headers: Map<String, Value> = headers.iter().map(|(name, it)| (name.to_owned(), it.into())).collect();
    request.insert("headers".to_owned(), headers.into());
    request.insert("remote".to_owned(), call.req.peer_addr().map(|it| it.ip().to_string()).into());
    let token = call.token.as_ref().map(|it| json!({ "id": it.id, "scopes": it.scopes }));
    request.insert("token".to_owned(), token.unwrap_or_default());
    let body = call.bytes().await?;
    if !body.is_empty() {
        if is_json(call.header(header::CONTENT_TYPE.as_str())?) {
            let json = serde_json::from_slice(&body)
                .map_err(|error| Error::new(Code::NotJson, format!("The body is not JSON: {error}.")))?;
            request.insert("json".to_owned(), json);
        }
        match std::str::from_utf8(&body) {
            Ok(text) => request.insert("body".to_owned(), text.into()),
            Err(_) => request.insert("body_base64".to_owned(), STANDARD.encode(&body).into()),
        };
    }
    manager.call_route(routed, request, &call.caller()).await.map(respond)
}

/// The error of a path that no route fits, with the methods that would.
fn refused(req: &HttpRequest, error: Error) -> Result<HttpResponse> {
    let allow = error.members.iter().find(|(name, _)| *name == "allow").and_then(|(_, it)| it.as_str());
    let Some(allow) = allow.and_then(|it| HeaderValue::from_str(it).ok()) else { return Err(error) };
    let mut response = problem::answer(error, req);
    response.headers_mut().insert(header::ALLOW, allow);
    Ok(response)
}

fn is_json(content_type: Option<&str>) -> bool {
    let essence =
        content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

fn respond(answered: Answered) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(answered.status).unwrap_or(StatusCode::OK));
    for (name, text) in answered.headers.iter().filter(|(name, _)| may_change(name)) {
        if let (Ok(name), Ok(text)) =
            (HeaderName::try_from(name.as_str()), HeaderValue::try_from(text.as_str()))
        {
            response.insert_header((name, text));
        }
    }
    response.insert_header((header::CONTENT_SECURITY_POLICY, POLICY));
    response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    response.insert_header((header::CACHE_CONTROL, "private, no-store"));
    response.body(answered.body)
}
