//! What a plugin that does not know its permissions yet was seen to need.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;

/// Parts of one permission that are kept; past them the whole is asked for.
const MAX_PARTS: usize = 64;

/// What was needed so far, by permission.
#[derive(Debug, Default)]
pub struct Learned(Mutex<BTreeMap<String, BTreeSet<String>>>);

impl Learned {
    /// Takes note of `name` or `name:part`; whether it is new.
    pub fn note(&self, permission: &str) -> bool {
        let (name, part) =
            permission.split_once(':').map_or((permission, None), |(name, part)| (name, Some(part)));
        let mut needs = self.0.lock();
        let is_first = !needs.contains_key(name);
        let parts = needs.entry(name.to_owned()).or_default();
        let is_new = part.is_some_and(|it| parts.len() < MAX_PARTS && parts.insert(it.to_owned()));
        is_first || is_new
    }

    /// The same on one line, for the log.
    pub fn line(&self) -> String {
        let lines = self.lines();
        let mut parts = lines.lines().map(str::trim);
        let head = parts.next().unwrap_or_default();
        format!("{head} {{ {} }}", parts.collect::<Vec<_>>().join(", "))
    }

    /// The lines that ask for all of it, as they stand in a manifest; empty when nothing was needed.
    pub fn lines(&self) -> String {
        let needs = self.0.lock();
        let mut lines = String::new();
        for (name, parts) in needs.iter() {
            let parts: Vec<String> = parts.iter().map(|it| format!("{it:?}")).collect();
            match parts.len() {
                0 | MAX_PARTS.. => lines.push_str(&format!("\n  {name}: true")),
                _ => lines.push_str(&format!("\n  {name}: [{}]", parts.join(", "))),
            }
        }
        if lines.is_empty() { lines } else { format!("permissions:{lines}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_needed_becomes_lines_of_a_manifest() {
        let learned = Learned::default();
        assert_eq!(learned.lines(), "");
        assert!(learned.note("http:b.example:8080") && learned.note("db") && learned.note("http:a.example"));
        assert!(!learned.note("db") && !learned.note("http:a.example"));
        assert_eq!(learned.lines(), "permissions:\n  db: true\n  http: [\"a.example\", \"b.example:8080\"]");
        assert_eq!(learned.line(), "permissions: { db: true, http: [\"a.example\", \"b.example:8080\"] }");
        (0..100).for_each(|it| _ = learned.note(&format!("http:{it}.example")));
        assert!(learned.lines().ends_with("http: true"));
    }
}
