//! What there is on the journal, how far its deliveries are, and who listens.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Result;
use crate::hooks::{Hook, HookKind};
use crate::model::event_types::{BUILT_IN, describe};
use crate::model::time::Timestamp;
use crate::services::Services;

/// Types counted in the statistics; the list of types has them all.
const MAX_COUNTED: i64 = 1000;

/// A type of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventTypeView {
    /// Such as `recording.ended`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Events of it on the journal.
    pub count: i64,
    /// Whether the product itself tells it.
    pub built_in: bool,
    /// Whether its data must fit a JSON schema: `GET /api/v1/events/types/{type}/schema`.
    pub has_schema: bool,
    /// What it means; null when a plugin or a client tells it.
    pub description: Option<String>,
}

/// Some types, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventTypePage {
    /// By name.
    pub items: Vec<EventTypeView>,
    /// The `after` of the next page; null when there are no more.
    pub next: Option<String>,
}

/// The journal in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct EventStats {
    /// Events on the journal by type; the first 1000 types by name.
    pub events: BTreeMap<String, i64>,
    /// Events written since the server started, by type.
    pub published: BTreeMap<String, u64>,
    /// The place of the oldest event that is kept; null = there is none.
    pub first: Option<i64>,
    /// The place of the newest event there has ever been.
    pub last: i64,
    /// What is to be told to subscribers.
    pub deliveries: DeliveryStats,
    /// Streams open at this moment.
    pub streams: usize,
}

/// Deliveries in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DeliveryStats {
    /// waiting, ready, suspect, claimed, delayed, dead, quarantined: how many there are of each.
    pub states: BTreeMap<String, i64>,
    /// Acknowledged since the database was made.
    pub delivered: i64,
    /// Seconds since the oldest delivery that is not final was noted; null when all are.
    pub oldest_open_s: Option<f64>,
    /// When that was (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub oldest_open_at: Option<Timestamp>,
}

/// What one subscriber is still to be told of.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriberBacklog {
    /// A plugin, or `webhook/<id>`.
    pub subscriber: String,
    /// Events.
    pub open: i64,
    /// Seconds since the oldest of them was noted; 0 without any.
    pub oldest_s: f64,
    /// Events that it was told in vain and is told no more.
    pub given_up: i64,
}

/// Somebody who is told of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = EventSubscriber)]
pub struct SubscriptionView {
    /// A plugin, or `webhook/<id>`.
    pub subscriber: String,
    /// The types it is told of: `*` is one word, `**` the rest.
    pub pattern: String,
    /// The hook that is told; null for a subscription.
    pub hook: Option<String>,
    /// Higher runs earlier within the subscriber.
    pub priority: i32,
    /// Whether it looks at the event before it wants it.
    pub conditional: bool,
    /// Tries before it is given up; null = the usual number.
    pub max_attempts: Option<i32>,
}

/// Types after `after`, by name: those on the journal, those that have a schema, and all that the product tells.
///
/// # Errors
/// The store's.
pub async fn types(services: &Services, after: &str, limit: i64) -> Result<EventTypePage> {
    let (from, wanted) = (after.to_owned(), limit + 1);
    let counted = services.read_long(move |r| r.event_types(&from, wanted)).await?;
    // Where the counted ones end because of the limit, the others behind them come with a later page.
    let end = counted.last().filter(|_| counted.len() as i64 == wanted).map(|(kind, _)| kind.clone());
    let mut all: BTreeMap<String, i64> = counted.into_iter().collect();
    let schemas = services.journal.schemas();
    let named = BUILT_IN.iter().map(|(kind, _)| (*kind).to_owned()).chain(schemas.kinds());
    for kind in named {
        if *kind > *after && end.as_deref().is_none_or(|end| *kind < *end) {
            all.entry(kind).or_default();
        }
    }
    let is_more = all.len() as i64 > limit;
    let items: Vec<EventTypeView> = all
        .into_iter()
        .take(usize::try_from(limit).unwrap_or_default())
        .map(|(kind, count)| EventTypeView {
            built_in: describe(&kind).is_some(),
            has_schema: schemas.has(&kind),
            description: describe(&kind).map(str::to_owned),
            kind,
            count,
        })
        .collect();
    let next = items.last().filter(|_| is_more).map(|it| it.kind.clone());
    Ok(EventTypePage { items, next })
}

/// The journal in numbers.
///
/// # Errors
/// The store's.
pub async fn stats(services: &Services) -> Result<EventStats> {
    let now = services.now();
    let read = services.read_long(|r| {
        let (first, last) = r.journal_ends()?;
        Ok((first, last, r.event_types("", MAX_COUNTED)?, r.delivery_states()?))
    });
    let (first, last, events, states) = read.await?;
    Ok(EventStats {
        events: events.into_iter().collect(),
        published: services.journal.published().into_iter().collect(),
        first,
        last,
        deliveries: DeliveryStats {
            states: states.by_state.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
            delivered: states.delivered,
            oldest_open_s: states.oldest_open_at.map(|it| now.seconds_since(it).max(0.0)),
            oldest_open_at: states.oldest_open_at,
        },
        streams: services.streams.open(),
    })
}

/// What everybody who listens is still to be told of, and those who no longer do but were to be told, by name.
///
/// # Errors
/// The store's.
pub async fn backlogs(services: &Services) -> Result<Vec<SubscriberBacklog>> {
    let mut found = services.read_long(|r| r.backlogs()).await?;
    for name in services.journal.subscribers().names() {
        found.entry(name.to_string()).or_default();
    }
    let now = services.now();
    let told = found.into_iter().map(|(subscriber, it)| SubscriberBacklog {
        subscriber,
        open: it.open,
        oldest_s: it.oldest_open_at.map_or(0.0, |at| now.seconds_since(at).max(0.0)),
        given_up: it.given_up,
    });
    Ok(told.collect())
}

/// Who is told of what at this moment, by subscriber.
pub fn subscriptions(services: &Services) -> Vec<SubscriptionView> {
    let table = services.hooks.table();
    let mut all = Vec::new();
    for member in table.members() {
        let subscriber = member.handler.plugin().to_string();
        for it in &member.subscriptions {
            all.push(SubscriptionView {
                subscriber: subscriber.clone(),
                pattern: it.pattern.clone(),
                hook: None,
                priority: it.priority,
                conditional: it.when.is_some(),
                max_attempts: it.max_attempts,
            });
        }
        for it in member.registrations.iter().filter(|it| it.hook.info().kind == HookKind::Fact) {
            let Some(pattern) = Hook::info(it.hook).event else { continue };
            all.push(SubscriptionView {
                subscriber: subscriber.clone(),
                pattern: pattern.to_owned(),
                hook: Some(it.hook.name().to_owned()),
                priority: it.priority,
                conditional: it.when.is_some(),
                max_attempts: None,
            });
        }
    }
    for (subscriber, patterns) in services.journal.subscribers().others_patterns() {
        all.extend(patterns.into_iter().map(|pattern| SubscriptionView {
            subscriber: subscriber.to_string(),
            pattern,
            hook: None,
            priority: 0,
            conditional: false,
            max_attempts: None,
        }));
    }
    all.sort_by(|a, b| (&a.subscriber, &a.pattern).cmp(&(&b.subscriber, &b.pattern)));
    all
}
