//! `panotti traces` and `panotti trace`: recorded calls into plugins.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use super::client::Client;
use super::flags::ClientFlags;
use super::plugins::fault;
use super::preview::{differences, files_of, short};
use super::print::{columns_or, print, shown};

/// Lists recorded calls into plugins, newest first.
#[derive(Debug, Args)]
pub(super) struct TracesCommand {
    /// Of this plugin.
    #[arg(long)]
    plugin: Option<String>,
    /// Of this hook, or event, route, timer, export, task, load.
    #[arg(long)]
    hook: Option<String>,
    /// That ended so, such as runtime or refused.
    #[arg(long)]
    outcome: Option<String>,
    /// That began at this time or later, such as 2026-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// That this HTTP request set off, also by way of events: the X-Request-Id of its answer.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// About this, such as clip/7.
    #[arg(long)]
    subject: Option<String>,
    /// How many.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// As JSON, as the server says it.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ClientFlags,
}

/// Shows a recorded call, or runs it again in a VM that is thrown away: nothing of it reaches the world.
///
/// Exit codes: 0 done, 1 what was run again came to something else or the server refused, 2 the command line is wrong.
#[derive(Debug, Args)]
pub(super) struct TraceCommand {
    /// The id of the call.
    id: String,
    /// Run it again on the files it was recorded with.
    #[arg(long)]
    replay: bool,
    /// Run it again on the files that run now.
    #[arg(long, conflicts_with = "replay")]
    replay_live: bool,
    /// Run it again on the files of this folder, an edited copy of the plugin's.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["replay", "replay_live"])]
    replay_folder: Option<PathBuf>,
    /// As JSON: the whole record, or all that came of running it again.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ClientFlags,
}

pub(super) fn run_list(command: TracesCommand) -> Result<(), Failure> {
    let client = Client::find(&command.server)?;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &command.limit.to_string());
    let wanted = [
        ("plugin", &command.plugin),
        ("hook", &command.hook),
        ("outcome", &command.outcome),
        ("since", &command.since),
        ("request_id", &command.request_id),
        ("subject", &command.subject),
    ];
    for (name, value) in wanted {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let page = client.call("GET", &format!("/traces?{}", query.finish()), None)?;
    if command.json {
        return print(&format!("{page:#}\n"));
    }
    let rows = page["items"].as_array().into_iter().flatten().map(|it| {
        let names = ["id", "at", "plugin", "hook", "outcome", "took_ms", "kept", "subject", "message"];
        names.map(|name| shown(&it[name]).lines().next().unwrap_or_default().to_owned())
    });
    print(&columns_or(
        "no such call is recorded",
        ["ID", "AT", "PLUGIN", "HOOK", "OUTCOME", "MS", "KEPT", "ABOUT", "MESSAGE"],
        rows,
    ))
}

pub(super) fn run_one(command: TraceCommand) -> Result<(), Failure> {
    let client = Client::find(&command.server)?;
    let id: String = url::form_urlencoded::byte_serialize(command.id.as_bytes()).collect();
    let path = format!("/traces/{id}");
    let ask = match &command.replay_folder {
        None if command.replay_live => json!({ "code": "live" }),
        None if command.replay => json!({ "code": "recorded" }),
        None => {
            let trace = client.call("GET", &path, None)?;
            return if command.json { print(&format!("{trace:#}\n")) } else { print(&one(&trace)) };
        }
        Some(folder) => {
            let trace = client.call("GET", &path, None)?;
            let plugin = trace["plugin"].as_str().unwrap_or_default();
            json!({ "files": files_of(&client, plugin, folder)? })
        }
    };
    let again = client.call("POST", &format!("{path}/replay"), Some(&ask))?;
    print(&if command.json { format!("{again:#}\n") } else { replayed(&again) })?;
    match (&again["same"], &again["why"], &again["diverged"]) {
        (Value::Bool(true), ..) => Ok(()),
        (_, Value::String(why), _) => Err(Failure::Failed(format!("it cannot be run again: {why}"))),
        (_, _, Value::Object(it)) => {
            Err(Failure::Failed(format!("it asks for {}, which was not recorded", shown(&it["function"]))))
        }
        _ => Err(Failure::Failed("it came to something else".to_owned())),
    }
}

fn one(trace: &Value) -> String {
    let (plugin, hook, outcome) = (shown(&trace["plugin"]), shown(&trace["hook"]), shown(&trace["outcome"]));
    let took = trace["took_ms"].as_f64().unwrap_or_default();
    let mut text = format!("{plugin} {hook}: {outcome} in {took:.1} ms, {}", shown(&trace["at"]));
    let _ = writeln!(text, ", generation {}", trace["generation"]);
    let mut part = |what: &str, value: &Value| {
        if !value.is_null() {
            let _ = writeln!(text, "{what:<9}{}", short(value));
        }
    };
    part("request", &trace["request_id"]);
    part("given", &trace["input"]);
    for step in trace["steps"].as_array().into_iter().flatten().filter(|it| it["name"].is_string()) {
        let args = step["args"].as_array().into_iter().flatten().map(short).collect::<Vec<_>>().join(", ");
        part("asked", &format!("{}({args}) -> {}", shown(&step["name"]), short(&step["answer"])).into());
    }
    part("returned", &trace["output"]);
    let left = trace["effects"].as_object().is_some_and(|it| it.values().any(|it| *it != json!([])));
    part("left", if left { &trace["effects"] } else { &Value::Null });
    part("cut", &trace["cut"]);
    if trace["fault"].is_object() {
        // Its own id is known to who looks at it.
        let mut own = trace["fault"].clone();
        own["trace_id"] = Value::Null;
        let _ = write!(text, "failed   {}", fault(&own));
    }
    text
}

fn replayed(view: &Value) -> String {
    if view["replayable"] == false {
        return format!("it cannot be run again: {}\n", shown(&view["why"]));
    }
    let mut text = match view["same"] == true {
        true => format!("the same: {}\n", shown(&view["outcome"])),
        false => "not the same\n".to_owned(),
    };
    text.push_str(&differences(&view["diff"]));
    let diverged = &view["diverged"];
    if diverged.is_object() {
        let (file, line) = (shown(&diverged["file"]), &diverged["line"]);
        let _ = writeln!(
            text,
            "  {file}:{line} asks for {}, which was not recorded",
            shown(&diverged["function"])
        );
    }
    for name in view["left_over"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "  no longer asks for {}", shown(name));
    }
    for line in view["log"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "  would log {}: {}", shown(&line["level"]), shown(&line["message"]));
    }
    for note in view["notes"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "  {}", shown(note));
    }
    if view["fault"].is_object() {
        let _ = write!(text, "fails: {}", fault(&view["fault"]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_shown_with_what_it_asked_and_what_failed() {
        let told = one(&json!({
            "plugin": "p", "hook": "on_clip_captured", "outcome": "runtime", "took_ms": 1.26, "at": "now",
            "generation": 2, "request_id": "r1", "input": { "title": "a\u{1b}" }, "output": null, "effects": null,
            "steps": [{ "kind": "now", "us": 1 }, { "name": "panotti.kv.get", "args": ["last"], "answer": { "returned": [3] } }],
            "fault": { "file": "init.lua", "line": 4, "message": "no", "trace_id": "ab" }
        }));
        assert_eq!(
            told,
            "p on_clip_captured: runtime in 1.3 ms, now, generation 2\nrequest  r1\n\
             given    {\"title\":\"a\\u001b\"}\n\
             asked    panotti.kv.get(last) -> {\"returned\":[3]}\nfailed   init.lua:4: no\n"
        );
    }

    #[test]
    fn a_replay_that_could_not_be_run_says_why() {
        let told = replayed(&json!({ "replayable": false, "why": "it was cut", "same": false }));
        assert_eq!(told, "it cannot be run again: it was cut\n");
        let told = replayed(
            &json!({ "replayable": true, "same": false, "diff": [], "left_over": ["panotti.kv.get"],
            "diverged": { "function": "panotti.http.get", "file": "init.lua", "line": 7 },
            "log": [{ "level": "info", "message": "hello" }] }),
        );
        assert_eq!(
            told,
            "not the same\n  init.lua:7 asks for panotti.http.get, which was not recorded\n  \
             no longer asks for panotti.kv.get\n  would log info: hello\n"
        );
    }
}
