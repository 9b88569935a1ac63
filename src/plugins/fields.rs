//! The fields of a manifest, taken one by one; what is wrong is kept with its line.

use semver::{Version, VersionReq};
use serde_json::{Map, Value};

use crate::model::spelling::find_similar;

use super::discovery::is_plugin_name;
use super::env::{PluginEnv, infer};
use super::manifest::{Dependency, find_line};
use super::problem::Problem;

/// The fields of one file and the faults found so far.
pub(super) struct Fields<'a> {
    file: &'static str,
    text: &'a str,
    under: Option<String>,
    root: Map<String, Value>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(
        file: &'static str,
        text: &'a str,
        under: Option<&str>,
        root: Map<String, Value>,
    ) -> Self {
        let under = under.map(str::to_owned);
        Fields { file, text, under, root, problems: Vec::new(), warnings: Vec::new() }
    }

    /// Problems and warnings, in the order of the file.
    pub(super) fn finish(mut self) -> (Vec<Problem>, Vec<Problem>) {
        self.problems.sort_by_key(|it| it.line);
        (self.problems, self.warnings)
    }

    pub(super) fn fault(&mut self, path: &[&str], message: String) {
        let problem = self.problem(path, message);
        self.problems.push(problem);
    }

    /// The line on which the key at `path` stands.
    pub(super) fn line(&self, path: &[&str]) -> Option<usize> {
        find_line(self.text, self.under.as_deref(), path)
    }

    fn problem(&self, path: &[&str], message: String) -> Problem {
        let line = self.line(path);
        let message = match path {
            [] => message,
            path => format!("{}: {message}", path.join(".")),
        };
        Problem { file: self.file.to_owned(), line, message }
    }

    pub(super) fn warn(&mut self, path: &[&str], message: String) {
        let problem = self.problem(path, message);
        self.warnings.push(problem);
    }

    /// Warns of a word that is not known, and says which was probably meant.
    pub(super) fn warn_spelling(&mut self, path: &[&str], what: &str, given: &str, known: &[&str]) {
        let meant = find_similar(given, known.iter().copied());
        let meant = meant.map(|word| format!("; did you mean \"{word}\"?")).unwrap_or_default();
        let problem = self.problem(path, format!("{what}{meant}"));
        self.warnings.push(problem);
    }

    pub(super) fn warn_unknown(&mut self, known: &[&str]) {
        let unknown: Vec<String> =
            self.root.keys().filter(|it| !known.contains(&it.as_str())).cloned().collect();
        for key in unknown {
            self.warn_spelling(&[&key], "is not a key of a manifest and is ignored", &key, known);
        }
    }

    /// Puts variables into all texts; `stays_text` says where the result is not read as a number.
    pub(super) fn fill(&mut self, env: &PluginEnv, stays_text: impl Fn(&[&str]) -> bool) {
        let mut root = std::mem::take(&mut self.root);
        for (key, value) in &mut root {
            self.fill_value(value, &mut vec![key.clone()], env, &stays_text);
        }
        self.root = root;
    }

    fn fill_value(
        &mut self,
        value: &mut Value,
        path: &mut Vec<String>,
        env: &PluginEnv,
        stays_text: &impl Fn(&[&str]) -> bool,
    ) {
        match value {
            Value::String(text) if text.contains('$') => {
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                match env.fill(text) {
                    Ok((filled, true)) if !stays_text(&names) => *value = infer(&filled),
                    Ok((filled, _)) => *value = Value::String(filled),
                    Err(faults) => {
                        for fault in faults {
                            self.fault(&names, fault);
                        }
                    }
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.fill_value(item, path, env, stays_text);
                }
            }
            Value::Object(map) => {
                for (key, item) in map {
                    path.push(key.clone());
                    self.fill_value(item, path, env, stays_text);
                    path.pop();
                }
            }
            _ => {}
        }
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.root.remove(key)
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.take(key)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            _ => {
                self.fault(&[key], "must be a text; put it in quotes".to_owned());
                None
            }
        }
    }

    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        match self.take(key)? {
            Value::Null => None,
            Value::Bool(flag) => Some(flag),
            other => {
                self.fault(&[key], format!("must be true or false, not {other}"));
                None
            }
        }
    }

    pub(super) fn version(&mut self, key: &str) -> Option<Version> {
        let given = match self.take(key)? {
            Value::Null => return None,
            Value::String(text) => text,
            other => other.to_string(),
        };
        match Version::parse(given.trim()) {
            Ok(version) => Some(version),
            Err(fault) => {
                let message = format!(
                    "`{given}` is no semantic version ({fault}); write three numbers in quotes, such as \"1.2.0\""
                );
                self.fault(&[key], message);
                None
            }
        }
    }

    /// One word or a list of words.
    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let list = match self.take(key) {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::String(text)) => Some(vec![text]),
            Some(Value::Array(items)) => items.iter().map(|it| it.as_str().map(str::to_owned)).collect(),
            Some(_) => None,
        };
        list.unwrap_or_else(|| {
            self.fault(&[key], "must be a list of words".to_owned());
            Vec::new()
        })
    }

    pub(super) fn map(&mut self, key: &str) -> Map<String, Value> {
        match self.take(key) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(map)) => map,
            Some(_) => {
                self.fault(&[key], "must be a mapping of `key: value`".to_owned());
                Map::new()
            }
        }
    }

    /// `[calendar >=1.0, {name, version, optional}]`, or `{calendar: ">=1.0"}`.
    pub(super) fn dependencies(&mut self) -> Vec<Dependency> {
        let items = match self.take("dependencies") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(Value::Object(map)) => map
                .into_iter()
                .map(|(name, version)| match version {
                    Value::Object(mut rest) => {
                        rest.insert("name".to_owned(), Value::from(name));
                        Value::Object(rest)
                    }
                    Value::Null => Value::from(name),
                    other => Value::from(format!("{name} {}", bare(&other))),
                })
                .collect(),
            Some(other) => vec![other],
        };
        let mut dependencies = Vec::new();
        for item in items {
            match dependency(&item) {
                Ok(it) => dependencies.push(it),
                Err(message) => self.fault(&["dependencies"], message),
            }
        }
        dependencies
    }
}

fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn dependency(item: &Value) -> Result<Dependency, String> {
    let (name, version, optional) = match item {
        Value::String(text) => {
            let text = text.trim();
            let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
            let (name, version) = text.split_at(end.unwrap_or(text.len()));
            (name.to_owned(), version.trim().to_owned(), false)
        }
        Value::Object(map) => {
            if let Some(key) = map.keys().find(|it| !["name", "version", "optional"].contains(&it.as_str())) {
                return Err(format!("a dependency knows name, version and optional, not `{key}`"));
            }
            let name = map.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let version = map.get("version").map(bare).unwrap_or_default();
            (name, version, map.get("optional").is_some_and(|it| it == true))
        }
        other => return Err(format!("{other} is no dependency; write `calendar >=1.0`")),
    };
    if !is_plugin_name(&name) {
        return Err(format!("{} does not begin with a plugin's name; write `calendar >=1.0`", bare(item)));
    }
    let wanted = if version.is_empty() { "*" } else { version.as_str() };
    let version = VersionReq::parse(wanted)
        .map_err(|fault| format!("`{name} {wanted}` is no version range ({fault}); write `{name} >=1.0`"))?;
    Ok(Dependency { name, version, optional })
}
