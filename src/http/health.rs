//! Whether the process runs, and whether it will serve requests; without details, for anybody.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use serde_json::json;

use crate::error::{Code, Error, Result};

use super::call::{Call, Open};
use super::reply;

/// The process runs.
pub(super) async fn alive(_: Call<Open>) -> Result<HttpResponse> {
    fresh("ok")
}

/// Requests will be served.
pub(super) async fn ready(call: Call<Open>) -> Result<HttpResponse> {
    match call.state.is_ready() {
        true => fresh("ready"),
        false => Err(Error::new(Code::Overloaded, "The server is not ready.")),
    }
}

fn fresh(status: &str) -> Result<HttpResponse> {
    let mut response = reply::ok(&json!({ "status": status }))?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
