//! Questions about a clip whose time was over before every plugin was asked: they are asked later, from the
//! journal, and what they answer lands on the clip as it is then.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};

use crate::error::{Error, Result, ScriptFault};
use crate::events::LateChange;
use crate::hooks::patch::{merge, pointers, reduce};
use crate::hooks::{Answer, CallFailure, Hook, HookCall, Target};
use crate::model::call::{CallContext, Caller, Effects, Outcome, PluginEffects};
use crate::model::clip::Clip;
use crate::model::event::Event;
use crate::services::{Services, news};
use crate::store::Tx;

use super::pipeline::{check_payload, note, pointed, put, shown, take_fields};
use super::{subject, to_json};

/// Asks one plugin the question `hook` about the clip of `event`; what it answers is committed with the delivery.
///
/// # Errors
/// The plugin's failure; the delivery is tried again.
pub(in crate::services) async fn run(
    services: &Services,
    plugin: Arc<str>,
    hook: Hook,
    event: Event,
    attempt: i32,
) -> Result<Option<LateChange>, CallFailure> {
    let id = event.subject.as_deref().and_then(|it| it.strip_prefix("clip/")).and_then(|it| it.parse().ok());
    let Some(id) = id else { return Ok(None) };
    let Some(clip) = services.store.read(|r| r.clip(id)).map_err(|it| host_fault(&it))? else {
        return Ok(None);
    };
    let mut given = shown(&clip).map_err(|it| host_fault(&it))?;
    let caller = Caller::of_event(&event);
    let table = services.hooks.table();
    let entries = table.chain(hook).iter().filter(|it| **it.handler.plugin() == *plugin);
    let (mut patches, mut effects) = (Map::new(), Vec::new());
    for entry in entries {
        let payload = Arc::new(Value::Object(given.clone()));
        if entry.registration.when.as_ref().is_some_and(|it| !it.holds(&payload)) {
            continue;
        }
        let mut ctx = CallContext::new(hook.name(), caller.clone());
        ctx.event_id = Some(event.id.as_str().into());
        ctx.attempt = attempt;
        let call = HookCall {
            target: Target::Slot(entry.registration.slot),
            payload: payload.into(),
            ctx: ctx.into(),
            asked_at: Instant::now(),
            timeout: entry.registration.timeout,
            deadline: None,
            is_question: true,
            then: None,
        };
        let reply = entry.handler.call(call).await?;
        if let Answer::Patch(wanted) = reply.answer {
            take(services, hook, &plugin, wanted, &mut given, &mut patches);
        }
        if reply.effects != Effects::default() {
            effects.push(PluginEffects { plugin: Arc::clone(&plugin), effects: reply.effects });
        }
    }
    if patches.is_empty() && effects.is_empty() {
        return Ok(None);
    }
    let own = services.clone();
    let caller = caller.through(&plugin);
    let late = Late { plugin, hook, event, patches, effects, caller };
    Ok(Some(Arc::new(move |tx: &mut Tx| late.store(&own, tx, id))))
}

/// Takes what the hook may change into `given` and `patches`; says what it may not.
fn take(
    services: &Services,
    hook: Hook,
    plugin: &str,
    wanted: Map<String, Value>,
    given: &mut Map<String, Value>,
    patches: &mut Map<String, Value>,
) {
    let mut wanted = reduce(wanted, given);
    wanted.retain(|key, _| {
        let allowed = hook.info().may_patch.contains(&key.as_str());
        if !allowed {
            log::warn!(plugin = plugin, hook = hook.name(); "may not change `{}` here: dropped", key.escape_debug());
        }
        allowed
    });
    let mut candidate = given.clone();
    merge(&mut candidate, &wanted);
    if let Err(why) = check_payload(services, hook, &candidate) {
        log::warn!(plugin = plugin, hook = hook.name(); "its patch is dropped: {why}");
        return;
    }
    *given = candidate;
    for pointer in pointers(&wanted) {
        patches.insert(pointer.clone(), pointed(given, &pointer).cloned().unwrap_or_default());
    }
}

/// What one plugin answered late.
struct Late {
    plugin: Arc<str>,
    hook: Hook,
    event: Event,
    /// Value by pointer; null removes.
    patches: Map<String, Value>,
    effects: Vec<PluginEffects>,
    caller: Caller,
}

impl Late {
    fn store(&self, services: &Services, tx: &mut Tx, id: i64) -> Result<()> {
        services.journal.commit_effects(tx, &self.effects, &self.caller)?;
        let Some(before) = tx.clip(id)? else { return Ok(()) };
        let now = services.now();
        let mut after = before.clone();
        let mut fields = shown(&before)?;
        for (pointer, value) in &self.patches {
            if changed_by_client(&before, &fields, &self.event.data, pointer) {
                log::info!(plugin = &*self.plugin, hook = self.hook.name(); "its late change of {pointer} gives way to a client's");
                continue;
            }
            put(&mut fields, pointer, Some(value).filter(|it| !it.is_null()));
            note(&mut after, pointer, &self.plugin, self.hook, now);
        }
        take_fields(&mut after, fields)?;
        if after == before {
            return Ok(());
        }
        after.updated_at = now;
        tx.update_clip(&after)?;
        let after = tx.clip(id)?.unwrap_or(after);
        let data = Arc::new(Value::Object(to_json(&after)?));
        services.journal.publish(tx, news("clip.updated", subject(id), data), &self.caller)?;
        Ok(())
    }
}

/// Whether a field is no longer what the event told, and no plugin changed it: a plugin's change is noted.
fn changed_by_client(clip: &Clip, fields: &Map<String, Value>, told: &Value, pointer: &str) -> bool {
    let told = told.as_object().and_then(|it| pointed(it, pointer));
    pointed(fields, pointer) != told && clip.provenance.of(pointer).is_none()
}

/// The host itself failed: the delivery is tried again.
fn host_fault(error: &Error) -> CallFailure {
    log::error!("a late answer could not be kept: {error} {:?}", error.source);
    let fault = ScriptFault {
        outcome: Outcome::Skipped.as_str().to_owned(),
        message: error.detail.clone(),
        ..ScriptFault::default()
    };
    CallFailure { outcome: Outcome::Skipped, fault, generation: 0 }
}
