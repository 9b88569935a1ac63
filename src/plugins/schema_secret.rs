//! What of a schema is secret: which keys, and which of its own words say a value.

use serde_json::Value;

/// The mark of a secret value.
const SECRET: &str = "writeOnly";

/// Keywords whose schemas hold for the same value.
const BESIDE: &[&str] = &["allOf", "anyOf", "oneOf", "if", "then", "else", "not"];

/// Keywords whose schemas hold for keys that `properties` does not name.
const OTHERS: &[&str] = &["patternProperties", "additionalProperties", "unevaluatedProperties"];

/// Keywords that may say a secret value.
const SAY_VALUES: &[&str] = &["default", "const", "enum", "examples"];

/// How far references are followed.
const MAX_DEPTH: u8 = 16;

/// Whether a schema says of a key's value, or of a part of it, that it is secret.
pub(super) fn says_secret(root: &Value, key: &str) -> bool {
    Look { root, named: Vec::new(), parts: Vec::new() }.at_key(root, key)
}

/// One look through a schema; each reference is followed once.
struct Look<'a> {
    root: &'a Value,
    /// References to schemas of the whole config.
    named: Vec<&'a str>,
    /// References to schemas of parts of it.
    parts: Vec<&'a str>,
}

impl<'a> Look<'a> {
    fn at_key(&mut self, schema: &'a Value, key: &str) -> bool {
        if let Some(to) = schema.get("$ref").and_then(Value::as_str)
            && !self.named.contains(&to)
        {
            self.named.push(to);
            if target(self.root, to).is_some_and(|it| self.at_key(it, key)) {
                return true;
            }
        }
        let own = match schema.get("properties").and_then(|it| it.get(key)) {
            Some(rule) => self.within(rule),
            None => OTHERS.iter().filter_map(|it| schema.get(it)).any(|it| self.within(it)),
        };
        own || BESIDE.iter().filter_map(|it| schema.get(it)).any(|it| match it {
            Value::Array(items) => items.iter().any(|it| self.at_key(it, key)),
            it => self.at_key(it, key),
        }) || schema
            .get("dependentSchemas")
            .and_then(Value::as_object)
            .is_some_and(|it| it.values().any(|it| self.at_key(it, key)))
    }

    fn within(&mut self, rule: &'a Value) -> bool {
        match rule {
            Value::Object(fields) => {
                if fields.get(SECRET).is_some_and(|it| it == true) {
                    return true;
                }
                if let Some(to) = fields.get("$ref").and_then(Value::as_str)
                    && !self.parts.contains(&to)
                {
                    self.parts.push(to);
                    if target(self.root, to).is_some_and(|it| self.within(it)) {
                        return true;
                    }
                }
                fields.values().any(|it| self.within(it))
            }
            Value::Array(items) => items.iter().any(|it| self.within(it)),
            _ => false,
        }
    }
}

fn target<'a>(root: &'a Value, to: &str) -> Option<&'a Value> {
    root.pointer(to.strip_prefix('#')?)
}

/// A schema, or the one it refers to.
pub(super) fn resolved<'a>(root: &'a Value, schema: &'a Value, depth: u8) -> Option<&'a Value> {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(to) if depth <= MAX_DEPTH => resolved(root, target(root, to)?, depth + 1),
        Some(_) => None,
        None => Some(schema),
    }
}

/// Takes the values out of every part that is secret.
pub(super) fn hide_values(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get(SECRET).is_some_and(|it| it == true) {
                fields.retain(|keyword, _| !SAY_VALUES.contains(&keyword.as_str()));
            }
            fields.values_mut().for_each(hide_values);
        }
        Value::Array(items) => items.iter_mut().for_each(hide_values),
        _ => {}
    }
}

/// Takes the values out of a schema whose value is hidden as a whole, also out of what is in it.
pub(super) fn strip_values(schema: &mut Value) {
    if let Value::Object(fields) = schema {
        fields.retain(|keyword, _| !SAY_VALUES.contains(&keyword.as_str()));
        fields.values_mut().for_each(strip_values);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::plugins::schema::Schema;

    #[test]
    fn a_secret_is_found_however_the_schema_says_it() {
        let schema = Schema::parse(json!({
            "properties": {
                "open": { "type": "string" },
                "own": { "writeOnly": true },
                "within": { "properties": { "deep": { "items": { "writeOnly": true } } } },
                "meant": { "$ref": "#/$defs/secret" },
                "round": { "$ref": "#/$defs/round" },
                "beside": { "type": "string" },
            },
            "$defs": { "secret": { "writeOnly": true }, "round": { "properties": { "more": { "$ref": "#/$defs/round" } } } },
            "allOf": [{ "properties": { "beside": { "writeOnly": true } } }],
            "patternProperties": { "^s_": { "writeOnly": true } },
        }))
        .unwrap();
        for key in ["own", "within", "meant", "beside", "s_other"] {
            assert!(schema.is_secret(key), "{key}");
        }
        assert!(!schema.is_secret("open") && !schema.is_secret("round"));
        assert!(!Schema::default().is_secret("open"));
    }

    #[test]
    fn the_schema_is_shown_without_secret_values() {
        let schema = Schema::parse(json!({ "properties": {
            "token": { "type": "string", "title": "Token", "writeOnly": true, "default": "hunter2", "enum": ["hunter2"] },
            "net": { "default": { "pin": "hunter2" }, "properties": { "pin": { "writeOnly": true, "examples": ["hunter2"] } } },
            "level": { "default": 3 },
        } }))
        .unwrap();
        let shown = schema.shown().unwrap();
        assert!(!shown.to_string().contains("hunter2"), "{shown}");
        assert_eq!(
            (&shown["properties"]["token"]["title"], &shown["properties"]["level"]["default"]),
            (&json!("Token"), &json!(3))
        );
    }
}
