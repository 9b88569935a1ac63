//! The filter a handler may declare, checked before any script runs.

use serde_json::{Map, Value};

use crate::model::spelling::find_similar;

use super::catalogue::Payload;

/// Conditions on fields of the payload; all must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct When(Vec<(Vec<String>, Condition)>);

#[derive(Debug, Clone, PartialEq)]
enum Condition {
    Equals(Value),
    OneOf(Vec<Value>),
    Between { min: Option<f64>, max: Option<f64> },
    Prefix(String),
}

impl When {
    /// Reads `{field = value}` or `{field = {min=, max=, one_of=, prefix=}}`; a dot leads into objects. The fields are
    /// those of `payload`, whose free ones (`metadata`, an event's `data`) may hold anything.
    ///
    /// # Errors
    /// A sentence that names the field and what is accepted.
    pub fn parse(spec: &Map<String, Value>, payload: Payload) -> Result<Self, String> {
        let mut conditions = Vec::new();
        for (field, wanted) in spec {
            check_field(field, field, payload)?;
            let path: Vec<String> = field.split('.').map(str::to_owned).collect();
            match wanted {
                Value::Object(rules) => {
                    for condition in parse_rules(field, rules)? {
                        conditions.push((path.clone(), condition));
                    }
                }
                Value::Array(_) => {
                    return Err(format!("when.{field}: a list is written {{ one_of = {{…}} }}"));
                }
                value => conditions.push((path, Condition::Equals(value.clone()))),
            }
        }
        Ok(When(conditions))
    }

    /// Whether all conditions hold for `payload`.
    pub fn holds(&self, payload: &Value) -> bool {
        self.0.iter().all(|(path, condition)| {
            let found = path.iter().try_fold(payload, |value, key| value.get(key)).unwrap_or(&Value::Null);
            condition.holds(found)
        })
    }
}

/// A field that the payload never has would keep the handler from ever being called.
fn check_field(whole: &str, field: &str, payload: Payload) -> Result<(), String> {
    let fields = payload.fields();
    let (name, below) = field.split_once('.').map_or((field, None), |(name, below)| (name, Some(below)));
    let names = || fields.iter().map(|(name, ..)| *name);
    if fields.is_empty() {
        return Ok(());
    }
    let Some((_, kind, _)) = fields.iter().find(|(known, ..)| *known == name) else {
        let of = payload.type_name().unwrap_or_default();
        let instead = match (payload, find_similar(name, names())) {
            (_, Some(near)) => format!(" (did you mean '{near}'?)"),
            (Payload::Event, None) => format!("; what an event tells is in its data: write ['data.{name}']"),
            _ => format!("; it has {}", names().collect::<Vec<_>>().join(", ")),
        };
        return Err(format!("when.{whole}: {of} has no field '{name}'{instead}"));
    };
    match below {
        Some(below) if *kind == "Request" => check_field(whole, below, Payload::Request),
        Some(_) if !kind.starts_with('{') && *kind != "any" => {
            Err(format!("when.{whole}: '{name}' is a {}, nothing is below it", kind.trim_end_matches('?')))
        }
        _ => Ok(()),
    }
}

fn parse_rules(field: &str, rules: &Map<String, Value>) -> Result<Vec<Condition>, String> {
    let number = |key: &str| match rules.get(key) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| format!("when.{field}.{key} must be a number")),
    };
    let mut conditions = Vec::new();
    let (min, max) = (number("min")?, number("max")?);
    if min.is_some() || max.is_some() {
        conditions.push(Condition::Between { min, max });
    }
    match rules.get("one_of") {
        None => {}
        Some(Value::Array(values)) => conditions.push(Condition::OneOf(values.clone())),
        Some(_) => return Err(format!("when.{field}.one_of must be a list")),
    }
    match rules.get("prefix") {
        None => {}
        Some(Value::String(prefix)) => conditions.push(Condition::Prefix(prefix.clone())),
        Some(_) => return Err(format!("when.{field}.prefix must be a string")),
    }
    if let Some(unknown) =
        rules.keys().find(|key| !["min", "max", "one_of", "prefix"].contains(&key.as_str()))
    {
        return Err(format!("when.{field} knows min, max, one_of and prefix, not `{unknown}`"));
    }
    Ok(conditions)
}

impl Condition {
    fn holds(&self, found: &Value) -> bool {
        match self {
            Condition::Equals(wanted) => same(wanted, found),
            Condition::OneOf(wanted) => wanted.iter().any(|it| same(it, found)),
            Condition::Between { min, max } => found.as_f64().is_some_and(|number| {
                min.is_none_or(|min| number >= min) && max.is_none_or(|max| number <= max)
            }),
            Condition::Prefix(prefix) => found.as_str().is_some_and(|text| text.starts_with(prefix)),
        }
    }
}

/// 1 and 1.0 are the same to a script; two whole numbers are compared digit by digit, however large.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) if x.is_f64() || y.is_f64() => x.as_f64() == y.as_f64(),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(spec: Value, payload: Value) -> bool {
        When::parse(spec.as_object().unwrap(), Payload::None).unwrap().holds(&payload)
    }

    #[test]
    fn every_condition_must_hold() {
        let clip = json!({"title": "Ace", "duration": 41, "metadata": {"map": "mirage"}});
        assert!(holds(json!({"duration": {"min": 30, "max": 60}, "metadata.map": "mirage"}), clip.clone()));
        assert!(holds(json!({"title": {"prefix": "A", "one_of": ["Ace", "Clutch"]}}), clip.clone()));
        assert!(!holds(json!({"duration": {"min": 42}}), clip.clone()));
        assert!(!holds(json!({"missing": "x"}), clip));
    }

    #[test]
    fn whole_numbers_are_the_same_only_when_all_their_digits_are() {
        assert!(holds(json!({"a": 1.0}), json!({"a": 1})));
        assert!(!holds(json!({"a": 9_007_199_254_740_993_u64}), json!({"a": 9_007_199_254_740_992_u64})));
    }

    #[test]
    fn a_wrong_rule_is_told() {
        let wrong = json!({"title": {"starts": "A"}});
        let message = When::parse(wrong.as_object().unwrap(), Payload::Clip).unwrap_err();
        assert_eq!(message, "when.title knows min, max, one_of and prefix, not `starts`");
    }

    #[test]
    fn a_field_that_the_payload_never_has_is_told_and_free_ones_may_hold_anything() {
        let read = |field: &str, payload| {
            When::parse(json!({ field: 1 }).as_object().unwrap(), payload).unwrap();
        };
        for field in ["duration", "metadata.map", "metadata.a.b"] {
            read(field, Payload::Clip);
        }
        read("request.path", Payload::Response);
        read("data.whatever.it", Payload::Event);
        read("what the former generation said", Payload::State);
        for (field, payload, told) in [
            (
                "durtion",
                Payload::Clip,
                "when.durtion: Clip has no field 'durtion' (did you mean 'duration'?)",
            ),
            ("x", Payload::Response, "it has status, headers, duration, request"),
            ("title.en", Payload::Clip, "'title' is a string, nothing is below it"),
            (
                "request.pth",
                Payload::Response,
                "when.request.pth: Request has no field 'pth' (did you mean 'path'?)",
            ),
            ("map", Payload::Event, "write ['data.map']"),
        ] {
            let why = When::parse(json!({ field: 1 }).as_object().unwrap(), payload).unwrap_err();
            assert!(why.contains(told), "{why}");
        }
    }
}
