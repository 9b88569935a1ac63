//! A `config_schema` against what schemas are: every fault at once, and what is odd without being wrong.

use serde_json::Value;

use crate::error::FieldError;
use crate::model::spelling::find_similar;

use super::schema::escape;
use super::schema_fault;

/// The keywords of JSON Schema.
const KEYWORDS: &[&str] = &[
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$ref",
    "$schema",
    "$vocabulary",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "title",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "writeOnly",
];

/// Pairs of which the first must not be above the second.
const BOUNDS: &[(&str, &str)] = &[
    ("minimum", "maximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
];

/// Every fault of a schema, as a pointer into it, and why.
pub(super) fn faults(raw: &Value) -> Vec<FieldError> {
    let mut faults: Vec<FieldError> = Vec::new();
    if let Ok(meta) = jsonschema::meta::validator_for(raw) {
        faults.extend(meta.iter_errors(raw).map(|fault| schema_fault::explain(raw, &fault)));
    }
    each(raw, "", &mut |schema, at| {
        if let Some(message) =
            schema.get("pattern").and_then(Value::as_str).and_then(schema_fault::pattern_fault)
        {
            faults.push(FieldError { pointer: format!("{at}/pattern"), message });
        }
        for (least, most) in BOUNDS {
            let number = |it: &str| schema.get(it).and_then(Value::as_f64);
            if let (Some(low), Some(high)) = (number(least), number(most))
                && low > high
            {
                let message = format!("{low} is above `{most}`, which is {high}: no value fits");
                faults.push(FieldError { pointer: format!("{at}/{least}"), message });
            }
        }
    });
    let mut seen: Vec<String> = Vec::new();
    faults.retain(|it| {
        let is_new = !seen.contains(&it.pointer);
        seen.push(it.pointer.clone());
        is_new
    });
    faults
}

/// What is odd without being wrong: misspelt keywords, which mean nothing, and required keys that are not described.
pub(super) fn odd(raw: &Value) -> Vec<FieldError> {
    let mut odd = Vec::new();
    each(raw, "", &mut |schema, at| {
        let Some(fields) = schema.as_object() else { return };
        for keyword in fields.keys().filter(|it| !KEYWORDS.contains(&it.as_str()) && !it.starts_with("x-")) {
            // At the top, mappings are told of as what they look like: keys of the config.
            let is_told = at.is_empty() && fields.get(keyword).is_some_and(Value::is_object);
            if let Some(meant) = find_similar(keyword, KEYWORDS.iter().copied()).filter(|_| !is_told) {
                let message =
                    format!("is no keyword of a schema and means nothing; did you mean \"{meant}\"?");
                odd.push(FieldError { pointer: format!("{at}/{}", escape(keyword)), message });
            }
        }
        let described = schema.get("properties").and_then(Value::as_object);
        let (Some(described), Some(required)) = (described, schema.get("required").and_then(Value::as_array))
        else {
            return;
        };
        for key in required.iter().filter_map(Value::as_str).filter(|it| !described.contains_key(*it)) {
            let meant = find_similar(key, described.keys().map(String::as_str));
            let meant = meant.map(|it| format!("; did you mean \"{it}\"?")).unwrap_or_default();
            let message = format!("`{key}` is required and not described under `properties`{meant}");
            odd.push(FieldError { pointer: format!("{at}/required"), message });
        }
    });
    odd
}

/// Calls `look` for a schema and for those of its keys and items.
fn each(schema: &Value, at: &str, look: &mut impl FnMut(&Value, &str)) {
    look(schema, at);
    for keyword in ["properties", "$defs", "definitions", "patternProperties"] {
        for (key, inner) in schema.get(keyword).and_then(Value::as_object).into_iter().flatten() {
            each(inner, &format!("{at}/{keyword}/{}", escape(key)), look);
        }
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(keyword).filter(|it| it.is_object()) {
            each(inner, &format!("{at}/{keyword}"), look);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plugins::schema::Schema;

    fn places(faults: &[FieldError]) -> Vec<&str> {
        let mut places: Vec<&str> = faults.iter().map(|it| it.pointer.as_str()).collect();
        places.sort_unstable();
        places
    }

    #[test]
    fn all_faults_of_a_schema_are_told_at_once() {
        let faults = Schema::parse(json!({ "properties": {
            "a": { "type": "strin" },
            "b": { "minimum": "low", "pattern": "([" },
            "c": { "minimum": 5, "maximum": 3 },
            "d": { "properties": { "e": { "enum": "abc" } } },
        }, "required": "a" }))
        .unwrap_err();
        assert_eq!(
            places(&faults),
            [
                "/properties/a/type",
                "/properties/b/minimum",
                "/properties/b/pattern",
                "/properties/c/minimum",
                "/properties/d/properties/e/enum",
                "/required"
            ],
            "{faults:?}"
        );
    }

    #[test]
    fn a_default_that_the_schema_itself_forbids_is_a_fault_and_a_secret_one_is_not_quoted() {
        let faults = Schema::parse(json!({ "properties": {
            "level": { "type": "integer", "default": "many" },
            "net": { "type": "object", "properties": { "port": { "type": "integer", "maximum": 10, "default": 80 } } },
            "token": { "type": "string", "writeOnly": true, "pattern": "^k-", "default": "hunter2" },
            "empty": { "type": "string", "writeOnly": true, "minLength": 4, "default": "" },
            "fine": { "type": "object", "required": ["host"], "properties": { "port": { "default": 1 } } },
        }, "required": ["other"] }))
        .unwrap_err();
        assert_eq!(
            places(&faults),
            ["/properties/level/default", "/properties/net", "/properties/token/default"]
        );
        assert!(faults.iter().all(|it| !it.message.contains("hunter2")), "{faults:?}");
    }

    #[test]
    fn misspelt_keywords_and_undescribed_required_keys_are_odd() {
        let raw = json!({ "properties": { "a": { "minimun": 1, "x-form": 1, "unit": "s" } }, "required": ["b", "a"] });
        let odd = odd(&raw);
        assert_eq!(places(&odd), ["/properties/a/minimun", "/required"]);
        assert!(odd.iter().any(|it| it.message.ends_with("did you mean \"minimum\"?")), "{odd:?}");
        assert!(Schema::parse(raw).is_ok());
    }
}
