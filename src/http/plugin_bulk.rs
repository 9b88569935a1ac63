//! The same done with several plugins.

use actix_web::HttpResponse;
use serde_json::{Map, Value, json};

use crate::error::{Error, FieldError, Result};
use crate::model::plugin::PluginState;
use crate::plugins::PluginFilter;
use crate::plugins::manager::{BulkAction, BulkAsk};

use super::call::{Call, scope};
use super::openapi::schema::Components;
use super::reply;

/// The most plugins that may be named.
const MAX_NAMED: usize = 1000;
/// The longest text of a name or filter.
const MAX_CHARS: usize = 1000;

/// Enables, disables or renews several plugins.
pub(super) async fn bulk(mut call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    let ask = read(&call.json().await?)?;
    reply::ok(&call.state.manager.bulk(ask, &call.actor()).await?)
}

/// The schema of what is asked.
pub(super) fn bulk_ask(components: &mut Components) -> Value {
    components.named("PluginBulk", |_| {
        let actions = BulkAction::ALL.map(BulkAction::as_str);
        let states: Vec<&str> = PluginState::ALL.iter().map(|it| it.as_str()).collect();
        let text = |doc: &str| json!({ "type": "string", "maxLength": MAX_CHARS, "description": doc });
        json!({
            "type": "object", "required": ["action"], "additionalProperties": false,
            "description": "What is done, and with which plugins: either `plugins` or `filter`.",
            "properties": {
                "action": { "type": "string", "enum": actions, "description": "What is done." },
                "plugins": {
                    "type": "array", "minItems": 1, "maxItems": MAX_NAMED, "description": "Their names or numbers.",
                    "items": { "oneOf": [text("A name, or a number as text."), { "type": "integer", "minimum": 1 }] },
                },
                "filter": {
                    "type": "object", "additionalProperties": false,
                    "description": "All plugins that fit, as GET /api/v1/plugins lists them; an empty one means all.",
                    "properties": {
                        "q": text("Text in name, display name or description."),
                        "type": text("Of this type; `lua` runs."),
                        "enabled": { "type": "boolean", "description": "Meant to run, or not." },
                        "state": { "type": "string", "enum": states, "description": "Doing this." },
                    },
                },
            },
            "oneOf": [{ "required": ["plugins"] }, { "required": ["filter"] }],
        })
    })
}

/// Reads what is asked; all faults at once.
fn read(body: &Map<String, Value>) -> Result<BulkAsk> {
    let mut faults = Vec::new();
    let mut fault = |pointer: &str, message: String| {
        faults.push(FieldError { pointer: pointer.to_owned(), message });
    };
    for key in body.keys().filter(|it| !["action", "plugins", "filter"].contains(&it.as_str())) {
        fault(&pointer(key), "is unknown; there are action, plugins and filter".to_owned());
    }
    let action = body.get("action").and_then(Value::as_str).and_then(BulkAction::from_name);
    if action.is_none() {
        fault("/action", "must be enable, disable or reload".to_owned());
    }
    let mut plugins = Vec::new();
    match (body.get("plugins"), body.get("filter")) {
        (Some(_), Some(_)) => fault("/filter", "must not come beside `plugins`".to_owned()),
        (None, None) => fault("/plugins", "must name plugins, or `filter` say which ones".to_owned()),
        (Some(Value::Array(named)), None) if (1..=MAX_NAMED).contains(&named.len()) => {
            for (n, it) in named.iter().enumerate() {
                match it {
                    Value::String(name) if name.chars().count() <= MAX_CHARS => plugins.push(name.clone()),
                    Value::Number(number) if number.is_i64() => plugins.push(number.to_string()),
                    _ => fault(
                        &format!("/plugins/{n}"),
                        "must be the name or the number of a plugin".to_owned(),
                    ),
                }
            }
        }
        (Some(_), None) => fault("/plugins", format!("must be a list of 1 to {MAX_NAMED} names")),
        (None, Some(_)) => {}
    }
    let filter = body.get("filter").map(|it| read_filter(it, &mut fault));
    match (action, faults.is_empty()) {
        (Some(action), true) => Ok(BulkAsk { action, plugins, filter }),
        _ => Err(Error::fields(faults)),
    }
}

fn read_filter(filter: &Value, fault: &mut impl FnMut(&str, String)) -> PluginFilter {
    let mut read = PluginFilter::default();
    let Value::Object(filter) = filter else {
        fault("/filter", "must be an object with q, type, enabled or state".to_owned());
        return read;
    };
    for (key, value) in filter {
        let text = value.as_str().filter(|it| it.chars().count() <= MAX_CHARS).map(str::to_owned);
        let is_read = match key.as_str() {
            "q" => {
                read.q = text;
                read.q.is_some()
            }
            "type" => {
                read.plugin_type = text;
                read.plugin_type.is_some()
            }
            "enabled" => {
                read.enabled = value.as_bool();
                read.enabled.is_some()
            }
            "state" => {
                read.state = text.as_deref().and_then(PluginState::from_name);
                read.state.is_some()
            }
            _ => {
                fault(
                    &format!("/filter{}", pointer(key)),
                    "is unknown; there are q, type, enabled and state".to_owned(),
                );
                continue;
            }
        };
        if !is_read {
            let accepted = match key.as_str() {
                "enabled" => "must be true or false".to_owned(),
                "state" => {
                    let states: Vec<&str> = PluginState::ALL.iter().map(|it| it.as_str()).collect();
                    format!("must be one of {}", states.join(", "))
                }
                _ => format!("must be text of at most {MAX_CHARS} characters"),
            };
            fault(&format!("/filter{}", pointer(key)), accepted);
        }
    }
    read
}

fn pointer(key: &str) -> String {
    let shown: String = key.chars().take(64).collect();
    format!("/{}", shown.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(body: Value) -> Vec<String> {
        let error = read(body.as_object().unwrap()).unwrap_err();
        error.errors.into_iter().map(|it| it.pointer).collect()
    }

    #[test]
    fn all_faults_are_told_with_their_place() {
        assert_eq!(pointers(json!({})), ["/action", "/plugins"]);
        assert_eq!(
            pointers(json!({ "action": "purge", "plugins": [], "a/b": 1 })),
            ["/a~1b", "/action", "/plugins"]
        );
        assert_eq!(
            pointers(json!({ "action": "enable", "plugins": ["a", 1.5, null] })),
            ["/plugins/1", "/plugins/2"]
        );
        assert_eq!(pointers(json!({ "action": "enable", "plugins": ["a"], "filter": {} })), ["/filter"]);
        let filter = json!({ "state": "asleep", "enabled": "yes", "colour": "red" });
        assert_eq!(
            pointers(json!({ "action": "enable", "filter": filter })),
            ["/filter/state", "/filter/enabled", "/filter/colour"]
        );
    }

    #[test]
    fn names_and_numbers_are_taken() {
        let body = json!({ "action": "reload", "plugins": ["a", 3] });
        let ask = read(body.as_object().unwrap()).unwrap();
        assert_eq!((ask.action, ask.plugins), (BulkAction::Reload, vec!["a".to_owned(), "3".to_owned()]));
    }
}
