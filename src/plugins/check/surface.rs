//! What scripts can name below `panotti`, and what it needs; read from the same files as the server's own tables.

use crate::lua::api::DOCS;
use crate::lua::api::stubs::{ModuleDoc, find_similar};

/// What an expression stands for, as far as it is plain to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `panotti` itself.
    Panotti,
    /// `panotti.on`.
    On,
    /// A module, by its place in the list.
    Module(usize),
    /// A function or value; what is below it is not looked at.
    Leaf,
}

/// What a step from one target leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Something that is there, and the permission it needs with the function's path.
    There(Target, Option<(&'static str, String)>),
    /// A hook, if it exists.
    Hook,
    /// Nothing of this name; what the server would say.
    Unknown(String),
    /// Below a value, where all names may be.
    Anything,
}

/// The permission of a module that is a function by itself.
fn whole_permission(doc: &'static ModuleDoc) -> Option<&'static str> {
    doc.whole.as_ref()?.permission.as_deref()
}

/// The modules that a permission is for.
pub fn modules_of(permission: &str) -> impl Iterator<Item = usize> + '_ {
    let needs = move |needed: &str| needed.split(':').next() == Some(permission);
    DOCS.iter().enumerate().filter_map(move |(index, doc)| {
        let tagged = doc.functions.iter().filter_map(|it| it.permission.as_deref()).any(needs);
        let is_for = doc.name == permission || tagged || whole_permission(doc).is_some_and(needs);
        // A clip may be made of a file that the call may not hear otherwise.
        (is_for || (permission == "media" && doc.name == "clips")).then_some(index)
    })
}

/// What `name` is below `from`.
pub fn step(from: Target, name: &str) -> Step {
    match from {
        Target::On => Step::Hook,
        Target::Leaf => Step::Anything,
        Target::Panotti => below_panotti(name),
        Target::Module(index) => {
            let doc = &DOCS[index];
            match doc.functions.iter().find(|it| it.name == name) {
                Some(it) => {
                    let path = format!("{}.{name}", doc.path());
                    Step::There(Target::Leaf, it.permission.as_deref().map(|needed| (needed, path)))
                }
                None => Step::Unknown(unknown(
                    &doc.path(),
                    "function",
                    name,
                    doc.functions.iter().map(|it| &*it.name),
                )),
            }
        }
    }
}

fn below_panotti(name: &str) -> Step {
    if name == "on" {
        return Step::There(Target::On, None);
    }
    let top = DOCS.iter().filter(|it| it.name.is_empty()).flat_map(|it| &it.functions);
    if top.clone().any(|it| it.name == name) {
        return Step::There(Target::Leaf, None);
    }
    match DOCS.iter().position(|it| it.name == name && !name.is_empty()) {
        Some(index) if DOCS[index].functions.is_empty() => {
            let needed = whole_permission(&DOCS[index]);
            Step::There(Target::Leaf, needed.map(|it| (it, format!("panotti.{name}"))))
        }
        Some(index) => Step::There(Target::Module(index), None),
        None => {
            let known = DOCS.iter().map(|it| &*it.name).chain(top.map(|it| &*it.name)).chain(["on"]);
            Step::Unknown(unknown("panotti", "module or function", name, known.filter(|it| !it.is_empty())))
        }
    }
}

fn unknown<'a>(path: &str, what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = find_similar(name, known).map(|it| format!(" (did you mean '{it}'?)")).unwrap_or_default();
    format!("{path} has no {what} '{name}'{near}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_scripts_find() {
        let Step::There(kv @ Target::Module(_), None) = step(Target::Panotti, "kv") else { panic!() };
        assert_eq!(step(kv, "get"), Step::There(Target::Leaf, None));
        assert_eq!(
            step(kv, "gett"),
            Step::Unknown("panotti.kv has no function 'gett' (did you mean 'get'?)".to_owned())
        );
        let routes = Some(("routes", "panotti.route".to_owned()));
        assert_eq!(step(Target::Panotti, "route"), Step::There(Target::Leaf, routes));
        for name in ["version", "config", "sleep", "uuid", "deny"] {
            assert_eq!(step(Target::Panotti, name), Step::There(Target::Leaf, None), "{name}");
        }
    }

    #[test]
    fn most_permissions_have_their_modules() {
        for name in [
            "assets",
            "clips",
            "db",
            "events",
            "fs",
            "http",
            "kv",
            "media",
            "notify",
            "process",
            "recordings",
            "routes",
        ] {
            assert!(modules_of(name).next().is_some(), "{name}");
        }
    }
}
