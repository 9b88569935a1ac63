//! How calls begin: time and context are set, arguments cross into the VM, the coroutine starts.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use mlua::{Function, Lua, MultiValue, Value};

use crate::hooks::catalogue::Payload;
use crate::hooks::{Given, Hook, Reply, Target};
use crate::model::call::{CallContext, Caller, EVENT, Outcome};
use crate::model::event::OWN_SOURCE;

use super::actor::Actor;
use super::api;
use super::arguments::Arguments;
use super::budget::{Budget, Meter};
use super::context::{ApiContext, CallKind, CallState};
use super::convert::to_lua;
use super::fault;
use super::prelude::Part;
use super::recorder::Record;
use super::room::{Room, gone};
use super::strand::{Done, End, Job, QueuedCall};
use super::supervisor::Run;
use super::task::Task;
use super::vm::Vm;
use super::waiting::Waiting;

/// Whose time a call has when it is less than its own.
const CALLER_LEFT: &str = "what its caller had left";
const STARTUP_LEFT: &str = "what was left of startup_s, which all plugins have together";

/// Begins a call from outside, whose slot was taken.
pub(super) fn call(room: &mut Room, actor: &Arc<Actor>, mut queued: QueuedCall) {
    // What comes right after another call begins when that has ended.
    let now = if queued.place.is_some() { Instant::now() } else { queued.queued_at };
    let waited = now.saturating_duration_since(queued.queued_at);
    if let Some(place) = &mut queued.place {
        place.begin(waited);
    }
    if queued.is_over(now) {
        actor.end_hook(Duration::ZERO);
        let why = "the call waited in the plugin's queue until its time was over";
        queued.waiting.send(Err(actor.failed(Outcome::Deadline, why)));
        return;
    }
    let Target::Slot(slot) = queued.call.target;
    let Some(vm) = &room.vm else {
        actor.end_hook(Duration::ZERO);
        queued.waiting.send(Err(gone(actor)));
        return;
    };
    let Some(function) = vm.context.registry.function(slot) else {
        // Its handle's `off` was called meanwhile.
        actor.end_hook(Duration::ZERO);
        let reply = Reply { generation: vm.context.generation, ..Reply::default() };
        queued.waiting.send(Ok(Done::Hook(reply)));
        return;
    };
    vm.context.tallies.queue.record(waited);
    let since = if queued.kind == CallKind::Question { queued.queued_at } else { now };
    let whose = if queued.hook == Some(Hook::OnStartup) { STARTUP_LEFT } else { CALLER_LEFT };
    let budget = Budget::of(&vm.context.limits, queued.kind).within(queued.call.timeout);
    let budget = budget.until(queued.deadline, since, whose);
    let deadline = since + budget.wall;
    let random = vm.chance.draw(&vm.context);
    let meter = Meter::new(budget, deadline).with_skips(vm.context.skipped());
    let state = state_of(&vm.context, &queued, meter, now, random);
    let left = deadline.saturating_duration_since(now);
    let Some((vm, wanted)) = room.wanted(actor, slot, &function) else { return };
    match Arguments::of(vm, &*actor.host.door, &queued, &state, left, &wanted) {
        Ok(arguments) => {
            room.begin(actor, state, &function, arguments, End::Hook(queued.hook), Some(queued.waiting))
        }
        Err(error) => {
            actor.end_hook(Duration::ZERO);
            let most = actor.context.limits.memory_mib;
            let why =
                format!("the arguments did not fit into the VM of {most} MiB (limits.memory_mib): {error}");
            queued.waiting.send(Err(actor.failed(Outcome::Memory, &why)));
            room.after_memory_error(actor);
        }
    }
}

/// Begins something that is not a call from outside.
pub(super) fn job(room: &mut Room, actor: &Arc<Actor>, job: Job) {
    if job.is_call() {
        actor.count_in();
    }
    match job {
        Job::Load { entry, waiting } => load(room, actor, entry, waiting),
        Job::Run { run, waiting } => {
            let Run { module, function, arguments, ctx, deadline } = *run;
            let Some(vm) = &room.vm else { return refuse(actor, waiting) };
            let made = arguments.iter().map(|it| to_lua(&vm.lua, &vm.shapes, it));
            let values = [module, function].into_iter().map(|it| vm.lua.create_string(it).map(Value::String));
            match values.chain(made).collect::<mlua::Result<MultiValue>>() {
                Ok(arguments) => {
                    let runner = vm.runner.clone();
                    let random = vm.chance.draw(&vm.context);
                    let state = task_state(actor, ctx, None, Some(deadline), random);
                    room.begin(actor, state, &runner, Arguments::Many(arguments), End::Run, Some(waiting));
                }
                Err(_) => refuse(actor, waiting),
            }
        }
        Job::Task { function, arguments, task } => begin_task(room, actor, &function, arguments, task),
        Job::Due(number) => match actor.parked.take(number) {
            Some((function, task)) => begin_task(room, actor, &function, MultiValue::new(), task),
            None => actor.end_call(Duration::ZERO),
        },
        Job::Config(config) => {
            actor.context.secrets.read(&config);
            if let Some(origin) = &actor.context.origin {
                origin.new_config(&config);
            }
            if let Some(vm) = &room.vm
                && let Err(error) = api::top::fill_config(&vm.lua, &vm.shapes, &config)
            {
                log::error!(plugin = &*actor.context.plugin; "the config cannot be handed over: {error}");
            }
        }
        Job::Part { function, call, waiting } => {
            room.begin(actor, call, &function, Arguments::none(), End::Part(waiting), None);
        }
    }
}

fn load(room: &mut Room, actor: &Arc<Actor>, entry: Option<String>, waiting: Waiting) {
    let vm = match Vm::build(actor) {
        Ok(vm) => vm,
        Err(error) => {
            actor.end_call(Duration::ZERO);
            let failed = actor.failed(
                if fault::is_memory(&error) { Outcome::Memory } else { Outcome::Runtime },
                &format!("the VM cannot be built: {error}"),
            );
            waiting.send(Err(failed));
            return;
        }
    };
    actor.has_vm(&vm.gate, vm.memory());
    let vm = room.vm.insert(vm);
    let Some(entry) = entry else {
        actor.end_call(Duration::ZERO);
        waiting.send(Ok(Done::Hook(Reply::default())));
        return;
    };
    match vm.modules.check().and_then(|()| vm.modules.compile(&vm.lua, &entry)) {
        Ok(chunk) => {
            let budget = Budget::of(&actor.context.limits, CallKind::Load);
            let ctx = CallContext::new("load", Caller::server());
            let now = Instant::now();
            let meter = Meter::new(budget, now + budget.wall);
            let mut state = CallState::with_meter(CallKind::Load, ctx, meter, now);
            remember(&mut state, &vm.context, vm.chance.draw(&vm.context), Given::default(), None);
            let state = Arc::new(state);
            room.begin(actor, state, &chunk, Arguments::none(), End::Load, Some(waiting));
        }
        Err(error) => {
            actor.end_call(Duration::ZERO);
            let failure = fault::of_error(&actor.context, &vm.modules, Outcome::Syntax, "load", &error);
            waiting.send(Err(Box::new(failure)));
        }
    }
}

fn begin_task(
    room: &mut Room,
    actor: &Arc<Actor>,
    function: &Function,
    arguments: MultiValue,
    task: Arc<Task>,
) {
    if room.vm.is_none() || task.is_cancelled() {
        actor.end_call(Duration::ZERO);
        task.end(Err(("cancelled", "the task was cancelled before it began".to_owned())));
        return;
    }
    let random = room.vm.as_ref().map_or(0, |it| it.chance.draw(&it.context));
    let state = task_state(actor, task.ctx.clone(), task.payload.clone(), None, random);
    task.begin(&state);
    room.begin(actor, state, function, Arguments::Many(arguments), End::Task(task), None);
}

fn refuse(actor: &Arc<Actor>, waiting: Waiting) {
    actor.end_call(Duration::ZERO);
    waiting.send(Err(gone(actor)));
}

fn task_state(
    actor: &Actor,
    ctx: Arc<CallContext>,
    payload: Option<Given>,
    deadline: Option<Instant>,
    random: u64,
) -> Arc<CallState> {
    let budget = Budget::of(&actor.context.limits, CallKind::Task);
    let now = Instant::now();
    let budget = budget.until(deadline, now, CALLER_LEFT);
    let deadline = now + budget.wall;
    let meter = Meter::new(budget, deadline).with_skips(actor.context.skipped());
    let mut state = CallState::with_meter(CallKind::Task, ctx, meter, now);
    state.payload = payload;
    remember(&mut state, &actor.context, random, Given::default(), None);
    Arc::new(state)
}

fn state_of(
    context: &ApiContext,
    queued: &QueuedCall,
    meter: Meter,
    began: Instant,
    random: u64,
) -> Arc<CallState> {
    let mut state = CallState::with_meter(queued.kind, Arc::clone(&queued.call.ctx), meter, began);
    state.payload = opens_sounds(&context.plugin, queued).then(|| queued.call.payload.clone());
    let Target::Slot(slot) = queued.call.target;
    remember(&mut state, context, random, queued.call.payload.clone(), Some(slot));
    Arc::new(state)
}

/// Gives a call its random numbers, and what the flight recorder notes of it.
fn remember(state: &mut CallState, context: &ApiContext, random: u64, input: Given, slot: Option<u32>) {
    state.random = AtomicU64::new(random);
    state.record = context.origin.as_ref().map(|origin| Record::new(origin, input, slot, random));
}

/// Whether the files of what the call is given may be heard: the host made it, and not because the plugin itself had
/// touched a recording or clip, or made others touch it, in order to be called with it.
fn opens_sounds(plugin: &Arc<str>, queued: &QueuedCall) -> bool {
    is_the_hosts_own(queued) && !queued.call.ctx.caller.plugins.contains(plugin)
}

/// Whether the host made what the call is given: a recording, a clip, or an event of its own. What plugins and
/// clients make up may look the same.
fn is_the_hosts_own(queued: &QueuedCall) -> bool {
    let ctx = &queued.call.ctx;
    let tells_itself = &*ctx.caller.source == OWN_SOURCE;
    match queued.hook.map(|it| it.info().payload) {
        Some(Payload::Recording | Payload::Clip) => ctx.event_id.is_none() || tells_itself,
        Some(_) => false,
        None => ctx.hook == EVENT && tells_itself,
    }
}

/// The kind of a call by its hook.
pub(super) fn kind_of(hook: Option<Hook>, is_question: bool) -> CallKind {
    match hook.map(|it| it.info().kind) {
        _ if is_question => CallKind::Question,
        Some(crate::hooks::HookKind::Life) => CallKind::Life,
        _ => CallKind::Fact,
    }
}

/// The runner of `task.run`: finds a module's function and calls it.
static RUNNER: Part = Part::new(
    "task",
    "local require, type, error = require, type, error
return function(name, key, ...)
	local module = require(name)
	local found = type(module) == 'table' and module[key] or nil
	if type(found) ~= 'function' then
		error(\"task.run: the module '\" .. name .. \"' has no function '\" .. key .. \"'\", 0)
	end
	return found(...)
end",
);

/// Makes the runner of a VM.
pub(super) fn runner(lua: &Lua) -> mlua::Result<Function> {
    RUNNER.run(lua, ())
}
