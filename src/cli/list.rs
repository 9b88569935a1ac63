//! `panotti list`: all plugins in a table.

use clap::Args;
use serde_json::Value;

use super::Failure;
use super::client::Client;
use super::flags::ClientFlags;
use super::follow::with;
use super::plugins::{place, state};
use super::print::{columns_or, print, shown};

/// Lists plugins: what they are doing, whether they are meant to run, generation, version and what failed last.
#[derive(Debug, Args)]
pub(super) struct ListCommand {
    /// Only those with this text in name, display name or description.
    #[arg(short, long, value_name = "TEXT")]
    q: Option<String>,
    /// Only those in this state, such as running or failed.
    #[arg(long)]
    state: Option<String>,
    /// Only those of this type.
    #[arg(long = "type", value_name = "TYPE")]
    plugin_type: Option<String>,
    /// Only those that are meant to run, or not.
    #[arg(long)]
    enabled: Option<bool>,
    /// The order: name, id, state, state_since, created_at or updated_at, with - the other way round [default: name].
    #[arg(long, allow_hyphen_values = true)]
    sort: Option<String>,
    /// As JSON, as the server says it.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ClientFlags,
}

pub(super) fn run(command: ListCommand) -> Result<(), Failure> {
    let mut route = "/plugins?page_size=1000".to_owned();
    let enabled = command.enabled.map(|it| it.to_string());
    for (name, value) in [
        ("q", &command.q),
        ("state", &command.state),
        ("type", &command.plugin_type),
        ("enabled", &enabled),
        ("sort", &command.sort),
    ] {
        if let Some(value) = value {
            with(&mut route, name, value);
        }
    }
    let page = Client::find(&command.server)?.call("GET", &route, None)?;
    if command.json {
        return print(&format!("{page:#}\n"));
    }
    let rows = page["items"].as_array().into_iter().flatten().map(row);
    print(&columns_or(
        "there is no such plugin; `panotti new <name>` writes one",
        ["PLUGIN", "STATE", "WANTED", "GENERATION", "VERSION", "LAST ERROR"],
        rows,
    ))
}

fn row(plugin: &Value) -> [String; 6] {
    let wanted = if plugin["enabled"] == true { "on" } else { "off" };
    let failed = plugin["last_error"]["message"].as_str().map(|_| place(&plugin["last_error"]));
    [
        shown(&plugin["name"]),
        state(plugin),
        wanted.to_owned(),
        shown(&plugin["generation"]),
        shown(&plugin["version"]),
        failed.unwrap_or_else(|| "-".to_owned()),
    ]
}
