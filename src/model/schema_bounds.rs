//! How much work a JSON schema may make, told from the schema alone: a few hundred bytes can describe checks without
//! end, by references that branch and branch again.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// The longest schema, in bytes of JSON.
pub const MAX_SCHEMA_BYTES: usize = 64 << 10;

/// How often one value may be looked at, all branches together.
pub const MAX_LOOKS: u64 = 1000;

/// How deep values go.
const MAX_DEPTH: u32 = 64;

/// References and branches within each other.
const MAX_LEVELS: u32 = 1000;

/// Words of a list that cost as much as one look.
const WORDS_A_LOOK: usize = 16;

/// What holds one schema for the same value.
const HERE_ONE: &[&str] = &["not", "if", "then", "else", "propertyNames"];
/// What holds a list of schemas for the same value.
const HERE_LIST: &[&str] = &["allOf", "anyOf", "oneOf"];
/// What holds schemas by name for the same value.
const HERE_NAMED: &[&str] = &["dependentSchemas", "dependencies"];
/// What holds one schema for each inner value.
const INNER_ONE: &[&str] =
    &["additionalProperties", "unevaluatedProperties", "additionalItems", "unevaluatedItems", "contains"];
/// What looks at all other branches once more.
const TWICE: &[&str] = &["unevaluatedProperties", "unevaluatedItems"];
/// What leads elsewhere in ways that cannot be followed here.
const REFUSED: &[&str] = &["$dynamicRef", "$recursiveRef"];

/// Checks that no value is looked at more than [`MAX_LOOKS`] times.
///
/// # Errors
/// A sentence that says what is wrong with the schema.
pub fn check_schema_bounds(schema: &Value) -> Result<(), String> {
    let bytes = schema.to_string().len();
    if bytes > MAX_SCHEMA_BYTES {
        return Err(format!("has {bytes} bytes of JSON; at most {MAX_SCHEMA_BYTES} are allowed"));
    }
    let mut counting = Counting { root: schema, known: HashMap::new() };
    let looks = counting.looks(schema, MAX_DEPTH, 0)?;
    if looks > MAX_LOOKS {
        return Err(format!(
            "would look at one value {looks} times, all branches and references together; at most {MAX_LOOKS} are allowed"
        ));
    }
    Ok(())
}

struct Counting<'a> {
    root: &'a Value,
    /// By the place of a schema in memory and the depth left; none while it is being counted.
    known: HashMap<(usize, u32), Option<u64>>,
}

impl<'a> Counting<'a> {
    fn looks(&mut self, schema: &'a Value, depth: u32, level: u32) -> Result<u64, String> {
        let Value::Object(rules) = schema else { return Ok(1) };
        if depth == 0 {
            return Ok(1);
        }
        if level > MAX_LEVELS {
            return Err(format!("has more than {MAX_LEVELS} references and branches within each other"));
        }
        let key = (std::ptr::from_ref(schema).addr(), depth);
        match self.known.get(&key) {
            Some(Some(looks)) => return Ok(*looks),
            Some(None) => return Err("refers to itself without end".to_owned()),
            None => self.known.insert(key, None),
        };
        let looks = self.count(rules, depth, level + 1)?;
        self.known.insert(key, Some(looks));
        Ok(looks)
    }

    fn count(&mut self, rules: &'a Map<String, Value>, depth: u32, level: u32) -> Result<u64, String> {
        let words = ["enum", "required"].iter().filter_map(|it| rules.get(*it)?.as_array());
        let mut sum = 1 + words.map(|it| (it.len() / WORDS_A_LOOK) as u64).sum::<u64>();
        // What is under different names, or at different places, is never the same value.
        let mut apart = 0;
        for (word, rule) in rules {
            let word = word.as_str();
            let deeper = depth - 1;
            let more = match rule {
                _ if REFUSED.contains(&word) => return Err(format!("uses `{word}`; write `$ref` instead")),
                Value::String(to) if word == "$ref" => {
                    let target = self.target(to)?;
                    self.looks(target, depth, level)?
                }
                rule if HERE_ONE.contains(&word) => self.looks(rule, depth, level)?,
                Value::Array(list) if HERE_LIST.contains(&word) => self.sum(list, depth, level)?,
                Value::Object(named) if HERE_NAMED.contains(&word) => {
                    self.sum(named.values(), depth, level)?
                }
                Value::Object(named) if word == "patternProperties" => {
                    self.sum(named.values(), deeper, level)?
                }
                Value::Object(named) if word == "properties" => {
                    apart = apart.max(self.most(named.values(), deeper, level)?);
                    0
                }
                Value::Array(list) if word == "prefixItems" || word == "items" => {
                    apart = apart.max(self.most(list, deeper, level)?);
                    0
                }
                rule if word == "items" || INNER_ONE.contains(&word) => self.looks(rule, deeper, level)?,
                _ => 0,
            };
            sum = sum.saturating_add(more);
        }
        sum = sum.saturating_add(apart);
        let twice = rules.keys().any(|it| TWICE.contains(&it.as_str()));
        Ok(if twice { sum.saturating_mul(2) } else { sum })
    }

    fn sum(
        &mut self,
        all: impl IntoIterator<Item = &'a Value>,
        depth: u32,
        level: u32,
    ) -> Result<u64, String> {
        let mut sum = 0_u64;
        for schema in all {
            sum = sum.saturating_add(self.looks(schema, depth, level)?);
        }
        Ok(sum)
    }

    fn most(
        &mut self,
        all: impl IntoIterator<Item = &'a Value>,
        depth: u32,
        level: u32,
    ) -> Result<u64, String> {
        let mut most = 0;
        for schema in all {
            most = most.max(self.looks(schema, depth, level)?);
        }
        Ok(most)
    }

    fn target(&self, to: &str) -> Result<&'a Value, String> {
        let pointer = to.strip_prefix('#').filter(|it| it.is_empty() || it.starts_with('/'));
        let found = pointer.and_then(|it| self.root.pointer(it));
        found.ok_or_else(|| {
            format!("refers to `{to}`; a reference leads within the schema, such as `#/$defs/name`")
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_people_write_is_allowed() {
        let tree = json!({
            "type": "object", "required": ["name"], "additionalProperties": false,
            "properties": {
                "name": { "type": "string", "maxLength": 80 },
                "left": { "$ref": "#" }, "right": { "$ref": "#" },
                "children": { "type": "array", "items": { "$ref": "#/$defs/child" } },
            },
            "$defs": { "child": { "oneOf": [{ "$ref": "#" }, { "type": "null" }] } },
        });
        assert_eq!(check_schema_bounds(&tree), Ok(()));
        assert_eq!(check_schema_bounds(&json!(true)), Ok(()));
        let many: Vec<Value> =
            (0..200).map(|it| json!({ "properties": { "kind": { "const": it } } })).collect();
        assert_eq!(check_schema_bounds(&json!({ "oneOf": many })), Ok(()));
    }

    #[test]
    fn what_would_never_end_is_refused() {
        let mut branching = Map::new();
        for it in 0..40 {
            let next = json!({ "$ref": format!("#/$defs/a{}", it + 1) });
            branching.insert(format!("a{it}"), json!({ "anyOf": [next, next] }));
        }
        branching.insert("a40".to_owned(), json!({ "type": "string" }));
        let same_twice = json!({ "properties": { "x": { "$ref": "#" } } });
        for (schema, what) in [
            (json!({ "$ref": "#" }), "without end"),
            (json!({ "$defs": branching, "$ref": "#/$defs/a0" }), "at most 1000"),
            (json!({ "anyOf": [same_twice, same_twice] }), "at most 1000"),
            (json!({ "unevaluatedProperties": { "$ref": "#" } }), "at most 1000"),
            (json!({ "$ref": "https://example.com/x.json" }), "within the schema"),
            (json!({ "$dynamicRef": "#a" }), "write `$ref`"),
            (json!({ "description": "x".repeat(70_000) }), "bytes of JSON"),
        ] {
            let told = check_schema_bounds(&schema).unwrap_err();
            assert!(told.contains(what), "{told}");
        }
    }
}
