//! What an edit of a plugin would change, before it goes live.

use actix_web::HttpResponse;
use serde_json::{Value, json};

use crate::error::{Code, Error, Result};
use crate::plugins::manager::{MAX_PREVIEW_CALLS, PreviewOf};

use super::call::{Call, scope};
use super::openapi::schema::Components;
use super::reply;
use super::traces::{check_fields, files_of};

/// Calls that are run when nobody says how many.
const DEFAULT_CALLS: usize = 50;

/// Runs a plugin's last calls on its files as they would be.
pub(super) async fn preview(mut call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    let body = call.json().await?;
    check_fields(&body, &["files", "draft", "calls"])?;
    let of = match (body.get("files"), body.get("draft")) {
        (Some(files), None) => PreviewOf::Files(files_of(files)?),
        (None, Some(Value::Bool(true))) => PreviewOf::Draft,
        _ => return Err(Error::new(Code::Invalid, "Either `files` or `\"draft\": true` is needed.")),
    };
    let most = match body.get("calls") {
        None => DEFAULT_CALLS,
        Some(it) => {
            let most = it
                .as_u64()
                .and_then(|it| usize::try_from(it).ok())
                .filter(|it| (1..=MAX_PREVIEW_CALLS).contains(it));
            most.ok_or_else(|| {
                Error::new(
                    Code::Invalid,
                    format!("`calls` must be a whole number from 1 to {MAX_PREVIEW_CALLS}."),
                )
            })?
        }
    };
    let traces = &call.state.services.traces;
    reply::ok(&call.state.manager.preview(call.part("id"), of, most, traces).await?)
}

/// Of what a preview is wanted.
pub(super) fn preview_ask(components: &mut Components) -> Value {
    components.named("PreviewAsk", |_| {
        json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "files": { "type": "object", "additionalProperties": { "type": ["string", "null"] }, "description": "Files in the place of those in the plugin's folder, by path; null = without that file." },
                "draft": { "type": "boolean", "const": true, "description": "Of the plugin's draft, instead of `files`." },
                "calls": { "type": "integer", "minimum": 1, "maximum": MAX_PREVIEW_CALLS, "description": "So many of the last calls; 50 without." },
            },
        })
    })
}
