//! The fields of bodies, told once as tables: the check of a body, the check of a plugin's patch and
//! the JSON schema in the OpenAPI document are all made from them.

mod checked;
mod kind;
mod patched;
mod schema;

use serde_json::{Map, Value};

use crate::error::{Error, FieldError, Result};
use crate::model::spelling::find_similar;
use crate::model::time::MissingOffset;

pub use checked::Checked;
pub use kind::{Kind, check_metadata};
pub use patched::{into_text, set_metadata};
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
pub fn check(rules: &'static [Rule], body: Map<String, Value>, how: Reading) -> Result<Checked> {
    let (mut faults, mut others) = (Vec::new(), Vec::new());
    let mut values = Vec::with_capacity(body.len());
    let mut sent = Vec::with_capacity(body.len());
    for (key, value) in body {
        match place_of(rules, &key) {
            Some((place, name)) => sent.push((place, name, value)),
            None => others.push(key),
        }
    }
    sent.sort_unstable_by_key(|(place, ..)| *place);
    let mut left = sent.as_mut_slice();
    for (index, rule) in rules.iter().enumerate() {
        let count = left.iter().take_while(|((rule, _), ..)| *rule == index).count();
        let (given, later) = left.split_at_mut(count);
        left = later;
        if let [(_, first, _), (_, second, _), ..] = &*given
            && !how.ignores_unknown
        {
            faults.push(fault(second, format!("means the same as `{first}`: send one of them")));
        }
        let found = given.iter_mut().find(|(.., value)| !value.is_null() || !how.creates);
        match found.map(|(_, name, value)| (*name, value.take())) {
            None if rule.required && how.creates => faults.push(fault(rule.name, "is required".to_owned())),
            None => {}
            Some((name, Value::Null)) if rule.required => {
                faults.push(fault(name, "cannot be removed".to_owned()));
            }
            Some((_, Value::Null)) => values.push((rule.name, Value::Null)),
            Some((name, value)) => match rule.kind.canonical(value, how) {
                Ok(value) => values.push((rule.name, value)),
                Err(wrong) => faults
                    .extend(wrong.into_iter().map(|(at, why)| fault(&format!("{}{at}", escape(name)), why))),
            },
        }
    }
    if !how.ignores_unknown {
        faults.extend(others.iter().map(|key| fault(&escape(key), unknown(key, rules))));
    }
    if faults.is_empty() { Ok(Checked(values)) } else { Err(Error::fields(faults)) }
}

/// Where a key stands among the rules and the names of its rule, and that name.
fn place_of(rules: &'static [Rule], key: &str) -> Option<((usize, usize), &'static str)> {
    rules.iter().enumerate().find_map(|(index, rule)| {
        let mut names = std::iter::once(&rule.name).chain(rule.aliases).enumerate();
        names.find(|(_, name)| **name == key).map(|(at, name)| ((index, at), *name))
    })
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
                rule.kind.judge(value, how).map_err(|wrong| told(rule.name, wrong))?;
            }
        }
    }
    Ok(())
}

/// Checks a plugin's patch of something that is changed field by field: those fields alone, in the order of the rules.
/// `set` takes a value that is right, and none for a field that goes; what is wrong with the field then, it may still say.
///
/// # Errors
/// The first fault, in a sentence.
pub fn take_patch(
    rules: &[Rule],
    patch: &mut Map<String, Value>,
    how: Reading,
    mut set: impl FnMut(&'static str, Option<Value>) -> Result<(), String>,
) -> Result<(), String> {
    for rule in rules {
        let Some((_, value)) = patch.iter_mut().find(|(key, _)| *key == rule.name) else { continue };
        let wanted = match value {
            Value::Null if rule.required => return Err(format!("/{}: cannot be removed", rule.name)),
            Value::Null => None,
            // A patch of metadata is no metadata: `set` sees what becomes of them.
            Value::Object(_) if matches!(rule.kind, Kind::Metadata) => Some(value.take()),
            value => {
                rule.kind.judge(value, how).map_err(|wrong| told(rule.name, wrong))?;
                Some(value.take())
            }
        };
        set(rule.name, wanted).map_err(|why| format!("/{}: {why}", rule.name))?;
    }
    Ok(())
}

fn told(name: &str, wrong: kind::Wrong) -> String {
    let told = wrong.iter().map(|(at, why)| format!("/{name}{at}: {why}"));
    told.collect::<Vec<_>>().join("; ")
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
