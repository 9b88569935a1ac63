//! What plugins say of their own health, asked every 30 seconds.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::hooks::{Answer, CallFailure, Reply};
use crate::model::time::Timestamp;

/// How often plugins are asked.
pub const EVERY: Duration = Duration::from_secs(30);
/// How long one may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(5);

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

/// What came of asking a plugin; nothing when it has no `health()`.
pub fn view(said: Result<Vec<Reply>, CallFailure>, now: Timestamp) -> Option<HealthView> {
    let replies = match said {
        Ok(replies) => replies,
        Err(failure) => {
            let message = Some(format!("health() failed: {}", failure.fault));
            return Some(HealthView { ok: false, message, details: Value::Null, at: now });
        }
    };
    // Several functions are one health: the first complaint is told, else what the first one said.
    let mut views = replies.into_iter().map(|reply| match reply.answer {
        Answer::Health { ok, message, details } => HealthView { ok, message, details, at: now },
        _ => HealthView { ok: true, message: None, details: Value::Null, at: now },
    });
    let first = views.next()?;
    match first.ok {
        true => Some(views.find(|it| !it.ok).unwrap_or(first)),
        false => Some(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(ok: bool, message: &str) -> Reply {
        let answer = Answer::Health { ok, message: Some(message.to_owned()), details: Value::Null };
        Reply { answer, ..Reply::default() }
    }

    #[test]
    fn the_first_complaint_is_told() {
        let said = |replies| view(Ok(replies), Timestamp(0));
        assert_eq!(said(Vec::new()), None);
        assert_eq!(said(vec![reply(true, "a"), reply(true, "b")]).unwrap().message.as_deref(), Some("a"));
        let complaint = said(vec![reply(true, "a"), reply(false, "b")]).unwrap();
        assert_eq!((complaint.ok, complaint.message.as_deref()), (false, Some("b")));
    }
}
