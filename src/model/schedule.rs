//! What plugins want to be called for again and again, as it is stored.

use serde::Serialize;
use utoipa::ToSchema;

use super::time::Timestamp;

/// A schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleRow {
    /// Number in the API; 0 before it is stored.
    pub id: i64,
    /// The plugin's name.
    pub plugin: String,
    /// Its name in the plugin.
    pub name: String,
    /// `every` or `cron`.
    pub kind: String,
    /// Seconds, or a cron expression.
    pub when: String,
    /// IANA name of the zone the expression is read in.
    pub tz: String,
    /// `skip` or `once`.
    pub missed: String,
    /// `skip`, `queue` or `allow`.
    pub overlap: String,
    /// Whether an admin holds it.
    pub paused: bool,
    /// When it is due next (UTC).
    pub next_at: Timestamp,
    /// Runs left out because the one before went on.
    pub skipped: i64,
    /// When it was first registered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// One run of a schedule.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ScheduleRun {
    /// Its number; counts up.
    pub id: i64,
    /// Why it ran: `timer`, `missed` or `manual`.
    pub cause: String,
    /// When it was due (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub scheduled_at: Timestamp,
    /// When it began (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it ended (UTC); null while it runs.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// `running`, `interrupted` (the server ended first), or what the call came to.
    pub outcome: String,
    /// What went wrong.
    pub error: Option<String>,
}
