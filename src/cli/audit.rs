//! `panotti audit`: who did what to the running server.

use clap::Args;
use serde_json::Value;

use super::Failure;
use super::client::Client;
use super::flags::ClientFlags;
use super::print::{columns_or, print, shown};

/// Lists administrative acts, newest first: who did what, to what, when, and how it ended.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  panotti audit --action token.\n  panotti audit --subject plugin/example --from 2026-01-25T00:00:00Z\n  panotti audit --outcome denied"
)]
pub(super) struct AuditCommand {
    /// Of this actor (`key/ab12`, `server`, `plugin/example`), or of the key of this name.
    #[arg(long)]
    actor: Option<String>,
    /// Of this kind, such as plugin.enable; `plugin.` is all kinds that begin so.
    #[arg(long)]
    action: Option<String>,
    /// On this, such as plugin/example.
    #[arg(long)]
    subject: Option<String>,
    /// That ended so: ok, failed or denied.
    #[arg(long, value_parser = ["ok", "failed", "denied"])]
    outcome: Option<String>,
    /// Of the request with this X-Request-Id.
    #[arg(long)]
    request_id: Option<String>,
    /// At this time or later, such as 2026-01-25T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// How many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Those before the one with this number: the `next` of a page before.
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    /// As JSON, as the server says it.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ClientFlags,
}

pub(super) fn run(command: AuditCommand) -> Result<(), Failure> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &command.limit.to_string());
    let before = command.before.map(|it| it.to_string());
    for (name, value) in [
        ("actor", &command.actor),
        ("action", &command.action),
        ("subject", &command.subject),
        ("outcome", &command.outcome),
        ("request_id", &command.request_id),
        ("from", &command.from),
        ("to", &command.to),
        ("before", &before),
    ] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let page = Client::find(&command.server)?.call("GET", &format!("/audit?{}", query.finish()), None)?;
    if command.json {
        return print(&format!("{page:#}\n"));
    }
    print(&table(page["items"].as_array().map(Vec::as_slice).unwrap_or_default()))
}

fn table(items: &[Value]) -> String {
    let rows = items.iter().map(|it| {
        let who = match it["actor_name"].as_str() {
            Some(_) => format!("{} ({})", shown(&it["actor"]), shown(&it["actor_name"])),
            None => shown(&it["actor"]),
        };
        let detail = if it["detail"].as_object().is_some_and(|it| !it.is_empty()) {
            shown(&Value::String(it["detail"].to_string()))
        } else {
            "-".to_owned()
        };
        let [id, at, action, subject, outcome] =
            ["id", "at", "action", "subject", "outcome"].map(|name| shown(&it[name]));
        [id, at, who, action, subject, outcome, detail]
    });
    columns_or(
        "nothing of this is in the audit log",
        ["ID", "AT", "WHO", "ACTION", "ON", "OUTCOME", "DETAIL"],
        rows,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_list_names_the_key_and_is_safe_to_show() {
        let items = [json!({
            "id": 7, "at": "2026-01-25T10:00:00Z", "actor": "key/ab12", "actor_name": "phone\u{1b}[31m",
            "action": "token.revoke", "subject": "token/cd", "outcome": "ok", "detail": { "name": "x" }
        })];
        assert_eq!(
            table(&items).lines().nth(1),
            Some(
                "7   2026-01-25T10:00:00Z  key/ab12 (phone\\u{1b}[31m)  token.revoke  token/cd  ok       {\"name\":\"x\"}"
            )
        );
    }
}
