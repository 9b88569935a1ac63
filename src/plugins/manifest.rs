//! `plugin.yaml`: what a plugin declares. Every fault at once, each with its line.

use std::collections::BTreeMap;

use semver::{Version, VersionReq};
use serde_json::{Map, Value};

use crate::config::{LimitRules, PluginLimits, YAML_MAX_BYTES, line_of, parse_yaml};
use crate::lua::permission::{Grant, Permissions};
use crate::model::call::Outcome;

use super::discovery::Snapshot;
use super::env::PluginEnv;
use super::fields::Fields;
use super::permissions::{NAMES, check, read_grant};
use super::problem::{LoadFault, Problem};
use super::schema::Schema;
use super::schema_check;
use super::schema_fault::strays;

/// The keys a manifest may have.
pub const KEYS: &[&str] = &[
    "name",
    "version",
    "display_name",
    "description",
    "author",
    "enabled",
    "min_panotti",
    "dependencies",
    "provides",
    "requires",
    "conflicts",
    "permissions",
    "config",
    "settings",
    "config_schema",
    "limits",
    "type",
    "tags",
    "capabilities",
];
/// A plugin this one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// The versions that do.
    pub version: VersionReq,
    /// Whether this plugin also runs without it.
    pub optional: bool,
}

/// What a plugin declares.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// Its version, if it says one.
    pub version: Option<Version>,
    /// What people call it.
    pub display_name: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// Whether it runs while nobody has decided otherwise over HTTP.
    pub enabled: bool,
    /// Plugins it needs.
    pub dependencies: Vec<Dependency>,
    /// Names of what it offers.
    pub provides: Vec<String>,
    /// Names of what somebody else must offer.
    pub requires: Vec<String>,
    /// Plugins (or offers) it does not run beside.
    pub conflicts: Vec<String>,
    /// What it asks for.
    pub requested: Permissions,
    /// The line on which each of them stands, that of `permissions` itself under no name.
    pub permission_lines: BTreeMap<String, usize>,
    /// Whether it says `permissions: learn`: it does not know yet what it needs.
    pub learn: bool,
    /// Values of its config, variables filled in.
    pub config: Map<String, Value>,
    /// What its config may be.
    pub schema: Schema,
    /// What it may use.
    pub limits: PluginLimits,
    /// `lua`, or what the host does not run.
    pub plugin_type: String,
    /// Labels.
    pub tags: Vec<String>,
    /// What it says it can do.
    pub capabilities: Vec<String>,
    /// What is odd but does no harm.
    pub warnings: Vec<Problem>,
    /// The file it was read from.
    pub file: Option<&'static str>,
    /// The name that everything in it stands below, in the older form.
    pub under: Option<String>,
}

impl Manifest {
    /// What a folder without a manifest declares.
    pub fn empty(limits: &PluginLimits) -> Self {
        Manifest { enabled: true, plugin_type: "lua".to_owned(), limits: *limits, ..Manifest::default() }
    }

    /// What is to be said of a permission it asks for (of all of them without a name), with its place.
    pub fn about_permission(&self, name: &str, message: &str) -> Problem {
        let message = match name {
            "" => format!("permissions: {message}"),
            name => format!("permissions.{name}: {message}"),
        };
        let line = self.permission_lines.get(name).copied();
        Problem { file: self.file.unwrap_or("plugin.yaml").to_owned(), line, message }
    }
}

/// Reads the manifest of the plugin `name`; `plugin.yaml.example` counts where there is no `plugin.yaml`.
///
/// # Errors
/// All that is wrong with it.
pub fn read(
    name: &str,
    snapshot: &Snapshot,
    env: &PluginEnv,
    limits: &LimitRules,
) -> Result<Manifest, LoadFault> {
    let present = |file: &&&str| snapshot.files.contains_key(**file);
    let Some(file) = ["plugin.yaml", "plugin.yaml.example"].iter().find(present).copied() else {
        return Ok(Manifest::empty(&limits.default));
    };
    let bytes = snapshot.files.get(file).map(|it| &**it).unwrap_or_default();
    let Ok(text) = std::str::from_utf8(bytes) else {
        let problem = Problem { file: file.to_owned(), line: None, message: "is not UTF-8 text".to_owned() };
        return Err(LoadFault::of_problems(Outcome::Syntax, vec![problem], None));
    };
    let parsed = parse_yaml(text).map_err(|fault| {
        let grows = text.len() > YAML_MAX_BYTES || fault.message.contains("aliases");
        let outcome = if grows { Outcome::Limit } else { Outcome::Syntax };
        let problem = Problem { file: file.to_owned(), line: Some(fault.line), message: fault.message };
        let mut told = LoadFault::of_problems(outcome, vec![problem], Some(text));
        told.script.column = u32::try_from(fault.column).ok();
        told
    })?;
    let root = match parsed {
        Value::Null => Map::new(),
        Value::Object(root) => root,
        _ => {
            let message = "must be a mapping of `key: value`".to_owned();
            let problem = Problem { file: file.to_owned(), line: Some(1), message };
            return Err(LoadFault::of_problems(Outcome::Syntax, vec![problem], Some(text)));
        }
    };
    let (under, root) = unwrap_named(root);
    let mut fields = Fields::new(file, text, under.as_deref(), root);
    let manifest = declared(name, under.as_deref(), &mut fields, env, limits);
    let (problems, warnings) = fields.finish();
    if problems.is_empty() {
        Ok(Manifest { warnings, file: Some(file), under, ..manifest })
    } else {
        let secret = manifest.config.keys().filter(|it| manifest.schema.is_secret(it)).cloned().collect();
        let fault = LoadFault::of_problems(Outcome::Syntax, problems, Some(text));
        Err(fault.hiding(secret, &Value::Object(manifest.config)))
    }
}

/// The name that a manifest says, whatever else is wrong with it.
pub fn declared_name(snapshot: &Snapshot) -> Option<String> {
    let own = ["plugin.yaml", "plugin.yaml.example"].iter().find_map(|it| snapshot.files.get(*it))?;
    let Value::Object(root) = parse_yaml(std::str::from_utf8(own).ok()?).ok()? else { return None };
    let (under, root) = unwrap_named(root);
    let said = root.get("name").and_then(Value::as_str).map(str::to_owned);
    said.or(under)
}

/// The older form `<name>: {version, settings: {…}}`: its name and what is in it.
fn unwrap_named(mut root: Map<String, Value>) -> (Option<String>, Map<String, Value>) {
    let named = match root.iter().next() {
        Some((key, Value::Object(inner))) if root.len() == 1 && !KEYS.contains(&key.as_str()) => {
            inner.keys().any(|it| KEYS.contains(&it.as_str())).then(|| key.clone())
        }
        _ => None,
    };
    match named.as_ref().and_then(|key| root.remove(key)) {
        Some(Value::Object(inner)) => (named, inner),
        _ => (None, root),
    }
}

fn declared(
    name: &str,
    under: Option<&str>,
    fields: &mut Fields<'_>,
    env: &PluginEnv,
    limits: &LimitRules,
) -> Manifest {
    let schema_raw = fields.take("config_schema");
    let schema = read_schema(fields, schema_raw);
    fields.fill(env, |path| match path {
        ["config" | "settings", key] => schema.wants_text(key),
        [key] | [key, ..] => !["config", "settings", "enabled"].contains(key),
        [] => false,
    });
    fields.warn_unknown(KEYS);
    if let Some(given) = under.filter(|it| *it != name) {
        fields.fault(
            &[],
            format!("is written for `{given}`, but the folder is `{name}`: both must be the same"),
        );
    }
    if let Some(given) = fields.text("name").filter(|it| it != name) {
        fields.fault(&["name"], format!("`{given}` must be the folder's name, `{name}`"));
    }
    if let Some(wanted) = fields.version("min_panotti") {
        let ours = Version::parse(env!("CARGO_PKG_VERSION"));
        if ours.is_ok_and(|it| it < wanted) {
            let message = format!("it needs panotti {wanted}, this is {}", env!("CARGO_PKG_VERSION"));
            fields.fault(&["min_panotti"], message);
        }
    }
    let settings = fields.map("settings");
    let mut config = fields.map("config");
    config.extend(settings);
    let known: Vec<&str> = schema.keys().collect();
    for key in config.keys().filter(|it| !known.is_empty() && !known.contains(&it.as_str())) {
        fields.warn_spelling(&["config", key], "is not in config_schema", key, &known);
    }
    let permissions_line = fields.line(&["permissions"]);
    let (requested, mut permission_lines, learn) = permissions(fields);
    permission_lines.extend(permissions_line.map(|line| (String::new(), line)));
    Manifest {
        version: fields.version("version"),
        display_name: fields.text("display_name"),
        description: fields.text("description"),
        author: fields.text("author"),
        enabled: fields.flag("enabled").unwrap_or(true),
        dependencies: fields.dependencies(),
        provides: fields.texts("provides"),
        requires: fields.texts("requires"),
        conflicts: fields.texts("conflicts"),
        requested,
        permission_lines,
        learn,
        limits: read_limits(fields, limits),
        plugin_type: fields.text("type").unwrap_or_else(|| "lua".to_owned()),
        tags: fields.texts("tags"),
        capabilities: fields.texts("capabilities"),
        config,
        schema,
        warnings: Vec::new(),
        file: None,
        under: None,
    }
}

fn read_schema(fields: &mut Fields<'_>, raw: Option<Value>) -> Schema {
    let Some(raw) = raw.filter(|it| !it.is_null()) else { return Schema::default() };
    let strays: Vec<String> =
        raw.as_object().map(|it| strays(it).map(str::to_owned).collect()).unwrap_or_default();
    for key in strays {
        let what = "describes nothing here; keys of the config are described below `properties:`";
        fields.warn_spelling(&["config_schema", &key], what, &key, &["properties", "required"]);
    }
    for it in schema_check::odd(&raw) {
        fields.warn(&path_of(&it.pointer), it.message);
    }
    match Schema::parse(raw) {
        Ok(schema) => schema,
        Err(faults) => {
            for fault in faults {
                fields.fault(&path_of(&fault.pointer), fault.message);
            }
            Schema::default()
        }
    }
}

/// The path of a place in the schema, from the top of the manifest on.
fn path_of(pointer: &str) -> Vec<&str> {
    std::iter::once("config_schema").chain(pointer.split('/').filter(|it| !it.is_empty())).collect()
}

fn read_limits(fields: &mut Fields<'_>, limits: &LimitRules) -> PluginLimits {
    match limits.merged(&fields.map("limits")) {
        Ok((merged, beyond)) => {
            for fault in beyond {
                let path: Vec<&str> = fault.source.split('.').collect();
                fields.warn(&path, fault.message);
            }
            merged
        }
        Err(faults) => {
            for fault in faults {
                let path: Vec<&str> = fault.source.split('.').collect();
                fields.fault(&path, fault.message);
            }
            limits.default
        }
    }
}

/// `{http: [host], db: true, "recordings:read": true}` or a list of such names.
fn permissions(fields: &mut Fields<'_>) -> (Permissions, BTreeMap<String, usize>, bool) {
    let (mut asked, mut lines) = (Permissions::default(), BTreeMap::new());
    let pairs: Vec<(String, Value)> = match fields.take("permissions") {
        Some(Value::String(word)) if word == "learn" => return (asked, lines, true),
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(map)) => map.into_iter().collect(),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
            let names = items.iter().filter_map(Value::as_str);
            names.map(|it| (it.to_owned(), Value::Bool(true))).collect()
        }
        Some(_) => {
            fields.fault(
                &["permissions"],
                "must be a mapping such as `{ db: true, http: [api.example] }`, a list of names, or the word `learn`"
                    .to_owned(),
            );
            Vec::new()
        }
    };
    for (key, value) in pairs {
        let (name, part) = match key.split_once(':') {
            Some((name, part)) => (name, Some(part)),
            None => (key.as_str(), None),
        };
        if !NAMES.contains(&name) {
            fields.warn_spelling(&["permissions", &key], "is no permission", name, NAMES);
            continue;
        }
        if let Some(line) = fields.line(&["permissions", &key]) {
            lines.entry(name.to_owned()).or_insert(line);
        }
        let grant = match part {
            Some(part) if value == Value::Bool(true) => Some(Grant::Parts(vec![part.to_owned()])),
            _ => read_grant(&value),
        };
        if let Some(Err(why)) = grant.as_ref().map(|it| check(name, it)) {
            fields.fault(&["permissions", &key], why);
            continue;
        }
        match (read_grant(&value), part) {
            (None, _) => {
                fields.fault(&["permissions", &key], "must be true, false or a list of words".to_owned())
            }
            (Some(Grant::Whole(true)), Some(part)) => add_part(&mut asked, name, part),
            (Some(grant), _) => {
                asked.0.insert(name.to_owned(), grant);
            }
        }
    }
    (asked, lines, false)
}

fn add_part(asked: &mut Permissions, name: &str, part: &str) {
    let grant = asked.0.entry(name.to_owned()).or_insert_with(|| Grant::Parts(Vec::new()));
    if let Grant::Parts(parts) = grant {
        parts.push(part.to_owned());
    }
}

/// The line of a key of the manifest, under the plugin's name in the older form.
pub(super) fn find_line(text: &str, under: Option<&str>, path: &[&str]) -> Option<usize> {
    let full: Vec<&str> = under.into_iter().chain(path.iter().copied()).collect();
    if full.is_empty() { Some(1) } else { line_of(text, &full) }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
