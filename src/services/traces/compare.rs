//! Where two answers differ, told by JSON pointers.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Differences that are told.
const MAX_TOLD: usize = 100;

/// Characters of a value that are told.
const MAX_CHARS: usize = 2_000;

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Difference {
    /// Where, such as `/output/patch/title`.
    pub path: String,
    /// What was there; null when nothing was.
    pub before: Value,
    /// What is there now; null when nothing is.
    pub after: Value,
}

/// The differences between two values below `path`, at most 100.
pub fn differences(path: &str, before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(path.to_owned(), Some(before), Some(after), &mut found);
    found
}

fn walk(path: String, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    if before == after || found.len() >= MAX_TOLD {
        return;
    }
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            for (key, old) in before {
                walk(below(&path, key), Some(old), after.get(key), found);
            }
            for (key, new) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
                walk(below(&path, key), None, Some(new), found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for at in 0..before.len().max(after.len()) {
                walk(below(&path, &at.to_string()), before.get(at), after.get(at), found);
            }
        }
        _ => found.push(Difference { path, before: shown(before), after: shown(after) }),
    }
}

fn below(path: &str, key: &str) -> String {
    format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// A value, cut when it is long.
fn shown(value: Option<&Value>) -> Value {
    match value {
        None => Value::Null,
        Some(Value::String(text)) if text.chars().count() > MAX_CHARS => {
            format!("{}…", text.chars().take(MAX_CHARS).collect::<String>()).into()
        }
        Some(value @ (Value::Object(_) | Value::Array(_))) if value.to_string().len() > MAX_CHARS => {
            format!("{} bytes of JSON", value.to_string().len()).into()
        }
        Some(value) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_told_by_their_place() {
        let (before, after) = (
            json!({"a": 1, "b": [1, 2], "c/d": {"x": 1}}),
            json!({"a": 1, "b": [1], "c/d": {"x": 2}, "e": null}),
        );
        let found = differences("", &before, &after);
        let paths: Vec<&str> = found.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(paths, ["/b/1", "/c~1d/x", "/e"]);
        assert_eq!((&found[0].before, &found[0].after), (&json!(2), &json!(null)));
        assert_eq!(differences("", &before, &before), []);
    }
}
