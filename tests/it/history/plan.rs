//! What is to happen, from a seed: which events, which of their deliveries fail, and what goes wrong when.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::prng::Prng;

/// Who is told of every event.
pub const SUBSCRIBERS: [&str; 3] = ["count", "echo", "watch"];

/// More than any number of attempts.
const ALWAYS: i64 = 99;

/// Events with a delivery that outlasts its deadline: five such kills in a minute would open the breaker.
const SLOW: u64 = 3;

/// How an event is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// By a script; not again when the answer is lost.
    Script,
    /// By a client, in the product's own shape; not again when the answer is lost.
    Plain,
    /// By a client as a CloudEvent, again and again until it is answered: source and id make it one.
    CloudEvent,
}

/// One event to be published.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its number, from 1.
    pub n: i64,
    pub door: Door,
    pub kind: &'static str,
    pub subject: Option<String>,
    pub priority: &'static str,
    /// Attempts that raise, by subscriber.
    pub fails: BTreeMap<&'static str, i64>,
    /// Attempts that outlast their deadline, by subscriber.
    pub slow: BTreeMap<&'static str, i64>,
}

impl Planned {
    /// Tries the subscription allows.
    pub fn max_attempts(&self) -> i64 {
        if self.kind == "history.patient" { 3 } else { 2 }
    }

    /// Whether `subscriber` never handles it.
    pub fn is_hopeless(&self, subscriber: &str) -> bool {
        let planned = |it: &BTreeMap<&str, i64>| it.get(subscriber).is_some_and(|it| *it >= ALWAYS);
        planned(&self.fails) || planned(&self.slow)
    }

    /// What is published.
    pub fn body(&self) -> Value {
        let data = json!({ "n": self.n, "fails": self.fails, "slow": self.slow });
        let mut body = json!({ "type": self.kind, "data": data, "priority": self.priority });
        if let Some(subject) = &self.subject {
            body["subject"] = json!(subject);
        }
        if self.door == Door::CloudEvent {
            body["specversion"] = json!("1.0");
            body["source"] = json!("history");
            body["id"] = json!(self.n.to_string());
        }
        body
    }
}

/// What goes wrong while events are published and handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// `kill -9`, then a start.
    Kill,
    /// SIGTERM, then a start.
    Stop,
    /// A new version of a subscriber.
    Reload(&'static str),
}

/// A whole history to be.
pub struct Plan {
    pub seed: u64,
    pub events: Vec<Planned>,
    /// After how many publications what goes wrong; past the last event: while the rest is handled.
    pub troubles: Vec<(usize, Trouble)>,
}

impl Plan {
    /// `count` events and `kills` ends of the server, and half as many reloads.
    pub fn of(seed: u64, count: usize, kills: usize) -> Plan {
        let mut prng = Prng(seed);
        let events = (1..=count as i64).map(|n| event(&mut prng, n, count as u64)).collect::<Vec<_>>();
        let slow = (0..SLOW).map(|_| prng.below(count as u64) as usize).collect::<Vec<_>>();
        let mut plan = Plan { seed, events, troubles: Vec::new() };
        for (place, at) in slow.into_iter().enumerate() {
            let it = &mut plan.events[at];
            it.kind = "history.slow";
            it.fails.clear();
            it.slow.insert(SUBSCRIBERS[place], if place == 0 { ALWAYS } else { 1 });
        }
        for place in 0..kills {
            let trouble = if place % 5 == 3 { Trouble::Stop } else { Trouble::Kill };
            plan.troubles.push((prng.below(count as u64 * 11 / 10) as usize, trouble));
        }
        for _ in 0..kills.div_ceil(2) {
            let whom = prng.pick(&SUBSCRIBERS);
            plan.troubles.push((prng.below(count as u64) as usize, Trouble::Reload(whom)));
        }
        plan.troubles.sort_by_key(|(at, _)| *at);
        plan
    }
}

fn event(prng: &mut Prng, n: i64, count: u64) -> Planned {
    let subject = match prng.below(10) {
        0 | 1 => None,
        2..=5 => Some(format!("hot/{}", prng.below(6 + count / 2000))),
        _ => Some(format!("cold/{}", prng.below(count / 4 + 1))),
    };
    let mut planned = Planned {
        n,
        door: prng.pick(&[Door::Script, Door::Plain, Door::CloudEvent, Door::CloudEvent]),
        kind: "history.plain",
        subject,
        priority: prng.pick(&["low", "normal", "normal", "high", "critical"]),
        fails: BTreeMap::new(),
        slow: BTreeMap::new(),
    };
    // Each failure holds its subject up for a second: few, or the hot ones never end.
    if prng.one_in(40) {
        planned.fails.insert(prng.pick(&SUBSCRIBERS), if prng.one_in(4) { ALWAYS } else { 1 });
    }
    if prng.one_in(500) {
        planned.kind = "history.patient";
        planned.fails.insert(prng.pick(&SUBSCRIBERS), 2);
    }
    planned
}
