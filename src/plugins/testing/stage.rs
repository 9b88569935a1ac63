//! What one case has at its hand: its hosts, and what it may ask of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::error::{Error, ScriptFault};
use crate::hooks::Hook;
use crate::model::spelling::find_similar;
use crate::model::time::{MissingOffset, Timestamp};

use super::acts;
use super::bench::{Bench, Grants, Subject, Wanted};
use super::desk::Desk;
use super::settle::Step;

/// The time of a host whose test says nothing of it.
const NOW: &str = "2026-01-01T00:00:00Z";

/// Hosts of one case.
const MAX_HOSTS: usize = 8;

/// Why a host does not do what a test asks.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusal {
    /// One line.
    pub(super) message: String,
    /// More of it.
    pub(super) detail: String,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Refusal { message: message.into(), detail: String::new() }
    }

    /// The plugin does not load.
    pub(super) fn load(fault: &ScriptFault) -> Self {
        Refusal { message: format!("the plugin does not load: {fault}"), detail: lines_of(fault) }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let faults: Vec<String> =
            error.errors.iter().map(|it| format!("{} {}", it.pointer, it.message)).collect();
        let mut message = error.detail;
        if let Some(source) = &error.source {
            message.push_str(&format!(": {source}"));
        }
        let tells_more = faults.iter().any(|it| !message.contains(it.as_str()));
        if !faults.is_empty() && (tells_more && faults.len() > 1) {
            message.push_str(&format!(": {}", faults.join("; ")));
        }
        match error.script {
            Some(fault) => Refusal { message: format!("{message}: {fault}"), detail: lines_of(&fault) },
            None => Refusal::new(message),
        }
    }
}

/// What is known of a failure beside its message.
pub(super) fn lines_of(fault: &ScriptFault) -> String {
    let hint = fault.hint.as_ref().map(|it| format!("hint: {it}"));
    [fault.excerpt.clone(), hint].into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// Without the fields that are null, as scripts have records; what is somebody's own JSON stays as it is.
fn bare(value: Value) -> Value {
    const FREE: &[&str] = &["data", "metadata", "fields", "details", "json", "input", "output", "effects"];
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| if FREE.contains(&key.as_str()) { (key, value) } else { (key, bare(value)) })
            .collect(),
        Value::Array(items) => items.into_iter().map(bare).collect(),
        other => other,
    }
}

/// The hosts of one case.
pub(super) struct Stage<'a> {
    pub(super) desk: &'a Desk,
    pub(super) plugin: &'a str,
    pub(super) files: &'a BTreeMap<String, Arc<[u8]>>,
    pub(super) fixtures: &'a BTreeMap<String, Arc<[u8]>>,
    /// All scripts, of the plugin and of its tests.
    pub(super) scripts: &'a BTreeMap<String, Arc<[u8]>>,
    pub(super) roots: &'a [PathBuf],
    pub(super) seed: u64,
    pub(super) hosts: Vec<Bench>,
}

impl Stage<'_> {
    /// Does `what`; answers `{value}`, `{ask}` or `{failed}`.
    pub(super) async fn perform(&mut self, what: &str, arguments: &Value) -> Value {
        let done = match what {
            "host" => self.host(&arguments["options"]).await.map(|id| Step::Done(Ok(json!(id)))),
            _ => self.act(what, arguments).await,
        };
        match done {
            // What a plugin keeps is shown as it is.
            Ok(Step::Done(Ok(value))) if what.starts_with("kv_") => json!({ "value": value }),
            Ok(Step::Done(Ok(value))) => json!({ "value": bare(value) }),
            Ok(Step::Ask(function, argument)) => json!({ "ask": { "fn": function, "argument": argument } }),
            Ok(Step::Done(Err(refusal))) | Err(refusal) => {
                json!({ "failed": { "message": refusal.message, "detail": refusal.detail } })
            }
        }
    }

    async fn act(&mut self, what: &str, arguments: &Value) -> Result<Step, Refusal> {
        let id = arguments["host"].as_u64().and_then(|it| usize::try_from(it).ok()).unwrap_or_default();
        let fixtures = self.fixtures;
        let Some(bench) = id.checked_sub(1).and_then(|it| self.hosts.get_mut(it)) else {
            return Err(Refusal::new("there is no such host"));
        };
        if what == "answer" {
            let answer = match arguments["failed"].as_str() {
                Some(why) => Err(why.to_owned()),
                None => Ok(arguments["value"].clone()),
            };
            if let Some(waiting) = bench.asked.take() {
                let _ = waiting.send(answer);
            }
        } else if bench.op.is_some() || bench.asked.is_some() {
            return Err(Refusal::new("the host is in the middle of something; ask it when that is done"));
        } else {
            acts::begin(bench, what, arguments, fixtures).await?;
        }
        Ok(bench.drive().await)
    }

    async fn host(&mut self, options: &Value) -> Result<usize, Refusal> {
        if self.hosts.len() >= MAX_HOSTS {
            return Err(Refusal::new(format!("a case may have {MAX_HOSTS} hosts")));
        }
        let wanted = wanted(options, self.seed)?;
        let subject = Subject { name: self.plugin, files: self.files, roots: self.roots };
        self.hosts.push(Bench::build(self.desk, &subject, wanted).await?);
        Ok(self.hosts.len())
    }
}

fn wanted(options: &Value, seed: u64) -> Result<Wanted, Refusal> {
    let empty = Map::new();
    let options = options.as_object().unwrap_or(&empty);
    const KNOWN: &[&str] = &["config", "now", "seed", "grants"];
    if let Some(key) = options.keys().find(|it| !KNOWN.contains(&it.as_str())) {
        return Err(Refusal::new(format!("t.host has no option '{key}'; known: {}", KNOWN.join(", "))));
    }
    let object = |key: &str| match options.get(key) {
        None => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map.clone()),
        Some(_) => Err(Refusal::new(format!("t.host: {key} must be a table of named values"))),
    };
    let now = match options.get("now") {
        None => Timestamp::parse(NOW, MissingOffset::Utc),
        Some(Value::String(text)) => Timestamp::parse(text, MissingOffset::Utc),
        Some(other) => match other.as_f64() {
            Some(seconds) => Ok(Timestamp((seconds * 1e6) as i64)),
            None => Err("must be a time such as 2026-01-31T12:00:00Z".to_owned()),
        },
    };
    let now = now.map_err(|why| Refusal::new(format!("t.host: now {why}")))?;
    let seed = match options.get("seed") {
        None => seed,
        Some(it) => match it.as_f64() {
            Some(it) => it.to_bits(),
            None => return Err(Refusal::new("t.host: seed must be a number")),
        },
    };
    let grants = match options.get("grants") {
        None | Some(Value::Bool(true)) => Grants::All,
        Some(Value::Bool(false)) => Grants::These(Map::new()),
        Some(_) => Grants::These(object("grants")?),
    };
    Ok(Wanted { now_us: now.0, seed, config: object("config")?, grants })
}

/// The hook of a name, or what to say of it.
pub(super) fn hook_named(name: &str) -> Result<Hook, Refusal> {
    Hook::from_name(name).ok_or_else(|| {
        let near = find_similar(name, Hook::ALL.iter().map(|it| it.name()));
        let near = near.map(|it| format!(" (did you mean '{it}'?)")).unwrap_or_default();
        Refusal::new(format!("there is no hook '{name}'{near}"))
    })
}
