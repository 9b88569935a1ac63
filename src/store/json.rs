//! JSON and names in columns.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

use super::failure::OrFail;

/// The text of a JSON column; keys keep their order.
pub(super) fn to_text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).or_fail()
}

/// What a JSON column holds.
pub(super) fn from_text<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).or_fail()
}

/// One of the names that a CHECK allows.
pub(super) fn named<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, text: &str) -> Result<T> {
    all.iter()
        .copied()
        .find(|it| name(*it) == text)
        .ok_or_else(|| Error::internal(format!("the database has an unknown name: {text}")))
}
