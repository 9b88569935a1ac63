//! The schema of a plugin's config: defaults, checks that name every fault, and which values are secret.

use std::sync::Arc;

use jsonschema::PatternOptions;
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value, json};

use crate::error::FieldError;
use crate::model::spelling::find_similar;

use super::schema_secret::{hide_values, resolved, says_secret, strip_values};
use super::{schema_check, schema_fault};

/// What is said of a key that a closed schema does not know.
pub(super) const NOT_THERE: &str = "is not in the schema";

/// What is said of a key that has no value and needs one.
const REQUIRED: &str = "is required";

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
    /// Every place where it is no schema, as a pointer into it, and why.
    pub fn parse(mut raw: Value) -> Result<Self, Vec<FieldError>> {
        let Value::Object(fields) = &mut raw else {
            return Err(vec![FieldError {
                pointer: String::new(),
                message:
                    "must be a mapping, such as `config_schema: { properties: { from: { type: string } } }`"
                        .to_owned(),
            }]);
        };
        fields.entry("type").or_insert(json!("object"));
        let faults = schema_check::faults(&raw);
        if !faults.is_empty() {
            return Err(faults);
        }
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(1 << 20))
            .build(&raw)
            .map_err(|fault| vec![schema_fault::explain(&raw, &fault)])?;
        let schema = Schema { raw: Some(raw), validator: Some(validator) };
        let wrong = schema.wrong_defaults();
        if wrong.is_empty() { Ok(schema) } else { Err(wrong) }
    }

    /// Defaults that the schema itself does not allow.
    fn wrong_defaults(&self) -> Vec<FieldError> {
        let mut defaults = self.defaults();
        // The admin fills in what is secret: an empty default stands for its absence.
        defaults.retain(|key, it| !(self.is_secret(key) && it == ""));
        let told = self.check(&defaults).into_iter().filter_map(|fault| {
            let key = first_segment(&fault.pointer);
            let rule = self.rule(&key).filter(|_| defaults.contains_key(&key))?;
            // What a default leaves out, others may say.
            let is_whole = fault.pointer.trim_start_matches('/').contains('/') && fault.message == REQUIRED;
            let place = if rule.get("default").is_some() { "/default" } else { "" };
            (!is_whole).then(|| FieldError {
                pointer: format!("/properties/{}{place}", escape(&key)),
                message: format!("the default does not fit: {}", fault.message),
            })
        });
        told.collect()
    }

    /// The schema for those who draw a form from it: what it says of secret values is left out.
    pub fn shown(&self) -> Option<Value> {
        let mut raw = self.raw.clone()?;
        hide_values(&mut raw);
        let secret: Vec<String> = self.keys().filter(|it| self.is_secret(it)).map(str::to_owned).collect();
        for key in secret {
            if let Some(rule) = raw.get_mut("properties").and_then(|it| it.get_mut(&key)) {
                strip_values(rule);
            }
        }
        Some(raw)
    }

    /// What the schema says of a key, such as its `title`.
    pub fn said(&self, key: &str, keyword: &str) -> Option<&Value> {
        self.rule(key)?.get(keyword)
    }

    /// Whether a config is wrong without this key.
    pub fn requires(&self, key: &str) -> bool {
        let required = self.raw.as_ref().and_then(|it| it.get("required")).and_then(Value::as_array);
        required.is_some_and(|it| it.iter().any(|it| it == key))
    }

    /// What the schema says of the value at a path of keys.
    pub fn rule_at(&self, path: &[String]) -> Option<&Value> {
        let root = self.raw.as_ref()?;
        path.iter().try_fold(root, |rule, key| resolved(root, rule.get("properties")?.get(key)?, 0))
    }

    /// Fills in the defaults of what an object leaves out.
    pub fn complete(&self, config: &mut Map<String, Value>) {
        for (key, value) in config {
            if let Some(rule) = self.rule(key) {
                complete(rule, value);
            }
        }
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

    /// Whether it says something of keys that it does not name.
    pub fn is_open(&self) -> bool {
        const SAY: [&str; 10] = [
            "additionalProperties",
            "patternProperties",
            "unevaluatedProperties",
            "propertyNames",
            "dependentSchemas",
            "allOf",
            "anyOf",
            "oneOf",
            "if",
            "$ref",
        ];
        self.raw.as_ref().is_some_and(|root| SAY.iter().any(|it| root.get(it).is_some()))
    }

    /// The default of every key that has one.
    pub fn defaults(&self) -> Map<String, Value> {
        let properties = self.properties().into_iter().flatten();
        properties.filter_map(|(key, rule)| Some((key.clone(), default_of(rule)?))).collect()
    }

    /// Whether a text for `key` stays a text even when it looks like a number.
    pub fn wants_text(&self, key: &str) -> bool {
        let root = self.raw.as_ref().unwrap_or(&Value::Null);
        self.rule(key).and_then(|it| resolved(root, it, 0)?.get("type")).is_some_and(|it| it == "string")
    }

    /// Whether the value of `key`, or a part of it, is never shown.
    pub fn is_secret(&self, key: &str) -> bool {
        self.raw.as_ref().is_some_and(|root| says_secret(root, key))
    }

    /// The keys whose values, or parts of them, are never shown.
    pub fn secret_keys(&self) -> Arc<[String]> {
        self.keys().filter(|it| self.is_secret(it)).map(str::to_owned).collect()
    }

    /// Every fault of a whole config, by pointer; secrets are not quoted.
    pub fn check(&self, config: &Map<String, Value>) -> Vec<FieldError> {
        self.check_hiding(config, &|key| self.is_secret(key))
    }

    /// The same; `is_secret` says whose values are not quoted.
    pub fn check_hiding(
        &self,
        config: &Map<String, Value>,
        is_secret: &dyn Fn(&str) -> bool,
    ) -> Vec<FieldError> {
        let Some(validator) = &self.validator else { return Vec::new() };
        let config = Value::Object(config.clone());
        let mut faults = Vec::new();
        for fault in validator.iter_errors(&config) {
            let at = fault.instance_path().as_str();
            match fault.kind() {
                ValidationErrorKind::Required { property } => faults.push(FieldError {
                    pointer: format!("{at}/{}", escape(property.as_str().unwrap_or_default())),
                    message: REQUIRED.to_owned(),
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
                    let says_values = matches!(
                        fault.kind(),
                        ValidationErrorKind::Enum { .. } | ValidationErrorKind::Constant { .. }
                    );
                    let message = match is_secret(&key) {
                        // A fault of the whole config quotes all of it.
                        _ if key.is_empty() => fault.masked_with("the config").to_string(),
                        true if says_values => "is none of the values that the schema allows".to_owned(),
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

/// Fills in the defaults of what an object leaves out, also within.
fn complete(rule: &Value, value: &mut Value) {
    let (Some(rules), Value::Object(fields)) = (rule.get("properties").and_then(Value::as_object), value)
    else {
        return;
    };
    for (key, rule) in rules {
        match fields.get_mut(key) {
            Some(value) => complete(rule, value),
            None => fields.extend(default_of(rule).map(|it| (key.clone(), it))),
        }
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
        let fault =
            Schema::parse(json!({ "properties": { "a": { "type": "strin" } } })).unwrap_err().remove(0);
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
            let fault = Schema::parse(schema).unwrap_err().remove(0);
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
