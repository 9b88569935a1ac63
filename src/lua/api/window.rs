//! What the list functions have in common: pages, and filters on times.

use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::page::{DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Window};
use crate::model::time::{MissingOffset, Timestamp};

use super::args::Options;
use super::define::{Outcome, Raise, Reply};

/// The page that `page` and `page_size` mean.
pub(super) fn window(options: &Options) -> std::result::Result<Window, Raise> {
    let limit = options.integer("page_size", 1..=MAX_PAGE_SIZE)?.unwrap_or(DEFAULT_PAGE_SIZE);
    let page = options.integer("page", 1..=i64::from(i32::MAX))?.unwrap_or(1);
    Ok(Window { offset: (page - 1) * limit, limit })
}

/// A time in an option.
pub(super) fn time(options: &Options, key: &str) -> std::result::Result<Option<Timestamp>, Raise> {
    let Some(value) = options.get(key) else { return Ok(None) };
    Timestamp::from_json(value, MissingOffset::Refused).map(Some).map_err(|what| options.wrong(key, &what))
}

/// One of the words that a type has, in an option.
pub(super) fn word<T: serde::de::DeserializeOwned>(
    options: &Options,
    key: &str,
    words: &str,
) -> std::result::Result<Option<T>, Raise> {
    let Some(value) = options.get(key) else { return Ok(None) };
    let read = serde_json::from_value(value.clone());
    read.map(Some).map_err(|_| options.wrong(key, &format!("must be {words}, got {value}")))
}

/// Texts in an option; `{}` is none of them.
pub(super) fn texts(options: &Options, key: &str) -> std::result::Result<Option<Vec<String>>, Raise> {
    match options.get(key) {
        Some(serde_json::Value::Object(map)) if map.is_empty() => Ok(Some(Vec::new())),
        _ => word(options, key, "a list of strings"),
    }
}

/// What a service answered, as a script gets it.
pub(super) fn answer<T: Serialize>(result: Result<T>) -> Outcome {
    let json = result.and_then(|it| serde_json::to_value(it).map_err(Error::internal));
    Ok(Reply::from(json))
}
