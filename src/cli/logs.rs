//! `panotti logs`: what plugins say, and what the server says of them.

use std::fmt::Write;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::Failure;
use super::client::Client;
use super::flags::ClientFlags;
use super::follow::{follow, say, with};
use super::plugins::route;
use super::print::{print, shown};

/// Shows the last lines of a plugin, or of all: its own and those the server says of it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  panotti logs tagger -f\n  panotti logs --level warn --lines 20")]
pub(super) struct LogsCommand {
    /// One plugin, by name or number [default: all].
    plugin: Option<String>,
    /// Goes on with what comes, until it is interrupted or the plugin is gone.
    #[arg(short, long)]
    follow: bool,
    /// Only lines of this level and those that matter more.
    #[arg(long, value_enum)]
    level: Option<Level>,
    /// Only lines with this text in them.
    #[arg(short, long, value_name = "TEXT")]
    q: Option<String>,
    /// So many of the last lines.
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u16).range(0..=1000))]
    lines: u16,
    /// One JSON object a line, as the server says it.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ClientFlags,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

pub(super) fn run(command: LogsCommand) -> Result<(), Failure> {
    let mut route = match &command.plugin {
        Some(plugin) => route(plugin, "logs")?,
        None => "/logs".to_owned(),
    };
    if let Some(level) = command.level.and_then(|it| it.to_possible_value()) {
        with(&mut route, "level", level.get_name());
    }
    if let Some(q) = &command.q {
        with(&mut route, "q", q);
    }
    let mut first = route.clone();
    // To show none, one is asked for all the same: its answer says where to go on.
    with(&mut first, "limit", &command.lines.max(1).to_string());
    let client = Client::find(&command.server)?;
    let page = client.call("GET", &first, None)?;
    if command.lines > 0 {
        show(&page, command.json)?;
    }
    if !command.follow {
        return Ok(());
    }
    let mut next = page["next"].as_i64().unwrap_or(0);
    follow(&command.server, client, |client| {
        let mut more = route.clone();
        with(&mut more, "after", &next.to_string());
        with(&mut more, "limit", "1000");
        let page = client.call("GET", &more, None)?;
        if page["gap"] == true {
            say("lines in between are not kept any more");
        }
        show(&page, command.json)?;
        next = page["next"].as_i64().unwrap_or(next);
        Ok(page["more"] == true)
    })
}

fn show(page: &Value, as_json: bool) -> Result<(), Failure> {
    let mut text = String::new();
    for line in page["items"].as_array().into_iter().flatten() {
        match as_json {
            true => _ = writeln!(text, "{line}"),
            false => _ = writeln!(text, "{}", line_of(line)),
        }
    }
    if text.is_empty() { Ok(()) } else { print(&text) }
}

/// One line for people.
fn line_of(line: &Value) -> String {
    let level = line["level"].as_str().unwrap_or_default().to_uppercase();
    let mut text = format!("{} {level:<5} {}", shown(&line["at"]), shown(&line["plugin"]));
    if line["generation"].is_u64() {
        _ = write!(text, " g{}", line["generation"]);
    }
    if line["hook"].is_string() {
        _ = write!(text, " {}", shown(&line["hook"]));
    }
    // What the plugin says could look like what the server says of it.
    let by = if line["source"] == "server" { " [server]" } else { "" };
    _ = write!(text, "{by} {}", shown(&line["message"]));
    for (key, value) in line["fields"].as_object().into_iter().flatten() {
        let value = match value {
            Value::String(_) => shown(value),
            other => shown(&json!(other.to_string())),
        };
        _ = write!(text, " {}={value}", shown(&json!(key)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_said_what_and_obeys_no_script() {
        let line = json!({ "at": "now", "level": "warn", "plugin": "p", "source": "server", "generation": 3, "hook": "on_load",
            "message": "bad\u{1b}[2J\nnow INFO p", "fields": { "outcome": "runtime", "n": { "a": 1 } } });
        assert_eq!(
            line_of(&line),
            "now WARN  p g3 on_load [server] bad\\u{1b}[2J\\nnow INFO p outcome=runtime n={\"a\":1}"
        );
    }
}
