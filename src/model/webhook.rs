//! Webhooks: other servers that are told of events, and what came of telling them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::time::Timestamp;

/// A webhook as it is listed: never its secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// `wh_<hex>`.
    pub id: String,
    /// What its owner calls it, 1 to 255 characters.
    pub name: String,
    /// Where events are posted to.
    pub url: String,
    /// Patterns of event types: `*` is one word, `**` the rest.
    pub events: Vec<String>,
    /// Conditions on fields of the event, all of which must hold, such as `{"data.duration": {"min": 30}}`.
    #[schema(value_type = Option<Object>)]
    pub when: Option<Map<String, Value>>,
    /// Whether it is told.
    pub enabled: bool,
    /// Why the server no longer tells it; null unless the server itself has switched it off.
    pub disabled_reason: Option<String>,
    /// Seconds within which it must answer, 1 to 60.
    pub timeout_s: i64,
    /// When the failures began that have lasted since (UTC); null when the last attempt went well.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub failing_since: Option<Timestamp>,
    /// Until when the secret before the present one signs, too (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub old_secret_until: Option<Timestamp>,
    /// When it was made (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Who made it, such as `key/<id>`.
    pub created_by: String,
    /// When it was last changed (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// Counts its changes; told as ETag alone.
    #[serde(skip)]
    #[schema(ignore)]
    pub version: i64,
}

/// What its deliveries are noted under.
pub fn subscriber(id: &str) -> String {
    format!("webhook/{id}")
}

/// What a webhook's requests are signed with. Shown to its owner once, when it is made.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecrets {
    /// `whsec_<base64>`.
    pub current: String,
    /// The one before, and until when it signs too.
    pub old: Option<(String, Timestamp)>,
}

impl std::fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecrets(***)")
    }
}

/// Why a webhook was sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptKind {
    /// An event happened.
    Delivery,
    /// An event was to be told again.
    Again,
    /// Somebody wanted to see whether it answers.
    Test,
}

impl AttemptKind {
    /// All of them.
    pub const ALL: &'static [AttemptKind] = &[AttemptKind::Delivery, AttemptKind::Again, AttemptKind::Test];

    /// The name in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            AttemptKind::Delivery => "delivery",
            AttemptKind::Again => "again",
            AttemptKind::Test => "test",
        }
    }
}

/// One request that was sent to a webhook, or was to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct WebhookAttempt {
    /// Its number; counts up.
    pub id: i64,
    /// The event that was told; also the `webhook-id` of the request.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// Why it was sent.
    pub kind: AttemptKind,
    /// Which try this was, from 1.
    pub attempt: i64,
    /// When it began (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Milliseconds until the answer was complete, or it was given up.
    pub duration_ms: i64,
    /// The status of the answer; null when there was none.
    pub status: Option<i64>,
    /// Why it failed; null when it went well.
    pub error: Option<String>,
    /// The first KiB of the answer's body, as text.
    pub answer: Option<String>,
}
