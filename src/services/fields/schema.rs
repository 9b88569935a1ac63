//! The JSON schema of a table of fields.

use serde_json::{Map, Value, json};

use super::kind::{MAX_PATH_CHARS, MAX_PATTERNS, MAX_TAG_CHARS, MAX_TAGS, RATE_PARTS};
use super::{Kind, Rule};

/// What a body is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It makes something: required fields must be there.
    Create,
    /// It changes something: null clears an optional field.
    Change,
}

/// The schema (JSON Schema 2020-12, as OpenAPI 3.1 uses it) of a body with these fields.
pub fn schema(rules: &[Rule], purpose: Purpose) -> Value {
    let mut properties = Map::new();
    for rule in rules {
        let nullable = purpose == Purpose::Change && !rule.required;
        properties.insert(rule.name.to_owned(), property(rule, rule.doc, nullable));
        for alias in rule.aliases {
            let doc = format!("The same as `{}`.", rule.name);
            properties.insert((*alias).to_owned(), property(rule, &doc, nullable));
        }
    }
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    let twice = rules
        .iter()
        .flat_map(|rule| rule.aliases.iter().map(|alias| json!({"required": [rule.name, alias]})));
    let twice: Vec<Value> = twice.collect();
    if !twice.is_empty() {
        schema["not"] = json!({"anyOf": twice});
    }
    let required: Vec<&str> =
        rules.iter().filter(|it| it.required && it.aliases.is_empty()).map(|it| it.name).collect();
    if purpose == Purpose::Create && !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// Text without control characters but those that end lines and indent.
const PLAIN: &str = "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f]*$";

/// The same, with something to be seen in it.
const NOT_BLANK: &str = "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f]*$";

fn property(rule: &Rule, doc: &str, nullable: bool) -> Value {
    let mut schema = match rule.kind {
        Kind::Text { min, max } => {
            json!({"type": "string", "minLength": min, "maxLength": max, "pattern": if min > 0 { NOT_BLANK } else { PLAIN }})
        }
        Kind::Id => json!({"type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$"}),
        Kind::TrackName => json!({"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"}),
        Kind::Integer { min } => json!({"type": "integer", "format": "int64", "minimum": min}),
        Kind::Number { or_zero: false } => json!({"type": "number", "exclusiveMinimum": 0}),
        Kind::Number { or_zero: true } => json!({"type": "number", "minimum": 0}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Time => json!({"type": ["string", "number"], "examples": ["2025-01-25T10:00:00Z"]}),
        Kind::Choice(words) => json!({"type": "string", "enum": words}),
        Kind::Choices(words) => json!({"type": "array", "items": {"type": "string", "enum": words}}),
        Kind::Tags => json!({
            "type": "array", "maxItems": MAX_TAGS,
            "items": {"type": "string", "minLength": 1, "maxLength": MAX_TAG_CHARS},
        }),
        Kind::Patterns => json!({
            "type": "array", "minItems": 1, "maxItems": MAX_PATTERNS,
            "items": {"type": "string", "minLength": 1, "maxLength": 128, "examples": ["clip.*"]},
        }),
        Kind::Metadata => json!({"type": "object", "additionalProperties": true}),
        Kind::Rate => {
            let part = |(name, most): &(&str, u64)| {
                (
                    (*name).to_owned(),
                    json!({"type": "integer", "format": "int64", "minimum": 1, "maximum": most}),
                )
            };
            let parts: Map<String, Value> = RATE_PARTS.iter().map(part).collect();
            let names: Vec<&str> = RATE_PARTS.iter().map(|(name, _)| *name).collect();
            json!({"type": "object", "properties": parts, "required": names, "additionalProperties": false})
        }
        Kind::TrackPaths => json!({
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {"path": {"type": "string", "maxLength": MAX_PATH_CHARS}},
            },
        }),
    };
    if nullable {
        let kinds = match schema["type"].take() {
            Value::Array(mut kinds) => {
                kinds.push(json!("null"));
                kinds
            }
            one => vec![one, json!("null")],
        };
        schema["type"] = Value::Array(kinds);
        if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
            words.push(Value::Null);
        }
    }
    schema["description"] = json!(doc);
    schema
}
