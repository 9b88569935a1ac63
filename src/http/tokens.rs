//! Keys: made, listed, revoked.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::services::tokens;

use super::call::{Call, scope};
use super::reply;

/// The keys, never their secrets.
pub(super) async fn list(call: Call<scope::TokensManage>) -> Result<HttpResponse> {
    let items = tokens::list(&call.state.services).await?;
    reply::hashed(&call.req, &json!({ "items": items, "total": items.len() }))
}

/// Makes a key; nothing may keep the answer, for it holds the secret.
pub(super) async fn create(mut call: Call<scope::TokensManage>) -> Result<HttpResponse> {
    let body = call.json().await?;
    let made = tokens::create(&call.state.services, &call.actor(), body).await?;
    let mut answer = serde_json::to_value(&made.token).map_err(Error::internal)?;
    if let Value::Object(answer) = &mut answer {
        answer.insert("token".to_owned(), made.key.into());
    }
    let mut response = reply::json(StatusCode::CREATED, &answer)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(place) = HeaderValue::from_str(&format!("/api/v1/tokens/{}", made.token.id)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// Revokes a key.
pub(super) async fn revoke(call: Call<scope::TokensManage>) -> Result<HttpResponse> {
    tokens::revoke(&call.state.services, &call.actor(), call.part("id")).await?;
    Ok(reply::no_content())
}
