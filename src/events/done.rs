//! What plugins did for recordings, noted with the delivery that had them do it.

use serde_json::{Value, json};

use crate::hooks::CallFailure;
use crate::model::call::{KvOp, PluginEffects};
use crate::model::event::Event;
use crate::model::time::Timestamp;
use crate::store::PluginTask;

/// Keys and events that are named; the rest is only counted.
const MAX_NAMED: usize = 20;

/// What a delivery came to for the recording its event is about; none when it is about none.
pub(super) fn task(
    plugin: &str,
    event: &Event,
    attempt: i32,
    result: Result<&[PluginEffects], &CallFailure>,
    (began, ended): (Timestamp, Timestamp),
) -> Option<PluginTask> {
    // Who is no plugin, such as a webhook, has a log of its own.
    if plugin.contains('/') {
        return None;
    }
    let of_subject = event.subject.as_deref().and_then(|it| it.strip_prefix("recording/"));
    let recording_id = of_subject.or_else(|| event.data["recording_id"].as_str())?;
    let (status, outputs, error) = match result {
        Ok(effects) => ("completed", outputs(effects), None),
        Err(failure) => {
            ("failed", Value::Null, Some(format!("{}: {}", failure.outcome.as_str(), failure.fault)))
        }
    };
    Some(PluginTask {
        id: 0,
        plugin: plugin.to_owned(),
        recording_id: recording_id.to_owned(),
        task: event.kind.clone(),
        status: status.to_owned(),
        inputs: json!({ "event_id": event.id, "attempt": attempt }),
        outputs,
        error,
        started_at: began,
        finished_at: Some(ended),
    })
}

/// The keys that were written and the events that were told.
fn outputs(effects: &[PluginEffects]) -> Value {
    let all = || effects.iter().map(|it| &it.effects);
    let keys = all().flat_map(|it| &it.kv).map(|op| match op {
        KvOp::Set { key, .. } | KvOp::Delete { key } | KvOp::Incr { key, .. } => key.as_str(),
    });
    let events = all().flat_map(|it| &it.events).map(|it| it.kind.as_str());
    let (keys_count, events_count) = (keys.clone().count(), events.clone().count());
    json!({
        "keys": keys.take(MAX_NAMED).collect::<Vec<_>>(), "keys_count": keys_count,
        "events": events.take(MAX_NAMED).collect::<Vec<_>>(), "events_count": events_count,
    })
}
