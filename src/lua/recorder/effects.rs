//! What a call leaves to be committed, written down and read again.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::lua::context::CallState;
use crate::model::call::{Emitted, KvOp};

/// How much a call had left, and what doors had noted, at some moment.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    kv: usize,
    events: usize,
    marks: u8,
}

impl Mark {
    /// Now.
    pub fn of(call: &CallState) -> Self {
        let effects = call.effects.lock();
        Mark { kv: effects.kv.len(), events: effects.events.len(), marks: call.marks() }
    }

    /// What has come since: marks, and effects.
    pub fn since(self, call: &CallState) -> (u8, Option<Left>) {
        let effects = call.effects.lock();
        let marks = call.marks() & !self.marks;
        if effects.kv.len() <= self.kv && effects.events.len() <= self.events {
            return (marks, None);
        }
        let kv = effects.kv.get(self.kv..).unwrap_or_default().to_vec();
        let events = effects.events.get(self.events..).unwrap_or_default().to_vec();
        (marks, Some(Left { kv, events }))
    }
}

/// What a function left on its call; it is written down when somebody looks at the record.
#[derive(Debug)]
pub struct Left {
    kv: Vec<KvOp>,
    events: Vec<Emitted>,
}

impl Left {
    /// `{kv, events}`.
    pub fn write(&self) -> Value {
        write(&self.kv, &self.events)
    }
}

/// `{kv, events}`.
pub fn write(kv: &[KvOp], events: &[Emitted]) -> Value {
    let kv: Vec<Value> = kv.iter().map(write_op).collect();
    let events: Vec<Value> = events.iter().map(write_event).collect();
    json!({ "kv": kv, "events": events })
}

fn write_op(op: &KvOp) -> Value {
    match op {
        KvOp::Set { key, value, expires_at_us } => {
            json!({"op": "set", "key": key, "value": value, "expires_at_us": expires_at_us})
        }
        KvOp::Delete { key } => json!({"op": "delete", "key": key}),
        KvOp::Incr { key, by } => json!({"op": "incr", "key": key, "by": by}),
    }
}

fn write_event(event: &Emitted) -> Value {
    json!({
        "type": event.kind, "subject": event.subject, "data": event.data, "priority": event.priority,
        "ttl_ms": event.ttl.map(|it| it.as_millis() as u64),
    })
}

/// Adds the effects `more` to `all`.
pub fn join(all: &mut Value, mut more: Value) {
    if all.is_null() {
        *all = more;
        return;
    }
    for part in ["kv", "events"] {
        if let (Some(all), Some(more)) = (all[part].as_array_mut(), more[part].as_array_mut()) {
            all.append(more);
        }
    }
}

/// Leaves on `call` what is written down.
pub fn apply(call: &CallState, written: &Value) {
    let mut effects = call.effects.lock();
    for op in written["kv"].as_array().into_iter().flatten() {
        let key = op["key"].as_str().unwrap_or_default().to_owned();
        effects.kv.push(match op["op"].as_str() {
            Some("set") => {
                KvOp::Set { key, value: op["value"].clone(), expires_at_us: op["expires_at_us"].as_i64() }
            }
            Some("incr") => KvOp::Incr { key, by: op["by"].as_f64().unwrap_or_default() },
            _ => KvOp::Delete { key },
        });
    }
    for event in written["events"].as_array().into_iter().flatten() {
        effects.events.push(Emitted {
            kind: event["type"].as_str().unwrap_or_default().to_owned(),
            subject: event["subject"].as_str().map(str::to_owned),
            data: Arc::new(event["data"].clone()),
            priority: serde_json::from_value(event["priority"].clone()).unwrap_or_default(),
            ttl: event["ttl_ms"].as_u64().map(Duration::from_millis),
        });
    }
}
