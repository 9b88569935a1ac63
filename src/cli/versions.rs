//! `panotti versions`, `panotti diff` and `panotti rollback`: what a plugin's files were, and going back to it.

use std::fmt::Write;

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use super::client::Client;
use super::flags::ClientFlags;
use super::plugins::route;
use super::print::{columns, lines, print, shown};
use crate::app::logging::escaped;

/// Lists the versions of a plugin's files that went live on the running server, newest first.
#[derive(Debug, Args)]
pub(super) struct VersionsCommand {
    /// The plugin's name or number.
    plugin: String,
    /// How one version differs from the one before it, instead of the list.
    #[arg(long, value_name = "VERSION")]
    diff: Option<u64>,
    /// So many versions at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    /// As JSON, as the server says it.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ClientFlags,
}

/// Puts the files of a former version of a plugin back into its folder; they are made sure to load first.
#[derive(Debug, Args)]
pub(super) struct RollbackCommand {
    /// The plugin's name or number.
    plugin: String,
    /// The version's number, from `panotti versions`; without it the one before the one that runs.
    version: Option<u64>,
    /// Why; kept with the new version.
    #[arg(long)]
    note: Option<String>,
    /// As JSON, as the server says it.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ClientFlags,
}

/// Shows how two versions of a plugin's files differ.
#[derive(Debug, Args)]
pub(super) struct DiffCommand {
    /// The plugin's name or number.
    plugin: String,
    /// A version's number, `live`, `previous` or `disk` (its folder) [default: the version before].
    from: Option<String>,
    /// The same [default: what runs].
    to: Option<String>,
    /// As JSON, as the server says it.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ClientFlags,
}

pub(super) fn run(command: VersionsCommand) -> Result<(), Failure> {
    let client = Client::find(&command.server)?;
    if let Some(version) = command.diff {
        let route = route(&command.plugin, &format!("diff?to={version}"))?;
        let diff = client.call("GET", &route, None)?;
        return match command.json {
            true => print(&format!("{diff:#}\n")),
            false => print(&diff_text(&diff)),
        };
    }
    let route = route(&command.plugin, &format!("versions?page_size={}", command.limit))?;
    let page = client.call("GET", &route, None)?;
    if command.json {
        return print(&format!("{page:#}\n"));
    }
    let rows = page["items"].as_array().into_iter().flatten().map(|it| {
        let number = it["number"].as_i64().unwrap_or_default();
        let number = if it["live"] == true { format!("{number} *") } else { number.to_string() };
        let files = format!("{} ({} bytes)", it["files"], it["bytes"]);
        [number, shown(&it["at"]), shown(&it["origin"]), shown(&it["author"]), files, said(it)]
    });
    print(&columns(["VERSION", "AT", "ORIGIN", "AUTHOR", "FILES", "NOTE"], rows))
}

pub(super) fn diff(command: DiffCommand) -> Result<(), Failure> {
    let client = Client::find(&command.server)?;
    let mut rest = "diff?".to_owned();
    for (name, side) in [("from", &command.from), ("to", &command.to)] {
        let Some(side) = side else { continue };
        if !side.chars().all(|it| it.is_ascii_alphanumeric()) {
            return Err(Failure::Usage(format!("{side:?} is no version: a number, live, previous or disk")));
        }
        let _ = write!(rest, "{name}={side}&");
    }
    let diff = client.call("GET", &route(&command.plugin, rest.trim_end_matches(['&', '?']))?, None)?;
    match command.json {
        true => print(&format!("{diff:#}\n")),
        false => print(&diff_text(&diff)),
    }
}

pub(super) fn roll_back(command: RollbackCommand) -> Result<(), Failure> {
    let client = Client::find(&command.server)?;
    let route = route(&command.plugin, "rollback")?;
    let body = json!({ "version": command.version, "note": command.note });
    let done = client.call("POST", &route, Some(&body))?;
    print(&if command.json { format!("{done:#}\n") } else { told(&done) })
}

/// What came of a rollback.
fn told(done: &Value) -> String {
    let (plugin, restored) = (shown(&done["plugin"]), &done["restored"]);
    match (done["version"].as_i64(), done["live"] == true) {
        (Some(version), _) => {
            let took = done["took_ms"].as_f64().unwrap_or_default();
            format!("{plugin}: version {restored} runs again, as version {version} ({took:.1} ms)\n")
        }
        (None, true) => format!("{plugin}: the files of version {restored} run, and lie in its folder\n"),
        (None, false) => {
            let why = done["fault"]["message"].as_str().map(|it| format!(": {}", escaped(it)));
            format!(
                "{plugin}: the files of version {restored} lie in its folder again; it does not run{}\n",
                why.unwrap_or_default()
            )
        }
    }
}

/// What there is to say of a version.
fn said(version: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(number) = version["restores"].as_i64() {
        parts.push(format!("restores {number}"));
    }
    if let Some(note) = version["note"].as_str() {
        parts.push(escaped(note));
    }
    if let Some(why) = version["rolled_back"]["why"].as_str() {
        parts.push(format!("rolled back: {}", escaped(why)));
    }
    if parts.is_empty() { "-".to_owned() } else { parts.join("; ") }
}

/// The files that differ, each with its lines.
fn diff_text(diff: &Value) -> String {
    let mut text = String::new();
    for file in diff["files"].as_array().into_iter().flatten() {
        let (path, status) = (shown(&file["path"]), shown(&file["status"]));
        let former = file["former_path"].as_str().map(|it| format!(" from {}", escaped(it)));
        let count = format!("+{} -{}", file["lines_added"], file["lines_removed"]);
        let _ = writeln!(text, "{path} {status}{} {count}", former.unwrap_or_default());
        for line in lines(file["diff"].as_str().unwrap_or_default()) {
            let _ = writeln!(text, "{line}");
        }
    }
    if text.is_empty() { "no difference\n".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_is_told_by_what_it_came_to() {
        let done = json!({ "plugin": "p", "restored": 2, "version": 5, "live": true, "took_ms": 1.25 });
        assert_eq!(told(&done), "p: version 2 runs again, as version 5 (1.2 ms)\n");
        let same = json!({ "plugin": "p", "restored": 2, "version": null, "live": true });
        assert_eq!(told(&same), "p: the files of version 2 run, and lie in its folder\n");
        let down = json!({ "plugin": "p", "restored": 2, "version": null, "live": false,
            "fault": { "message": "no end\u{1b}[2J" } });
        let told = told(&down);
        assert!(told.ends_with("it does not run: no end\\u{1b}[2J\n"), "{told}");
    }

    #[test]
    fn what_a_script_says_cannot_command_the_terminal() {
        let diff = json!({ "files": [{ "path": "a.lua", "status": "changed", "lines_added": 1, "lines_removed": 0,
            "diff": "@@\n+\tx = '\u{1b}[2J'\n" }] });
        let text = diff_text(&diff);
        assert!(text.starts_with("a.lua changed +1 -0\n@@\n+\tx = ") && !text.contains('\u{1b}'), "{text}");
        assert_eq!(diff_text(&json!({ "files": [] })), "no difference\n");
    }
}
