//! Whatever filter and payload: a filter that is taken holds exactly where a plain reading of it does.

use serde_json::{Map, Value};

use crate::fuzz;

use super::catalogue::Payload;
use super::when::When;

#[test]
fn filters() {
    const WORDS: &[&str] = &[
        "\"min\":",
        "\"max\":",
        "\"one_of\":[",
        "\"prefix\":\"",
        "{",
        "}",
        "]",
        "\"a.b\":",
        "\"a\":",
        "\"b\":",
        "null",
        "1",
        "1.0",
        "\"x\"",
        "true",
        ",",
        "9007199254740993",
        "9007199254740992",
        "-1e400",
    ];
    fuzz::run("filter", WORDS, |input| {
        let (spec, payload) = fuzz::halves(input);
        let Ok(spec) = serde_json::from_str::<Map<String, Value>>(&spec) else { return };
        let Ok(payload) = serde_json::from_str::<Value>(&payload) else { return };
        match When::parse(&spec, Payload::None) {
            Ok(when) => assert_eq!(when.holds(&payload), plainly(&spec, &payload)),
            Err(why) => assert!(why.starts_with("when."), "{why}"),
        }
    });
}

fn plainly(spec: &Map<String, Value>, payload: &Value) -> bool {
    spec.iter().all(|(field, wanted)| {
        let mut found = payload;
        for key in field.split('.') {
            found = found.as_object().and_then(|it| it.get(key)).unwrap_or(&Value::Null);
        }
        let Some(rules) = wanted.as_object() else { return equal(wanted, found) };
        rules.iter().all(|(rule, value)| match rule.as_str() {
            "min" => found.is_number() && found.as_f64() >= value.as_f64(),
            "max" => found.is_number() && found.as_f64() <= value.as_f64(),
            "one_of" => value.as_array().unwrap().iter().any(|it| equal(it, found)),
            "prefix" => found.as_str().is_some_and(|it| it.starts_with(value.as_str().unwrap())),
            other => panic!("{other} was taken"),
        })
    })
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if !a.is_f64() && !b.is_f64() => a == b,
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}
