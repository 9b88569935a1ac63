//! A whole config against its schema: every fault at once, each with where its value comes from.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::config::line_of;
use crate::error::FieldError;
use crate::model::call::Outcome;
use crate::model::plugin::ConfigRow;
use crate::plugins::discovery::Snapshot;
use crate::plugins::manifest::Manifest;
use crate::plugins::problem::{LoadFault, Problem};
use crate::plugins::schema::{escape, first_segment};

use super::{ConfigSource, Layers};

/// Bytes of JSON that a whole config may have: it crosses into Lua at once.
const CONFIG_MAX_BYTES: usize = 512 * 1024;

/// One fault of a config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConfigFault {
    /// JSON pointer into the config.
    pub pointer: String,
    /// What is wrong and what is accepted; secret values are not quoted.
    pub message: String,
    /// Where the value comes from; null when there is none.
    pub source: Option<ConfigSource>,
    /// The file of the plugin's folder that says the value.
    pub file: Option<String>,
    /// The line of that file, counted from 1.
    pub line: Option<usize>,
    /// The variables of the environment that say it.
    pub variables: Vec<String>,
}

/// The manifest that declares a config, and its text.
pub struct Declared<'a> {
    manifest: &'a Manifest,
    text: Option<&'a str>,
}

impl<'a> Declared<'a> {
    /// Of the files of a plugin.
    pub fn of(manifest: &'a Manifest, snapshot: &'a Snapshot) -> Self {
        let text =
            manifest.file.and_then(|it| snapshot.files.get(it)).and_then(|it| std::str::from_utf8(it).ok());
        Declared { manifest, text }
    }

    /// The line on which the value at a place of the config stands, or what is around it.
    fn line_of_value(&self, pointer: &str) -> Option<usize> {
        let path: Vec<String> =
            pointer.split('/').skip(1).map(|it| it.replace("~1", "/").replace("~0", "~")).collect();
        let mut around = None;
        for section in ["config", "settings"] {
            let found = self.line([section].into_iter().chain(path.iter().map(String::as_str)));
            if found.is_some() && found != self.line([section].into_iter()) {
                return found;
            }
            around = around.or(found);
        }
        around
    }

    /// The line on which the schema describes a key, or what is around it.
    fn line_of_rule(&self, key: &str) -> Option<usize> {
        self.line(["config_schema", "properties", key].into_iter())
    }

    fn line<'b>(&self, path: impl Iterator<Item = &'b str>) -> Option<usize> {
        let under: Option<&str> = self.manifest.under.as_deref();
        let path: Vec<&str> = path.collect();
        line_of(self.text?, &under.into_iter().chain(path).collect::<Vec<_>>())
    }
}

impl Layers {
    /// Every fault of the config in force.
    pub fn faults(&self, stored: &[ConfigRow], declared: Option<&Declared<'_>>) -> Vec<ConfigFault> {
        let config = self.effective(stored);
        let mut faults: Vec<ConfigFault> = Vec::new();
        for row in stored.iter().filter(|it| !self.is_locked(&it.key)) {
            let Some(why) = &row.fault else { continue };
            faults.push(ConfigFault {
                pointer: format!("/{}", escape(&row.key)),
                message: why.clone(),
                source: Some(ConfigSource::Database),
                file: None,
                line: None,
                variables: Vec::new(),
            });
        }
        let bytes = serde_json::to_vec(&config).map_or(0, |it| it.len());
        if bytes > CONFIG_MAX_BYTES {
            let message =
                format!("the whole config has {bytes} bytes of JSON; {CONFIG_MAX_BYTES} is the most");
            faults.push(self.fault(FieldError { pointer: String::new(), message }, stored, declared, false));
        }
        for fault in self.schema.check_hiding(&config, &|key| self.is_secret(key, stored)) {
            let key = first_segment(&fault.pointer);
            let is_shut = stored.iter().any(|it| it.key == key && it.fault.is_some());
            if !is_shut || self.is_locked(&key) {
                let is_there = config.contains_key(&key);
                faults.push(self.fault(fault, stored, declared, is_there));
            }
        }
        faults
    }

    fn fault(
        &self,
        fault: FieldError,
        stored: &[ConfigRow],
        declared: Option<&Declared<'_>>,
        is_there: bool,
    ) -> ConfigFault {
        let key = first_segment(&fault.pointer);
        let source = is_there.then(|| self.source_of(&key, stored));
        let line = declared.and_then(|it| match source {
            Some(ConfigSource::Yaml) => it.line_of_value(&fault.pointer),
            Some(ConfigSource::Default) | None => it.line_of_rule(&key),
            Some(ConfigSource::Database | ConfigSource::Environment) => None,
        });
        let is_files = !matches!(source, Some(ConfigSource::Database | ConfigSource::Environment));
        ConfigFault {
            file: declared.filter(|_| is_files).and_then(|it| it.manifest.file).map(str::to_owned),
            line,
            variables: match source {
                Some(ConfigSource::Environment) => {
                    self.env.get(&key).map(|it| it.names.clone()).unwrap_or_default()
                }
                _ => Vec::new(),
            },
            pointer: fault.pointer,
            message: fault.message,
            source,
        }
    }

    /// The whole config against the schema, told to those who want the plugin to run.
    ///
    /// # Errors
    /// Every fault where its value stands.
    pub fn require(&self, stored: &[ConfigRow], declared: &Declared<'_>) -> Result<(), LoadFault> {
        let faults = self.faults(stored, Some(declared));
        if faults.is_empty() {
            return Ok(());
        }
        let is_of = |source| faults.iter().any(|it| it.source == Some(source));
        let mut ways: Vec<&str> = Vec::new();
        if is_of(ConfigSource::Database) {
            ways.push("set the stored value anew (`panotti config set`, or PATCH the plugin's `config`)");
        }
        if is_of(ConfigSource::Environment) {
            ways.push("mend the variable and start the server again");
        }
        if faults.iter().any(|it| it.file.is_some()) {
            ways.push("correct plugin.yaml, or set the value over HTTP, at the plugin's `config`");
        }
        let problems = faults.into_iter().map(problem).collect();
        let mut fault = LoadFault::of_problems(Outcome::Convert, problems, declared.text);
        let mut hint = ways.join("; ");
        if let Some(first) = hint.get(..1).map(str::to_uppercase) {
            hint.replace_range(..1, &first);
        }
        fault.script.hint = Some(format!("{hint}."));
        Err(fault.hiding(self.secret_keys(stored), &Value::Object(self.yaml.clone())))
    }
}

fn problem(fault: ConfigFault) -> Problem {
    let path = fault.pointer.replace('/', ".");
    let from = match fault.source {
        Some(ConfigSource::Database) => " (the value is stored in the database)".to_owned(),
        Some(ConfigSource::Environment) => format!(" (the value is that of {})", fault.variables.join(", ")),
        _ => String::new(),
    };
    Problem {
        file: fault.file.unwrap_or_default(),
        line: fault.line,
        message: format!("config{path}: {}{from}", fault.message),
    }
}
