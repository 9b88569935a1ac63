//! `panotti plugins`, and what starts, stops and renews one: which run, and why one does not.

use std::fmt::Write;

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use super::client::Client;
use super::flags::ClientFlags;
use super::print::{columns_or, lines, print, shown};

/// Lists the plugins of the running server; of one of them shows whether it runs, what calls it and what failed last.
#[derive(Debug, Args)]
pub(super) struct PluginsCommand {
    /// One plugin, by name or number.
    plugin: Option<String>,
    /// As JSON, as the server says it.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ClientFlags,
}

/// The plugin that is meant.
#[derive(Debug, Args)]
pub(super) struct OneCommand {
    /// The plugin's name or number.
    plugin: String,
    /// As JSON, as the server says it.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ClientFlags,
}

pub(super) fn run(command: PluginsCommand) -> Result<(), Failure> {
    let client = Client::find(&command.server)?;
    let route = match &command.plugin {
        Some(plugin) => route(plugin, "status")?,
        None => "/plugins?page_size=1000".to_owned(),
    };
    let answer = client.call("GET", &route, None)?;
    match (command.json, command.plugin) {
        (true, _) => print(&format!("{answer:#}\n")),
        (false, Some(_)) => print(&status(&answer)),
        (false, None) => print(&list(&answer)),
    }
}

/// Makes a plugin anew of its folder.
pub(super) fn reload(command: OneCommand) -> Result<(), Failure> {
    let route = route(&command.plugin, "reload")?;
    let edited = Client::find(&command.server)?.call("POST", &route, Some(&json!({})))?;
    print(&if command.json { format!("{edited:#}\n") } else { renewed(&edited) })
}

/// Starts or stops a plugin; `verb` is a route's.
pub(super) fn switch(command: OneCommand, verb: &str) -> Result<(), Failure> {
    let route = route(&command.plugin, verb)?;
    let view = Client::find(&command.server)?.call("POST", &route, Some(&json!({})))?;
    if command.json {
        return print(&format!("{view:#}\n"));
    }
    let failed = view["state"] == "failed" && view["last_error"].is_object();
    let why = if failed { format!(": {}", place(&view["last_error"])) } else { String::new() };
    print(&format!("{}: {}{}\n", shown(&view["name"]), shown(&view["state"]), why))
}

/// The path of a route of a plugin.
pub(super) fn route(plugin: &str, rest: &str) -> Result<String, Failure> {
    let is_name = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
    match !plugin.is_empty() && plugin.chars().all(is_name) {
        true => Ok(format!("/plugins/{plugin}/{rest}")),
        false => Err(Failure::Usage(format!("{plugin:?} is no plugin's name"))),
    }
}

/// A fault in one line: `init.lua:3: what happened`.
pub(super) fn place(fault: &Value) -> String {
    let message = shown(&fault["message"]);
    match (fault["file"].as_str(), fault["line"].as_u64()) {
        (Some(_), Some(line)) => format!("{}:{line}: {message}", shown(&fault["file"])),
        (Some(_), None) => format!("{}: {message}", shown(&fault["file"])),
        _ => message,
    }
}

/// A fault with the lines around it, what to do, and where more of it is.
pub(super) fn fault(fault: &Value) -> String {
    let mut text = format!("{}\n", place(fault));
    for line in fault["excerpt"].as_str().into_iter().flat_map(lines) {
        let _ = writeln!(text, "  {line}");
    }
    if fault["hint"].is_string() {
        let _ = writeln!(text, "  {}", shown(&fault["hint"]));
    }
    if fault["trace_id"].is_string() {
        let _ = writeln!(text, "  panotti trace {}", shown(&fault["trace_id"]));
    }
    text
}

/// The state of a plugin in a table.
pub(super) fn state(plugin: &Value) -> String {
    let state = shown(&plugin["state"]);
    if plugin["state"] == "running" && plugin["breaker"]["state"] == "open" {
        format!("{state}, left alone")
    } else {
        state
    }
}

fn list(page: &Value) -> String {
    let rows = page["items"].as_array().into_iter().flatten().map(|it| {
        let failed = it["last_error"]["message"].as_str().map(|_| place(&it["last_error"]));
        let failed = failed.unwrap_or_else(|| "-".to_owned());
        [shown(&it["name"]), state(it), shown(&it["version"]), shown(&it["hooks"]), failed]
    });
    columns_or(
        "there is no plugin; `panotti new <name>` writes one",
        ["PLUGIN", "STATE", "VERSION", "IS CALLED FOR", "FAILED LAST"],
        rows,
    )
}

fn status(status: &Value) -> String {
    let (name, state, generation) = (shown(&status["name"]), shown(&status["state"]), &status["generation"]);
    let number = status["version_number"].as_i64();
    let version = number.map_or(String::new(), |it| format!(", version {it}"));
    let mut text = format!("{name}: {state}, generation {generation}{version}\n");
    if state != "running" && status["state_reason"].is_string() {
        let _ = writeln!(text, "for {}", shown(&status["state_reason"]));
    }
    let remedy = format!("`panotti reload {name}` or POST /api/v1/plugins/{name}/breaker/reset ends that");
    if let Some(left_s) = status["breaker"]["opens_again_in"].as_f64() {
        let _ = writeln!(
            text,
            "is left alone for {left_s:.0} s more: it was killed too often (breaker.kills); {remedy}"
        );
    }
    if let Some(left_s) = status["request_breaker"]["opens_again_in"].as_f64() {
        let why = "it was too slow (breaker.slow_request_ms)";
        let _ = writeln!(text, "is not asked around requests for {left_s:.0} s more: {why}; {remedy}");
    }
    let health = &status["health"];
    if health["ok"] == false {
        let _ = writeln!(text, "is not well: {}", shown(&health["message"]));
    }
    if status["enabled"] == false && state != "disabled" {
        text.push_str("off after the next start\n");
    }
    let mut hooks: Vec<String> =
        status["hooks"].as_array().into_iter().flatten().map(|it| shown(&it["hook"])).collect();
    hooks.extend(status["subscriptions"].as_array().into_iter().flatten().map(|it| shown(&it["pattern"])));
    if !hooks.is_empty() {
        let _ = writeln!(text, "is called for {}", hooks.join(", "));
    }
    for warning in status["warnings"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "warning: {}", shown(warning));
    }
    let last = &status["last_error"];
    if last.is_object() {
        let (at, hook, outcome) = (shown(&last["at"]), shown(&last["hook"]), shown(&last["outcome"]));
        let _ = write!(text, "failed last {at} in {hook} ({outcome}): {}", fault(last));
    }
    text
}

/// What came of making a plugin anew.
fn renewed(edited: &Value) -> String {
    let took = edited["took_ms"].as_f64().unwrap_or_default();
    let (name, generation) = (shown(&edited["plugin"]), &edited["generation"]);
    let mut text = match edited["live"] == true {
        true => format!("{name}: generation {generation} runs ({took:.1} ms)\n"),
        false => format!("{name}: does not run: {}", fault(&edited["fault"])),
    };
    for (key, what) in [
        ("hooks_added", "is called now for"),
        ("hooks_removed", "is no longer called for"),
        ("renewed", "made anew with it:"),
    ] {
        if edited[key].as_array().is_some_and(|it| !it.is_empty()) {
            let _ = writeln!(text, "{what} {}", shown(&edited[key]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_what_failed_where_and_where_the_call_is_recorded() {
        let told = status(&json!({
            "name": "p", "state": "running", "generation": 3, "enabled": true, "warnings": ["odd"],
            "hooks": [{ "hook": "on_clip_captured" }], "subscriptions": [{ "pattern": "a.*" }],
            "breaker": { "state": "open", "opens_again_in": 24.4 }, "request_breaker": { "opens_again_in": null },
            "last_error": { "at": "now", "hook": "on_clip_captured", "outcome": "runtime", "file": "init.lua",
                "line": 2, "message": "bad\u{1b}[2J", "excerpt": "> 2 | x\n  3 | y", "hint": null, "trace_id": "ab" }
        }));
        assert_eq!(
            told,
            "p: running, generation 3\nis left alone for 24 s more: it was killed too often (breaker.kills); \
             `panotti reload p` or POST /api/v1/plugins/p/breaker/reset ends that\nis called for on_clip_captured, a.*\nwarning: odd\n\
             failed last now in on_clip_captured (runtime): init.lua:2: bad\\u{1b}[2J\n  > 2 | x\n    3 | y\n  \
             panotti trace ab\n"
        );
    }

    #[test]
    fn a_reload_says_what_runs_and_what_it_is_called_for() {
        let done = json!({ "plugin": "p", "generation": 4, "live": true, "took_ms": 2.04,
            "hooks_added": ["health"], "hooks_removed": [], "renewed": ["q"] });
        assert_eq!(
            renewed(&done),
            "p: generation 4 runs (2.0 ms)\nis called now for health\nmade anew with it: q\n"
        );
        assert!(route("../x", "reload").is_err());
    }
}
