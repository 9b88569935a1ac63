//! What the data of events must be like, by type. Compiled once, looked up without a lock.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jsonschema::PatternOptions;
use jsonschema::error::{ValidationError, ValidationErrorKind};
use serde_json::Value;

use crate::error::FieldError;
use crate::model::schema_bounds::check_schema_bounds;

/// Faults of one event that are told.
const MAX_FAULTS: usize = 20;

/// Characters of one fault that are told.
const MAX_MESSAGE_CHARS: usize = 400;

/// A schema that can be used.
#[derive(Debug, Clone)]
pub struct EventSchema(jsonschema::Validator);

impl EventSchema {
    /// Compiles a schema: patterns run in linear time, nothing is fetched, and no value is looked at without end.
    ///
    /// # Errors
    /// Where it is no schema, as a pointer into it, and why.
    pub fn compile(schema: &Value) -> Result<Self, FieldError> {
        let fault = |pointer: &str, message| FieldError { pointer: pointer.to_owned(), message };
        if !schema.is_object() {
            return Err(fault("", "must be an object, such as {\"type\": \"object\"}".to_owned()));
        }
        check_schema_bounds(schema).map_err(|what| fault("", what))?;
        let options = PatternOptions::regex().size_limit(1 << 20);
        let compiled = jsonschema::options().offline().with_pattern_options(options).build(schema);
        compiled.map(EventSchema).map_err(|it| fault(it.instance_path().as_str(), cut(it.to_string())))
    }

    /// What is wrong with `data`, each with a pointer into it.
    fn faults(&self, data: &Value) -> Vec<FieldError> {
        if self.0.is_valid(data) {
            return Vec::new();
        }
        self.0.iter_errors(data).take(MAX_FAULTS).map(|it| told(&it)).collect()
    }
}

/// The schemas of all types that have one. Cheap to clone; all clones share them.
#[derive(Debug, Clone, Default)]
pub struct EventSchemas(Arc<ArcSwap<HashMap<String, Arc<EventSchema>>>>);

impl EventSchemas {
    /// Puts `schema` in the place of the one of a type; none: every data will do.
    pub fn set(&self, kind: &str, schema: Option<EventSchema>) {
        let schema = schema.map(Arc::new);
        self.0.rcu(|all| {
            let mut all = HashMap::clone(all);
            match schema.clone() {
                Some(schema) => all.insert(kind.to_owned(), schema),
                None => all.remove(kind),
            };
            all
        });
    }

    /// Whether a type has a schema.
    pub fn has(&self, kind: &str) -> bool {
        self.0.load().contains_key(kind)
    }

    /// The types that have one.
    pub fn kinds(&self) -> Vec<String> {
        self.0.load().keys().cloned().collect()
    }

    /// What is wrong with the data of an event of this type, each with a pointer into it; nothing when the type has
    /// no schema.
    pub fn check(&self, kind: &str, data: &Value) -> Vec<FieldError> {
        let all = self.0.load();
        all.get(kind).map_or_else(Vec::new, |it| it.faults(data))
    }
}

fn told(fault: &ValidationError<'_>) -> FieldError {
    let at = fault.instance_path().as_str();
    match fault.kind() {
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default().replace('~', "~0").replace('/', "~1");
            FieldError { pointer: format!("{at}/{key}"), message: "is required".to_owned() }
        }
        _ => FieldError { pointer: at.to_owned(), message: cut(fault.to_string()) },
    }
}

fn cut(mut message: String) -> String {
    if let Some((at, _)) = message.char_indices().nth(MAX_MESSAGE_CHARS) {
        message.truncate(at);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_is_held_to_the_schema_of_its_type_and_to_no_other() {
        let schemas = EventSchemas::default();
        let schema = json!({
            "type": "object", "required": ["id"],
            "properties": { "id": { "type": "string" }, "at": { "type": "array", "items": { "minimum": 0 } } },
        });
        schemas.clone().set("a.b", Some(EventSchema::compile(&schema).unwrap()));
        assert!(schemas.check("a.b", &json!({ "id": "x", "at": [1] })).is_empty());
        assert!(schemas.check("a.c", &json!(7)).is_empty());
        let faults = schemas.check("a.b", &json!({ "at": [1, -2] }));
        let at: Vec<&str> = faults.iter().map(|it| it.pointer.as_str()).collect();
        assert_eq!((at.len(), at.contains(&"/id"), at.contains(&"/at/1")), (2, true, true));
        schemas.set("a.b", None);
        assert!(schemas.check("a.b", &json!(7)).is_empty());
    }

    #[test]
    fn what_is_no_schema_is_refused_with_its_place() {
        let fault = EventSchema::compile(&json!({ "properties": { "a": { "type": "strin" } } })).unwrap_err();
        assert!(fault.pointer.starts_with("/properties/a"), "{fault:?}");
        assert!(EventSchema::compile(&json!({ "pattern": "(a{1000}){1000}" })).is_err());
        assert!(EventSchema::compile(&json!([])).is_err());
    }
}
