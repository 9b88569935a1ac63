//! How calls end: the outcome is told, effects are handed on, whoever waits is answered.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use mlua::MultiValue;

use crate::error::ScriptFault;
use crate::hooks::{Answer, Hook, Reply};
use crate::model::call::{Caller, Effects, Outcome, PluginEffects, ROUTE};
use crate::model::trace::id_of;

use super::actor::Actor;
use super::answer;
use super::budget::Kill;
use super::call::outcome;
use super::context::CallState;
use super::convert::{Budget, ConvertFault, from_lua};
use super::declared;
use super::fault;
use super::recorder::{Ended, Record, Returned};
use super::room::gone;
use super::strand::{Done, End, Failed, QueuedCall};
use super::vm::Vm;
use super::waiting::Waiting;

/// A coroutine has ended with `result`, or was stopped while it waited.
pub(super) fn strand(
    actor: &Arc<Actor>,
    vm: &Vm,
    call: &Arc<CallState>,
    end: End,
    waiting: Option<Waiting>,
    result: Option<mlua::Result<MultiValue>>,
) -> (Outcome, Option<QueuedCall>) {
    let (is_hook, is_part) = (matches!(end, End::Hook(_)), matches!(end, End::Part(_)));
    let leave = || match is_hook {
        true => actor.end_hook(call.meter.cpu_used()),
        false if is_part => {}
        false => actor.end_call(call.meter.cpu_used()),
    };
    // Before its caller knows: whoever was told finds the place free. What may be followed keeps it until that is known.
    let may_go_on = waiting.as_ref().is_some_and(Waiting::may_go_on);
    if !may_go_on {
        leave();
    }
    let end = match end {
        End::Part(waiting) => {
            let result = result.unwrap_or_else(|| Err(mlua::Error::runtime("the call was stopped")));
            let ended =
                if result.as_ref().is_err_and(fault::is_memory) { Outcome::Memory } else { Outcome::Ok };
            let _ = waiting.send(result);
            return (ended, None);
        }
        other => other,
    };
    let mut done = judge(vm, call, result).and_then(|values| take(vm, call, &end, values));
    let effects = std::mem::take(&mut *call.effects.lock());
    record(call, &effects, &mut done);
    let ended = match &done {
        Ok((ended, _)) => *ended,
        Err(failure) => failure.outcome,
    };
    if matches!(end, End::Task(_) | End::Run) {
        vm.context.tallies.tasks.count(ended, Some(call.began.elapsed()));
    }
    // Whoever waits for a hook tells of its failure; nobody may wait for a task.
    if let (Err(failure), End::Task(_)) = (&done, &end)
        && call.meter.killed() != Some(Kill::Cancelled)
    {
        match &vm.context.stand_in {
            Some(stand_in) => stand_in.note_fault(failure.fault.clone()),
            None => tell(vm, call, &failure.fault),
        }
    }
    match end {
        End::Task(task) => {
            if done.is_ok() && !effects.is_empty() {
                let plugin = Arc::clone(&vm.context.plugin);
                let (effects, caller) = (PluginEffects { plugin, effects }, Caller::clone(&call.ctx.caller));
                match vm.context.registry.known.wait() {
                    None => (actor.host.sink)(effects, caller),
                    Some(known) => {
                        let host = Arc::clone(&actor.host);
                        vm.context.runtime.spawn(async move {
                            known.await;
                            (host.sink)(effects, caller);
                        });
                    }
                }
            }
            task.end(match done {
                Ok((_, Taken::Values(values))) => Ok(values),
                Ok(_) => Ok(MultiValue::new()),
                Err(_) if task.is_cancelled() => Err(("cancelled", "the task was cancelled".to_owned())),
                Err(failure) => Err((failure.outcome.as_str(), failure.fault.message.clone())),
            });
        }
        _ => {
            let Some(waiting) = waiting else { return (ended, None) };
            let done = done.map(|(ended, taken)| {
                let generation = vm.context.generation;
                match taken {
                    Taken::Answer(answer) => {
                        let noted = call.noted();
                        Done::Hook(Reply { answer, effects, generation, outcome: ended, noted, then: None })
                    }
                    Taken::Json(value) => Done::Value(value, effects),
                    Taken::Values(_) => Done::Hook(Reply { effects, generation, ..Reply::default() }),
                }
            });
            let Ok(Done::Hook(reply)) = done else {
                if may_go_on {
                    leave();
                }
                waiting.send(done);
                return (ended, None);
            };
            let now = Instant::now();
            match waiting.go_on(reply, now, vm.context.services.store.stamp()) {
                Ok((then, waiting)) => {
                    actor.passes_on(call.meter.cpu_used());
                    let next = QueuedCall::new(then, &actor.context.limits, None, waiting, now);
                    return (ended, Some(next));
                }
                Err((waiting, reply)) => {
                    if may_go_on {
                        leave();
                    }
                    waiting.send(Ok(Done::Hook(reply)));
                }
            }
        }
    }
    (ended, None)
}

/// A coroutine whose VM is gone.
pub(super) fn without_vm(actor: &Arc<Actor>, end: End, waiting: Option<Waiting>) {
    match &end {
        End::Hook(_) => actor.end_hook(std::time::Duration::ZERO),
        End::Load | End::Run | End::Task(_) => actor.end_call(std::time::Duration::ZERO),
        End::Part(_) => {}
    }
    match end {
        End::Part(waiting) => {
            let _ = waiting.send(Err(mlua::Error::runtime("the plugin was unloaded")));
            return;
        }
        End::Task(task) => task.end(Err(("cancelled", "the plugin was unloaded".to_owned()))),
        End::Hook(_) | End::Load | End::Run => {}
    }
    if let Some(waiting) = waiting {
        waiting.send(Err(gone(actor)));
    }
}

/// Hands the call to the flight recorder; a failure is told with the id of its record.
fn record(call: &Arc<CallState>, effects: &Effects, done: &mut Result<(Outcome, Taken), Failed>) {
    let Some(record) = &call.record else { return };
    let number = record.origin.number_of(call);
    let took_us = call.left_ns.load(Ordering::Relaxed) / 1_000;
    let ended = |kept, outcome, returned, effects, fault| Ended {
        number,
        outcome,
        returned,
        effects,
        fault,
        took_us,
        kept,
    };
    match done {
        Ok((outcome, taken)) => {
            let outcome = *outcome;
            Record::end(call, number, outcome, |kept| {
                let returned = match taken {
                    Taken::Answer(answer) => Returned::answer(answer),
                    Taken::Json(value) => Returned::value(value),
                    Taken::Values(_) => Returned::Nothing,
                };
                ended(kept, outcome, returned, left(effects), None)
            });
        }
        Err(failure) => {
            Record::end(call, number, failure.outcome, |kept| {
                // One that is not stored is soon forgotten: its id would lead nowhere.
                failure.fault.trace_id = (kept == "failure").then(|| id_of(number));
                let fault = Some(Box::new(failure.fault.clone()));
                ended(kept, failure.outcome, Returned::Nothing, None, fault)
            });
        }
    }
}

/// What the call leaves to be committed, for the record.
fn left(effects: &Effects) -> Option<Box<Effects>> {
    let copy = || Effects { kv: effects.kv.clone(), events: effects.events.clone(), ..Effects::default() };
    (!effects.is_empty()).then(|| Box::new(copy()))
}

enum Taken {
    Answer(Answer),
    Json(serde_json::Value),
    Values(MultiValue),
}

/// The values of a call that ended well; its failure otherwise.
fn judge(
    vm: &Vm,
    call: &Arc<CallState>,
    result: Option<mlua::Result<MultiValue>>,
) -> Result<MultiValue, Failed> {
    let error = match &result {
        Some(Ok(_)) => None,
        Some(Err(error)) => Some(error),
        None => None,
    };
    let ended = outcome(call, error);
    let hook = call.ctx.hook;
    let failure = match (error, call.meter.killed()) {
        (Some(error), killed) => match killed {
            Some(why) => {
                let text =
                    format!("{}\n{}", call.meter.describe(why), call.meter.stopped_at().unwrap_or_default());
                let error = mlua::Error::RuntimeError(text);
                fault::of_error(&vm.context, &vm.modules, ended, hook, &error)
            }
            None => fault::of_error(&vm.context, &vm.modules, ended, hook, error),
        },
        (None, Some(why)) => match call.meter.stopped_at() {
            Some(place) => {
                let error = mlua::Error::RuntimeError(format!("{}\n{place}", call.meter.describe(why)));
                fault::of_error(&vm.context, &vm.modules, ended, hook, &error)
            }
            None => fault::plain(&vm.context, ended, Some(hook), &call.meter.describe(why)),
        },
        (None, None) => match result {
            Some(Ok(values)) => return Ok(values),
            _ => fault::plain(&vm.context, Outcome::Skipped, Some(hook), "the call was stopped"),
        },
    };
    Err(Box::new(failure))
}

/// Makes of the values what the one who waits wants.
fn take(vm: &Vm, call: &Arc<CallState>, end: &End, values: MultiValue) -> Result<(Outcome, Taken), Failed> {
    let ended = outcome(call, None);
    match end {
        End::Hook(hook) => match answer::read(&vm.shapes, *hook, call.ctx.hook, &values) {
            Ok(Answer::Deny { .. }) if !may_deny(*hook) && call.ctx.hook != ROUTE => {
                let why = format!("panotti.deny has no meaning in {}", call.ctx.hook);
                Err(Box::new(fault::plain(&vm.context, Outcome::Runtime, Some(call.ctx.hook), &why)))
            }
            Ok(answer) => {
                if let (Answer::Nothing, Some(hook)) = (&answer, *hook) {
                    vm.pointless.note(&vm.context, hook, values.front());
                }
                let refused = matches!(answer, Answer::Deny { .. }) && ended == Outcome::Ok;
                Ok((if refused { Outcome::Refused } else { ended }, Taken::Answer(answer)))
            }
            Err(fault) => Err(unconvertible(vm, call, &fault)),
        },
        End::Run => {
            let first = values.into_iter().next().unwrap_or(mlua::Value::Nil);
            match from_lua(&vm.shapes, &first, Budget::default()) {
                Ok(value) => Ok((ended, Taken::Json(value))),
                Err(fault) => Err(unconvertible(vm, call, &fault)),
            }
        }
        End::Load => match declared::take_returned(vm, values) {
            Ok(()) => Ok((ended, Taken::Answer(Answer::Nothing))),
            Err(why) => Err(Box::new(fault::plain(&vm.context, Outcome::Runtime, Some("load"), &why))),
        },
        End::Task(_) | End::Part(_) => Ok((ended, Taken::Values(values))),
    }
}

fn may_deny(hook: Option<Hook>) -> bool {
    hook.is_some_and(|it| it.info().may_deny)
}

fn unconvertible(vm: &Vm, call: &CallState, fault: &ConvertFault) -> Failed {
    let outcome = if fault.is_limit { Outcome::Limit } else { Outcome::Convert };
    let why = format!("what the function returned: {fault}");
    Box::new(fault::plain(&vm.context, outcome, Some(call.ctx.hook), &why))
}

/// One line of the log for a task that failed.
fn tell(vm: &Vm, call: &CallState, fault: &ScriptFault) {
    log::warn!(
        plugin = &*vm.context.plugin, generation = vm.context.generation, hook = call.ctx.hook, task = true,
        outcome = fault.outcome.as_str(), schedule = call.ctx.schedule.as_deref(), request_id = call.ctx.caller.request_id.as_deref(),
        correlation_id = call.ctx.caller.correlation_id.as_deref(), trace_id = fault.trace_id.as_deref();
        "{fault}"
    );
}
