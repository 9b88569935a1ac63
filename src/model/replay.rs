//! Past events that are told again.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::event::pattern_matches;
use super::time::Timestamp;

/// Which past events; what is not said narrows nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Selection {
    /// The ids of single events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Patterns of types, of which one fits: `*` is one word, `**` the rest.
    #[serde(rename = "type", skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// At this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub from: Option<Timestamp>,
    /// At this time or earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub to: Option<Timestamp>,
    /// About this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Told by: `panotti` or `plugin/<name>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Behind this place on the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// Ahead of this place on the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// Those whose delivery was given up: each is told to whom it could not be told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Numbers of single deliveries that were given up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<i64>,
}

impl Selection {
    /// Whether deliveries that were given up are meant, and not events.
    pub fn is_of_deliveries(&self) -> bool {
        self.failed || !self.deliveries.is_empty()
    }

    /// Whether a type of events is meant.
    pub fn wants_type(&self, kind: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|it| pattern_matches(it, kind))
    }

    /// Whether all types are written out, without a star.
    pub fn names_types(&self) -> bool {
        !self.types.is_empty() && !self.types.iter().any(|it| it.contains('*'))
    }
}

/// How much of the past a subscription wants to be given once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// All of it.
    Beginning,
    /// From this place on the journal on.
    Sequence(i64),
    /// From this time on.
    Time(Timestamp),
}

impl Past {
    /// The events of these types in that past.
    pub fn selection(self, types: Vec<String>) -> Selection {
        let all = Selection { types, ..Selection::default() };
        match self {
            Past::Beginning => Selection { after: Some(0), ..all },
            Past::Sequence(first) => Selection { after: Some(first.saturating_sub(1)), ..all },
            Past::Time(from) => Selection { from: Some(from), ..all },
        }
    }
}

/// A replay and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Replay {
    /// Its number.
    pub id: i64,
    /// `running`, `done` or `cancelled`.
    pub state: String,
    /// Which events.
    pub selection: Selection,
    /// Who is told: a plugin, or `webhook/<id>`; null = all who subscribe to the event.
    pub plugin: Option<String>,
    /// Who asked for it: `key/<id>`, or `plugin/<name>` for the past that a new plugin wants.
    pub asked_by: String,
    /// How far it has come: a place on the journal (a delivery's number when dead ones are told again).
    pub cursor: i64,
    /// Where it ends: what came later is not told again.
    pub until: i64,
    /// Events (or dead deliveries) that it met and that were selected.
    pub matched: i64,
    /// Deliveries it has made of them so far.
    pub queued: i64,
    /// Of these, over without a failure.
    pub done: i64,
    /// Of these, given up.
    pub failed: i64,
    /// When it was asked for (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was over (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

impl Replay {
    /// Whether all that was selected has been met.
    pub fn has_met_all(&self) -> bool {
        self.cursor >= self.until
    }
}
