//! Whatever JSON crosses into Lua comes back the same, or as the table of the module tells.

use mlua::Lua;
use serde_json::Value;

use crate::fuzz;

use super::{Budget, MAX_SAFE_INTEGER, Shapes, from_lua, record_to_lua, to_lua};

const SMALL: Budget = Budget { depth: 6, nodes: 40, text_bytes: 200 };

#[test]
fn json_through_lua() {
    let lua = Lua::new();
    let shapes = Shapes::install(&lua).unwrap();
    let vm = std::panic::AssertUnwindSafe((lua, shapes));
    const WORDS: &[&str] = &[
        "null",
        "true",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "\"\"",
        "\"a\":",
        "1",
        "-0",
        "0.5",
        "1e308",
        "9007199254740993",
        "-1e-320",
        "18446744073709551615",
        "\"1\":",
        "\"\\u0000\"",
        "[[[[[[[[[[",
        "]]]]]]]]]]",
    ];
    fuzz::run("convert", WORDS, |input| {
        let (lua, shapes) = &*vm;
        let Ok(value) = serde_json::from_slice::<Value>(input) else { return };
        let crossed = match to_lua(lua, shapes, &value) {
            Ok(crossed) => crossed,
            Err(_) => return assert!(depth(&value) > 128, "{value}"),
        };
        match from_lua(shapes, &crossed, Budget::default()) {
            Ok(back) => assert_eq!(back, expected(&value)),
            Err(fault) => assert!(over(&value, Budget::default()), "{fault}"),
        }
        // What a small budget lets through is small.
        match from_lua(shapes, &crossed, SMALL) {
            Ok(back) => assert!(!over(&back, SMALL), "{back}"),
            Err(fault) => assert!(over(&expected(&value), SMALL), "{fault} in {value}"),
        }
        assert!(record_to_lua(lua, shapes, &value, "metadata", None).is_ok());
    });
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Whether any part of a budget is exceeded.
fn over(value: &Value, budget: Budget) -> bool {
    fn count(value: &Value) -> (usize, usize) {
        match value {
            Value::String(it) => (1, it.len()),
            Value::Array(items) => items.iter().map(count).fold((1, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
            Value::Object(map) => map.iter().fold((1, 0), |sum, (key, it)| {
                let (nodes, text) = count(it);
                (sum.0 + nodes, sum.1 + text + key.len())
            }),
            _ => (1, 0),
        }
    }
    let (nodes, text) = count(value);
    depth(value) > budget.depth || nodes > budget.nodes || text > budget.text_bytes
}

/// What a value is after it was in Lua.
fn expected(value: &Value) -> Value {
    match value {
        Value::Number(it) => match (it.as_i64(), it.as_f64()) {
            (Some(whole), _) if (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(&whole) => value.clone(),
            (Some(whole), _) => whole.to_string().into(),
            (None, _) if it.is_u64() => it.to_string().into(),
            (None, Some(double)) if double.fract() == 0.0 && double.abs() <= MAX_SAFE_INTEGER as f64 => {
                (double as i64).into()
            }
            _ => value.clone(),
        },
        Value::Array(items) => items.iter().map(expected).collect(),
        Value::Object(map) => map.iter().map(|(key, it)| (key.clone(), expected(it))).collect(),
        _ => value.clone(),
    }
}
