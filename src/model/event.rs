//! A past fact on the journal.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::event_data::EventData;
use super::time::Timestamp;

/// Which lane a delivery takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// After everything else.
    Low,
    /// The usual lane.
    #[default]
    Normal,
    /// Before normal ones.
    High,
    /// Before all others.
    Critical,
}

impl Priority {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Normal => "normal",
            Priority::High => "high",
            Priority::Critical => "critical",
        }
    }

    /// The rank in the database: 0 (low) to 3 (critical).
    pub fn rank(self) -> i16 {
        self as i16
    }

    /// The priority of a rank; anything unknown is normal.
    pub fn from_rank(rank: i16) -> Self {
        match rank {
            0 => Priority::Low,
            2 => Priority::High,
            3 => Priority::Critical,
            _ => Priority::Normal,
        }
    }
}

/// An event: its envelope and what it tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Event {
    /// Unique and time-ordered.
    pub id: String,
    /// Such as `recording.ended`.
    pub kind: String,
    /// Who told it: [`OWN_SOURCE`] or `plugin/<name>`.
    pub source: String,
    /// What it is about: `recording/<id>`, `clip/<id>`, or free text; the order of deliveries is kept per subject.
    pub subject: Option<String>,
    /// When it happened.
    pub time: Timestamp,
    /// The snapshot at the commit.
    pub data: EventData,
    /// Shared by all that one request set off.
    pub correlation_id: String,
    /// The id of the event (or request) that led to this one.
    pub causation_id: Option<String>,
    /// Its lane.
    pub priority: Priority,
    /// How many events led here, one after another; loops end at a bound.
    pub depth: i16,
    /// When it is no longer worth telling.
    pub expires_at: Option<Timestamp>,
    /// The plugins among those who led to it.
    pub plugins: Arc<[Arc<str>]>,
    /// The distributed trace it belongs to, as a W3C traceparent whose span is the event.
    pub traceparent: Option<String>,
}

impl Event {
    /// Whether it is no longer worth telling at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|it| it <= now)
    }

    /// CloudEvents 1.0 in JSON: what is seen outside.
    pub fn to_cloud_event(&self) -> Value {
        let mut told = json!({
            "specversion": "1.0",
            "id": self.id,
            "type": self.kind,
            "source": self.source,
            "subject": self.subject,
            "time": self.time,
            "datacontenttype": "application/json",
            "data": *self.data,
            "correlationid": self.correlation_id,
            "causationid": self.causation_id,
            "priority": self.priority,
            "expirytime": self.expires_at,
        });
        // The extension for distributed tracing; most events belong to no trace.
        if let Some(trace) = &self.traceparent {
            told["traceparent"] = Value::String(trace.clone());
        }
        told
    }

    /// [`Event::to_cloud_event`] with its place on the journal as `sequence`.
    pub fn to_placed_cloud_event(&self, seq: i64) -> Value {
        let mut told = self.to_cloud_event();
        told["sequence"] = Value::String(seq.to_string());
        told
    }

    /// What a subscriber's handler gets.
    pub fn to_handler_payload(&self) -> Value {
        json!({
            "id": self.id,
            "type": self.kind,
            "source": self.source,
            "subject": self.subject,
            "time": self.time,
            "data": *self.data,
            "correlation_id": self.correlation_id,
            "causation_id": self.causation_id,
            "priority": self.priority,
            "expires_at": self.expires_at,
        })
    }
}

/// The longest time an event may be worth telling: ten years, in seconds.
pub const MAX_TTL_S: f64 = 315_360_000.0;

/// How long an event is worth telling, from seconds as scripts and clients give them.
///
/// # Errors
/// A sentence that says what is wrong with them.
pub fn ttl_of_seconds(seconds: f64) -> Result<Duration, String> {
    match seconds > 0.0 && seconds <= MAX_TTL_S {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(format!("must be more than 0 and at most {MAX_TTL_S} seconds, got {seconds}")),
    }
}

/// The source of the events that the product itself tells.
pub const OWN_SOURCE: &str = "panotti";

/// First segments that only the product itself may tell.
pub const RESERVED_SEGMENTS: &[&str] =
    &["recording", "track", "clip", "plugin", "library", "config", "server", "webhook"];

/// Checks an event type: `[a-z0-9_]+(\.[a-z0-9_]+)*`, at most 128 bytes.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn check_event_type(kind: &str) -> Result<(), String> {
    let segment = |it: &str| {
        !it.is_empty() && it.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    if kind.len() <= 128 && kind.split('.').all(segment) {
        return Ok(());
    }
    Err("must be words of a-z 0-9 _ joined by dots, at most 128 characters".to_owned())
}

/// Whether an event type belongs to the product.
pub fn is_reserved_type(kind: &str) -> bool {
    kind.split('.').next().is_some_and(|first| RESERVED_SEGMENTS.contains(&first))
}

/// Whether `kind` matches `pattern`: `*` is one segment, `**` the rest.
pub fn pattern_matches(pattern: &str, kind: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('.'), kind.split('.'));
    loop {
        match (wanted.next(), given.next()) {
            (Some("**"), _) => return true,
            (Some("*"), Some(_)) => {}
            (Some(a), Some(b)) if a == b => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// Checks a subscription's pattern: segments as in a type, `*`, and `**` at the end.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    let mut segments = pattern.split('.').peekable();
    while let Some(segment) = segments.next() {
        let fine = match segment {
            "*" => true,
            "**" => segments.peek().is_none(),
            word => check_event_type(word).is_ok(),
        };
        if !fine || pattern.len() > 128 {
            return Err("must be words of a-z 0-9 _ joined by dots; * is one word, ** the rest".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_by_segment() {
        assert!(pattern_matches("recording.*", "recording.ended"));
        assert!(!pattern_matches("recording.*", "recording.ended.twice"));
        assert!(pattern_matches("**", "a.b.c") && pattern_matches("a.**", "a.b.c"));
        assert!(!pattern_matches("a.b", "a") && !pattern_matches("a", "a.b"));
    }

    #[test]
    fn a_time_to_live_is_a_positive_time_of_at_most_ten_years() {
        assert_eq!(ttl_of_seconds(1.5), Ok(Duration::from_millis(1500)));
        for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY, MAX_TTL_S + 1.0] {
            assert!(ttl_of_seconds(seconds).is_err(), "{seconds}");
        }
    }

    #[test]
    fn wrong_types_and_patterns_are_refused() {
        for kind in ["", ".", "a..b", "A.b", "a b", "a.*"] {
            assert!(check_event_type(kind).is_err(), "{kind:?}");
        }
        assert!(check_pattern("a.*.b").is_ok() && check_pattern("a.**").is_ok());
        assert!(check_pattern("**.a").is_err() && check_pattern("a*").is_err());
    }
}
