//! `panotti config`: what is set in the config of plugins, and setting it.

use std::fmt::Write;
use std::io::Read;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::Failure;
use super::client::Client;
use super::flags::ClientFlags;
use super::plugins::route;
use super::print::{columns, print, shown};
use crate::app::logging::escaped;
use crate::model::spelling::find_similar;

/// The longest value that is read from standard input, in bytes.
const MAX_VALUE_BYTES: u64 = 64 * 1024;

/// Shows and sets the config of a plugin of the running server.
///
/// A value is what the plugin's schema says it is: a text stays a text, anything else is read as JSON. Secret values are read from
/// standard input alone, and never shown. Exit codes: 0 done, 1 it was refused or failed, 2 the command line is wrong.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  panotti config list quiet_hours\n  panotti config set quiet_hours from 22:00\n  panotti config set meeting_notes api_key --stdin < key.txt\n  panotti config unset quiet_hours from\n  panotti config validate quiet_hours from 25:00"
)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    server: ClientFlags,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Lists every key with its value and where that comes from.
    List {
        /// The plugin's name or number.
        plugin: String,
        /// As JSON, as the server says it.
        #[arg(long)]
        json: bool,
    },
    /// Prints one value: a text as it is, anything else as JSON.
    Get {
        /// The plugin's name or number.
        plugin: String,
        /// The key.
        key: String,
        /// Everything about it as JSON, as the server says it.
        #[arg(long)]
        json: bool,
    },
    /// Sets one value; the running plugin has taken it when this is done. An object is merged into the one in force.
    Set {
        #[command(flatten)]
        given: Given,
        /// The answer as JSON, as the server says it.
        #[arg(long)]
        json: bool,
    },
    /// Drops a value that was set here or over HTTP: the manifest's or the schema's counts again.
    Unset {
        /// The plugin's name or number.
        plugin: String,
        /// The key.
        key: String,
        /// The answer as JSON, as the server says it.
        #[arg(long)]
        json: bool,
    },
    /// Tells every fault of the config, or of what it would be with a value; nothing is changed.
    Validate {
        /// The plugin's name or number.
        plugin: String,
        /// The key of a value to try.
        key: Option<String>,
        /// The value to try.
        #[arg(allow_hyphen_values = true)]
        value: Option<String>,
        /// Reads the value from standard input.
        #[arg(long, conflicts_with = "value", requires = "key")]
        stdin: bool,
        /// The answer as JSON, as the server says it.
        #[arg(long)]
        json: bool,
    },
}

/// A key and its new value.
#[derive(Debug, Args)]
struct Given {
    /// The plugin's name or number.
    plugin: String,
    /// The key.
    key: String,
    /// The value; `--stdin` instead for what nobody is to see.
    #[arg(allow_hyphen_values = true, required_unless_present = "stdin")]
    value: Option<String>,
    /// Reads the value from standard input, without the line break at its end.
    #[arg(long, conflicts_with = "value")]
    stdin: bool,
}

pub(super) fn run(command: ConfigCommand) -> Result<(), Failure> {
    let client = Client::find(&command.server)?;
    match command.verb {
        Verb::List { plugin, json } => list(&client, &plugin, json),
        Verb::Get { plugin, key, json } => get(&client, &plugin, &key, json),
        Verb::Set { given: Given { plugin, key, value, stdin }, json } => {
            let value = read(&client, &plugin, &key, value, stdin)?;
            let answer = client.call("PATCH", &route(&plugin, "config")?, Some(&body(&key, value)))?;
            tell(&answer, &key, json)
        }
        Verb::Unset { plugin, key, json } => {
            let answer = client.call("PATCH", &route(&plugin, "config")?, Some(&body(&key, Value::Null)))?;
            tell(&answer, &key, json)
        }
        Verb::Validate { plugin, key, value, stdin, json } => {
            let wanted = match key {
                None => json!({}),
                Some(_) if value.is_none() && !stdin => {
                    return Err(Failure::Usage("a key without a value: give one, or --stdin".to_owned()));
                }
                Some(key) => body(&key, read(&client, &plugin, &key, value, stdin)?),
            };
            validate(&client.call("POST", &route(&plugin, "config/validate")?, Some(&wanted))?, json)
        }
    }
}

fn body(key: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), value)]))
}

/// The value as the plugin's schema wants it.
fn read(
    client: &Client,
    plugin: &str,
    key: &str,
    value: Option<String>,
    stdin: bool,
) -> Result<Value, Failure> {
    let schema = client.call("GET", &route(plugin, "config/schema")?, None)?;
    let known = named(&schema["keys"], key);
    if known.is_some_and(|it| it["secret"] == true) && !stdin {
        return Err(Failure::Usage(format!(
            "`{}` is secret: give it with --stdin, where neither the history of the shell nor the list of processes shows it",
            escaped(key)
        )));
    }
    let text = match value {
        Some(value) => value,
        None => from_stdin()?,
    };
    match typed(&schema["schema"]["properties"][key], &text) {
        Value::Null => Err(Failure::Usage(
            "null is no value to set; `panotti config unset` drops the one that is set".to_owned(),
        )),
        value => Ok(value),
    }
}

fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().take(MAX_VALUE_BYTES + 1).read_to_string(&mut text);
    read.map_err(|fault| Failure::Failed(format!("standard input: {fault}")))?;
    if text.len() as u64 > MAX_VALUE_BYTES {
        return Err(Failure::Failed(format!("standard input: a value may have {MAX_VALUE_BYTES} bytes")));
    }
    let end = text.trim_end_matches('\n').trim_end_matches('\r').len();
    text.truncate(end);
    Ok(text)
}

/// What a text stands for: a text where the schema wants one, else JSON if it is any.
fn typed(rule: &Value, text: &str) -> Value {
    let wants_text = match &rule["type"] {
        Value::String(kind) => kind == "string",
        Value::Array(kinds) => kinds.iter().any(|it| it == "string"),
        _ => rule["enum"].as_array().is_some_and(|it| it.iter().any(|it| it == text)),
    };
    match serde_json::from_str(text) {
        Ok(value) if !wants_text => value,
        _ => Value::from(text),
    }
}

fn named<'a>(items: &'a Value, key: &str) -> Option<&'a Value> {
    items.as_array()?.iter().find(|it| it["key"] == key)
}

fn list(client: &Client, plugin: &str, json: bool) -> Result<(), Failure> {
    let answer = client.call("GET", &route(plugin, "config")?, None)?;
    if json {
        return print(&format!("{answer:#}\n"));
    }
    let schema = client.call("GET", &route(plugin, "config/schema")?, None)?;
    print(&table(&answer["items"], &schema["keys"]))
}

/// Every key, those of the schema first; a hint stands in a line of its own below.
fn table(items: &Value, keys: &Value) -> String {
    let all = keys.as_array().into_iter().flatten().filter_map(|it| it["key"].as_str());
    let rows = all.map(|key| match named(items, key) {
        Some(item) => [escaped(key), value_of(item), source_of(item)],
        None => [escaped(key), "-".to_owned(), "unset".to_owned()],
    });
    let mut text = columns(["KEY", "VALUE", "SOURCE"], rows);
    for item in items.as_array().into_iter().flatten() {
        if let Some(hint) = item["hint"].as_str() {
            _ = writeln!(text, "{}: {}", shown(&item["key"]), escaped(hint));
        }
    }
    text
}

fn value_of(item: &Value) -> String {
    match item["secret"] == true {
        true => "(secret)".to_owned(),
        false => match &item["value"] {
            Value::String(text) => escaped(text),
            other => escaped(&other.to_string()),
        },
    }
}

fn source_of(item: &Value) -> String {
    match shown(&item["variables"]) {
        names if names.is_empty() => shown(&item["source"]),
        names => format!("{} {names}", shown(&item["source"])),
    }
}

fn get(client: &Client, plugin: &str, key: &str, json: bool) -> Result<(), Failure> {
    let answer = client.call("GET", &route(plugin, "config")?, None)?;
    let Some(item) = named(&answer["items"], key) else {
        let known: Vec<&str> =
            answer["items"].as_array().into_iter().flatten().filter_map(|it| it["key"].as_str()).collect();
        let near =
            find_similar(key, known.into_iter()).map(|it| format!("; did you mean `{}`?", escaped(it)));
        return Err(Failure::Failed(format!("`{}` has no value{}", escaped(key), near.unwrap_or_default())));
    };
    if json {
        return print(&format!("{item:#}\n"));
    }
    print(&format!("{}\n", value_of(item)))
}

fn tell(answer: &Value, key: &str, json: bool) -> Result<(), Failure> {
    if json {
        return print(&format!("{answer:#}\n"));
    }
    let now = match named(&answer["items"], key) {
        Some(item) => format!("{} ({})", value_of(item), source_of(item)),
        None => "unset".to_owned(),
    };
    let is_new = answer["changed"].as_array().is_some_and(|it| !it.is_empty());
    let same = if is_new { "" } else { ", as before" };
    let mut text = format!("{}: {} = {now}{same}\n", shown(&answer["plugin"]), escaped(key));
    if let Some(hint) = named(&answer["items"], key).and_then(|it| it["hint"].as_str()) {
        _ = writeln!(text, "{}", escaped(hint));
    }
    print(&text)
}

fn validate(answer: &Value, json: bool) -> Result<(), Failure> {
    if json {
        print(&format!("{answer:#}\n"))?;
    }
    let faults: Vec<String> = answer["faults"].as_array().into_iter().flatten().map(fault).collect();
    let told = faults.into_iter().chain(answer["locked"].as_str().map(escaped)).collect::<Vec<_>>();
    match (told.is_empty(), json) {
        (true, true) => Ok(()),
        (true, false) => print("nothing is wrong with it\n"),
        (false, true) => Err(Failure::Failed("the config is wrong".to_owned())),
        (false, false) => Err(Failure::Failed(format!("the config is wrong:\n  {}", told.join("\n  ")))),
    }
}

/// `plugin.yaml:4: /level: what is wrong`.
fn fault(it: &Value) -> String {
    let place = match (it["file"].as_str(), it["line"].as_u64()) {
        (Some(file), Some(line)) => format!("{}:{line}: ", escaped(file)),
        (Some(file), None) => format!("{}: ", escaped(file)),
        _ => String::new(),
    };
    let from = match shown(&it["variables"]) {
        names if names.is_empty() => String::new(),
        names => format!(" (from {names})"),
    };
    format!("{place}{}: {}{from}", shown(&it["pointer"]), shown(&it["message"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_the_schema_says_else_json_if_it_is_any() {
        let text = json!({ "type": "string" });
        assert_eq!(typed(&text, "22"), json!("22"));
        assert_eq!(typed(&json!({ "type": "integer" }), "22"), json!(22));
        assert_eq!(typed(&Value::Null, "[1, true]"), json!([1, true]));
        assert_eq!(typed(&Value::Null, "22:00"), json!("22:00"));
        assert_eq!(typed(&json!({ "enum": ["1", "2"] }), "1"), json!("1"));
    }

    #[test]
    fn the_table_shows_where_values_come_from_and_no_secret() {
        let items = json!([
            { "key": "from", "value": "22:00\u{1b}[2J", "source": "database", "variables": [], "secret": false, "hint": null },
            { "key": "token", "value": null, "source": "environment", "variables": ["PANOTTI_PLUGIN_P__TOKEN"], "secret": true,
              "hint": null },
            { "key": "form", "value": 1, "source": "yaml", "variables": [], "secret": false, "hint": "did you mean `from`?" },
        ]);
        let keys = json!([{ "key": "from" }, { "key": "to" }, { "key": "token" }, { "key": "form" }]);
        assert_eq!(
            table(&items, &keys),
            "KEY    VALUE           SOURCE\n\
             from   22:00\\u{1b}[2J  database\n\
             to     -               unset\n\
             token  (secret)        environment PANOTTI_PLUGIN_P__TOKEN\n\
             form   1               yaml\n\
             form: did you mean `from`?\n"
        );
    }

    #[test]
    fn a_fault_tells_its_place() {
        let told = json!({ "pointer": "/a", "message": "is wrong", "file": "plugin.yaml", "line": 4, "variables": [] });
        assert_eq!(fault(&told), "plugin.yaml:4: /a: is wrong");
        let told =
            json!({ "pointer": "/a", "message": "is wrong", "file": null, "line": null, "variables": ["X"] });
        assert_eq!(fault(&told), "/a: is wrong (from X)");
    }
}
