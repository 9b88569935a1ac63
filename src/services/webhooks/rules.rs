//! The fields of a webhook, and what must hold between them.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::hooks::catalogue::Payload;
use crate::hooks::when::When;
use crate::model::time::MissingOffset;
use crate::model::webhook::Webhook;
use crate::services::Services;
use crate::services::fields::{Checked, Kind, Reading, Rule};

use super::send;

/// Seconds a webhook has for its answer when nobody says anything.
pub(super) const TIMEOUT_S: i64 = 15;
/// The longest it can have.
const MAX_TIMEOUT_S: i64 = 60;

/// What makes a webhook.
pub const CREATE: &[Rule] = &[NAME, URL, EVENTS, WHEN, ENABLED, TIMEOUT, SECRET];
/// What can be changed of one.
pub const CHANGE: &[Rule] = &[NAME, URL, EVENTS, WHEN, ENABLED, TIMEOUT];
/// What can be said when its secret is replaced.
pub const ROTATE: &[Rule] = &[SECRET];

const NAME: Rule = field("name", Kind::Text { min: 1, max: 255 }, true, "What its owner calls it.");
const URL: Rule = field(
    "url",
    Kind::Text { min: 1, max: 2000 },
    true,
    "Where events are posted to: http or https, without a user name. Hosts of this machine or network must be named by the setting webhook_hosts.",
);
const EVENTS: Rule =
    field("events", Kind::Patterns, true, "Patterns of event types: `*` is one word, `**` the rest.");
const WHEN: Rule = field(
    "when",
    Kind::Metadata,
    false,
    "Conditions on fields of the event, all of which must hold: a value, or some of min, max, one_of and prefix, such as {\"data.duration\": {\"min\": 30}}.",
);
const ENABLED: Rule = field("enabled", Kind::Flag, false, "Whether it is told; true without.");
const TIMEOUT: Rule = field(
    "timeout_s",
    Kind::Integer { min: 1 },
    false,
    "Seconds within which it must answer, 1 to 60; 15 without.",
);
const SECRET: Rule = field(
    "secret",
    Kind::Text { min: 1, max: 200 },
    false,
    "What its requests are signed with: whsec_ and 24 to 64 bytes in base64. A new one is made without.",
);

const fn field(name: &'static str, kind: Kind, required: bool, doc: &'static str) -> Rule {
    Rule { name, aliases: &[], kind, required, doc }
}

pub(super) fn reading(services: &Services, creates: bool) -> Reading {
    Reading {
        creates,
        ignores_unknown: false,
        offset: MissingOffset::Refused,
        metadata_max_bytes: services.settings.metadata_max_bytes,
    }
}

/// Puts what was sent into `webhook`.
///
/// # Errors
/// `Invalid` for what is wrong with a field beyond its shape.
pub(super) fn apply(services: &Services, webhook: &mut Webhook, sent: &Checked) -> Result<()> {
    if let Some(name) = sent.text("name") {
        webhook.name = name;
    }
    if let Some(url) = sent.text("url") {
        send::check_url(services, &url)?;
        if url != webhook.url {
            (webhook.url, webhook.failing_since) = (url, None);
        }
    }
    if let Some(events) = sent.texts("events") {
        webhook.events = events;
    }
    if let Some(when) = sent.get("when") {
        webhook.when = match when {
            Value::Object(when) if !when.is_empty() => {
                When::parse(when, Payload::Event).map_err(|why| Error::field("/when", why))?;
                Some(when.clone())
            }
            _ => None,
        };
    }
    if sent.has("timeout_s") {
        webhook.timeout_s = sent.integer("timeout_s").unwrap_or(TIMEOUT_S);
        if webhook.timeout_s > MAX_TIMEOUT_S {
            return Err(Error::field(
                "/timeout_s",
                format!("must be a whole number from 1 to {MAX_TIMEOUT_S}"),
            ));
        }
    }
    if let Some(enabled) = sent.flag("enabled") {
        if enabled != webhook.enabled {
            webhook.failing_since = None;
        }
        (webhook.enabled, webhook.disabled_reason) = (enabled, None);
    }
    Ok(())
}
