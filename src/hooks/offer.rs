//! What a plugin offers besides handlers of hooks and events: routes, schedules, functions for other plugins.

use super::route_path::RoutePath;

/// One thing a plugin offers; the function behind it is called by its slot.
#[derive(Debug, Clone, PartialEq)]
pub enum Offer {
    /// Answers HTTP requests below the plugin's own path.
    Route(RouteOffer),
    /// Is called at its times.
    Schedule(ScheduleOffer),
    /// Is called by other plugins.
    Export(ExportOffer),
}

/// A route.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteOffer {
    /// Which of the plugin's functions.
    pub slot: u32,
    /// `GET`, `POST`, …
    pub method: String,
    /// Below `/api/v1/plugins/<name>/x`, as the plugin wrote it.
    pub pattern: String,
    /// The same, taken apart.
    pub path: RoutePath,
    /// What the OpenAPI document says of it.
    pub summary: Option<String>,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleOffer {
    /// Which of the plugin's functions.
    pub slot: u32,
    /// Its name, unique in the plugin.
    pub name: String,
    /// When it runs.
    pub when: ScheduleWhen,
    /// What happens to runs that were missed while the server or the plugin was down.
    pub missed: Missed,
    /// What happens when a run is due while the one before goes on.
    pub overlap: Overlap,
}

/// When a schedule runs.
#[derive(Debug, Clone, PartialEq)]
pub enum ScheduleWhen {
    /// Every so many seconds.
    Every(f64),
    /// By a cron expression, in a time zone.
    Cron {
        /// Five or six fields.
        expression: String,
        /// IANA name; UTC without.
        tz: String,
    },
}

/// What happens to missed runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missed {
    /// They are left out.
    #[default]
    Skip,
    /// One run makes up for all of them.
    Once,
}

/// What happens to a run that is due while the one before goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// It is left out.
    #[default]
    Skip,
    /// It begins when the one before has ended; one waits at most.
    Queue,
    /// It runs beside.
    Allow,
}

/// A function for other plugins.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportOffer {
    /// Which of the plugin's functions.
    pub slot: u32,
    /// Its name, unique in the plugin.
    pub name: String,
}

impl Offer {
    /// Which of the plugin's functions stands behind it.
    pub fn slot(&self) -> u32 {
        match self {
            Offer::Route(it) => it.slot,
            Offer::Schedule(it) => it.slot,
            Offer::Export(it) => it.slot,
        }
    }
}
