//! `panotti token`: makes, lists, rotates and revokes keys of the running server.

use std::io::Write;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Failure;
use super::client::Client;
use super::expires::expires_at;
use super::flags::ClientFlags;
use super::print::{columns, print, shown};
use super::rate::{rate, shown_rate};
use crate::app::logging::escaped;
use crate::model::token::Scope;

/// Makes, lists, rotates and revokes keys of the running server.
#[derive(Debug, Args)]
pub(super) struct TokenCommand {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    server: ClientFlags,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Makes a key and prints it; it is shown this once.
    Create {
        /// What its owner calls it.
        #[arg(long)]
        name: String,
        /// What it allows; may be repeated.
        #[arg(long = "scope", required = true, value_delimiter = ',', value_parser = scope_names())]
        scopes: Vec<String>,
        /// When it stops working: 12h, 30d, 8w, or a moment such as 2030-01-31T00:00:00Z [default: never].
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
        /// As JSON, as the server says it, the key included.
        #[arg(long)]
        json: bool,
        /// How often it may be used: 100/min, 5/s, 1000/h [default: as the setting rate_limit says].
        #[arg(long, value_name = "REQUESTS/TIME")]
        rate: Option<String>,
    },
    /// Changes how often a key may be used; in force at once.
    Limit {
        /// The key's id: the part between the underscores of `pnt_<id>_<secret>`.
        id: String,
        /// 100/min, 5/s, 1000/h; `none` leaves it to the setting rate_limit.
        #[arg(long, value_name = "REQUESTS/TIME")]
        rate: String,
        /// As JSON, as the server says it.
        #[arg(long)]
        json: bool,
    },
    /// Lists the keys, never their secrets.
    List {
        /// As JSON, as the server says it.
        #[arg(long)]
        json: bool,
    },
    /// Revokes a key: it stops working at once.
    Revoke {
        /// The key's id: the part between the underscores of `pnt_<id>_<secret>`.
        id: String,
        /// Also when it is the last key that may do everything; the next start writes a new one to admin.token.
        #[arg(long)]
        force: bool,
    },
    /// Gives a key another secret and prints the whole key; the former one opens nothing any more.
    Rotate {
        /// The key's id.
        id: String,
        /// When it stops working then: 12h, 30d, 8w, or a moment [default: as before].
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
        /// As JSON, as the server says it, the key included.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: TokenCommand) -> Result<(), Failure> {
    match command.verb {
        Verb::Create { name, scopes, expires, rate, json } => {
            let made = create(&command.server, &name, &scopes, expires.as_deref(), rate.as_deref())?;
            if json { print(&format!("{made:#}\n")) } else { show(&made, "made") }
        }
        Verb::Limit { id, rate, json } => limit(&command.server, &id, &rate, json),
        Verb::List { json } => list(&command.server, json),
        Verb::Revoke { id, force } => revoke(&command.server, &id, force),
        Verb::Rotate { id, expires, json } => {
            let made = rotate(&command.server, &id, expires.as_deref())?;
            if json { print(&format!("{made:#}\n")) } else { show(&made, "gave a new secret to") }
        }
    }
}

fn create(
    server: &ClientFlags,
    name: &str,
    scopes: &[String],
    expires: Option<&str>,
    rate: Option<&str>,
) -> Result<Value, Failure> {
    let mut body = json!({ "name": name, "scopes": scopes });
    if let Some(text) = rate {
        body["rate_limit"] = read_rate(text)?;
    }
    if let Some(text) = expires {
        body["expires_at"] = moment(text)?.into();
    }
    Client::find(server)?.call("POST", "/tokens", Some(&body))
}

fn list(server: &ClientFlags, json: bool) -> Result<(), Failure> {
    let answer = Client::find(server)?.call("GET", "/tokens", None)?;
    if json {
        return print(&format!("{answer:#}\n"));
    }
    let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    print(&table(items))
}

fn limit(server: &ClientFlags, id: &str, text: &str, json: bool) -> Result<(), Failure> {
    let limit = if text == "none" { Value::Null } else { read_rate(text)? };
    let body = json!({ "rate_limit": limit });
    let changed = Client::find(server)?.call("PATCH", &format!("/tokens/{}", id_of(id)?), Some(&body))?;
    if json {
        return print(&format!("{changed:#}\n"));
    }
    print(&format!("{id} {}\n", shown_rate(&changed["rate_limit"])))
}

fn read_rate(text: &str) -> Result<Value, Failure> {
    rate(text).map_err(|message| Failure::Usage(format!("--rate: {message}")))
}

fn revoke(server: &ClientFlags, id: &str, force: bool) -> Result<(), Failure> {
    let query = if force { "?force=true" } else { "" };
    Client::find(server)?.call("DELETE", &format!("/tokens/{}{query}", id_of(id)?), None)?;
    print(&format!("revoked {id}\n"))
}

fn rotate(server: &ClientFlags, id: &str, expires: Option<&str>) -> Result<Value, Failure> {
    let body = match expires {
        Some(text) => json!({ "expires_at": moment(text)? }),
        None => json!({}),
    };
    Client::find(server)?.call("POST", &format!("/tokens/{}/rotate", id_of(id)?), Some(&body))
}

/// An id that can stand in a path.
fn id_of(id: &str) -> Result<&str, Failure> {
    if id.starts_with("pnt_") {
        return Err(Failure::Usage(
            "that is a whole key; name its id, the part between its underscores".to_owned(),
        ));
    }
    if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return Err(Failure::Usage(format!("{id:?} is no key's id; `panotti token list` shows them")));
    }
    Ok(id)
}

fn moment(text: &str) -> Result<String, Failure> {
    let at = expires_at(text, OffsetDateTime::now_utc());
    at.map_err(|message| Failure::Usage(format!("--expires: {message}")))
}

fn show(made: &Value, what: &str) -> Result<(), Failure> {
    let key =
        made["token"].as_str().ok_or_else(|| Failure::Failed("the server's answer has no key".to_owned()))?;
    // The key alone on stdout, so that `KEY=$(panotti token create …)` works.
    _ = writeln!(std::io::stderr(), "{what} key {}; it is shown this once", shown(&made["id"]));
    print(&format!("{}\n", escaped(key)))
}

/// The keys as aligned columns.
fn table(items: &[Value]) -> String {
    const COLUMNS: [(&str, &str); 8] = [
        ("ID", "id"),
        ("NAME", "name"),
        ("SCOPES", "scopes"),
        ("CREATED", "created_at"),
        ("EXPIRES", "expires_at"),
        ("LAST USED", "last_used_at"),
        ("REVOKED", "revoked_at"),
        ("RATE", "rate_limit"),
    ];
    let cell = |item: &Value, key: &str| match key {
        "rate_limit" => shown_rate(&item[key]),
        _ => shown(&item[key]),
    };
    let rows = items.iter().map(|item| COLUMNS.map(|(_, key)| cell(item, key)));
    columns(COLUMNS.map(|(title, _)| title), rows)
}

fn scope_names() -> PossibleValuesParser {
    PossibleValuesParser::new(Scope::ALL.iter().map(|scope| scope.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_aligned_and_safe_to_show() {
        let items = [json!({
            "id": "ab12", "name": "phone\u{1b}[31m", "scopes": ["clips:read", "clips:write"],
            "created_at": "2026-01-25T10:00:00Z", "expires_at": null, "last_used_at": null
        })];
        assert_eq!(
            table(&items),
            "ID    NAME             SCOPES                  CREATED               EXPIRES  LAST USED  REVOKED  RATE\n\
             ab12  phone\\u{1b}[31m  clips:read,clips:write  2026-01-25T10:00:00Z  -        -          -        -\n"
        );
    }
}
