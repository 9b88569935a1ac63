//! The tests that lie in a plugin's folder, run on the server.

use actix_web::HttpResponse;
use serde_json::{Value, json};

use crate::error::{Code, Error, Result};

use super::call::{Call, scope};
use super::openapi::schema::Components;
use super::reply;
use super::traces::check_fields;

/// Bytes of a filter.
const MAX_FILTER_BYTES: usize = 200;

/// Runs a plugin's tests aside; nothing of the server is touched.
pub(super) async fn test(mut call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    let (body, _) = call.json_once().await?;
    check_fields(&body, &["filter", "seed"])?;
    let filter = match body.get("filter") {
        None => None,
        Some(Value::String(filter)) if filter.len() <= MAX_FILTER_BYTES => Some(filter.as_str()),
        Some(_) => {
            let detail = format!("`filter` must be a text of at most {MAX_FILTER_BYTES} bytes.");
            return Err(Error::new(Code::Invalid, detail));
        }
    };
    let seed = match body.get("seed") {
        None => None,
        Some(seed) => match seed.as_u64() {
            Some(seed) => Some(seed),
            None => return Err(Error::new(Code::Invalid, "`seed` must be a whole number from 0.")),
        },
    };
    reply::ok(&call.state.manager.test(call.part("id"), filter, seed).await?)
}

/// Which tests.
pub(super) fn test_ask(components: &mut Components) -> Value {
    components.named("TestAsk", |_| {
        json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "filter": { "type": "string", "maxLength": MAX_FILTER_BYTES, "description": "Only cases with this text in `<plugin>/<file>: <name>`." },
                "seed": { "type": "integer", "minimum": 0, "description": "Where chance begins; the same number gives the same run." },
            },
        })
    })
}
