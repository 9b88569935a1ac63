//! The layer of the environment: `PANOTTI_PLUGIN_<NAME>__<KEY>`, with `__` between the keys that lead into a mapping. What a
//! text stands for is the schema's to say.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::plugins::env::{PluginEnv, infer, shout};
use crate::plugins::schema::Schema;

/// What variables say of one key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FromVariables {
    /// Their names.
    pub names: Vec<String>,
    /// Values by the keys within; the value as a whole under no keys.
    parts: Vec<(Vec<String>, Value)>,
}

impl FromVariables {
    /// The value of the key: what the layers below say, and what the variables say within.
    pub fn over(&self, below: Option<Value>) -> Value {
        let mut value = below.unwrap_or(Value::Null);
        for (path, part) in &self.parts {
            let mut place = &mut value;
            for key in path {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                place = &mut place[key.as_str()];
            }
            place.clone_from(part);
        }
        value
    }
}

/// What the variables of a plugin say, by the key of its config.
pub(super) fn read(
    plugin: &str,
    schema: &Schema,
    yaml: &Map<String, Value>,
    env: &PluginEnv,
) -> BTreeMap<String, FromVariables> {
    let mut keys: BTreeMap<String, FromVariables> = BTreeMap::new();
    // In the order of their names, the whole of a key comes before its parts.
    for (rest, name, text) in env.of_plugin(plugin) {
        let path = path_of(rest, schema, yaml);
        let Some((key, within)) = path.split_first() else { continue };
        let Some(value) = value_of(text, schema.rule_at(&path)) else { continue };
        let said = keys.entry(key.clone()).or_default();
        said.names.push(name.to_owned());
        said.parts.push((within.to_vec(), value));
    }
    keys
}

/// The keys that the rest of a variable's name leads along: those that are known there, else the name in lower case.
fn path_of(rest: &str, schema: &Schema, yaml: &Map<String, Value>) -> Vec<String> {
    let words: Vec<&str> = rest.split("__").collect();
    let (mut path, mut at) = (Vec::new(), 0);
    let mut below: Option<&Map<String, Value>> = Some(yaml);
    while at < words.len() {
        let described = schema.rule_at(&path).and_then(|it| it.get("properties")?.as_object());
        let known = described.into_iter().chain(below).flat_map(Map::keys);
        // A key may have `__` in its own name: the longest one that is known counts.
        let found = (at + 1..=words.len()).rev().find_map(|to| {
            let wanted = words[at..to].join("__");
            known.clone().find(|it| shout(it) == wanted).map(|it| (it.clone(), to))
        });
        let (key, to) = found.unwrap_or_else(|| (words[at].to_ascii_lowercase(), at + 1));
        below = below.and_then(|it| it.get(&key)).and_then(Value::as_object);
        path.push(key);
        at = to;
    }
    path
}

/// What a text stands for; none where it is empty and no text is wanted.
fn value_of(text: &str, rule: Option<&Value>) -> Option<Value> {
    let kinds: Vec<&str> = match rule.and_then(|it| it.get("type")) {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let may_be = |kind: &str| kinds.contains(&kind);
    let is_named = rule
        .and_then(|it| it.get("enum"))
        .and_then(Value::as_array)
        .is_some_and(|it| it.iter().any(|it| it == text));
    if is_named || (may_be("string") && !(text == "null" && may_be("null"))) {
        return Some(Value::from(text));
    }
    if text.is_empty() {
        return kinds.is_empty().then(|| Value::from(text));
    }
    let json = || serde_json::from_str::<Value>(text).ok();
    if may_be("array") {
        let list = json().filter(Value::is_array);
        let item = rule.and_then(|it| it.get("items"));
        let words = || text.split(',').map(str::trim).filter_map(|it| value_of(it, item)).collect::<Vec<_>>();
        return Some(list.unwrap_or_else(|| Value::from(words())));
    }
    if may_be("object") {
        return Some(json().filter(Value::is_object).unwrap_or_else(|| Value::from(text)));
    }
    // What does not fit stays as it is: the schema says so, and names the variable.
    Some(infer(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(schema: Value, yaml: Value, set: &[(&str, &str)]) -> Value {
        let schema = Schema::parse(schema).unwrap();
        let set = set
            .iter()
            .map(|(name, text)| (format!("PANOTTI_PLUGIN_QUIET_HOURS__{name}"), (*text).to_owned()));
        let env = PluginEnv::new(set, &[]);
        let keys = read("quiet-hours", &schema, yaml.as_object().unwrap(), &env);
        Value::Object(
            keys.into_iter().map(|(key, it)| (key.clone(), it.over(yaml.get(&key).cloned()))).collect(),
        )
    }

    #[test]
    fn the_type_is_the_one_that_the_schema_says() {
        let schema = json!({ "properties": {
            "pin": { "type": "string" }, "level": { "type": "integer" }, "days": { "type": "array", "items": { "type": "string" } },
            "ports": { "type": "array", "items": { "type": "integer" } }, "map": { "type": "object" },
            "maybe": { "type": ["string", "null"] }, "mode": { "enum": ["1", "2"] }, "on": { "type": "boolean" },
            "none": { "type": "integer" }, "wrong": { "type": "integer" },
        } });
        let set = [
            ("PIN", "0042"),
            ("LEVEL", "3"),
            ("DAYS", "mon, 2"),
            ("PORTS", "[80, 443]"),
            ("MAP", r#"{"a": 1}"#),
            ("MAYBE", "null"),
            ("MODE", "2"),
            ("ON", "true"),
            ("NONE", ""),
            ("WRONG", "many"),
        ];
        let expected = json!({
            "pin": "0042", "level": 3, "days": ["mon", "2"], "ports": [80, 443], "map": { "a": 1 }, "maybe": null,
            "mode": "2", "on": true, "wrong": "many",
        });
        assert_eq!(said(schema, json!({}), &set), expected);
    }

    #[test]
    fn two_underscores_lead_into_a_mapping() {
        let schema = json!({ "properties": {
            "net": { "type": "object", "properties": { "maxPort": { "type": "integer" }, "host": { "type": "string" } } },
            "a__b": { "type": "string" },
        } });
        let yaml = json!({ "net": { "host": "a.example", "x-key": 1 } });
        let set =
            [("NET__MAXPORT", "80"), ("NET__X_KEY", "2"), ("A__B", "whole"), ("OTHER__DEEP__ER", "true")];
        let expected = json!({
            "net": { "host": "a.example", "maxPort": 80, "x-key": 2 }, "a__b": "whole", "other": { "deep": { "er": true } },
        });
        assert_eq!(said(schema, yaml, &set), expected);
        let whole = [("NET", r#"{"host": "b"}"#), ("NET__MAXPORT", "81")];
        let schema =
            json!({ "properties": { "net": { "type": "object", "properties": { "maxPort": {} } } } });
        assert_eq!(
            said(schema, json!({ "net": { "x": 1 } }), &whole),
            json!({ "net": { "host": "b", "maxPort": 81 } })
        );
    }
}
