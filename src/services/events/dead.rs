//! Deliveries that were given up: listed, told again, discarded.

use serde_json::{Value, json};

use crate::error::{Code, Error, FieldError, Result};
use crate::model::event::check_pattern;
use crate::model::replay::{Replay, Selection};
use crate::store::{NewReplay, WantedGivenUp};

pub use crate::store::GivenUp;

use super::super::{Services, audit};
use super::replay;

/// Rows that are looked through for one page when few fit.
const MOST_LOOKED_AT: i64 = 20_000;

/// Which deliveries that were given up.
#[derive(Debug, Clone, Default)]
pub struct DeadFilter {
    /// To this plugin, or `webhook/<id>`.
    pub plugin: Option<String>,
    /// Of events whose type fits this pattern.
    pub kind: Option<String>,
    /// Ahead of the one with this number.
    pub before: Option<i64>,
}

/// Some of them, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadPage {
    /// Newest first.
    pub items: Vec<GivenUp>,
    /// The `before` of the page of older ones; none when there are none.
    pub next: Option<i64>,
}

/// At most `limit` deliveries that were given up.
///
/// # Errors
/// `BadQuery` for a pattern outside the grammar.
pub async fn list(services: &Services, filter: DeadFilter, limit: i64) -> Result<DeadPage> {
    if let Some(Err(why)) = filter.kind.as_deref().map(check_pattern) {
        let fault = FieldError { pointer: "type".to_owned(), message: why };
        return Err(Error { code: Code::BadQuery, ..Error::fields(vec![fault]) });
    }
    let selection = Selection { types: filter.kind.into_iter().collect(), ..Selection::default() };
    let wanted = WantedGivenUp { selection, subscriber: filter.plugin };
    let mut before = filter.before.unwrap_or(i64::MAX);
    let read = services.read_long(move |it| {
        let (mut items, mut looked) = (Vec::new(), 0);
        loop {
            // What does not fit the pattern is passed over; the page is filled from older ones.
            let left = limit - items.len() as i64;
            let (some, next) = it.given_up(&wanted, before, left)?;
            items.extend(some);
            looked += left;
            match next {
                Some(last) if (items.len() as i64) < limit && looked < MOST_LOOKED_AT => before = last,
                next => return Ok(DeadPage { items, next }),
            }
        }
    });
    read.await
}

/// Lets one delivery be tried anew.
///
/// # Errors
/// `DeliveryNotFound`, `PluginNotRunning`.
pub async fn replay_one(services: &Services, id: i64, by: &str) -> Result<Replay> {
    let found = one(services, id)?;
    if !services.journal.subscribers().names().iter().any(|it| **it == *found.subscriber) {
        let detail = format!("`{}` does not run, so nothing can be told to it.", found.subscriber);
        return Err(Error::new(Code::PluginNotRunning, detail));
    }
    let selection = Selection { deliveries: vec![id], ..Selection::default() };
    let new = NewReplay { selection, subscriber: Some(found.subscriber), asked_by: by.to_owned() };
    replay::begin(services, new, None).await
}

/// Forgets one delivery; its event stays.
///
/// # Errors
/// `DeliveryNotFound`.
pub async fn discard(services: &Services, id: i64, by: &str) -> Result<()> {
    let found = one(services, id)?;
    let (by, now) = (by.to_owned(), services.now());
    let discarded = services.store.write(move |tx| {
        let Some((subscriber, _, last_error)) = tx.discard(id)? else { return Err(not_found(id)) };
        let detail: Value =
            json!({ "event_id": found.event.id, "type": found.event.kind, "plugin": subscriber, "last_error": last_error });
        audit::note(tx, now, &by, "events.dead_discard", Some(format!("delivery/{id}")), detail)
    });
    discarded.await
}

fn one(services: &Services, id: i64) -> Result<GivenUp> {
    let selection = Selection { deliveries: vec![id], ..Selection::default() };
    let wanted = WantedGivenUp { selection, subscriber: None };
    let (mut found, _) = services.store.read(|it| it.given_up(&wanted, i64::MAX, 1))?;
    found.pop().ok_or_else(|| not_found(id))
}

fn not_found(id: i64) -> Error {
    Error::new(Code::DeliveryNotFound, format!("No delivery {id} was given up."))
}
