//! The migrations of a plugin's own database.

use actix_web::HttpResponse;
use serde_json::{Value, json};

use crate::error::{Error, FieldError, Result};

use super::call::{Call, scope};
use super::reply;

/// Every migration and whether it is applied.
pub(super) async fn list(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    let items = call.state.manager.migrations(call.part("id")).await?;
    reply::hashed(&call.req, &json!({ "items": items, "total": items.len() }))
}

/// Takes back the migrations after a number.
pub(super) async fn roll_back(mut call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    let mut body = call.json().await?;
    let fault = |pointer: String, message: &str| FieldError { pointer, message: message.to_owned() };
    let to = body.shift_remove("to");
    let mut faults: Vec<FieldError> =
        body.keys().map(|key| fault(format!("/{key}"), "is not a field here; known is to")).collect();
    let number = to.as_ref().and_then(Value::as_u64).and_then(|it| u32::try_from(it).ok());
    if number.is_none() {
        faults.push(fault("/to".to_owned(), "must be the number of the last migration to keep, or 0"));
    }
    let (Some(number), true) = (number, faults.is_empty()) else { return Err(Error::fields(faults)) };
    let items = call.state.manager.roll_back_migrations(call.part("id"), number, &call.actor()).await?;
    reply::ok(&json!({ "items": items, "total": items.len() }))
}
