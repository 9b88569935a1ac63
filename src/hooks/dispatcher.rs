//! Asks the plugins, one after another, and combines what they answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use serde_json::{Map, Value};

use crate::error::{Code, Error, Result, ScriptFault};
use crate::model::call::{CallContext, Caller, Outcome, PluginEffects};
use crate::model::event::Event;

use super::catalogue::{Hook, HookKind, Payload};
use super::given::Given;
use super::handler::{Answer, CallFailure, HookCall, HookHandler, OnError, Reply, Target};
use super::patch;
use super::table::{Entry, Member, Table};

/// What a chain of questions came to.
#[derive(Debug, Default)]
pub struct Asked {
    /// What was asked about, with all accepted patches.
    pub payload: Given,
    /// Who changed what: (JSON pointer, plugin). Not of requests and their answers: see `patched_by`.
    pub changes: Vec<(String, Arc<str>)>,
    /// Whose the patches of the payload are, one after another.
    pub patched_by: Vec<Arc<str>>,
    /// What is to be committed with the change that was asked about.
    pub effects: Vec<PluginEffects>,
    /// Handlers that the time did not reach: (plugin, slot).
    pub unasked: Vec<(Arc<str>, u32)>,
    /// The answer a plugin gave in the server's place.
    pub response: Option<Answer>,
}

impl Asked {
    pub(super) fn about(payload: Given) -> Self {
        Asked {
            payload,
            changes: Vec::new(),
            patched_by: Vec::new(),
            effects: Vec::new(),
            unasked: Vec::new(),
            response: None,
        }
    }
}

/// Checks a patched payload: what is wrong with it, in a sentence. Of a payload of [`Fields`](super::Fields) it is shown
/// the patch alone.
pub type Check<'a> = &'a (dyn Fn(&Map<String, Value>) -> std::result::Result<(), String> + Sync);

/// Calls the handlers. Cheap to clone; all clones share one table.
#[derive(Clone)]
pub struct Dispatcher {
    table: Arc<ArcSwap<Table>>,
    chain_wall: Duration,
}

impl Dispatcher {
    /// A dispatcher without plugins, whose chains have `chain_wall` in all.
    pub fn new(chain_wall: Duration) -> Self {
        Dispatcher { table: Arc::new(ArcSwap::from_pointee(Table::default())), chain_wall }
    }

    /// Swaps in a whole new table; calls under way finish on the old one.
    pub fn replace(&self, table: Table) {
        self.table.store(Arc::new(table));
    }

    /// The table of this moment.
    pub fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Whether anybody listens: one atomic load, no allocation.
    #[inline]
    pub fn listens(&self, hook: Hook) -> bool {
        !self.table.load().chain(hook).is_empty()
    }

    /// Sends a caller away when somebody who would be asked has more to answer already than it can soon. Before there is
    /// a payload, those count who are asked about every one.
    ///
    /// # Errors
    /// [`Code::Overloaded`] with the plugin's name.
    pub fn make_sure_of_room(&self, hook: Hook, payload: Option<&Given>) -> Result<()> {
        let table = self.table.load();
        let is_asked = |it: &&Entry| match (&it.registration.when, payload) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(when), Some(payload)) => when.holds(payload.json()),
        };
        match table.chain(hook).iter().filter(|it| it.handler.is_crowded()).find(is_asked) {
            Some(entry) => Err(send_away(&*entry.handler)),
            None => Ok(()),
        }
    }

    /// How long a chain has time.
    pub(super) fn chain_wall(&self) -> Duration {
        self.chain_wall
    }

    /// When a chain that begins `now` is over.
    pub(super) fn deadline(&self, now: Instant) -> Instant {
        now + self.chain_wall
    }

    /// Asks a question of everybody who listens, each seeing the former's result.
    ///
    /// # Errors
    /// [`Code::HookDenied`] when a plugin refuses, or fails and had said `on_error = "deny"`.
    pub async fn ask(
        &self,
        hook: Hook,
        payload: impl Into<Given>,
        caller: impl Into<Arc<Caller>>,
        check: Check<'_>,
    ) -> Result<Asked> {
        let table = self.table();
        let chain = table.chain(hook);
        let mut asked = Asked::about(payload.into());
        if chain.is_empty() {
            return Ok(asked);
        }
        let ctx = Arc::new(CallContext::new(hook.name(), caller));
        let caller = &*ctx.caller;
        let mut now = Instant::now();
        let limit = self.deadline(now);
        let deadline = caller.deadline.map_or(limit, |theirs| theirs.min(limit));
        for (index, entry) in chain.iter().enumerate() {
            if index > 0 {
                now = Instant::now();
            }
            if now >= deadline {
                asked.unasked = give_up(&chain[index..], hook)?;
                break;
            }
            if entry.registration.when.as_ref().is_some_and(|when| !when.holds(asked.payload.json())) {
                continue;
            }
            let call = HookCall {
                target: Target::Slot(entry.registration.slot),
                payload: asked.payload.clone(),
                ctx: Arc::clone(&ctx),
                asked_at: now,
                timeout: entry.registration.timeout,
                deadline: Some(deadline),
                is_question: true,
                then: None,
            };
            let mut span = caller.time(entry.handler.plugin(), hook.name());
            let answer = entry.handler.call(call).await;
            if let Some(span) = &mut span {
                span.answered_by(answer.as_ref().map_or_else(|it| it.generation, |it| it.generation));
            }
            drop(span);
            match answer {
                Ok(reply) => {
                    take(hook, entry, reply, &mut asked, check, caller)?;
                    if asked.response.is_some() {
                        break;
                    }
                }
                Err(failure) => failed(entry, &failure, hook)?,
            }
        }
        Ok(asked)
    }

    /// Tells one plugin of an event: its functions in order, all or none.
    ///
    /// # Errors
    /// The first function's failure; the effects of all are dropped then.
    pub async fn tell(
        &self,
        plugin: &str,
        event: &Event,
        attempt: i32,
        replay: bool,
    ) -> std::result::Result<Vec<PluginEffects>, CallFailure> {
        let table = self.table();
        let Some(member) = table.member(plugin) else { return Err(not_running(plugin)) };
        let mut payload = None;
        let mut effects = Vec::new();
        for fact in member.facts(event, &mut payload) {
            let shown = match fact.whole_event {
                true => Arc::clone(payload.get_or_insert_with(|| Arc::new(event.to_handler_payload()))),
                false => Arc::clone(event.data.value()),
            };
            let caller = Caller::of_event(event);
            let mut ctx = CallContext::new(fact.hook, caller);
            ctx.event_id = Some(event.id.as_str().into());
            ctx.attempt = attempt;
            ctx.replay = replay;
            let call = HookCall {
                target: Target::Slot(fact.slot),
                payload: shown.into(),
                ctx: Arc::new(ctx),
                asked_at: Instant::now(),
                timeout: fact.timeout,
                deadline: None,
                is_question: false,
                then: None,
            };
            let reply = member.handler.call(call).await?;
            if !reply.effects.is_empty() {
                effects.push(PluginEffects {
                    plugin: Arc::clone(member.handler.plugin()),
                    effects: reply.effects,
                });
            }
        }
        Ok(effects)
    }

    /// Calls one life hook of one plugin; nothing when it has none.
    ///
    /// # Errors
    /// The first failure.
    pub async fn call_life(
        member: &Member,
        hook: Hook,
        payload: Value,
        deadline: Option<Instant>,
    ) -> std::result::Result<Vec<Reply>, CallFailure> {
        let ctx = CallContext::new(hook.name(), Caller::server());
        Self::call_life_in(ctx, member, hook, payload, deadline).await
    }

    /// The same with a second argument of its own.
    ///
    /// # Errors
    /// The first failure.
    pub async fn call_life_in(
        ctx: CallContext,
        member: &Member,
        hook: Hook,
        payload: Value,
        deadline: Option<Instant>,
    ) -> std::result::Result<Vec<Reply>, CallFailure> {
        debug_assert_eq!(hook.info().kind, HookKind::Life);
        let (payload, ctx) = (Given::from(payload), Arc::new(ctx));
        let mut replies = Vec::new();
        for registration in member.registrations.iter().filter(|it| it.hook == hook) {
            let call = HookCall {
                target: Target::Slot(registration.slot),
                payload: payload.clone(),
                ctx: Arc::clone(&ctx),
                asked_at: Instant::now(),
                timeout: registration.timeout,
                deadline,
                is_question: false,
                then: None,
            };
            replies.push(member.handler.call(call).await?);
        }
        Ok(replies)
    }
}

/// What a caller is told when more calls wait for a plugin than it can answer soon; the plugin's VMs count it.
pub fn send_away(handler: &dyn HookHandler) -> Error {
    handler.sent_away();
    let detail = format!("The plugin `{}` is asked more than it can answer.", handler.plugin());
    Error { retry_after: Some(1), ..Error::new(Code::Overloaded, detail) }
}

/// A plugin that was taken down after its delivery was claimed: it is told when it runs again.
fn not_running(plugin: &str) -> CallFailure {
    let message = format!("the plugin `{plugin}` does not run");
    let fault =
        ScriptFault { outcome: Outcome::Skipped.as_str().to_owned(), message, ..ScriptFault::default() };
    CallFailure { outcome: Outcome::Skipped, fault, generation: 0 }
}

/// The time is over: gates that fail closed refuse, the others are asked later or not at all.
fn give_up(rest: &[Entry], hook: Hook) -> Result<Vec<(Arc<str>, u32)>> {
    for entry in rest {
        log::warn!(plugin = &**entry.handler.plugin(), hook = hook.name(); "not asked: the chain's time was over");
        if hook.info().may_deny && entry.registration.on_error == OnError::Deny {
            return Err(refused_by(entry, "it was not reached in time and denies then", None));
        }
    }
    Ok(rest.iter().map(|it| (Arc::clone(it.handler.plugin()), it.registration.slot)).collect())
}

pub(super) fn failed(entry: &Entry, failure: &CallFailure, hook: Hook) -> Result<()> {
    if hook.info().may_deny && entry.registration.on_error == OnError::Deny {
        let error =
            refused_by(entry, &format!("it failed ({}) and denies then", failure.outcome.as_str()), None);
        // Where it failed shows its source, which is for those who may read that: they find it by the trace.
        return Err(match &failure.fault.trace_id {
            Some(id) => error.with_member("trace_id", id.as_str()),
            None => error,
        });
    }
    Ok(())
}

fn refused_by(entry: &Entry, reason: &str, status: Option<u16>) -> Error {
    let plugin = entry.handler.plugin();
    let mut error = Error::new(Code::HookDenied, format!("plugin `{plugin}`: {reason}"));
    error.status = status;
    error.with_member("plugin", &**plugin).with_member("reason", reason)
}

/// Takes one plugin's reply into what the chain has come to.
pub(super) fn take(
    hook: Hook,
    entry: &Entry,
    reply: Reply,
    asked: &mut Asked,
    check: Check<'_>,
    caller: &Caller,
) -> Result<()> {
    let plugin = entry.handler.plugin();
    match reply.answer {
        Answer::Deny { reason, .. } if caller.unrefusable => {
            log::warn!(plugin = &**plugin, hook = hook.name(); "its refusal is ignored for an admin's plugin request: {reason}");
        }
        Answer::Deny { reason, status } => {
            log::info!(plugin = &**plugin, hook = hook.name(), request_id = caller.request_id.as_deref(); "refused: {reason}");
            return Err(refused_by(entry, &reason, status));
        }
        Answer::Respond { .. } if caller.unrefusable => {
            log::warn!(plugin = &**plugin, hook = hook.name(); "its answer is ignored for an admin's plugin request");
        }
        Answer::Respond { .. } => asked.response = Some(reply.answer),
        Answer::Patch(wanted) => apply(hook, entry, wanted, asked, check),
        Answer::Nothing | Answer::Value(_) | Answer::Health { .. } => {}
    }
    if !reply.effects.is_empty() {
        asked.effects.push(PluginEffects { plugin: Arc::clone(plugin), effects: reply.effects });
    }
    Ok(())
}

/// Applies what a plugin may change; says what it may not.
fn apply(hook: Hook, entry: &Entry, wanted: Map<String, Value>, asked: &mut Asked, check: Check<'_>) {
    let handler = &entry.handler;
    let mut reduced = asked.payload.reduce(wanted);
    reduced.retain(|key, _| {
        let allowed = hook.info().may_patch.contains(&key.as_str());
        if !allowed {
            let why = format!("it may not change `{}` here: that is dropped", key.escape_debug());
            handler.note(hook.name(), Outcome::Ok, &why);
        }
        allowed
    });
    if reduced.is_empty() {
        return;
    }
    let is_noted = !matches!(hook.info().payload, Payload::Request | Payload::Response);
    let pointers = if is_noted { patch::pointers(&reduced) } else { Vec::new() };
    match asked.payload.patched(reduced, check) {
        Ok(patched) => {
            asked.changes.extend(pointers.into_iter().map(|it| (it, Arc::clone(handler.plugin()))));
            asked.patched_by.push(Arc::clone(handler.plugin()));
            asked.payload = patched;
        }
        Err(why) => {
            handler.note(hook.name(), Outcome::Convert, &format!("what it returned is dropped: {why}"));
        }
    }
}

#[cfg(test)]
#[path = "dispatcher_tests.rs"]
mod tests;
