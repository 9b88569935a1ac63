//! The filter a handler may declare, checked before any script runs.

use serde_json::{Map, Value};

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
    /// Reads `{field = value}` or `{field = {min=, max=, one_of=, prefix=}}`; a dot leads into objects.
    ///
    /// # Errors
    /// A sentence that names the field and what is accepted.
    pub fn parse(spec: &Map<String, Value>) -> Result<Self, String> {
        let mut conditions = Vec::new();
        for (field, wanted) in spec {
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
        When::parse(spec.as_object().unwrap()).unwrap().holds(&payload)
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
        let message = When::parse(wrong.as_object().unwrap()).unwrap_err();
        assert_eq!(message, "when.title knows min, max, one_of and prefix, not `starts`");
    }
}
