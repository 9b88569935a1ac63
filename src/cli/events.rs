//! `panotti events`: the last events on the journal, and those that come.

use std::fmt::Write;

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use super::client::Client;
use super::flags::ClientFlags;
use super::follow::{follow, with};
use super::print::{print, shown};

/// The most of an event's data that a line shows.
const DATA_CHARS: usize = 160;

/// Which events are shown, and how.
#[derive(Debug, Default, Args)]
pub(super) struct Shown {
    /// Goes on with what comes, until it is interrupted.
    #[arg(short, long)]
    follow: bool,
    /// Only of a type that fits (`*` is one word, `**` the rest); may be repeated.
    #[arg(long = "type", value_name = "PATTERN")]
    types: Vec<String>,
    /// Only told by: panotti, plugin/<name>, or http/<id of a key>.
    #[arg(long)]
    source: Option<String>,
    /// Only about this, such as clip/7.
    #[arg(long)]
    subject: Option<String>,
    /// So many of the last ones [default: 20].
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(0..=500))]
    lines: Option<u16>,
    /// One CloudEvent in JSON a line, as the server says it.
    #[arg(id = "as_json", long = "json")]
    json: bool,
}

impl Shown {
    /// Whether nothing of it was said.
    pub(super) fn is_nothing(&self) -> bool {
        let Shown { follow, types, source, subject, lines, json } = self;
        !follow && types.is_empty() && source.is_none() && subject.is_none() && lines.is_none() && !json
    }
}

/// Shows the last events, the newest last, and goes on when it is told to.
pub(super) fn run(which: &Shown, flags: &ClientFlags) -> Result<(), Failure> {
    let client = Client::find(flags)?;
    let mut route = "/events".to_owned();
    which.types.iter().for_each(|it| with(&mut route, "type", it));
    for (name, value) in [("source", &which.source), ("subject", &which.subject)] {
        if let Some(value) = value {
            with(&mut route, name, value);
        }
    }
    // Where it goes on: looked up first, so that nothing is missed between.
    let end = client.call("GET", "/events?order=desc&limit=1", None)?;
    let mut next = end["items"][0]["sequence"].as_str().and_then(|it| it.parse().ok()).unwrap_or(0_i64);
    let last = last(&client, &route, which.lines.unwrap_or(20).into(), next)?;
    show(last.iter().rev(), which.json)?;
    if !which.follow {
        return Ok(());
    }
    follow(flags, client, |client| {
        let mut more = route.clone();
        with(&mut more, "after", &next.to_string());
        let page = client.call("GET", &more, None)?;
        let items = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        show(items.iter(), which.json)?;
        let seen = items.last().and_then(|it| it["sequence"].as_str()?.parse().ok());
        next = page["next"].as_i64().or(seen).unwrap_or(next);
        Ok(page["next"].is_i64())
    })
}

/// The last events up to a place, the newest first.
fn last(client: &Client, route: &str, count: usize, up_to: i64) -> Result<Vec<Value>, Failure> {
    let (mut found, mut before) = (Vec::new(), up_to.saturating_add(1));
    while found.len() < count {
        let mut older = route.to_owned();
        for (name, value) in [
            ("order", "desc".to_owned()),
            ("before", before.to_string()),
            ("limit", (count - found.len()).to_string()),
        ] {
            with(&mut older, name, &value);
        }
        let mut page = client.call("GET", &older, None)?;
        if let Value::Array(items) = page["items"].take() {
            found.extend(items);
        }
        // A page may be short and still have one behind it.
        match page["next"].as_i64() {
            Some(next) => before = next,
            None => break,
        }
    }
    Ok(found)
}

fn show<'a>(events: impl Iterator<Item = &'a Value>, as_json: bool) -> Result<(), Failure> {
    let mut text = String::new();
    for event in events {
        match as_json {
            true => _ = writeln!(text, "{event}"),
            false => _ = writeln!(text, "{}", line_of(event)),
        }
    }
    if text.is_empty() { Ok(()) } else { print(&text) }
}

/// One event for people.
fn line_of(event: &Value) -> String {
    let about = event["subject"].as_str().map_or(String::new(), |it| format!(" {}", shown(&json!(it))));
    let data = event["data"].to_string();
    let mut cut: String = data.chars().take(DATA_CHARS).collect();
    if cut.len() < data.len() {
        cut.push('…');
    }
    format!(
        "{} {}{about} by {} {}",
        shown(&event["time"]),
        shown(&event["type"]),
        shown(&event["source"]),
        shown(&json!(cut))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_its_data() {
        let event = json!({ "time": "now", "type": "clip.created", "source": "panotti", "subject": "clip/7",
            "data": { "title": format!("a\nb\u{1b}{}", "x".repeat(500)) } });
        let line = line_of(&event);
        assert!(line.starts_with("now clip.created clip/7 by panotti {\"title\":\"a\\nb"), "{line}");
        assert!(line.ends_with('…') && line.lines().count() == 1 && !line.contains('\u{1b}'), "{line}");
    }
}
