//! The schema of a plugin's config: defaults, checks that name every fault, and which values are secret.

use std::sync::Arc;

use jsonschema::PatternOptions;
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value, json};

use crate::error::FieldError;
use crate::model::spelling::find_similar;

use super::schema_fault;

/// What is said of a key that a closed schema does not know.
pub(super) const NOT_THERE: &str = "is not in the schema";

/// The mark of a secret value.
const SECRET: &str = "writeOnly";

/// A checked `config_schema`; without one every value is accepted.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    raw: Option<Value>,
    validator: Option<jsonschema::Validator>,
}

impl Schema {
    /// Reads a schema; patterns run in linear time and nothing is fetched.
    ///
    /// # Errors
    /// Where it is no schema, as a pointer into it, and why.
    pub fn parse(mut raw: Value) -> Result<Self, FieldError> {
        let Value::Object(fields) = &mut raw else {
            return Err(FieldError {
                pointer: String::new(),
                message:
                    "must be a mapping, such as `config_schema: { properties: { from: { type: string } } }`"
                        .to_owned(),
            });
        };
        fields.entry("type").or_insert(json!("object"));
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(1 << 20))
            .build(&raw)
            .map_err(|fault| schema_fault::explain(&raw, &fault))?;
        Ok(Schema { raw: Some(raw), validator: Some(validator) })
    }

    /// The schema as it was written, for those who draw a form from it.
    pub fn raw(&self) -> Option<&Value> {
        self.raw.as_ref()
    }

    /// The keys it describes.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.properties().into_iter().flat_map(|it| it.keys().map(String::as_str))
    }

    /// The key that `key`, which the schema does not describe, probably stands for.
    pub fn meant(&self, key: &str) -> Option<&str> {
        match self.rule(key) {
            Some(_) => None,
            None => find_similar(key, self.keys()),
        }
    }

    /// The default of every key that has one.
    pub fn defaults(&self) -> Map<String, Value> {
        let properties = self.properties().into_iter().flatten();
        properties.filter_map(|(key, rule)| Some((key.clone(), default_of(rule)?))).collect()
    }

    /// Whether a text for `key` stays a text even when it looks like a number.
    pub fn wants_text(&self, key: &str) -> bool {
        self.rule(key).and_then(|it| it.get("type")).is_some_and(|it| it == "string")
    }

    /// Whether the value of `key`, or a part of it, is never shown.
    pub fn is_secret(&self, key: &str) -> bool {
        self.rule(key).is_some_and(has_secret)
    }

    /// The keys whose values, or parts of them, are never shown.
    pub fn secret_keys(&self) -> Arc<[String]> {
        self.keys().filter(|it| self.is_secret(it)).map(str::to_owned).collect()
    }

    /// Every fault of a whole config, by pointer; secrets are not quoted.
    pub fn check(&self, config: &Map<String, Value>) -> Vec<FieldError> {
        let Some(validator) = &self.validator else { return Vec::new() };
        let config = Value::Object(config.clone());
        let mut faults = Vec::new();
        for fault in validator.iter_errors(&config) {
            let at = fault.instance_path().as_str();
            match fault.kind() {
                ValidationErrorKind::Required { property } => faults.push(FieldError {
                    pointer: format!("{at}/{}", escape(property.as_str().unwrap_or_default())),
                    message: "is required".to_owned(),
                }),
                ValidationErrorKind::AdditionalProperties { unexpected } => {
                    for key in unexpected {
                        faults.push(FieldError {
                            pointer: format!("{at}/{}", escape(key)),
                            message: match self.meant(key) {
                                Some(near) => format!("{NOT_THERE}; did you mean `{near}`?"),
                                None => NOT_THERE.to_owned(),
                            },
                        });
                    }
                }
                _ => {
                    let key = first_segment(at);
                    let message = match self.is_secret(&key) {
                        true => fault.masked_with("the secret value").to_string(),
                        false => fault.to_string(),
                    };
                    faults.push(FieldError { pointer: at.to_owned(), message: shorten(message) });
                }
            }
        }
        faults
    }

    fn properties(&self) -> Option<&Map<String, Value>> {
        self.raw.as_ref()?.get("properties")?.as_object()
    }

    fn rule(&self, key: &str) -> Option<&Value> {
        self.properties()?.get(key)
    }
}

/// The key of the config that a pointer leads into.
pub fn first_segment(pointer: &str) -> String {
    let segment = pointer.trim_start_matches('/').split('/').next().unwrap_or_default();
    segment.replace("~1", "/").replace("~0", "~")
}

/// A key as it stands in a JSON pointer.
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A property's own default, else the object of its properties' defaults.
fn default_of(rule: &Value) -> Option<Value> {
    if let Some(default) = rule.get("default") {
        return Some(default.clone());
    }
    let properties = rule.get("properties")?.as_object()?;
    let inner: Map<String, Value> =
        properties.iter().filter_map(|(key, rule)| Some((key.clone(), default_of(rule)?))).collect();
    (!inner.is_empty()).then_some(Value::Object(inner))
}

fn has_secret(rule: &Value) -> bool {
    match rule {
        Value::Object(fields) => {
            fields.get(SECRET).is_some_and(|it| it == true) || fields.values().any(has_secret)
        }
        Value::Array(items) => items.iter().any(has_secret),
        _ => false,
    }
}

pub(super) fn shorten(mut message: String) -> String {
    const MAX: usize = 400;
    if let Some((at, _)) = message.char_indices().nth(MAX) {
        message.truncate(at);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        Schema::parse(json!({
            "properties": {
                "from": { "type": "string", "pattern": "^\\d\\d:\\d\\d$" },
                "level": { "type": "integer", "minimum": 1, "maximum": 5, "default": 3 },
                "mode": { "enum": ["a", "b"] },
                "days": { "type": "array", "items": { "type": "string" } },
                "api_key": { "type": "string", "writeOnly": true, "pattern": "^k-" },
                "net": { "properties": { "port": { "default": 80 } } }
            },
            "required": ["from"]
        }))
        .unwrap()
    }

    #[test]
    fn every_fault_is_told_with_its_pointer_and_no_secret() {
        let config = json!({ "level": 9, "mode": "c", "days": ["mon", 2], "api_key": "hunter2" });
        let faults = schema().check(config.as_object().unwrap());
        let mut at: Vec<&str> = faults.iter().map(|it| it.pointer.as_str()).collect();
        at.sort_unstable();
        assert_eq!(at, ["/api_key", "/days/1", "/from", "/level", "/mode"]);
        assert!(faults.iter().all(|it| !it.message.contains("hunter2")), "{faults:?}");
        let good = json!({ "from": "22:00", "level": 5, "other": [1] });
        assert_eq!(schema().check(good.as_object().unwrap()), []);
    }

    #[test]
    fn defaults_are_collected_also_from_within() {
        assert_eq!(Value::Object(schema().defaults()), json!({ "level": 3, "net": { "port": 80 } }));
        assert!(schema().is_secret("api_key") && !schema().is_secret("from"));
    }

    #[test]
    fn what_is_no_schema_is_told_where() {
        let fault = Schema::parse(json!({ "properties": { "a": { "type": "strin" } } })).unwrap_err();
        assert!(fault.pointer.starts_with("/properties/a"), "{fault:?}");
        for (schema, pointer, told) in [
            (json!([]), "", "such as `config_schema: { properties: { from: { type: string } } }`"),
            (
                json!({ "$ref": "https://example.com/x.json" }),
                "/$ref",
                "nothing is fetched; describe it below `$defs`",
            ),
            (
                json!({ "properties": { "a": { "$ref": "#/$defs/b" } } }),
                "/properties/a/$ref",
                "`#/$defs/b` is not in",
            ),
            (
                json!({ "properties": { "a": { "type": "strin" } } }),
                "/properties/a/type",
                "(did you mean `string`?); write one of string",
            ),
            (
                json!({ "properties": { "a": "string" } }),
                "/properties/a",
                "must be a mapping, such as `a: { type: string }`",
            ),
            (
                json!({ "properties": { "a": { "pattern": "([" } } }),
                "/properties/a/pattern",
                "is no regular expression: unclosed character class; write one such as `pattern:",
            ),
            (
                json!({ "properties": { "a": { "pattern": "(?!b)" } } }),
                "/properties/a/pattern",
                "look-around",
            ),
            (
                json!({ "properties": { "a": { "minimum": "low" } } }),
                "/properties/a/minimum",
                "must be a number, such as `minimum: 1`, not \"low\"",
            ),
            (
                json!({ "properties": { "a": { "enum": "abc" } } }),
                "/properties/a/enum",
                "`enum: [low, high]`",
            ),
            (json!({ "properties": { "a": {} }, "required": "a" }), "/required", "`required: [from]`"),
        ] {
            let fault = Schema::parse(schema).unwrap_err();
            assert_eq!(fault.pointer, pointer, "{fault:?}");
            assert!(fault.message.contains(told), "{fault:?}");
        }
        let local =
            json!({ "properties": { "a": { "$ref": "#/$defs/b" } }, "$defs": { "b": { "type": "string" } } });
        assert!(Schema::parse(local).is_ok());
    }

    #[test]
    fn an_unknown_key_is_a_fault_only_where_the_schema_is_closed() {
        let closed = Schema::parse(json!({ "properties": {}, "additionalProperties": false })).unwrap();
        let named =
            Schema::parse(json!({ "properties": { "level": {} }, "additionalProperties": false })).unwrap();
        let faults = named.check(json!({ "levl": 1 }).as_object().unwrap());
        assert_eq!(faults[0].message, "is not in the schema; did you mean `level`?");
        let config = json!({ "a/b": 1, "c": 2 });
        let faults = closed.check(config.as_object().unwrap());
        assert_eq!(faults.iter().map(|it| first_segment(&it.pointer)).collect::<Vec<_>>(), ["a/b", "c"]);
        assert_eq!(Schema::default().check(config.as_object().unwrap()), []);
    }
}
