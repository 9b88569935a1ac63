//! The layers: defaults, then `panotti.yaml`, then `PANOTTI_*`, then flags; the later one wins, every fault is kept.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::Settings;
use super::check::check;
use super::fault::{ConfigFaults, Fault, did_you_mean};
use super::table::{DefaultValue, Row, SETTINGS};
use super::yaml::{YAML_MAX_BYTES, line_of, parse_yaml};

/// The settings file that is read when nobody names one.
const DEFAULT_FILE: &str = "panotti.yaml";
/// The variable that names the settings file.
const FILE_VARIABLE: &str = "PANOTTI_CONFIG";
/// The section that plugins' grants stand in.
const GRANTS: &str = "grants";
/// Variables that begin so belong to the plugins, unless they are settings.
const PLUGIN_PREFIX: &str = "PANOTTI_PLUGIN_";

/// Where settings come from; everything is handed in, nothing is looked up behind the caller's back but the file.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The settings file, when a flag names one.
    pub file: Option<PathBuf>,
    /// True when `panotti.yaml` in the working directory is read although nobody names it.
    pub default_file: bool,
    /// The environment.
    pub env: Vec<(OsString, OsString)>,
    /// The flags of the command line.
    pub flags: Vec<FlagValue>,
}

/// One flag of the command line, as it was given.
#[derive(Debug, Clone)]
pub struct FlagValue {
    /// The setting's key.
    pub key: &'static str,
    /// The flag, `--port`.
    pub flag: &'static str,
    /// Its values; several where the flag may be repeated.
    pub values: Vec<String>,
}

impl Sources {
    /// The environment of this process and `panotti.yaml` beside it, with these flags.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<FlagValue>) -> Self {
        Self { file, default_file: true, env: std::env::vars_os().collect(), flags }
    }
}

/// Loads the settings.
///
/// # Errors
/// Every fault of every layer.
pub fn load(sources: Sources) -> Result<Settings, ConfigFaults> {
    let mut layers = Layers::default();
    let file = layers.read_file(&sources);
    layers.read_env(&sources.env);
    layers.read_flags(&sources.flags);
    layers.fill_defaults();
    let mut settings = layers.assemble()?;
    settings.config_file = file;
    settings.grants = std::mem::take(&mut layers.grants);
    let faults = check(&settings, |key| layers.source(key));
    if faults.is_empty() { Ok(settings) } else { Err(ConfigFaults(faults)) }
}

#[derive(Default)]
struct Layers {
    values: HashMap<&'static str, (Value, String)>,
    faults: Vec<Fault>,
    grants: BTreeMap<String, Map<String, Value>>,
}

impl Layers {
    fn read_file(&mut self, sources: &Sources) -> Option<PathBuf> {
        let variable = sources.env.iter().find(|(name, value)| name == FILE_VARIABLE && !value.is_empty());
        let (path, named_by) = match (&sources.file, variable) {
            (Some(path), _) => (path.clone(), Some("--config")),
            (None, Some((_, path))) => (PathBuf::from(path), Some(FILE_VARIABLE)),
            (None, None) if sources.default_file => (PathBuf::from(DEFAULT_FILE), None),
            (None, None) => return None,
        };
        match read_limited(&path) {
            Ok(text) => self.read_yaml(&path.display().to_string(), &text),
            Err(fault) if fault.kind() == ErrorKind::NotFound && named_by.is_none() => return None,
            Err(fault) => {
                let shown = path.display().to_string();
                self.fault(
                    named_by.unwrap_or(&shown),
                    format!("the settings file {shown} cannot be read: {fault}"),
                );
            }
        }
        Some(path)
    }

    fn read_yaml(&mut self, file: &str, text: &str) {
        let fields = match parse_yaml(text) {
            Ok(Value::Object(fields)) => fields,
            Ok(Value::Null) => return,
            Ok(_) => {
                return self
                    .fault(&format!("{file}:1"), "the file must be a mapping of `key: value`".to_owned());
            }
            Err(fault) => {
                return self.fault(&format!("{file}:{}:{}", fault.line, fault.column), fault.message);
            }
        };
        for (key, value) in &fields {
            if key == GRANTS {
                self.read_grants(file, text, value);
                continue;
            }
            let is_section = SETTINGS.iter().any(|row| row.section() == Some(key));
            match value {
                Value::Object(inner) if is_section => {
                    for (name, value) in inner {
                        self.yaml_value(file, text, &[key, name], value);
                    }
                }
                Value::Null if is_section => {}
                _ if is_section => {
                    let message = format!("{key}: is a section; use a mapping of `key: value` under it");
                    self.fault(&at(file, text, &[key]), message);
                }
                _ => self.yaml_value(file, text, &[key], value),
            }
        }
    }

    /// `grants: { plugin: { permission: true | [part] } }`.
    fn read_grants(&mut self, file: &str, text: &str, value: &Value) {
        let plugins = match value {
            Value::Object(plugins) => plugins,
            Value::Null => return,
            _ => {
                let message = "grants: use a mapping of plugins to what they are granted".to_owned();
                return self.fault(&at(file, text, &[GRANTS]), message);
            }
        };
        for (plugin, granted) in plugins {
            match granted {
                Value::Object(granted) => _ = self.grants.insert(plugin.clone(), granted.clone()),
                Value::Null => {}
                _ => {
                    let message =
                        format!("grants.{plugin}: use a mapping such as `{{ http: [api.example] }}`");
                    self.fault(&at(file, text, &[GRANTS, plugin]), message);
                }
            }
        }
    }

    fn yaml_value(&mut self, file: &str, text: &str, path: &[&str], value: &Value) {
        let key = path.join(".");
        let source = at(file, text, path);
        match SETTINGS.iter().find(|row| row.key == key) {
            // `key:` with nothing behind it leaves the default, as the commented example file suggests.
            Some(_) if value.is_null() => {}
            Some(row) => match row.kind.read_json(value) {
                Ok(value) => self.put(row, value, source),
                Err(message) => self.fault(&source, format!("{key}: {message}")),
            },
            None => {
                let hint = did_you_mean(&key, SETTINGS.iter().map(|row| row.key));
                self.fault(&source, format!("there is no setting \"{key}\"{hint}"));
            }
        }
    }

    fn read_env(&mut self, env: &[(OsString, OsString)]) {
        let known: Vec<(String, &'static Row)> = SETTINGS.iter().map(|row| (row.env(), row)).collect();
        let mut given: Vec<_> = env
            .iter()
            .filter_map(|(name, value)| name.to_str().map(|name| (name, value)))
            .filter(|(name, _)| name.starts_with("PANOTTI_") && *name != FILE_VARIABLE)
            .collect();
        given.sort();
        for (name, value) in given {
            match known.iter().find(|(env, _)| env == name) {
                Some((_, row)) => match value.to_str() {
                    // A variable set to nothing is the shell's way to say "not set".
                    Some("") => {}
                    Some(text) => self.text_value(row, name, text),
                    None => self.fault(name, "the value is not UTF-8".to_owned()),
                },
                None if name.starts_with(PLUGIN_PREFIX) => {}
                None => {
                    let names = known.iter().map(|(env, _)| env.as_str()).chain([FILE_VARIABLE]);
                    self.fault(name, format!("there is no such variable{}", did_you_mean(name, names)));
                }
            }
        }
    }

    fn read_flags(&mut self, flags: &[FlagValue]) {
        for given in flags {
            let Some(row) = SETTINGS.iter().find(|row| row.key == given.key) else {
                continue;
            };
            if row.kind.is_list() {
                match row.kind.read_items(&given.values) {
                    Ok(value) => self.put(row, value, given.flag.to_owned()),
                    Err(message) => self.fault(given.flag, message),
                }
            } else if let Some(text) = given.values.last() {
                self.text_value(row, given.flag, text);
            }
        }
    }

    fn text_value(&mut self, row: &'static Row, source: &str, text: &str) {
        match row.kind.read_text(text) {
            Ok(value) => self.put(row, value, source.to_owned()),
            Err(message) => self.fault(source, message),
        }
    }

    fn fill_defaults(&mut self) {
        let fixed = |row: &Row| matches!(row.default, DefaultValue::Text(_));
        // The worked out ones come last: they need `data_dir`.
        for row in SETTINGS.iter().filter(|row| fixed(row)).chain(SETTINGS.iter().filter(|row| !fixed(row))) {
            if self.values.contains_key(row.key) {
                continue;
            }
            let text = match row.default {
                DefaultValue::Text(text) => text.to_owned(),
                DefaultValue::Computed(_, compute) => {
                    let data_dir =
                        self.values.get("data_dir").and_then(|(value, _)| value.as_str()).unwrap_or("data");
                    compute(Path::new(data_dir))
                }
            };
            self.text_value(row, "default", &text);
        }
    }

    fn assemble(&mut self) -> Result<Settings, ConfigFaults> {
        if !self.faults.is_empty() {
            return Err(ConfigFaults(std::mem::take(&mut self.faults)));
        }
        let mut all = Map::new();
        for row in SETTINGS {
            let value = self.values.get(row.key).map(|(value, _)| value.clone()).unwrap_or_default();
            match row.section() {
                None => _ = all.insert(row.key.to_owned(), value),
                Some(section) => {
                    let inner = all.entry(section).or_insert_with(|| Value::Object(Map::new()));
                    inner[row.name()] = value;
                }
            }
        }
        serde_json::from_value(Value::Object(all)).map_err(|fault| {
            ConfigFaults(vec![Fault { source: "settings".to_owned(), message: fault.to_string() }])
        })
    }

    fn source(&self, key: &str) -> String {
        self.values.get(key).map(|(_, source)| source.clone()).unwrap_or_default()
    }

    fn put(&mut self, row: &'static Row, value: Value, source: String) {
        self.values.insert(row.key, (value, source));
    }

    fn fault(&mut self, source: &str, message: String) {
        self.faults.push(Fault { source: source.to_owned(), message });
    }
}

fn at(file: &str, text: &str, path: &[&str]) -> String {
    line_of(text, path).map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"))
}

/// Reads a file, but never much more than a settings file may have: it could be a device or a mistake.
fn read_limited(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(YAML_MAX_BYTES as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
