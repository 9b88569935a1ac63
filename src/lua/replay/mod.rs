//! Recorded calls run again, in a VM that is thrown away: what the host answered comes from the record, and nothing
//! that the script does reaches the world.

mod script;
mod tried;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use crate::error::ScriptFault;
use crate::hooks::{CallFailure, Hook, HookCall, Reply, Target};
use crate::model::call::{CallContext, Caller, EVENT, EXPORT, Effects, Outcome, ROUTE, TIMER};
use crate::model::trace::Trace;

use super::LuaHost;
use super::actor::Actor;
use super::begin::kind_of;
use super::fresh::{context, reply_of};
use super::generation::PluginSource;
use super::host::Shared;
use super::recorder::{Mask, effects, slot_of, write_answer};
use super::require::Modules;
use super::secrets::Secrets;
use super::strand::{Job, QueuedCall};
use super::waiting::Waiting;

use script::Released;
pub use script::{Replay, Turn, leave};
pub use tried::Tried;

/// A replay that has not ended by then is given up.
const LONGEST: Duration = Duration::from_secs(60);

/// Where a call that was run again asked for what was not recorded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diverged {
    /// Such as `panotti.http.get`.
    pub function: String,
    /// What it was given.
    pub args: Vec<Value>,
    /// The script's file.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: Option<u32>,
}

impl fmt::Display for Diverged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it asks for {}, which was not recorded", self.function)?;
        if let (Some(file), Some(line)) = (&self.file, self.line) {
            write!(f, ", at {file}:{line}")?;
        }
        Ok(())
    }
}

/// A line that a script wrote to the log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogLine {
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The line.
    pub message: String,
    /// Its fields.
    pub fields: Value,
}

/// What a call came to that was run again.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Replayed {
    /// How it ended; none = it could not be run to its end.
    pub outcome: Option<String>,
    /// What it returned.
    pub output: Value,
    /// What would be committed with it.
    pub effects: Value,
    /// What went wrong.
    pub fault: Option<ScriptFault>,
    /// Where it asked for what was not recorded.
    pub diverged: Option<Diverged>,
    /// What was recorded and not asked for any more.
    pub left_over: Vec<String>,
    /// Readings of clocks and chance that were not recorded.
    pub made_up: u64,
    /// What it would have logged.
    pub log: Vec<LogLine>,
    /// How long it took, in milliseconds; what was waited for then is not waited for now.
    pub took_ms: f64,
}

impl LuaHost {
    /// Runs a recorded call again on the files of `source`.
    pub async fn replay(&self, source: PluginSource, trace: &Trace) -> Replayed {
        let _place = self.replay_place().await;
        let began = Instant::now();
        let secrets = Arc::new(Secrets::new(Arc::clone(&source.secret_keys), &source.config));
        let replay = Replay::new(Arc::clone(&secrets));
        let done = tokio::time::timeout(LONGEST, self.run_again(&source, trace, &replay)).await;
        let (diverged, log, left_over, made_up) = replay.finish();
        let mut replayed = Replayed { diverged, left_over, made_up, log, ..Replayed::default() };
        let mut mask = Mask::new(&secrets);
        match done {
            _ if replayed.diverged.is_some() => {}
            Ok(Ok(reply)) => {
                let outcome = match &reply.answer {
                    crate::hooks::Answer::Deny { .. } if reply.outcome == Outcome::Ok => Outcome::Refused,
                    _ => reply.outcome,
                };
                replayed.outcome = Some(outcome.as_str().to_owned());
                replayed.output = mask.value(&write_answer(&reply.answer));
                replayed.effects = mask.value(&written(&reply.effects));
            }
            Ok(Err(failure)) => {
                replayed.outcome = Some(failure.outcome.as_str().to_owned());
                replayed.output = write_answer(&crate::hooks::Answer::Nothing);
                replayed.effects = written(&Effects::default());
                replayed.fault = Some(failure.fault);
            }
            Err(_) => {
                let message = "it was given up: the replay took too long".to_owned();
                replayed.fault = Some(ScriptFault { message, ..ScriptFault::default() });
            }
        }
        replayed.took_ms = began.elapsed().as_secs_f64() * 1e3;
        replayed
    }

    async fn run_again(
        &self,
        source: &PluginSource,
        trace: &Trace,
        replay: &Arc<Replay>,
    ) -> Result<Reply, CallFailure> {
        let closing = self.thrown_away_vm(source, replay);
        let actor = Arc::clone(&closing.0);
        let is_load = trace.hook == "load";
        let steps = if is_load { &trace.steps } else { &trace.load };
        let ends_by_deadline = trace.outcome == Outcome::Deadline.as_str();
        replay.begin(steps, trace.at.0, None, ends_by_deadline && is_load);
        let random = if is_load { &trace.world.random } else { &trace.world.load_random };
        replay.seed(hex(random));
        let (waiting, answer) = Waiting::of(None);
        actor.start(Job::Load { entry: Some(source.entry.clone()), waiting });
        let loaded = reply_of(answer, source.generation).await?;
        if is_load {
            return Ok(loaded);
        }
        let Some(slot) = slot_of(&actor.context.registry, &trace.target) else {
            let message = format!("this version registers no `{}`", trace.target.name);
            let fault = ScriptFault { outcome: "skipped".to_owned(), message, ..ScriptFault::default() };
            return Err(CallFailure { outcome: Outcome::Skipped, fault, generation: source.generation });
        };
        replay.begin(&trace.steps, trace.at.0, trace.world.deadline, ends_by_deadline);
        replay.seed(hex(&trace.world.random));
        let (waiting, answer) = Waiting::of(None);
        let hook = Hook::from_name(&trace.hook);
        let call = HookCall {
            target: Target::Slot(slot),
            payload: trace.input.clone().into(),
            ctx: call_context(trace).into(),
            asked_at: Instant::now(),
            timeout: None,
            deadline: None,
            is_question: trace.world.is_question,
            then: None,
        };
        let kind = kind_of(hook, call.is_question);
        let (queued_at, place) = (Instant::now(), Some(actor.counts.enter()));
        actor.call(QueuedCall { call, hook, kind, queued_at, deadline: None, place, waiting });
        let reply = reply_of(answer, source.generation).await;
        drop(closing);
        reply
    }
}

impl LuaHost {
    /// An empty VM of `source` that `replay` answers; it is closed when this is dropped.
    fn thrown_away_vm(&self, source: &PluginSource, replay: &Arc<Replay>) -> Closing {
        let own = context(self, source, Arc::clone(&source.config), Some(Arc::clone(replay)));
        let modules = Modules::new(Arc::clone(&source.files), self.library());
        let live = self.shared();
        let shared = Shared { door: Arc::clone(&live.door), sink: Arc::new(|_, _| {}), reading: None };
        Closing(Actor::new(own, self.pool(), Arc::new(shared), modules))
    }
}

/// A VM has nothing to do: whether somebody in it goes on for all that, because it is a replay.
pub(super) fn goes_on(actor: &Arc<Actor>) -> bool {
    match actor.context.replay.as_ref().map(|it| it.release()) {
        Some(Released::Woken) => true,
        Some(Released::Ended) => {
            actor.sweep();
            true
        }
        Some(Released::Nobody) | None => false,
    }
}

/// A VM that is thrown away, however its use ends.
struct Closing(Arc<Actor>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap_or_default()
}

fn written(it: &Effects) -> Value {
    effects::write(&it.kv, &it.events)
}

fn call_context(trace: &Trace) -> CallContext {
    let text = |name: &str| trace.ctx[name].as_str().map(Arc::<str>::from);
    let hook = Hook::from_name(&trace.hook).map(Hook::name);
    let hook = hook.or_else(|| [ROUTE, TIMER, EVENT, EXPORT].into_iter().find(|it| *it == trace.hook));
    let caller = Caller {
        source: text("source").map(|it| it.to_string().into()).unwrap_or_default(),
        request_id: text("request_id"),
        correlation_id: text("correlation_id"),
        causation_id: text("causation_id"),
        ..Caller::default()
    };
    CallContext {
        event_id: text("event_id"),
        attempt: trace.ctx["attempt"].as_i64().and_then(|it| i32::try_from(it).ok()).unwrap_or(1),
        replay: trace.ctx["replay"].as_bool().unwrap_or(false),
        schedule: text("schedule"),
        changed: trace.ctx["changed"]
            .as_array()
            .map(|it| it.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect()),
        ..CallContext::new(hook.unwrap_or("replay"), caller)
    }
}
