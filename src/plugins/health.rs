//! What plugins say of their own health, asked every 30 seconds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::hooks::Member;
use crate::hooks::{Answer, Dispatcher, Hook};
use crate::model::time::Timestamp;

/// How often plugins are asked.
pub const EVERY: Duration = Duration::from_secs(30);
/// How long one may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a plugin's `health()` said.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct HealthView {
    /// Whether all is well.
    pub ok: bool,
    /// A sentence.
    pub message: Option<String>,
    /// Anything else.
    #[schema(value_type = Object)]
    pub details: Value,
    /// When it was asked (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// Asks one plugin; nothing when it has no `health()`.
pub async fn ask(member: &Member, now: Timestamp) -> Option<HealthView> {
    let deadline = Some(Instant::now() + PATIENCE);
    let replies = match Dispatcher::call_life(member, Hook::Health, Value::Null, deadline).await {
        Ok(replies) => replies,
        Err(failure) => {
            let message = Some(format!("health() failed: {}", failure.fault));
            return Some(HealthView { ok: false, message, details: Value::Null, at: now });
        }
    };
    if replies.is_empty() {
        return None;
    }
    // Several functions are one health: the first complaint is told.
    let mut answers = replies.into_iter().filter_map(|reply| match reply.answer {
        Answer::Health { ok, message, details } => Some(HealthView { ok, message, details, at: now }),
        _ => None,
    });
    let first = answers.next();
    let complaint = answers.find(|it| !it.ok);
    match (first, complaint) {
        (Some(first), Some(complaint)) if first.ok => Some(complaint),
        (Some(first), _) => Some(first),
        (None, _) => Some(HealthView { ok: true, message: None, details: Value::Null, at: now }),
    }
}

/// Whether a plugin can be asked.
pub fn has_health(member: &Arc<Member>) -> bool {
    member.registrations.iter().any(|it| it.hook == Hook::Health)
}
