//! A body that was found to be right.

use serde_json::{Map, Value};

use crate::model::time::{MissingOffset, Timestamp};

/// The fields a client sent, under their own names, in canonical form; null clears a field.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Checked(pub(super) Vec<(&'static str, Value)>);

impl Checked {
    /// The value of a field, null included.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(it, _)| *it == name).map(|(_, value)| value)
    }

    /// Whether the field was sent, as null too.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether nothing was sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.as_str().map(str::to_owned)
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_i64()
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.as_f64()
    }

    /// True or false.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)?.as_bool()
    }

    /// A point in time.
    pub fn time(&self, name: &str) -> Option<Timestamp> {
        Timestamp::from_json(self.get(name)?, MissingOffset::Refused).ok()
    }

    /// A list of texts.
    pub fn texts(&self, name: &str) -> Option<Vec<String>> {
        let items = self.get(name)?.as_array()?;
        Some(items.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect())
    }

    /// An object.
    pub fn object(&self, name: &str) -> Option<&Map<String, Value>> {
        self.get(name)?.as_object()
    }

    /// All fields, as they were sent.
    pub fn to_map(&self) -> Map<String, Value> {
        self.0.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    /// Whether `self`, sent now, says nothing but what was sent the first time; the id, by which the first
    /// was found, is not compared.
    ///
    /// # Errors
    /// The field that differs.
    pub fn repeats(&self, first: &Map<String, Value>) -> Result<(), String> {
        let mut said = self.0.iter().filter(|(name, _)| *name != "id");
        match said.find(|(name, value)| first.get(*name) != Some(value)) {
            None => Ok(()),
            Some((name, _)) => Err((*name).to_owned()),
        }
    }
}
