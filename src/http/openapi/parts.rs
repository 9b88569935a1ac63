//! What the parts of a path must be like, as a schema.

use serde_json::{Value, json};

/// The schema of the part `name` of `path`; what does not fit it is answered 400.
pub fn schema(name: &str, path: &str) -> Value {
    let number = json!({ "type": "integer", "format": "int64", "minimum": 1 });
    match name {
        "id" if path.contains("/clips/") || path.contains("/schedules/") => number,
        "config_id" | "replay_id" | "delivery_id" | "version" => number,
        "id" if path.contains("/recordings/") => {
            json!({ "type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$" })
        }
        "track" => json!({ "type": "string", "pattern": "^[a-z0-9_-]{1,64}$" }),
        _ => json!({ "type": "string" }),
    }
}
