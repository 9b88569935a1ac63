//! The values of a plugin's config.

use actix_web::HttpResponse;
use serde_json::{Map, Value, json};

use crate::error::{Error, FieldError, Result};
use crate::services::idempotency;

use super::call::{Call, scope};
use super::reply;

/// The longest key, in characters.
const MAX_KEY_CHARS: usize = 255;

/// Every value with its source; secrets are not shown.
pub(super) async fn list(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    let items = call.state.manager.config_list(call.part("id"))?;
    reply::hashed(&call.req, &json!({ "items": items, "total": items.len() }))
}

/// What a plugin's config may be.
pub(super) async fn schema(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    reply::hashed(&call.req, &call.state.manager.config_schema(call.part("id"))?)
}

/// Tells what would come of a change, and changes nothing.
pub(super) async fn validate(mut call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    let (body, _) = call.json_once().await?;
    reply::ok(&call.state.manager.config_validate(call.part("id"), body)?)
}

/// Changes several values in one step, all or none.
pub(super) async fn patch(mut call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    let body = call.json().await?;
    let (manager, id) = (call.state.manager.clone(), call.part("id").to_owned());
    reply::ok(&manager.config_patch(&id, body, &call.actor()).await?)
}

/// Stores a value under a new key.
pub(super) async fn create(mut call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    let (mut body, once) = call.json_once().await?;
    if let Some(answer) = call.recalled(once.as_ref())? {
        return Ok(answer);
    }
    let (key, value) = (body.shift_remove("key"), body.shift_remove("value"));
    let mut faults = unknown(&body);
    let key = key.and_then(|it| it.as_str().map(str::to_owned));
    let fits = |key: &&String| (1..=MAX_KEY_CHARS).contains(&key.chars().count());
    if key.as_ref().filter(fits).is_none() {
        faults.push(fault("/key", "must be text of 1 to 255 characters"));
    }
    if value.is_none() {
        faults.push(fault("/value", "is required; any JSON"));
    }
    let (Some(key), Some(value), true) = (key, value, faults.is_empty()) else {
        return Err(Error::fields(faults));
    };
    let id = call.part("id").to_owned();
    let item = call.state.manager.config_create(&id, &key, value, &call.actor()).await?;
    idempotency::keep(&call.state.services, once, 201, &item).await?;
    let place = format!("/api/v1/plugins/{id}/config/{}", item.id.unwrap_or_default());
    reply::created(&place, &item, None)
}

/// Changes a stored value.
pub(super) async fn update(mut call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    let config_id = call.number("config_id")?;
    let mut body = call.json().await?;
    let (key, value) = (body.shift_remove("key"), body.shift_remove("value"));
    let (manager, id) = (call.state.manager.clone(), call.part("id").to_owned());
    let mut faults = unknown(&body);
    let known = manager.config_list(&id)?.into_iter().find(|it| it.id == Some(config_id));
    if let (Some(key), Some(known)) = (key, known)
        && key.as_str() != Some(known.key.as_str())
    {
        faults.push(fault("/key", "cannot be changed; delete the row and create another"));
    }
    if value.is_none() {
        faults.push(fault("/value", "is required; any JSON"));
    }
    let (Some(value), true) = (value, faults.is_empty()) else { return Err(Error::fields(faults)) };
    reply::ok(&manager.config_update(&id, config_id, value, &call.actor()).await?)
}

/// Drops a stored value: the manifest's counts again.
pub(super) async fn delete(call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    let config_id = call.number("config_id")?;
    call.state.manager.config_delete(call.part("id"), config_id, &call.actor()).await?;
    Ok(reply::no_content())
}

fn unknown(body: &Map<String, Value>) -> Vec<FieldError> {
    let pointer = |key: &String| format!("/{}", key.replace('~', "~0").replace('/', "~1"));
    body.keys().map(|key| fault(&pointer(key), "is not a field here; known are key, value")).collect()
}

fn fault(pointer: &str, message: &str) -> FieldError {
    FieldError { pointer: pointer.to_owned(), message: message.to_owned() }
}
