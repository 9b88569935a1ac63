//! The fields of bodies, told once as tables: the check of a body, the check of a plugin's patch and
//! the JSON schema in the OpenAPI document are all made from them.

mod checked;
mod kind;
mod schema;

use serde_json::{Map, Value};

use crate::error::{Error, FieldError, Result};
use crate::model::spelling::find_similar;
use crate::model::time::MissingOffset;

pub use checked::Checked;
pub use kind::Kind;
pub use schema::{Purpose, schema};

/// One field of a body.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// Other names under which it is taken.
    pub aliases: &'static [&'static str],
    /// What values it takes.
    pub kind: Kind,
    /// Whether a body that creates must have it; such a field can never be cleared.
    pub required: bool,
    /// What it means, with unit and bounds.
    pub doc: &'static str,
}

/// How a body is read.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// Fields that a creating body must have are asked for, and null is as good as nothing.
    pub creates: bool,
    /// Keys without a rule are passed over instead of refused.
    pub ignores_unknown: bool,
    /// What a time without an offset means.
    pub offset: MissingOffset,
    /// The largest metadata, in bytes of JSON.
    pub metadata_max_bytes: u64,
}

/// Checks a body against its rules and gives every field its own name and canonical value.
///
/// # Errors
/// All faults of the body at once, each with its JSON pointer.
pub fn check(rules: &[Rule], mut body: Map<String, Value>, how: Reading) -> Result<Checked> {
    let mut faults = Vec::new();
    let mut values = Map::new();
    for rule in rules {
        let mut given = Vec::new();
        for name in std::iter::once(&rule.name).chain(rule.aliases) {
            given.extend(body.shift_remove(*name).map(|value| (*name, value)));
        }
        if let [(first, _), (second, _), ..] = given.as_slice()
            && !how.ignores_unknown
        {
            faults.push(fault(second, format!("means the same as `{first}`: send one of them")));
        }
        match given.into_iter().find(|(_, value)| !value.is_null() || !how.creates) {
            None if rule.required && how.creates => faults.push(fault(rule.name, "is required".to_owned())),
            None => {}
            Some((name, Value::Null)) if rule.required => {
                faults.push(fault(name, "cannot be removed".to_owned()));
            }
            Some((_, Value::Null)) => {
                values.insert(rule.name.to_owned(), Value::Null);
            }
            Some((name, value)) => match rule.kind.canonical(value, how) {
                Ok(value) => {
                    values.insert(rule.name.to_owned(), value);
                }
                Err(wrong) => faults
                    .extend(wrong.into_iter().map(|(at, why)| fault(&format!("{}{at}", escape(name)), why))),
            },
        }
    }
    if !how.ignores_unknown {
        faults.extend(body.keys().map(|key| fault(&escape(key), unknown(key, rules))));
    }
    if faults.is_empty() { Ok(Checked(values)) } else { Err(Error::fields(faults)) }
}

/// Checks what a plugin's patch made of some fields: nothing is converted, only judged.
///
/// # Errors
/// The first fault, in a sentence.
pub fn check_patched(
    rules: &[Rule],
    names: &[&str],
    payload: &Map<String, Value>,
    how: Reading,
) -> Result<(), String> {
    for rule in rules.iter().filter(|rule| names.contains(&rule.name)) {
        match payload.get(rule.name) {
            None | Some(Value::Null) if rule.required => {
                return Err(format!("/{}: cannot be removed", rule.name));
            }
            None | Some(Value::Null) => {}
            Some(value) => {
                if let Err(wrong) = rule.kind.canonical(value.clone(), how) {
                    let told = wrong.iter().map(|(at, why)| format!("/{}{at}: {why}", rule.name));
                    return Err(told.collect::<Vec<_>>().join("; "));
                }
            }
        }
    }
    Ok(())
}

/// A key as it stands in a JSON pointer.
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn fault(at: &str, message: String) -> FieldError {
    FieldError { pointer: format!("/{at}"), message }
}

fn unknown(key: &str, rules: &[Rule]) -> String {
    let names = rules.iter().flat_map(|rule| std::iter::once(&rule.name).chain(rule.aliases));
    match find_similar(key, names.copied()) {
        Some(name) => format!("is not a field here (did you mean `{name}`?)"),
        None => {
            let names: Vec<&str> = rules.iter().map(|rule| rule.name).collect();
            format!("is not a field here; known are {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests;
