//! A change of stored values: checked as a whole before anything is done.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::error::{Code, Error, FieldError, Result};
use crate::hooks::patch;
use crate::model::plugin::ConfigRow;
use crate::model::time::Timestamp;
use crate::plugins::schema::{NOT_THERE, escape, first_segment};

use super::{ConfigFault, Layers};

/// Bytes of JSON one stored value may have.
const VALUE_MAX_BYTES: usize = 64 * 1024;
/// Characters a key may have.
const KEY_MAX: usize = 128;
/// Values one plugin may have stored.
const ROWS_MAX: usize = 1000;

/// How the places of faults are told: as in the body that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Places {
    /// The body is `{key, value}`.
    Row,
    /// The body is the config's own shape.
    Config,
}

/// What shall be stored: by key a value, or none to drop what is stored.
#[derive(Clone, Default, PartialEq)]
pub struct ConfigChange(pub BTreeMap<String, Option<Value>>);

impl ConfigChange {
    /// One key.
    pub fn one(key: &str, value: Option<Value>) -> Self {
        ConfigChange(BTreeMap::from([(key.to_owned(), value)]))
    }

    /// A merge patch of the config (RFC 7396): null drops a stored value, objects are merged into what is in force.
    pub fn of_patch(wanted: Map<String, Value>, layers: &Layers, stored: &[ConfigRow]) -> Self {
        let mut below = layers.below_variables(stored);
        let value_of = |(key, value): (String, Value)| {
            let value = match value {
                Value::Null => None,
                Value::Object(part) => {
                    let mut whole = match below.remove(&key) {
                        Some(Value::Object(whole)) => whole,
                        _ => Map::new(),
                    };
                    patch::merge(&mut whole, &part);
                    Some(Value::Object(whole))
                }
                value => Some(value),
            };
            (key, value)
        };
        ConfigChange(wanted.into_iter().map(value_of).collect())
    }

    /// Drops what would change nothing; what is left is to be done.
    pub fn news(mut self, layers: &Layers, stored: &[ConfigRow]) -> Self {
        self.0.retain(|key, value| {
            let row = stored.iter().find(|it| it.key == *key);
            match (row, value) {
                (None, None) => false,
                (Some(row), Some(value)) => {
                    row.value != *value
                        || row.fault.is_some()
                        || (layers.schema.is_secret(key) && !row.sealed)
                }
                _ => true,
            }
        });
        self
    }

    /// The rows as they will be; new ones have the number 0.
    pub fn applied(&self, layers: &Layers, stored: &[ConfigRow]) -> Vec<ConfigRow> {
        let mut rows: Vec<ConfigRow> =
            stored.iter().filter(|it| self.0.get(&it.key) != Some(&None)).cloned().collect();
        for (key, value) in &self.0 {
            let Some(value) = value else { continue };
            let sealed = layers.schema.is_secret(key);
            let (value, outdated, fault) = (value.clone(), false, None);
            match rows.iter_mut().find(|it| it.key == *key) {
                // What was a secret stays one, whatever a later version says, until it is dropped.
                Some(row) => {
                    let sealed = sealed || row.sealed;
                    *row = ConfigRow { value, sealed, outdated, fault, ..row.clone() };
                }
                None => rows.push(ConfigRow {
                    id: 0,
                    key: key.clone(),
                    value,
                    sealed,
                    outdated,
                    fault,
                    created_at: Timestamp(0),
                    updated_at: Timestamp(0),
                }),
            }
        }
        rows
    }

    /// Refuses what a variable decides about.
    ///
    /// # Errors
    /// [`Code::Conflict`], naming the variables.
    pub fn require_unlocked(&self, layers: &Layers) -> Result<()> {
        let set = self.0.iter().filter(|(_, value)| value.is_some());
        let locked: Vec<&String> = set.map(|(key, _)| key).filter(|it| layers.is_locked(it)).collect();
        if locked.is_empty() {
            return Ok(());
        }
        let names: BTreeSet<&str> = locked
            .iter()
            .filter_map(|it| layers.env.get(*it))
            .flat_map(|it| &it.names)
            .map(String::as_str)
            .collect();
        let names: Vec<&str> = names.into_iter().collect();
        let keys: Vec<String> = locked.iter().map(|it| format!("`{it}`")).collect();
        let detail =
            format!("{} is set by the environment of the server: {}.", keys.join(", "), names.join(", "));
        let error = Error::new(Code::Conflict, detail).with_member("variables", names.clone());
        Err(error.with_hint(format!(
            "Take {} out of the server's environment and start it again to set it here.",
            names.join(", ")
        )))
    }

    /// Checks the change: what is wrong with what it sets, and what would be wrong only through it.
    ///
    /// # Errors
    /// 422 with every fault.
    pub fn check(&self, layers: &Layers, stored: &[ConfigRow], places: Places) -> Result<()> {
        let mut faults: Vec<FieldError> = Vec::new();
        for (key, value) in &self.0 {
            if key.is_empty() || key.chars().count() > KEY_MAX || key.chars().any(char::is_control) {
                let pointer =
                    if places == Places::Row { "/key".to_owned() } else { format!("/{}", escape(key)) };
                let message =
                    format!("a key has 1 to {KEY_MAX} characters, none of them a control character");
                faults.push(FieldError { pointer, message });
            }
            if value.as_ref().is_some_and(|it| it.to_string().len() > VALUE_MAX_BYTES) {
                let message = format!("may have {VALUE_MAX_BYTES} bytes of JSON");
                faults.push(FieldError {
                    pointer: place(&format!("/{}", escape(key)), "", self, places),
                    message,
                });
            }
        }
        let after = self.applied(layers, stored);
        if after.len() > ROWS_MAX.max(stored.len()) {
            faults.push(FieldError {
                pointer: String::new(),
                message: format!("a plugin has at most {ROWS_MAX} stored values"),
            });
        }
        faults.extend(self.caused(layers, stored).into_iter().map(|it| FieldError {
            pointer: place(&it.pointer, &it.message, self, places),
            message: it.message,
        }));
        if faults.is_empty() { Ok(()) } else { Err(Error::fields(faults)) }
    }

    /// The faults of the config after the change that lie in what it sets, or were not there before it.
    fn caused(&self, layers: &Layers, stored: &[ConfigRow]) -> Vec<ConfigFault> {
        let before = layers.faults(stored, None);
        let mut after = layers.faults(&self.applied(layers, stored), None);
        let was = |it: &ConfigFault| {
            before.iter().any(|old| old.pointer == it.pointer && old.message == it.message)
        };
        let sets = |it: &ConfigFault| matches!(self.0.get(&first_segment(&it.pointer)), Some(Some(_)));
        after.retain(|it| sets(it) || !was(it));
        after
    }
}

/// Where a fault of the config stands in the body that was sent.
fn place(pointer: &str, message: &str, change: &ConfigChange, places: Places) -> String {
    let key = first_segment(pointer);
    if places == Places::Config || !change.0.contains_key(&key) {
        return pointer.to_owned();
    }
    match pointer.trim_start_matches('/').split_once('/') {
        None if message.starts_with(NOT_THERE) => "/key".to_owned(),
        Some((_, rest)) => format!("/value/{rest}"),
        None => "/value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plugins::env::PluginEnv;
    use crate::plugins::schema::Schema;

    fn layers() -> Layers {
        let schema = Schema::parse(json!({ "properties": {
            "a": { "type": "integer", "default": 1 }, "list": { "type": "array", "items": { "type": "integer" } },
            "net": { "type": "object", "properties": { "host": { "type": "string" }, "port": { "type": "integer" } } },
            "token": { "type": "string", "writeOnly": true, "pattern": "^k-" }, "locked": {}
        }, "required": ["list"], "dependentRequired": { "token": ["a", "net"] } }))
        .unwrap();
        let yaml = json!({ "net": { "host": "a" } }).as_object().unwrap().clone();
        let set = [("PANOTTI_PLUGIN_P__LOCKED".to_owned(), "1".to_owned())];
        Layers::new("p", schema, yaml, &PluginEnv::new(set, &[]))
    }

    fn change(patch: Value, stored: &[ConfigRow]) -> ConfigChange {
        ConfigChange::of_patch(patch.as_object().unwrap().clone(), &layers(), stored)
    }

    fn places(result: Result<()>) -> Vec<String> {
        let mut places: Vec<String> = result.unwrap_err().errors.into_iter().map(|it| it.pointer).collect();
        places.sort();
        places
    }

    #[test]
    fn a_value_is_checked_in_the_company_of_the_others() {
        // `list` is required and missing, which is no fault of `a`.
        assert!(ConfigChange::one("a", Some(json!(5))).check(&layers(), &[], Places::Row).is_ok());
        let wrong = ConfigChange::one("list", Some(json!([1, "x", "y"])));
        assert_eq!(places(wrong.check(&layers(), &[], Places::Row)), ["/value/1", "/value/2"]);
        assert_eq!(places(wrong.check(&layers(), &[], Places::Config)), ["/list/1", "/list/2"]);
        let nameless = ConfigChange::one("", Some(json!(1)));
        assert_eq!(places(nameless.check(&layers(), &[], Places::Row)), ["/key"]);
        let stored = change(json!({ "list": [1] }), &[]).applied(&layers(), &[]);
        assert_eq!(
            places(change(json!({ "list": null }), &stored).check(&layers(), &stored, Places::Config)),
            ["/list"]
        );
    }

    #[test]
    fn a_patch_is_all_or_nothing_and_tells_every_fault_without_the_secret() {
        let wrong = change(json!({ "a": "x", "token": "hunter2", "net": { "port": "y" } }), &[]);
        let error = wrong.check(&layers(), &[], Places::Config).unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        assert_eq!(places(Err(error)), ["/a", "/net/port", "/token"]);
    }

    #[test]
    fn a_patch_merges_objects_into_what_is_in_force() {
        let merged = change(json!({ "net": { "port": 1 } }), &[]);
        assert_eq!(merged.0["net"], Some(json!({ "host": "a", "port": 1 })));
        assert_eq!(
            change(json!({ "net": { "host": null, "port": 1 } }), &[]).0["net"],
            Some(json!({ "port": 1 }))
        );
    }

    #[test]
    fn what_changes_nothing_is_no_news() {
        let layers = layers();
        let stored = change(json!({ "a": 5, "token": "k-1" }), &[]).applied(&layers, &[]);
        assert!(stored.iter().any(|it| it.key == "token" && it.sealed));
        let again = change(json!({ "a": 5, "token": "k-1", "list": null }), &stored).news(&layers, &stored);
        assert!(again.0.is_empty());
        let other = change(json!({ "a": 6, "token": null }), &stored).news(&layers, &stored);
        assert_eq!(other.0.len(), 2);
    }

    #[test]
    fn what_a_variable_decides_is_refused_with_its_name() {
        let error = change(json!({ "locked": 2, "a": 1 }), &[]).require_unlocked(&layers()).unwrap_err();
        assert_eq!(error.code, Code::Conflict);
        assert!(error.detail.contains("PANOTTI_PLUGIN_P__LOCKED"), "{}", error.detail);
        assert!(change(json!({ "locked": null }), &[]).require_unlocked(&layers()).is_ok());
    }
}
