//! What a handler is given first: JSON, or something of the server that tells its fields when somebody asks.
//!
//! A request is shown to plugins twice and seldom changed, a clip or recording once. They become tables of a script straight
//! from their fields ([`Fields`]), and JSON only for a filter, for who sees a changed request, and for whoever looks at a
//! recorded call.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use super::dispatcher::Check;
use super::fields::{Fields, reduce_by, to_json};
use super::patch;

/// The first argument of a call. Cheap to clone.
#[derive(Clone)]
pub enum Given {
    /// Plain JSON.
    Json(Arc<Value>),
    /// The fields of something, and what there is of them beside; nothing as long as nobody changed or asked anything.
    Fields(Arc<dyn Fields>, OnceLock<Arc<Beside>>),
}

/// What plugins changed of fields, and all as JSON.
#[derive(Default)]
pub struct Beside {
    patches: Vec<Map<String, Value>>,
    whole: OnceLock<Arc<Value>>,
}

impl Given {
    /// The fields of something.
    pub fn fields(fields: Arc<dyn Fields>) -> Self {
        Given::Fields(fields, OnceLock::new())
    }

    /// All of it as JSON; made once, now, if it was not JSON before.
    pub fn json(&self) -> &Arc<Value> {
        match self {
            Given::Json(value) => value,
            Given::Fields(fields, beside) => beside.get_or_init(Arc::default).whole(&**fields),
        }
    }

    /// Its fields, as long as no plugin has changed any.
    pub fn plain_fields(&self) -> Option<&dyn Fields> {
        match self {
            Given::Fields(fields, _) if self.patches().is_empty() => Some(&**fields),
            _ => None,
        }
    }

    /// What its fields are of, when that is a `T`: with what plugins have changed, if a `T` is changed field by field.
    pub fn into_fields_of<T: Fields>(self) -> Option<Arc<T>> {
        let Given::Fields(fields, _) = self else { return None };
        let fields: Arc<dyn Any + Send + Sync> = fields;
        fields.downcast().ok()
    }

    /// The fields of its JSON, for whoever changes them further; empty when it has none.
    pub fn into_map(self) -> Map<String, Value> {
        let value = Arc::clone(self.json());
        drop(self);
        match Arc::try_unwrap(value).unwrap_or_else(|shared| Value::clone(&shared)) {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    /// What plugins changed of fields, one patch after another; of JSON the changes are in itself.
    pub fn patches(&self) -> &[Map<String, Value>] {
        match self {
            Given::Json(_) => &[],
            Given::Fields(_, beside) => beside.get().map_or(&[], |it| &it.patches),
        }
    }

    /// Reduces a patch to what differs from it.
    pub fn reduce(&self, mut wanted: Map<String, Value>) -> Map<String, Value> {
        if let Some(fields) = self.plain_fields() {
            reduce_by(&mut wanted, fields);
            return wanted;
        }
        match self.json().as_object() {
            Some(given) => patch::reduce(wanted, given),
            None => wanted,
        }
    }

    /// The same with a reduced patch.
    ///
    /// # Errors
    /// What `check` has against it.
    pub fn patched(&self, mut patch: Map<String, Value>, check: Check<'_>) -> Result<Given, String> {
        match self {
            Given::Json(value) => {
                let mut candidate = value.as_object().cloned().unwrap_or_default();
                patch::merge(&mut candidate, &patch);
                check(&candidate)?;
                Ok(Given::from(candidate))
            }
            Given::Fields(fields, _) => {
                if let Some(patched) = fields.patched(&mut patch) {
                    return Ok(Given::fields(patched?));
                }
                check(&patch)?;
                let patches = self.patches().iter().cloned().chain([patch]).collect();
                let beside = Beside { patches, whole: OnceLock::new() };
                Ok(Given::Fields(Arc::clone(fields), OnceLock::from(Arc::new(beside))))
            }
        }
    }
}

impl Beside {
    fn whole(&self, fields: &dyn Fields) -> &Arc<Value> {
        self.whole.get_or_init(|| {
            let mut whole = to_json(fields);
            self.patches.iter().for_each(|patch| patch::merge(&mut whole, patch));
            Arc::new(Value::Object(whole))
        })
    }
}

impl Default for Given {
    fn default() -> Self {
        Given::Json(Arc::default())
    }
}

impl From<Value> for Given {
    fn from(value: Value) -> Self {
        Given::Json(Arc::new(value))
    }
}

impl From<Arc<Value>> for Given {
    fn from(value: Arc<Value>) -> Self {
        Given::Json(value)
    }
}

impl From<Map<String, Value>> for Given {
    fn from(map: Map<String, Value>) -> Self {
        Given::from(Value::Object(map))
    }
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.json())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::hooks::{Field, Texts};

    struct Thing(Texts, Option<Box<Thing>>);

    impl Fields for Thing {
        fn fields(&self) -> Vec<(&str, Field<'_>)> {
            let inner = self.1.as_ref().map_or(Field::Null, |it| Field::Fields(&**it));
            vec![
                ("status", Field::Whole(200)),
                ("duration", Field::Number(0.5)),
                ("title", Field::Text("t")),
                ("headers", Field::Texts(&self.0)),
                ("request", inner),
            ]
        }
    }

    fn given() -> Given {
        let texts = || Texts::from_iter([("accept", "a"), ("host", "h")]);
        Given::fields(Arc::new(Thing(texts(), Some(Box::new(Thing(texts(), None))))))
    }

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn fields_become_the_json_that_they_stand_for() {
        let inner = json!({"status": 200, "duration": 0.5, "title": "t", "headers": {"accept": "a", "host": "h"}, "request": null});
        let mut whole = inner.clone();
        whole["request"] = inner;
        assert_eq!(**given().json(), whole);
        assert_eq!(Value::Object(given().into_map()), whole);
    }

    #[test]
    fn a_patch_of_fields_is_reduced_as_that_of_their_json_is() {
        for patch in [
            json!({"headers": {"accept": "b", "host": "h", "x": null, "y": "1"}, "status": 200.0}),
            json!({"headers": null, "title": "t", "unknown": {"a": 1}}),
            json!({"headers": ["a"], "title": {"a": 1}, "request": {"headers": {"host": "h"}, "title": "u"}}),
            json!({"request": null, "duration": 0.5, "status": null}),
            Value::clone(given().json()),
        ] {
            let as_json = Given::Json(Arc::clone(given().json())).reduce(map(patch.clone()));
            assert_eq!(given().reduce(map(patch)), as_json);
        }
    }

    #[test]
    fn patches_of_fields_are_kept_and_only_they_are_checked() {
        let seen = parking_lot::Mutex::new(Vec::new());
        let check = |patch: &Map<String, Value>| {
            seen.lock().push(patch.clone());
            if patch.contains_key("title") { Err("no".to_owned()) } else { Ok(()) }
        };
        let (first, second) = (map(json!({"headers": {"x": "1"}})), map(json!({"headers": {"host": null}})));
        let once = given().patched(first.clone(), &check).unwrap();
        assert_eq!(once.patched(map(json!({"title": "u"})), &check).unwrap_err(), "no");
        let twice = once.patched(second.clone(), &check).unwrap();
        assert_eq!(seen.into_inner()[2], second);
        assert_eq!(twice.patches(), [first, second]);
        assert_eq!(twice.json()["headers"], json!({"accept": "a", "x": "1"}));
        assert_eq!(
            twice.reduce(map(json!({"headers": {"x": "1", "host": "h"}}))),
            map(json!({"headers": {"host": "h"}}))
        );
    }
}
