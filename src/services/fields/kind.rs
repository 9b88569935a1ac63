//! The kinds of values a field takes.

use serde_json::{Map, Value};

use crate::config::did_you_mean;
use crate::model::event::check_pattern;
use crate::model::id::{check_id, check_track_name};
use crate::model::time::Timestamp;

use super::{Reading, escape};

/// The most labels a clip carries.
pub const MAX_TAGS: usize = 100;
/// The longest label, in characters.
pub const MAX_TAG_CHARS: usize = 100;
/// The most patterns of event types in a list.
pub const MAX_PATTERNS: usize = 100;
/// The parts of a rate, and the most each may be.
pub const RATE_PARTS: &[(&str, u64)] = &[("requests", 1_000_000_000), ("per_seconds", 86_400)];
/// The longest path, in characters.
pub const MAX_PATH_CHARS: usize = 500;

/// What values a field takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Text of so many characters, without control characters but line ends and tabs.
    Text {
        /// The fewest characters.
        min: usize,
        /// The most characters.
        max: usize,
    },
    /// A recording's id.
    Id,
    /// A track's name.
    TrackName,
    /// A whole number.
    Integer {
        /// The smallest.
        min: i64,
    },
    /// A number above zero, or from zero on.
    Number {
        /// Whether zero is taken.
        or_zero: bool,
    },
    /// True or false.
    Flag,
    /// A point in time in one of the accepted forms.
    Time,
    /// One of some words.
    Choice(&'static [&'static str]),
    /// Different labels.
    Tags,
    /// Patterns of event types, at least one.
    Patterns,
    /// A JSON object up to the settings' `metadata_max_bytes`.
    Metadata,
    /// Track names, each with a path or `{path}`.
    TrackPaths,
    /// `{requests, per_seconds}`.
    Rate,
    /// Words, each one of some.
    Choices(&'static [&'static str]),
}

/// What is wrong inside a field: where (a pointer from the field on), and why.
pub type Wrong = Vec<(String, String)>;

impl Kind {
    /// The value in the form in which it is kept.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn canonical(self, value: Value, how: Reading) -> Result<Value, Wrong> {
        match self {
            Kind::Integer { min } => integer(&value, min).map_err(here),
            Kind::Time => {
                let at = Timestamp::from_json(&value, how.offset).map_err(here)?;
                Ok(Value::String(at.to_string()))
            }
            Kind::TrackPaths => track_paths(value),
            _ => self.judge(&value, how).map(|()| value),
        }
    }

    /// Whether the field takes the value.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn judge(self, value: &Value, how: Reading) -> Result<(), Wrong> {
        match self {
            Kind::Text { min, max } => check_text(value.as_str(), min, max).map_err(here),
            Kind::Id => text_that(value, check_id).map_err(here),
            Kind::TrackName => text_that(value, check_track_name).map_err(here),
            Kind::Number { or_zero } => number(value, or_zero).map_err(here),
            Kind::Flag if value.is_boolean() => Ok(()),
            Kind::Flag => Err(here("must be true or false".to_owned())),
            Kind::Choice(words) => one_of(value, words).map_err(here),
            Kind::Tags => check_tags(value),
            Kind::Patterns => check_patterns(value),
            Kind::Metadata => match value {
                Value::Object(map) => check_metadata(map, how.metadata_max_bytes).map_err(here),
                _ => Err(here("must be an object".to_owned())),
            },
            Kind::Rate => check_rate(value),
            Kind::Choices(words) => check_list(value, |it| one_of(it, words)),
            Kind::Integer { .. } | Kind::Time | Kind::TrackPaths => {
                self.canonical(value.clone(), how).map(drop)
            }
        }
    }
}

fn here(why: String) -> Wrong {
    vec![(String::new(), why)]
}

fn check_text(text: Option<&str>, min: usize, max: usize) -> Result<(), String> {
    let Some(text) = text else { return Err(format!("must be text of {min} to {max} characters")) };
    let length = text.chars().count();
    if !(min..=max).contains(&length) {
        return Err(format!("must have {min} to {max} characters, not {length}"));
    }
    if min > 0 && text.trim().is_empty() {
        return Err("must not be blank".to_owned());
    }
    match text.chars().find(|it| it.is_control() && !matches!(it, '\n' | '\r' | '\t')) {
        Some(found) => Err(format!("must not hold the control character {}", found.escape_unicode())),
        None => Ok(()),
    }
}

fn text_that(value: &Value, check: fn(&str) -> Result<(), String>) -> Result<(), String> {
    check(value.as_str().unwrap_or_default())
}

fn integer(value: &Value, min: i64) -> Result<Value, String> {
    // A client that writes 45.0 means 45.
    let whole = value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
    });
    match whole {
        Some(number) if number >= min => Ok(Value::from(number)),
        _ => Err(format!("must be a whole number from {min} on")),
    }
}

fn number(value: &Value, or_zero: bool) -> Result<(), String> {
    match value.as_f64() {
        Some(number) if number > 0.0 || (or_zero && number == 0.0) => Ok(()),
        _ if or_zero => Err("must be a number, zero or more".to_owned()),
        _ => Err("must be a number above zero".to_owned()),
    }
}

fn one_of(value: &Value, words: &[&str]) -> Result<(), String> {
    match value.as_str() {
        Some(word) if words.contains(&word) => Ok(()),
        Some(word) => {
            Err(format!("must be one of {}{}", words.join(", "), did_you_mean(word, words.iter().copied())))
        }
        None => Err(format!("must be one of {}", words.join(", "))),
    }
}

fn check_list(value: &Value, check: impl Fn(&Value) -> Result<(), String>) -> Result<(), Wrong> {
    let Some(items) = value.as_array() else {
        return Err(vec![(String::new(), "must be a list".to_owned())]);
    };
    let wrong =
        items.iter().enumerate().filter_map(|(index, item)| Some((format!("/{index}"), check(item).err()?)));
    let wrong: Wrong = wrong.collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn check_rate(value: &Value) -> Result<(), Wrong> {
    let Some(given) = value.as_object() else {
        return Err(vec![(String::new(), "must be {requests, per_seconds}".to_owned())]);
    };
    let mut wrong = Wrong::new();
    for (name, most) in RATE_PARTS {
        if !given.get(*name).and_then(Value::as_u64).is_some_and(|it| (1..=*most).contains(&it)) {
            wrong.push((format!("/{name}"), format!("must be a whole number from 1 to {most}")));
        }
    }
    let known = |key: &str| RATE_PARTS.iter().any(|(name, _)| *name == key);
    let others = given.keys().filter(|key| !known(key));
    let unknown = "is not a field here; known are requests, per_seconds";
    wrong.extend(others.map(|key| (format!("/{}", escape(key)), unknown.to_owned())));
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn check_tags(value: &Value) -> Result<(), Wrong> {
    check_list(value, |it| check_text(it.as_str(), 1, MAX_TAG_CHARS))?;
    match value.as_array().map_or(0, Vec::len) {
        0..=MAX_TAGS => Ok(()),
        many => Err(vec![(String::new(), format!("must be at most {MAX_TAGS} labels, not {many}"))]),
    }
}

fn check_patterns(value: &Value) -> Result<(), Wrong> {
    check_list(value, |it| check_pattern(it.as_str().unwrap_or_default()))?;
    match value.as_array().map_or(0, Vec::len) {
        1..=MAX_PATTERNS => Ok(()),
        many => Err(vec![(String::new(), format!("must be 1 to {MAX_PATTERNS} patterns, not {many}"))]),
    }
}

/// Refuses more metadata than `max_bytes` of JSON.
///
/// # Errors
/// A sentence that tells both.
pub fn check_metadata(metadata: &Map<String, Value>, max_bytes: u64) -> Result<(), String> {
    if at_most_bytes(metadata) as u64 <= max_bytes {
        return Ok(());
    }
    let mut counter = Counter(0);
    // Counting cannot fail; a value that could not be written would be refused by the store.
    serde_json::to_writer(&mut counter, metadata).ok();
    match counter.0 {
        bytes if bytes <= max_bytes => Ok(()),
        bytes => {
            Err(format!("is {bytes} bytes of JSON, more than {max_bytes} (setting `metadata_max_bytes`)"))
        }
    }
}

/// No less than what an object takes as JSON, seen without writing it.
fn at_most_bytes(object: &Map<String, Value>) -> usize {
    /// A byte becomes six at most: `\u0000`.
    const ESCAPED: usize = 6;
    /// No number is longer.
    const NUMBER: usize = 32;
    fn of(value: &Value) -> usize {
        match value {
            Value::Null | Value::Bool(_) => 5,
            Value::Number(_) => NUMBER,
            Value::String(text) => ESCAPED * text.len() + 2,
            Value::Array(items) => items.iter().map(|it| of(it) + 1).sum::<usize>() + 2,
            Value::Object(object) => at_most_bytes(object),
        }
    }
    object.iter().map(|(key, value)| ESCAPED * key.len() + 4 + of(value)).sum::<usize>() + 2
}

/// Counts what is written into it.
struct Counter(u64);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// `{name: path}` or `{name: {path}}`, kept as the former; null and empty paths are nothing.
fn track_paths(value: Value) -> Result<Value, Wrong> {
    let Value::Object(given) = value else {
        return Err(vec![(String::new(), "must be an object: track name -> {path}".to_owned())]);
    };
    let (mut kept, mut wrong) = (Map::new(), Vec::new());
    for (name, track) in given {
        let at = format!("/{}", escape(&name));
        if let Err(why) = check_track_name(&name) {
            wrong.push((at.clone(), format!("as a track's name {why}")));
        }
        let path = match &track {
            Value::Object(track) => track.get("path").unwrap_or(&Value::Null),
            other => other,
        };
        match path {
            Value::Null => {}
            Value::String(path) if path.is_empty() => {}
            path => match check_text(path.as_str(), 1, MAX_PATH_CHARS) {
                Ok(()) => {
                    kept.insert(name, path.clone());
                }
                Err(why) => wrong.push((at, why)),
            },
        }
    }
    if wrong.is_empty() { Ok(Value::Object(kept)) } else { Err(wrong) }
}
