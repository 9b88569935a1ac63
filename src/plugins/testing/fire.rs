//! Calling the plugin as the server does: hooks by the dispatcher, facts and events by the journal.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::error::{Code, Error};
use crate::events::EventDraft;
use crate::hooks::{Answer, Dispatcher, Hook, HookKind};
use crate::model::call::{Caller, PluginEffects};
use crate::model::event::{Event, Priority, check_event_type, is_reserved_type};
use crate::services::{Services, clips, recordings};

use super::bench::Bench;
use super::settle::Op;
use super::stage::{Refusal, hook_named};

/// Begins to ask or to tell `hook` of `payload`.
pub(super) async fn fire(bench: &mut Bench, hook: &str, payload: Value) -> Result<(), Refusal> {
    let hook = hook_named(hook)?;
    match hook.info().kind {
        HookKind::Question => {
            let Value::Object(payload) = payload else {
                return Err(Refusal::new(format!("host:fire: {} is given a table", hook.name())));
            };
            let services = bench.services.clone();
            bench.begin(async move { ask(&services, hook, payload).await });
            Ok(())
        }
        HookKind::Fact => {
            let kind = hook.info().event.unwrap_or_default();
            let subject = match (kind.split('.').next(), &payload["id"]) {
                (Some("recording"), Value::String(id)) => Some(recordings::subject(id)),
                (Some("clip"), id) => id.as_i64().map(clips::subject),
                _ => None,
            };
            let draft = EventDraft {
                kind: kind.to_owned(),
                subject,
                data: payload.into(),
                priority: Priority::Normal,
                ttl: None,
            };
            tell(bench, draft, None, false).await
        }
        HookKind::Life => {
            let (services, plugin) = (bench.services.clone(), Arc::clone(&bench.plugin));
            bench.begin(async move { live(&services, &plugin, hook, payload).await });
            Ok(())
        }
    }
}

/// Publishes an event, and waits until all who subscribed were told.
pub(super) async fn emit(bench: &mut Bench, event: &Value) -> Result<(), Refusal> {
    let Some(fields) = event.as_object() else {
        return Err(Refusal::new(
            "host:emit: the event must be a table such as { type = \"a.b\", data = {} }",
        ));
    };
    const KNOWN: &[&str] = &["type", "data", "subject", "source", "priority"];
    if let Some(key) = fields.keys().find(|it| !KNOWN.contains(&it.as_str())) {
        return Err(Refusal::new(format!(
            "host:emit: an event has no field '{key}'; known: {}",
            KNOWN.join(", ")
        )));
    }
    let text = |key: &str| event[key].as_str().map(str::to_owned);
    let kind = text("type").unwrap_or_default();
    check_event_type(&kind).map_err(|why| Refusal::new(format!("host:emit: type {why}")))?;
    let priority = match fields.get("priority") {
        None => Priority::Normal,
        Some(it) => serde_json::from_value(it.clone())
            .map_err(|_| Refusal::new("host:emit: priority must be low, normal, high or critical"))?,
    };
    let source = text("source").or_else(|| (!is_reserved_type(&kind)).then(|| "test".to_owned()));
    let data = fields.get("data").cloned().unwrap_or_default().into();
    tell(bench, EventDraft { kind, subject: text("subject"), data, priority, ttl: None }, source, true).await
}

async fn tell(
    bench: &mut Bench,
    draft: EventDraft,
    source: Option<String>,
    shows: bool,
) -> Result<(), Refusal> {
    let journal = bench.services.journal.clone();
    let write = bench.services.store.write(move |tx| {
        let event: Event = match source {
            Some(source) => journal.publish_as(tx, draft, source, &Caller::server())?,
            None => journal.publish(tx, draft, &Caller::server())?,
        };
        let seq = tx.event_seq(&event.id)?.unwrap_or_default();
        Ok((seq, event))
    });
    let (seq, event) = write.await?;
    let shown = if shows { event.to_handler_payload() } else { Value::Null };
    bench.op = Some(Op::Told(seq, shown));
    Ok(())
}

/// Asks a question, and stores what the plugins leave behind.
async fn ask(services: &Services, hook: Hook, payload: Map<String, Value>) -> Result<Value, Refusal> {
    let caller = Caller::server();
    let check = |payload: &Map<String, Value>| check(services, hook, payload);
    match services.hooks.ask(hook, payload, &caller, &check).await {
        Ok(mut asked) => {
            services.commit_effects(std::mem::take(&mut asked.effects), &caller).await?;
            let mut result = asked.payload.into_map();
            // A field that is null is not there for scripts.
            result.retain(|_, value| !value.is_null());
            Ok(json!({ "result": result, "response": asked.response.map(response) }))
        }
        Err(error) if error.code == Code::HookDenied => Ok(json!({ "refused": refused(&error) })),
        Err(error) => Err(error.into()),
    }
}

/// As the services and HTTP judge what plugins answer.
fn check(services: &Services, hook: Hook, payload: &Map<String, Value>) -> Result<(), String> {
    match hook {
        Hook::OnClipCaptured | Hook::OnClipProcessed => clips::check_patch(services, hook, payload),
        Hook::BeforeRecordingStart => recordings::check_patch(services, payload),
        _ => match payload.get("headers").map(Value::as_object) {
            Some(Some(headers)) if headers.values().all(|it| it.is_string() || it.is_null()) => Ok(()),
            None => Ok(()),
            _ => Err("/headers: must be names and texts".to_owned()),
        },
    }
}

fn refused(error: &Error) -> Value {
    let member = |name: &str| error.members.iter().find(|(key, _)| *key == name).map(|(_, it)| it.clone());
    json!({
        "code": error.code.name(), "status": error.status(), "message": member("reason"),
        "plugin": member("plugin"),
    })
}

fn response(answer: Answer) -> Value {
    match answer {
        Answer::Respond { status, headers, body } => answered(status, &headers, &body),
        _ => Value::Null,
    }
}

/// An answer over HTTP, as a test sees it.
pub(super) fn answered(status: u16, headers: &[(String, String)], body: &[u8]) -> Value {
    let headers: Map<String, Value> =
        headers.iter().map(|(name, text)| (name.clone(), text.clone().into())).collect();
    let mut shown = json!({ "status": status, "headers": headers, "body": String::from_utf8_lossy(body) });
    if let Ok(json) = serde_json::from_slice::<Value>(body) {
        shown["json"] = json;
    }
    shown
}

async fn live(services: &Services, plugin: &Arc<str>, hook: Hook, payload: Value) -> Result<Value, Refusal> {
    let table = services.hooks.table();
    let Some(member) = table.member(plugin) else {
        return Err(Refusal::new(format!("the plugin `{plugin}` does not run")));
    };
    // What failed is noted where the call ends; the test finds it among the host's errors.
    let Ok(replies) = Dispatcher::call_life(member, hook, payload, None).await else { return Ok(json!({})) };
    let mut result = Value::Null;
    for reply in replies {
        result = match reply.answer {
            Answer::Health { details, .. } if hook == Hook::OnUnload => details,
            Answer::Health { ok, message, details } => {
                json!({ "ok": ok, "message": message, "details": details })
            }
            _ => result,
        };
        let effects = PluginEffects { plugin: Arc::clone(plugin), effects: reply.effects };
        services.commit_effects(vec![effects], &Caller::server()).await?;
    }
    Ok(json!({ "result": result }))
}
