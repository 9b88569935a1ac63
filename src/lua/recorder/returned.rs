//! What a function returned: as the flight recorder keeps it, and as it is written down.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::hooks::Answer;

/// What a function returned, kept until its call is written down or forgotten. Nearly all are forgotten: JSON is kept as
/// its text, which is made and dropped sooner than a copy of its tables.
pub enum Returned {
    /// Nothing that counts.
    Nothing,
    /// The text of a patch.
    Patch(Box<str>),
    /// The text of a value.
    Value(Box<str>),
    /// Anything else.
    Other(Box<Answer>),
}

impl Returned {
    /// Of an answer that goes on to whoever asked.
    pub fn answer(answer: &Answer) -> Self {
        match answer {
            Answer::Nothing => Returned::Nothing,
            Answer::Patch(patch) => Returned::Patch(text(patch)),
            Answer::Value(value) => Returned::value(value),
            other => Returned::Other(Box::new(other.clone())),
        }
    }

    /// Of a value that goes on to whoever asked.
    pub fn value(value: &Value) -> Self {
        Returned::Value(text(value))
    }

    /// As a trace shows it.
    pub fn written(&self) -> Value {
        match self {
            Returned::Nothing => write_answer(&Answer::Nothing),
            Returned::Patch(text) => json!({"kind": "patch", "patch": read(text)}),
            Returned::Value(text) => json!({"kind": "value", "value": read(text)}),
            Returned::Other(answer) => write_answer(answer),
        }
    }

    /// About how many bytes it holds.
    pub fn bytes(&self) -> usize {
        match self {
            Returned::Nothing => 0,
            Returned::Patch(text) | Returned::Value(text) => text.len(),
            Returned::Other(answer) => match &**answer {
                Answer::Respond { body, .. } => size_of::<Answer>() + body.len(),
                _ => size_of::<Answer>(),
            },
        }
    }
}

/// What a function returned, written down.
pub fn write_answer(answer: &Answer) -> Value {
    match answer {
        Answer::Nothing => json!({"kind": "nothing"}),
        Answer::Patch(patch) => json!({"kind": "patch", "patch": patch}),
        Answer::Deny { reason, status } => json!({"kind": "deny", "reason": reason, "status": status}),
        Answer::Respond { status, headers, body } => {
            let headers: Map<String, Value> =
                headers.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
            let body = match std::str::from_utf8(body) {
                Ok(text) => Value::from(text),
                Err(_) => json!({"$bytes": STANDARD.encode(body)}),
            };
            json!({"kind": "respond", "status": status, "headers": headers, "body": body})
        }
        Answer::Value(value) => json!({"kind": "value", "value": value}),
        Answer::Health { ok, message, details } => {
            json!({"kind": "health", "ok": ok, "message": message, "details": details})
        }
    }
}

/// JSON has a text: nothing in it can fail.
fn text<T: serde::Serialize>(json: &T) -> Box<str> {
    serde_json::to_string(json).unwrap_or_default().into()
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_written_as_what_was_returned() {
        let deep = json!({"headers": {"x": "\u{fc}\n"}, "n": [1, 2.5, null, {}]});
        let patch = deep.as_object().unwrap().clone();
        for answer in [
            Answer::Nothing,
            Answer::Patch(patch),
            Answer::Value(deep),
            Answer::Deny { reason: "no".into(), status: Some(403) },
            Answer::Respond { status: 200, headers: vec![("a".into(), "b".into())], body: vec![255] },
            Answer::Health { ok: true, message: None, details: Value::Null },
        ] {
            assert_eq!(Returned::answer(&answer).written(), write_answer(&answer));
        }
        let kept = Returned::Value("x".repeat(1_000).into());
        assert!(kept.bytes() >= 1_000, "it counts as memory");
    }
}
