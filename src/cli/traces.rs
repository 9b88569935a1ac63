//! `panotti traces` and `panotti trace`: recorded calls into plugins.

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use super::client::Client;
use super::flags::ClientFlags;
use super::print::{columns, print, shown};

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
    /// That this HTTP request began.
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

/// Shows a recorded call as JSON, or runs it again in a VM that is thrown away.
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
    print(&columns(["ID", "AT", "PLUGIN", "HOOK", "OUTCOME", "MS", "KEPT", "ABOUT", "MESSAGE"], rows))
}

pub(super) fn run_one(command: TraceCommand) -> Result<(), Failure> {
    let client = Client::find(&command.server)?;
    let id: String = url::form_urlencoded::byte_serialize(command.id.as_bytes()).collect();
    let path = format!("/traces/{id}");
    if !command.replay && !command.replay_live {
        return print(&format!("{:#}\n", client.call("GET", &path, None)?));
    }
    let code = if command.replay_live { "live" } else { "recorded" };
    let again = client.call("POST", &format!("{path}/replay"), Some(&json!({ "code": code })))?;
    print(&format!("{again:#}\n"))?;
    match (&again["same"], &again["why"], &again["diverged"]) {
        (Value::Bool(true), ..) => Ok(()),
        (_, Value::String(why), _) => Err(Failure::Failed(format!("it cannot be run again: {why}"))),
        (_, _, Value::Object(it)) => {
            Err(Failure::Failed(format!("it asks for {}, which was not recorded", shown(&it["function"]))))
        }
        _ => Err(Failure::Failed("it came to something else".to_owned())),
    }
}
