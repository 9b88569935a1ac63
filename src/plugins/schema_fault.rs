//! What is wrong with a `config_schema`, in words for its author, each with an example of the right form.

use serde_json::{Map, Value};

use crate::error::FieldError;
use crate::model::spelling::find_similar;

/// The types of JSON Schema.
const TYPES: &[&str] = &["string", "integer", "number", "boolean", "array", "object", "null"];

/// Keywords beside `properties` whose values are mappings.
const MAPPINGS: &[&str] = &[
    "properties",
    "patternProperties",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "dependentSchemas",
    "dependentRequired",
    "$defs",
    "definitions",
    "not",
    "if",
    "then",
    "else",
    "items",
    "contains",
    "default",
    "const",
];

/// What a keyword's value must be, with an example.
const FORMS: &[(&[&str], &str)] = &[
    (&["properties"], "must be a mapping of keys, such as `properties: { from: { type: string } }`"),
    (&["enum"], "must be a list, such as `enum: [low, high]`"),
    (&["required"], "must be a list of keys, such as `required: [from]`"),
    (
        &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
        "must be a number, such as `minimum: 1`",
    ),
    (&["multipleOf"], "must be a number above 0, such as `multipleOf: 5`"),
    (
        &["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"],
        "must be a whole number from 0, such as `maxLength: 80`",
    ),
    (&["items"], "must be a schema, such as `items: { type: string }`"),
    (&["title", "description", "format"], "must be a text; put it in quotes"),
    (&["writeOnly", "readOnly", "uniqueItems", "deprecated"], "must be true or false"),
];

/// The fault that keeps `raw` from being a schema.
pub(super) fn explain(raw: &Value, fault: &jsonschema::ValidationError<'_>) -> FieldError {
    if let Some(found) = lost_reference(raw, raw, "") {
        return found;
    }
    let pointer = fault.instance_path().as_str();
    let value = raw.pointer(pointer).unwrap_or(&Value::Null);
    let message = match told(pointer, value) {
        Some(message) => message,
        None => {
            let said = super::schema::shorten(fault.to_string());
            format!("{said}; a key is described such as `from: {{ type: string, default: \"22:00\" }}`")
        }
    };
    FieldError { pointer: pointer.to_owned(), message }
}

/// Keys of a schema that look as if they described keys of the config, which stand below `properties`.
pub(super) fn strays(schema: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let is_stray = |key: &str| !MAPPINGS.contains(&key) && !key.starts_with("x-");
    schema.iter().filter(move |(key, value)| value.is_object() && is_stray(key)).map(|(key, _)| key.as_str())
}

/// What keeps a text from being a pattern.
pub(super) fn pattern_fault(pattern: &str) -> Option<String> {
    let fault = regex::Regex::new(pattern).err()?.to_string();
    let why = fault.lines().next_back().unwrap_or_default().trim_start_matches("error: ");
    Some(format!(
        "{} is no regular expression: {why}; write one such as `pattern: \"^[0-9]{{2}}:[0-9]{{2}}$\"`",
        Value::from(pattern)
    ))
}

fn told(pointer: &str, value: &Value) -> Option<String> {
    let mut segments = pointer.rsplit('/');
    let (keyword, above) = (segments.next()?, segments.next().unwrap_or_default());
    if matches!(above, "properties" | "$defs" | "definitions") {
        return Some(format!("must be a mapping, such as `{keyword}: {{ type: string }}`, not {value}"));
    }
    match (keyword, value) {
        ("type", _) => {
            let near = value.as_str().and_then(|it| find_similar(it, TYPES.iter().copied()));
            let near = near.map(|it| format!(" (did you mean `{it}`?)")).unwrap_or_default();
            Some(format!(
                "{value} is no type{near}; write one of {}, such as `type: string`",
                TYPES.join(", ")
            ))
        }
        ("pattern", Value::String(pattern)) => pattern_fault(pattern),
        _ => {
            let form = FORMS.iter().find(|(keywords, _)| keywords.contains(&keyword));
            form.map(|(_, form)| format!("{form}, not {value}"))
        }
    }
}

/// The first `$ref` that leads out of the schema, or nowhere.
fn lost_reference(raw: &Value, part: &Value, at: &str) -> Option<FieldError> {
    let below =
        |key: &str, it: &Value| lost_reference(raw, it, &format!("{at}/{}", super::schema::escape(key)));
    match part {
        Value::Object(map) => map.iter().find_map(|(key, it)| match it {
            Value::String(to) if key == "$ref" => {
                let leads = to == "#" || to.strip_prefix('#').is_some_and(|it| raw.pointer(it).is_some());
                (!leads).then(|| FieldError {
                    pointer: format!("{at}/$ref"),
                    message: format!(
                        "`{}` is not in this schema, and nothing is fetched; describe it below `$defs` and write `$ref: \"#/$defs/<name>\"`",
                        super::schema::shorten(to.clone())
                    ),
                })
            }
            it => below(key, it),
        }),
        Value::Array(items) => items.iter().enumerate().find_map(|(at, it)| below(&at.to_string(), it)),
        _ => None,
    }
}
