//! What one request set off: events, to whom each was told, and what that caused.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::Result;
use crate::model::event::Event;
use crate::model::time::Timestamp;
use crate::store::TracedDelivery;

use super::super::Services;

/// Events that a trace shows at most, the first ones.
pub const MAX_EVENTS: usize = 1000;
/// Deliveries that a trace shows at most.
const MAX_DELIVERIES: usize = 10_000;

/// All that belongs to one correlation.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Trace {
    /// The id that they share: of a request, or of the first event.
    pub correlation_id: String,
    /// How many events are shown.
    pub events: usize,
    /// From the first event to the end of the last delivery, in milliseconds.
    pub duration_ms: f64,
    /// Whether there are more than are shown.
    pub truncated: bool,
    /// The events that no other event led to, oldest first.
    pub roots: Vec<TraceEvent>,
}

/// An event and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TraceEvent {
    /// Its id.
    pub id: String,
    /// Its place on the journal.
    pub sequence: i64,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who told it.
    pub source: String,
    /// What it is about.
    pub subject: Option<String>,
    /// When it happened (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// What it tells.
    pub data: Value,
    /// The event that led to it.
    pub causation_id: Option<String>,
    /// Set when that event is not on the journal any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cause_missing: bool,
    /// To whom it was told.
    pub deliveries: Vec<TraceDelivery>,
    /// What it caused where the delivery that did is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub caused: Vec<TraceEvent>,
}

/// A delivery and what it caused.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TraceDelivery {
    /// Its number.
    pub id: i64,
    /// Who is told: a plugin, or `webhook/<id>`.
    pub subscriber: String,
    /// A question that is asked in the background.
    pub hook: Option<String>,
    /// `waiting`, `ready`, `suspect`, `claimed`, `delayed`, `done`, `dead`, `quarantined` or `expired`.
    pub state: String,
    /// Whether it was told again.
    pub replay: bool,
    /// Tries.
    pub attempts: i32,
    /// When the last try began (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started: Option<Timestamp>,
    /// How long the last try took, in milliseconds.
    pub duration_ms: Option<f64>,
    /// What the last failure was.
    pub last_error: Option<String>,
    /// The events that it caused.
    #[schema(no_recursion)]
    pub caused: Vec<TraceEvent>,
}

/// The tree of causes of a correlation; empty when nothing of it is on the journal.
///
/// # Errors
/// The store's.
pub async fn trace(services: &Services, correlation_id: String) -> Result<Trace> {
    let read = services.read_long(move |it| {
        let mut events = it.events_of_correlation(&correlation_id, MAX_EVENTS as i64 + 1)?;
        let cut = events.len() > MAX_EVENTS;
        events.truncate(MAX_EVENTS);
        let seqs: Vec<i64> = events.iter().map(|(seq, _)| *seq).collect();
        let deliveries = it.deliveries_of_events(&seqs, MAX_DELIVERIES)?;
        let truncated = cut || deliveries.len() >= MAX_DELIVERIES;
        Ok(Trace {
            events: events.len(),
            duration_ms: whole_ms(&events, &deliveries),
            truncated,
            roots: tree(events, deliveries),
            correlation_id,
        })
    });
    read.await
}

fn whole_ms(events: &[(i64, Event)], deliveries: &[TracedDelivery]) -> f64 {
    let times = events.iter().map(|(_, it)| it.time.0);
    let ends = deliveries.iter().filter_map(|it| it.ended_at);
    match (times.clone().min(), times.chain(ends).max()) {
        (Some(first), Some(last)) => ms(first, last),
        _ => 0.0,
    }
}

fn ms(from: i64, to: i64) -> f64 {
    to.saturating_sub(from).max(0) as f64 / 1000.0
}

/// Hangs events below the delivery, or else the event, that caused them; `events` are in their order on the journal.
fn tree(events: Vec<(i64, Event)>, deliveries: Vec<TracedDelivery>) -> Vec<TraceEvent> {
    let known: HashMap<String, i64> = events.iter().map(|(seq, it)| (it.id.clone(), *seq)).collect();
    let mut of_event: HashMap<i64, Vec<TracedDelivery>> = HashMap::new();
    for it in deliveries {
        of_event.entry(it.event_seq).or_default().push(it);
    }
    let mut roots = Vec::new();
    let mut below: HashMap<i64, Vec<TraceEvent>> = HashMap::new();
    // From the last to the first: what an event caused stands behind it on the journal and is whole by then.
    for (seq, event) in events.into_iter().rev() {
        let mut caused = below.remove(&seq).unwrap_or_default();
        caused.reverse();
        let cause = event.causation_id.as_ref().and_then(|it| known.get(it)).copied().filter(|it| *it < seq);
        let node = node(seq, event, of_event.remove(&seq).unwrap_or_default(), caused, cause.is_none());
        match cause {
            Some(cause) => below.entry(cause).or_default().push(node),
            None => roots.push(node),
        }
    }
    roots.reverse();
    roots
}

fn node(
    sequence: i64,
    event: Event,
    deliveries: Vec<TracedDelivery>,
    caused: Vec<TraceEvent>,
    is_root: bool,
) -> TraceEvent {
    let mut deliveries: Vec<TraceDelivery> = deliveries.into_iter().map(shown).collect();
    let mut others = Vec::new();
    for it in caused {
        let name = it.source.strip_prefix("plugin/").unwrap_or_default();
        let own = |at: &usize| deliveries[*at].subscriber == name;
        // Told several times: the last one that had begun by then.
        let begun = |at: &usize| deliveries[*at].started.is_some_and(|began| began <= it.time);
        let mut places = (0..deliveries.len()).filter(own);
        let place = places.clone().rfind(begun).or_else(|| places.next());
        match place {
            Some(place) => deliveries[place].caused.push(it),
            None => others.push(it),
        }
    }
    TraceEvent {
        cause_missing: is_root && event.causation_id.is_some(),
        id: event.id,
        sequence,
        kind: event.kind,
        source: event.source,
        subject: event.subject,
        time: event.time,
        data: (*event.data).clone(),
        causation_id: event.causation_id,
        deliveries,
        caused: others,
    }
}

fn shown(row: TracedDelivery) -> TraceDelivery {
    TraceDelivery {
        started: row.began(),
        duration_ms: row.began_at.zip(row.ended_at).map(|(began, ended)| ms(began, ended)),
        id: row.id,
        subscriber: row.subscriber,
        hook: row.hook,
        state: row.state,
        replay: row.replay,
        attempts: row.attempts,
        last_error: row.last_error,
        caused: Vec::new(),
    }
}
