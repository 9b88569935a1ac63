//! `panotti grants`: what plugins may do.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::Failure;
use super::client::Client;
use super::flags::ClientFlags;
use super::print::{columns_or, print, shown};

/// Shows, gives and takes back what plugins of the running server may do.
#[derive(Debug, Args)]
pub(super) struct GrantsCommand {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    server: ClientFlags,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Lists what each plugin has and what waits for a grant.
    List {
        /// One plugin, with everything about its grants as JSON.
        plugin: Option<String>,
        /// As JSON, as the server says it.
        #[arg(long)]
        json: bool,
    },
    /// Grants a plugin everything its manifest asks for, or what is named in place of what it was granted.
    Allow {
        /// The plugin's name or number.
        plugin: String,
        /// What alone to grant: `media`, or `http=api.example`; may be repeated.
        #[arg(long = "only", value_name = "PERMISSION[=PART]")]
        only: Vec<String>,
        /// As JSON, as the server says it.
        #[arg(long)]
        json: bool,
    },
    /// Takes back everything a plugin was granted.
    Revoke {
        /// The plugin's name or number.
        plugin: String,
        /// As JSON, as the server says it.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: GrantsCommand) -> Result<(), Failure> {
    let client = Client::find(&command.server)?;
    match command.verb {
        Verb::List { plugin: Some(plugin), .. } => {
            let grants = client.call("GET", &route(&plugin)?, None)?;
            print(&format!("{grants:#}\n"))
        }
        Verb::List { plugin: None, json } => list(&client, json),
        Verb::Allow { plugin, only, json: as_json } => {
            let body = match only.as_slice() {
                [] => json!({ "all": true }),
                only => json!({ "permissions": permissions(only) }),
            };
            tell(&client.call("PUT", &route(&plugin)?, Some(&body))?, as_json)
        }
        Verb::Revoke { plugin, json } => tell(&client.call("DELETE", &route(&plugin)?, None)?, json),
    }
}

fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let answer = client.call("GET", "/plugins?page_size=1000", None)?;
    let names = answer["items"].as_array().into_iter().flatten().filter_map(|it| it["name"].as_str());
    let mut all = Vec::new();
    for name in names {
        all.push(client.call("GET", &route(name)?, None)?);
    }
    if json {
        return print(&format!("{:#}\n", Value::from(all)));
    }
    let rows = all.iter().map(|it| [shown(&it["plugin"]), words(&it["in_force"]), words(&it["waiting"])]);
    print(&columns_or("there is no plugin", ["PLUGIN", "MAY", "WAITS FOR"], rows))
}

fn tell(grants: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return print(&format!("{grants:#}\n"));
    }
    let waiting = words(&grants["waiting"]);
    let waits = if waiting == "-" { String::new() } else { format!("; {waiting} waits") };
    let by_settings = words(&grants["granted_by_settings"]);
    let fixed =
        if by_settings == "-" { String::new() } else { format!("; panotti.yaml grants {by_settings}") };
    let unused = words(&grants["unused"]);
    let idle = if unused == "-" { String::new() } else { format!("; {unused} is granted and not asked for") };
    print(&format!("{} may: {}{waits}{fixed}{idle}\n", shown(&grants["plugin"]), words(&grants["in_force"])))
}

/// `http(api.example) db`.
fn words(permissions: &Value) -> String {
    let open = permissions.as_object().into_iter().flatten().filter(|(_, grant)| **grant != json!(false));
    let words: Vec<String> = open
        .map(|(name, grant)| match grant {
            Value::Array(_) => format!("{name}({})", shown(grant)),
            _ => name.clone(),
        })
        .collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

fn permissions(only: &[String]) -> Value {
    let mut permissions: Map<String, Value> = Map::new();
    for item in only {
        match item.split_once('=') {
            None => _ = permissions.insert(item.clone(), Value::Bool(true)),
            Some((name, part)) => {
                if let Value::Array(parts) = permissions.entry(name).or_insert_with(|| json!([])) {
                    parts.push(part.into());
                }
            }
        }
    }
    Value::Object(permissions)
}

fn route(plugin: &str) -> Result<String, Failure> {
    let is_name = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
    match !plugin.is_empty() && plugin.chars().all(is_name) {
        true => Ok(format!("/plugins/{plugin}/grants")),
        false => Err(Failure::Usage(format!("{plugin:?} is no plugin's name"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_permissions_become_wholes_and_lists() {
        let only = ["http=a.example", "media", "http=b.example:8080"].map(str::to_owned);
        assert_eq!(permissions(&only), json!({"http": ["a.example", "b.example:8080"], "media": true}));
        assert_eq!(words(&json!({"http": ["a", "b"], "db": true, "fs": false})), "http(a,b) db");
        assert!(route("../x").is_err());
    }
}
