//! `panotti preview`: what an edit would change, before it is live.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use super::Failure;
use super::client::Client;
use super::flags::ClientFlags;
use super::plugins::route;
use super::print::{counted, print, shown};
use crate::plugins::sources;

/// Characters of a value that are shown of it.
const SHOWN_CHARS: usize = 300;

/// Runs a plugin's last calls on an edit that is not live, beside what runs, and shows what would change.
#[derive(Debug, Args)]
pub(super) struct PreviewCommand {
    /// The plugin's name or number.
    plugin: String,
    /// The edit: an edited copy of the plugin's folder [default: the plugin's draft].
    #[arg(long)]
    folder: Option<PathBuf>,
    /// So many of the last calls.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    calls: u64,
    /// As JSON, as the server says it.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ClientFlags,
}

pub(super) fn run(command: PreviewCommand) -> Result<(), Failure> {
    let client = Client::find(&command.server)?;
    let path = route(&command.plugin, "preview")?;
    let ask = match &command.folder {
        None => json!({ "draft": true, "calls": command.calls }),
        Some(folder) => {
            json!({ "files": files_of(&client, &command.plugin, folder)?, "calls": command.calls })
        }
    };
    let preview = client.call("POST", &path, Some(&ask))?;
    if command.json {
        return print(&format!("{preview:#}\n"));
    }
    print(&previewed(&preview))
}

/// The files of a folder in place of all that the plugin has.
pub(super) fn files_of(client: &Client, plugin: &str, folder: &Path) -> Result<Value, Failure> {
    let failed = |fault: &dyn std::fmt::Display| Failure::Failed(format!("{}: {fault}", folder.display()));
    let whole = folder.canonicalize().map_err(|fault| failed(&fault))?;
    let files = sources::read_all(&whole).map_err(|fault| failed(&fault))?;
    if files.is_empty() {
        return Err(Failure::Failed(format!("no file of a plugin lies in {}", folder.display())));
    }
    let live = client.call("GET", &route(plugin, "files")?, None)?;
    let live = live["items"].as_array().into_iter().flatten().filter_map(|it| it["path"].as_str());
    let mut all: Map<String, Value> = live.map(|it| (it.to_owned(), Value::Null)).collect();
    for (path, content) in files {
        let text = std::str::from_utf8(&content)
            .map_err(|_| Failure::Failed(format!("{path} is no text in UTF-8")))?;
        all.insert(path, text.into());
    }
    Ok(Value::Object(all))
}

fn previewed(preview: &Value) -> String {
    let summary = &preview["summary"];
    let all = summary["calls"].as_u64().unwrap_or_default() as usize;
    let mut text = format!("{}, {} the same", counted(all, "call"), summary["same"]);
    for (key, what) in [
        ("changed", "changed"),
        ("unknown", "unknown"),
        ("new_errors", "that fail and did not"),
        ("gone_errors", "that fail no more"),
        ("new_refusals", "that refuse and did not"),
        ("gone_refusals", "that refuse no more"),
    ] {
        if summary[key].as_u64().is_some_and(|it| it > 0) {
            let _ = write!(text, ", {} {what}", summary[key]);
        }
    }
    let calls = || preview["calls"].as_array().into_iter().flatten();
    let differs =
        |it: &&Value| it["after"].is_null() || it["diff"].as_array().is_some_and(|it| !it.is_empty());
    match calls().filter(|it| !differs(it) && it["error"].is_string()).count() {
        0 => {}
        failing => _ = write!(text, ", {failing} that fail as before"),
    }
    text.push('\n');
    for call in calls().filter(differs) {
        let _ = writeln!(text, "{} {}", shown(&call["trace_id"]), shown(&call["hook"]));
        text.push_str(&differences(&call["diff"]));
        if call["error"].is_string() {
            let _ = writeln!(text, "  {}", shown(&call["error"]));
        }
    }
    text
}

/// Where two calls differ, a place a line.
pub(super) fn differences(diff: &Value) -> String {
    let mut text = String::new();
    for it in diff.as_array().into_iter().flatten() {
        let _ =
            writeln!(text, "  {}: {} -> {}", shown(&it["path"]), short(&it["before"]), short(&it["after"]));
    }
    text
}

/// A value in one line, its end cut off when it is long.
pub(super) fn short(value: &Value) -> String {
    let text = match value {
        Value::String(_) => shown(value),
        other => shown(&other.to_string().into()),
    };
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_preview_only_what_changes_is_shown() {
        let told = previewed(&json!({
            "summary": { "calls": 4, "same": 3, "changed": 1, "new_errors": 1, "unknown": 0 },
            "calls": [
                { "trace_id": "a", "hook": "h", "after": {}, "diff": [], "error": null },
                { "trace_id": "c", "hook": "h", "after": {}, "diff": [], "error": "init.lua:2: no" },
                { "trace_id": "b", "hook": "h", "after": {}, "error": "init.lua:1: no",
                  "diff": [{ "path": "/outcome", "before": "ok", "after": "runtime" }] }
            ]
        }));
        assert_eq!(
            told,
            "4 calls, 3 the same, 1 changed, 1 that fail and did not, 1 that fail as before\nb h\n  /outcome: ok -> runtime\n  init.lua:1: no\n"
        );
        assert_eq!(short(&"x".repeat(400).into()).chars().count(), SHOWN_CHARS + 1);
    }
}
