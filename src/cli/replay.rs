//! `panotti replay` and `panotti events`: past events told again, what was given up, what one request set off.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::Failure;
use super::client::Client;
use super::events::{self, Shown};
use super::flags::ClientFlags;
use super::print::{columns, columns_or, print, shown};
use super::progress::{Teller, bar};

/// How often the progress is asked for.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Tells past events again, behind everything live, and waits until that is done.
///
/// Exit codes: 0 all were told, 1 some were given up or the server refused, 2 the command line is wrong.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  panotti replay --failed\n  panotti replay --type 'clip.*' --from 2026-01-01T00:00:00Z --plugin tagger\n  panotti replay --all --plugin tagger --dry-run"
)]
pub(super) struct ReplayCommand {
    #[command(flatten)]
    which: Which,
    /// Only to this plugin, or webhook/<id> [default: all who subscribe to the event].
    #[arg(long)]
    plugin: Option<String>,
    /// Only say how many events are meant and how many deliveries that makes.
    #[arg(long)]
    dry_run: bool,
    /// Do not wait for the end.
    #[arg(long, conflicts_with = "dry_run")]
    no_wait: bool,
    /// As JSON, as the server says it at the end.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ClientFlags,
}

/// Which events; all that is given must fit.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Which {
    /// The id of an event; may be repeated.
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
    /// A pattern of types (`*` is one word, `**` the rest), of which one fits; may be repeated.
    #[arg(long = "type", value_name = "PATTERN")]
    types: Vec<String>,
    /// At this time or later, such as 2026-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// At this time or earlier.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// About this, such as clip/7.
    #[arg(long)]
    subject: Option<String>,
    /// Told by: panotti, plugin/<name>, or http/<id of a key>.
    #[arg(long)]
    source: Option<String>,
    /// Behind this place on the journal.
    #[arg(long, value_name = "SEQUENCE")]
    after: Option<u64>,
    /// Ahead of this place on the journal.
    #[arg(long, value_name = "SEQUENCE")]
    before: Option<u64>,
    /// Those whose delivery was given up, to whom they could not be told.
    #[arg(long)]
    failed: bool,
    /// The number of a delivery that was given up; may be repeated.
    #[arg(long = "delivery", value_name = "NUMBER")]
    deliveries: Vec<u64>,
    /// All events.
    #[arg(long)]
    all: bool,
}

/// Shows the last events, follows those that come, shows what was given up and what one request set off; ends replays.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  panotti events -f --type 'plugin.*'\n  panotti events --subject recording/r1 --json\n  panotti events dead"
)]
pub(super) struct EventsCommand {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    server: ClientFlags,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Lists the last deliveries that were given up, newest first.
    Dead {
        /// As JSON, as the server says it.
        #[arg(long)]
        json: bool,
    },
    /// Shows what one request set off, as a tree; its id is in the X-Request-Id of its answer.
    Trace {
        /// The id of the request, or any correlation id.
        id: String,
        /// As JSON, as the server says it.
        #[arg(long)]
        json: bool,
    },
    /// Lists the last replays, newest first.
    Replays {
        /// As JSON, as the server says it.
        #[arg(long)]
        json: bool,
    },
    /// Ends a replay; what has not begun is not told.
    Cancel {
        /// The number of the replay.
        replay: u64,
        /// As JSON, as the server says it.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: ReplayCommand) -> Result<(), Failure> {
    let client = Client::find(&command.server)?;
    let mut body = command.which.body();
    if let Some(plugin) = command.plugin {
        body.insert("plugin".to_owned(), plugin.into());
    }
    if command.dry_run {
        body.insert("dry_run".to_owned(), true.into());
    }
    let mut replay = client.call("POST", "/events/replay", Some(&Value::Object(body)))?;
    if command.dry_run && command.json {
        return print(&format!("{replay:#}\n"));
    }
    if command.dry_run {
        let told = replay["by_subscriber"].as_object().into_iter().flatten();
        let each: String =
            told.map(|(name, count)| format!("  {}: {count}\n", shown(&json!(name)))).collect();
        return print(&format!(
            "{} events are meant, {} deliveries\n{each}",
            replay["matched"], replay["queued"]
        ));
    }
    let route = format!("/events/replays/{}", replay["id"]);
    let mut teller = Teller::new("replay");
    while replay["state"] == "running" && !command.no_wait {
        std::thread::sleep(LOOK_EVERY);
        replay = client.call("GET", &route, None)?;
        let count = |key: &str| replay[key].as_u64().unwrap_or_default();
        let done = count("done") + count("failed");
        teller.tell(&format!("{}{done} of {} deliveries", bar(done, count("queued")), count("queued")));
    }
    teller.end();
    print(&if command.json { format!("{replay:#}\n") } else { format!("{}\n", progress(&replay)) })?;
    match replay["failed"].as_i64() {
        None | Some(0) => Ok(()),
        Some(count) => Err(Failure::Failed(format!("{count} given up; `panotti events dead` lists them"))),
    }
}

pub(super) fn run_events(command: EventsCommand) -> Result<(), Failure> {
    let Some(verb) = command.verb else { return events::run(&command.shown, &command.server) };
    if !command.shown.is_nothing() {
        let text = "which events are shown and how is for `panotti events` alone; see its --help";
        return Err(Failure::Usage(text.to_owned()));
    }
    let client = Client::find(&command.server)?;
    match verb {
        Verb::Dead { json } => {
            let page = client.call("GET", "/events/dead", None)?;
            if json {
                return print(&format!("{page:#}\n"));
            }
            if page["items"].as_array().is_none_or(Vec::is_empty) {
                return print("nothing was given up\n");
            }
            let rows = page["items"].as_array().into_iter().flatten().map(|it| {
                let event = &it["event"];
                [&it["id"], &it["plugin"], &event["type"], &it["attempts"], &it["since"], &it["last_error"]]
                    .map(|it| shown(it).lines().next().unwrap_or_default().to_owned())
            });
            print(&columns(["NUMBER", "TO", "TYPE", "TRIES", "SINCE", "LAST ERROR"], rows))
        }
        Verb::Trace { id, json } => {
            let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
            let trace = client.call("GET", &format!("/events/trace/{id}"), None)?;
            if json {
                return print(&format!("{trace:#}\n"));
            }
            let mut text = String::new();
            tree(&trace["roots"], 0, &mut text);
            print(if text.is_empty() { "nothing of it is on the journal\n" } else { &text })
        }
        Verb::Replays { json } => {
            let page = client.call("GET", "/events/replays", None)?;
            if json {
                return print(&format!("{page:#}\n"));
            }
            let rows = page["items"].as_array().into_iter().flatten().map(|it| {
                ["id", "state", "plugin", "queued", "done", "failed", "created_at"].map(|key| shown(&it[key]))
            });
            print(&columns_or(
                "no replay was asked for",
                ["NUMBER", "STATE", "TO", "QUEUED", "DONE", "FAILED", "SINCE"],
                rows,
            ))
        }
        Verb::Cancel { replay, json } => {
            let ended = client.call("DELETE", &format!("/events/replays/{replay}"), None)?;
            print(&if json { format!("{ended:#}\n") } else { format!("{}\n", progress(&ended)) })
        }
    }
}

impl Which {
    fn body(self) -> Map<String, Value> {
        let all = json!({
            "ids": self.ids, "type": self.types, "from": self.from, "to": self.to, "subject": self.subject,
            "source": self.source, "after": self.after, "before": self.before, "failed": self.failed,
            "deliveries": self.deliveries, "all": self.all,
        });
        let Value::Object(mut all) = all else { return Map::new() };
        // What was not said is not sent.
        all.retain(|_, it| !it.is_null() && *it != json!([]) && *it != json!(false));
        all
    }
}

fn progress(replay: &Value) -> String {
    format!(
        "replay {} is {}: {} events, {} deliveries, {} done, {} given up",
        replay["id"],
        shown(&replay["state"]),
        replay["matched"],
        replay["queued"],
        replay["done"],
        replay["failed"]
    )
}

/// Events and below each its deliveries, two columns further in.
fn tree(events: &Value, depth: usize, text: &mut String) {
    for event in events.as_array().into_iter().flatten() {
        let about = event["subject"].as_str().map_or(String::new(), |it| format!(" {}", shown(&json!(it))));
        let missing = if event["cause_missing"] == true { " (its cause is not kept any more)" } else { "" };
        text.push_str(&format!(
            "{:depth$}{} {}{about} by {}{missing}\n",
            "",
            shown(&event["time"]),
            shown(&event["type"]),
            shown(&event["source"])
        ));
        for it in event["deliveries"].as_array().into_iter().flatten() {
            let took = it["duration_ms"].as_f64().map_or(String::new(), |ms| format!(", {ms} ms"));
            let error = it["last_error"].as_str().and_then(|it| it.lines().next());
            let error = error.map_or(String::new(), |it| format!(": {}", shown(&json!(it))));
            text.push_str(&format!(
                "{:depth$}  -> {} {} (try {}{took}){error}\n",
                "",
                shown(&it["subscriber"]),
                shown(&it["state"]),
                it["attempts"]
            ));
            tree(&it["caused"], depth + 4, text);
        }
        tree(&event["caused"], depth + 4, text);
    }
}
