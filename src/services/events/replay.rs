//! Past events told again: what is asked for, begun, watched, cancelled.

use serde_json::{Map, Value, json};

use crate::error::{Code, Error, FieldError, Result};
use crate::model::event::check_pattern;
use crate::model::replay::{Replay, Selection};
use crate::model::spelling::find_similar;
use crate::model::time::{MissingOffset, Timestamp};
use crate::store::{NewReplay, WantedGivenUp};

use super::super::{Idempotency, Services, audit, idempotency};

/// Ids or numbers that one request may name.
pub const MAX_NAMED: usize = 1000;

/// Patterns that one request may name.
const MAX_TYPES: usize = 100;

/// The longest text of a filter, in bytes.
const MAX_TEXT_BYTES: usize = 256;

const FIELDS: &[&str] = &[
    "ids",
    "type",
    "from",
    "to",
    "subject",
    "source",
    "after",
    "before",
    "failed",
    "deliveries",
    "plugin",
    "all",
    "dry_run",
];

/// What came of asking for a replay.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// It runs.
    Begun(Box<Replay>),
    /// It was only asked what would be.
    Preview(Value),
}

/// Begins a replay, or tells what it would do.
///
/// # Errors
/// `Invalid` with every fault of the body, ids that no event has among them; `PluginNotRunning`.
pub async fn ask(
    services: &Services,
    body: Map<String, Value>,
    by: &str,
    once: Option<Idempotency>,
) -> Result<Asked> {
    let (new, dry_run) = read(body, by)?;
    check_named(services, &new).await?;
    if let Some(name) = &new.subscriber
        && !services.journal.subscribers().names().iter().any(|it| **it == **name)
    {
        let shown: String = name.chars().take(80).collect();
        let detail = format!("`{}` does not run, so nothing can be told to it.", shown.escape_debug());
        return Err(Error::new(Code::PluginNotRunning, detail));
    }
    if dry_run {
        let preview = services.replays.preview(&new).await?;
        let queued: i64 = preview.by_subscriber.values().sum();
        return Ok(Asked::Preview(json!({
            "dry_run": true, "selection": new.selection, "plugin": new.subscriber,
            "matched": preview.matched, "queued": queued, "by_subscriber": preview.by_subscriber,
        })));
    }
    Ok(Asked::Begun(Box::new(begin(services, new, once).await?)))
}

/// Begins a replay that was checked.
///
/// # Errors
/// The store's.
pub async fn begin(services: &Services, new: NewReplay, once: Option<Idempotency>) -> Result<Replay> {
    let (by, now) = (new.asked_by.clone(), services.now());
    let detail = json!({ "selection": new.selection, "plugin": new.subscriber });
    let begun = services.replays.begin(new, move |tx, id| {
        audit::note(tx, now, &by, "events.replay", Some(format!("replay/{id}")), detail)?;
        let replay = tx.replay(id)?;
        idempotency::remember(tx, once.as_ref(), 202, &replay, now)
    });
    get(services, begun.await?)
}

/// A replay.
///
/// # Errors
/// `ReplayNotFound`.
pub fn get(services: &Services, id: i64) -> Result<Replay> {
    let found = services.store.read(|it| it.replay(id))?;
    found.ok_or_else(|| Error::new(Code::ReplayNotFound, format!("There is no replay {id}.")))
}

/// At most `limit` replays before the one with a number, newest first.
///
/// # Errors
/// The store's.
pub async fn list(services: &Services, before: Option<i64>, limit: i64) -> Result<Vec<Replay>> {
    services.read_long(move |it| it.list_replays(before.unwrap_or(i64::MAX), limit)).await
}

/// Ends a replay: what it has queued and what has not begun is taken back.
///
/// # Errors
/// `ReplayNotFound`; `Conflict` when it is over.
pub async fn cancel(services: &Services, id: i64, by: &str) -> Result<Replay> {
    let replay = get(services, id)?;
    let (by, now) = (by.to_owned(), services.now());
    let cancelled = services.replays.cancel(id, move |tx| {
        audit::note(tx, now, &by, "events.replay_cancel", Some(format!("replay/{id}")), json!({}))
    });
    if !cancelled.await? {
        let detail = format!(
            "Replay {id} is {} already.",
            if replay.state == "running" { "done" } else { &replay.state }
        );
        return Err(Error::new(Code::Conflict, detail));
    }
    get(services, id)
}

/// Refuses ids that no event has and numbers of deliveries that were not given up, each by its place.
async fn check_named(services: &Services, new: &NewReplay) -> Result<()> {
    let selection = new.selection.clone();
    let faults = services.read_long(move |it| {
        let missing = it.unknown_events(&selection.ids)?;
        let mut faults: Vec<FieldError> =
            missing.into_iter().map(|at| fault(&format!("ids/{at}"), "no event has this id")).collect();
        if !selection.deliveries.is_empty() {
            let only = Selection { deliveries: selection.deliveries.clone(), ..Selection::default() };
            let wanted = WantedGivenUp { selection: only, subscriber: None };
            let (found, _) = it.select_given_up(&wanted, 0, i64::MAX, MAX_NAMED)?;
            for (at, id) in selection.deliveries.iter().enumerate() {
                if !found.iter().any(|it| it.id == *id) {
                    faults.push(fault(
                        &format!("deliveries/{at}"),
                        "no delivery that was given up has this number",
                    ));
                }
            }
        }
        Ok(faults)
    });
    let faults = faults.await?;
    if faults.is_empty() { Ok(()) } else { Err(Error::fields(faults)) }
}

/// Reads the body of a request: what is wanted, and whether only to tell what would be.
fn read(body: Map<String, Value>, by: &str) -> Result<(NewReplay, bool)> {
    let mut read = Reading { body, faults: Vec::new() };
    let selection = Selection {
        ids: read.texts("ids", MAX_NAMED),
        types: read.types(),
        from: read.time("from"),
        to: read.time("to"),
        subject: read.text("subject"),
        source: read.text("source"),
        after: read.place("after"),
        before: read.place("before"),
        failed: read.flag("failed"),
        deliveries: read.numbers("deliveries"),
    };
    let (subscriber, all, dry_run) = (read.text("plugin"), read.flag("all"), read.flag("dry_run"));
    if let (Some(from), Some(to)) = (selection.from, selection.to)
        && from > to
    {
        read.wrong("from", "is later than `to`");
    }
    if let (Some(after), Some(before)) = (selection.after, selection.before)
        && after >= before
    {
        read.wrong("after", "must be less than `before`");
    }
    let mut faults = read.finish();
    if faults.is_empty() && selection == Selection::default() && !all {
        let says = "must say which events: ids, type, from, to, subject, source, after, before, failed, deliveries, or all: true";
        faults.push(FieldError { pointer: String::new(), message: says.to_owned() });
    }
    if !faults.is_empty() {
        return Err(Error::fields(faults));
    }
    Ok((NewReplay { selection, subscriber, asked_by: by.to_owned() }, dry_run))
}

/// A body as it is taken apart.
struct Reading {
    body: Map<String, Value>,
    faults: Vec<FieldError>,
}

impl Reading {
    fn take(&mut self, name: &str) -> Option<Value> {
        self.body.shift_remove(name).filter(|it| !it.is_null())
    }

    fn wrong(&mut self, at: &str, message: &str) {
        self.faults.push(fault(at, message));
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) if (1..=MAX_TEXT_BYTES).contains(&text.len()) => Some(text),
            _ => {
                self.wrong(name, &format!("must be text of 1 to {MAX_TEXT_BYTES} bytes"));
                None
            }
        }
    }

    fn flag(&mut self, name: &str) -> bool {
        match self.take(name) {
            None => false,
            Some(Value::Bool(flag)) => flag,
            Some(_) => {
                self.wrong(name, "must be true or false");
                false
            }
        }
    }

    fn time(&mut self, name: &str) -> Option<Timestamp> {
        let value = self.take(name)?;
        Timestamp::from_json(&value, MissingOffset::Refused).map_err(|why| self.wrong(name, &why)).ok()
    }

    fn place(&mut self, name: &str) -> Option<i64> {
        let place = self.take(name)?.as_i64().filter(|it| *it >= 0);
        if place.is_none() {
            self.wrong(name, "must be a place on the journal: a whole number from 0 on");
        }
        place
    }

    fn types(&mut self) -> Vec<String> {
        if let Some(Value::String(one)) = self.body.get("type") {
            let list = Value::from(vec![one.clone()]);
            self.body.insert("type".to_owned(), list);
        }
        let types = self.texts("type", MAX_TYPES);
        for it in &types {
            if let Err(why) = check_pattern(it) {
                let shown: String = it.chars().take(80).collect();
                self.wrong("type", &format!("`{}` {why}", shown.escape_debug()));
            }
        }
        types
    }

    fn texts(&mut self, name: &str, most: usize) -> Vec<String> {
        let list = self.list(name, most, |it| it.as_str().filter(|it| !it.is_empty()).map(str::to_owned));
        list.unwrap_or_else(|| {
            self.wrong(name, &format!("must be a list of 1 to {most} texts"));
            Vec::new()
        })
    }

    fn numbers(&mut self, name: &str) -> Vec<i64> {
        self.list(name, MAX_NAMED, |it| it.as_i64().filter(|it| *it > 0)).unwrap_or_else(|| {
            self.wrong(name, &format!("must be a list of 1 to {MAX_NAMED} whole numbers from 1 on"));
            Vec::new()
        })
    }

    fn list<T>(&mut self, name: &str, most: usize, item: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
        let Some(value) = self.take(name) else { return Some(Vec::new()) };
        let list = value.as_array().filter(|it| (1..=most).contains(&it.len()))?;
        list.iter().map(item).collect()
    }

    fn finish(mut self) -> Vec<FieldError> {
        let unknown = self.body.keys().map(|key| {
            let message = match find_similar(key, FIELDS.iter().copied()) {
                Some(name) => format!("is not a field here (did you mean `{name}`?)"),
                None => format!("is not a field here; known are {}", FIELDS.join(", ")),
            };
            fault(&super::super::fields::escape(key), &message)
        });
        let unknown: Vec<FieldError> = unknown.filter(|it| !FIELDS.contains(&&it.pointer[1..])).collect();
        self.faults.extend(unknown);
        self.faults
    }
}

fn fault(at: &str, message: &str) -> FieldError {
    FieldError { pointer: format!("/{at}"), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(body: Value) -> Result<(NewReplay, bool)> {
        read(body.as_object().cloned().unwrap_or_default(), "key/1")
    }

    #[test]
    fn a_body_says_which_events_and_for_whom() {
        let (new, dry_run) = reads(json!({
            "type": "clip.*", "from": "2026-01-01T00:00:00Z", "after": 3, "before": 9, "plugin": "tagger", "dry_run": true
        }))
        .unwrap();
        assert!(dry_run && new.selection.types == ["clip.*"] && new.selection.after == Some(3));
        assert_eq!(new.subscriber.as_deref(), Some("tagger"));
        assert_eq!(reads(json!({ "all": true })).unwrap().0.selection, Selection::default());
        assert_eq!(reads(json!({ "type": ["a.b", "**"] })).unwrap().0.selection.types.len(), 2);
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let wrong = |body: Value| {
            let faults = reads(body).unwrap_err().errors;
            faults.into_iter().map(|it| it.pointer).collect::<Vec<_>>()
        };
        assert_eq!(wrong(json!({})), [""]);
        assert_eq!(wrong(json!({ "plugin": "x" })), [""]);
        assert_eq!(wrong(json!({ "type": "**.a" })), ["/type"]);
        assert_eq!(wrong(json!({ "type": 7, "ids": [], "deliveries": [0], "failed": "yes" })).len(), 4);
        assert_eq!(wrong(json!({ "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z" })), ["/from"]);
        assert_eq!(wrong(json!({ "after": 5, "before": 5 })), ["/after"]);
        assert_eq!(wrong(json!({ "after": -1 })), ["/after"]);
        let error = reads(json!({ "typ": "a" })).unwrap_err();
        assert!(error.detail.contains("did you mean `type`"), "{}", error.detail);
    }
}
