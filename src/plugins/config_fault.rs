//! A config against its schema, told to the author of plugin.yaml.

use serde_json::Value;

use crate::config::line_of;
use crate::model::call::Outcome;

use super::discovery::Snapshot;
use super::manifest::Manifest;
use super::problem::{LoadFault, Problem};
use super::schema::first_segment;

/// The whole config against the schema, each fault where its value stands.
pub(super) fn check_config(
    manifest: &Manifest,
    snapshot: &Snapshot,
    config: &Value,
) -> Result<(), LoadFault> {
    let Some(config) = config.as_object() else { return Ok(()) };
    let faults = manifest.schema.check(config);
    if faults.is_empty() {
        return Ok(());
    }
    let file = manifest.file.unwrap_or("plugin.yaml");
    let text = snapshot.files.get(file).and_then(|it| std::str::from_utf8(it).ok());
    let problems = faults.into_iter().map(|fault| {
        let key = first_segment(&fault.pointer);
        let line = text.and_then(|it| {
            line_of(it, &["config", &key]).or_else(|| line_of(it, &["config_schema", "properties", &key]))
        });
        let path = fault.pointer.trim_start_matches('/').replace('/', ".");
        Problem { file: file.to_owned(), line, message: format!("config.{path}: {}", fault.message) }
    });
    let mut fault = LoadFault::of_problems(Outcome::Convert, problems.collect(), text);
    fault.script.hint =
        Some("Correct plugin.yaml, or set the value over HTTP, at the plugin's `config`.".to_owned());
    Err(fault)
}
