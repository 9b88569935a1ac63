//! Holds a history against what the journal promises: at least once per event and subscriber, in order per subscriber
//! and subject, attempts counted before the run, keys and events exactly once with the acknowledgement.

mod effects;
mod order;
mod shown;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use super::drive::History;
use super::plan::{Door, Plan, Planned, SUBSCRIBERS};
use super::record::{Delivery, Record, Told};

/// Which promise is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// What was acknowledged to its publisher is on the journal, once.
    Published,
    /// Every event is done or dead for everybody who subscribed.
    Delivered,
    /// What fails for ever is dead, and nothing else.
    Fate,
    /// The runs of a subject follow the journal, one at a time.
    Order,
    /// Every run has a higher number than the one before, and none is above the limit.
    Attempts,
    /// Keys and events are there once for each acknowledgement.
    Effects,
    /// What the server shows is what is there.
    Shown,
}

/// A broken promise.
pub struct Violation {
    pub promise: Promise,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}: {}", self.promise, self.what)
    }
}

/// What a history is held against.
pub(super) struct Case<'a> {
    plan: &'a Plan,
    record: &'a Record,
    /// The events that were published, by number.
    told: BTreeMap<i64, &'a Told>,
    /// Their deliveries, by subscriber and number.
    deliveries: HashMap<(&'a str, i64), &'a Delivery>,
    broken: Vec<Violation>,
}

/// All promises that a history breaks.
pub fn audit(plan: &Plan, history: &History) -> Vec<Violation> {
    let History { acknowledged, record, shown } = history;
    let mut case =
        Case { plan, record, told: BTreeMap::new(), deliveries: HashMap::new(), broken: Vec::new() };
    case.published(acknowledged);
    case.delivered();
    for subscriber in SUBSCRIBERS {
        order::check(&mut case, subscriber);
        effects::check_keys(&mut case, subscriber);
    }
    effects::check_answers(&mut case);
    shown::check(&mut case, shown);
    case.broken
}

impl<'a> Case<'a> {
    fn breaks(&mut self, promise: Promise, what: String) {
        self.broken.push(Violation { promise, what });
    }

    fn planned(&self, n: i64) -> Option<&'a Planned> {
        self.plan.events.get(usize::try_from(n - 1).ok()?)
    }

    /// The numbers of the events a subscriber has done, in the order of the journal.
    fn done(&self, subscriber: &str) -> Vec<&'a Told> {
        let mut done: Vec<&Told> = self.told.values().copied().collect();
        done.retain(|it| self.deliveries.get(&(subscriber, it.n)).is_some_and(|it| it.state == "done"));
        done.sort_by_key(|it| it.seq);
        done
    }

    fn published(&mut self, acknowledged: &BTreeSet<i64>) {
        let mut former: Option<&Told> = None;
        for it in self.record.events.iter().filter(|it| it.kind != "history.answer") {
            if former.is_some_and(|former| former.id >= it.id) {
                self.breaks(Promise::Order, format!("the id of event {} is not after the one before", it.n));
            }
            former = Some(it);
            if self.told.insert(it.n, it).is_some() {
                self.breaks(Promise::Published, format!("event {} is on the journal twice", it.n));
            }
            let as_planned =
                self.planned(it.n).is_some_and(|plan| plan.subject == it.subject && plan.kind == it.kind);
            if !as_planned {
                self.breaks(Promise::Published, format!("event {} is not what was published", it.n));
            }
        }
        for it in &self.plan.events {
            if it.door == Door::CloudEvent && !acknowledged.contains(&it.n) {
                self.breaks(Promise::Published, format!("event {} was never acknowledged", it.n));
            }
        }
        for n in acknowledged {
            if !self.told.contains_key(n) {
                self.breaks(Promise::Published, format!("event {n} was acknowledged and is not there"));
            }
        }
    }

    fn delivered(&mut self) {
        let numbers: HashMap<i64, i64> = self.told.values().map(|it| (it.seq, it.n)).collect();
        for it in &self.record.deliveries {
            let Some(n) = numbers.get(&it.seq) else { continue };
            if self.deliveries.insert((it.subscriber.as_str(), *n), it).is_some() {
                self.breaks(Promise::Delivered, format!("{} has two deliveries of event {n}", it.subscriber));
            }
            if !SUBSCRIBERS.contains(&it.subscriber.as_str()) {
                self.breaks(Promise::Delivered, format!("{} is told of event {n}", it.subscriber));
            }
        }
        for n in self.told.keys().copied().collect::<Vec<_>>() {
            for subscriber in SUBSCRIBERS {
                match self.deliveries.get(&(subscriber, n)).copied() {
                    Some(it) => self.fate(n, it),
                    None => {
                        self.breaks(Promise::Delivered, format!("{subscriber} has no delivery of event {n}"))
                    }
                }
            }
        }
    }

    fn fate(&mut self, n: i64, delivery: &Delivery) {
        let Delivery { subscriber, state, attempts, crashes, .. } = delivery;
        let Some(plan) = self.planned(n) else { return };
        let what =
            format!("event {n} for {subscriber} is {state} after {attempts} attempts, {crashes} crashes");
        let hopeless = plan.is_hopeless(subscriber);
        match state.as_str() {
            "done" if !hopeless => {}
            "dead" if hopeless => {}
            // What three dead processes had under way.
            "quarantined" if *crashes >= 3 => {}
            "done" | "dead" | "quarantined" | "expired" => self.breaks(Promise::Fate, what.clone()),
            _ => self.breaks(Promise::Delivered, what.clone()),
        }
        if *attempts > plan.max_attempts() + crashes {
            self.breaks(Promise::Attempts, what);
        }
    }
}
