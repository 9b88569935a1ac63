//! `panotti.task`: work at the same time, work that outlives the hook, work in another VM.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use mlua::{AnyUserData, MultiValue, Table, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::lua::actor::Actor;
use crate::lua::context::{ApiContext, CallState};
use crate::lua::effects::{Door, Work};
use crate::lua::fault;
use crate::lua::prelude;
use crate::lua::strand::{Done, Job};
use crate::lua::supervisor::Run;
use crate::lua::task::{Held, Task};
use crate::lua::vm::Home;
use crate::model::call::CallContext;

use super::args::Args;
use super::define::{Build, Outcome, Raise, Reply};
use super::top::door;

static GLUE: prelude::Part =
    prelude::Part::new("panotti", include_str!("../../../scripts/prelude/task.luau"));

/// Functions that one gather runs at once.
const MAX_PARTS: usize = 1_000;

/// Places of a semaphore.
const MAX_PLACES: f64 = 10_000.0;

/// What came of a part of a call.
type Part = oneshot::Receiver<mlua::Result<MultiValue>>;

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let home = Home::of(build.lua).map(|it| Arc::downgrade(&it)).unwrap_or_default();
    let door = door(build);
    let own_door = Arc::clone(&door);
    let host = build.lua.create_table()?;
    let at = home.clone();
    let gather = build.waiting("panotti.task.gather", move |ctx, args| {
        let parts = begin_parts(&at, ctx, args)?;
        Ok(gather(parts))
    })?;
    host.raw_set("gather", gather)?;
    let at = home.clone();
    let settled = build.waiting("panotti.task.gather_settled", move |ctx, args| {
        let parts = begin_parts(&at, ctx, args)?;
        Ok(settle(parts))
    })?;
    host.raw_set("settled", settled)?;
    let at = home.clone();
    host.raw_set(
        "spawn",
        build.function("panotti.task.spawn", move |lua, ctx, args| {
            let task = spawn(&at, ctx, args)?;
            Ok(Reply::Lua(Value::UserData(lua.create_any_userdata(task)?)))
        })?,
    )?;
    let at = home.clone();
    host.raw_set(
        "delay",
        build.function("panotti.task.delay", move |lua, ctx, args| {
            let task = delay(&at, &door, ctx, args)?;
            Ok(Reply::Lua(Value::UserData(lua.create_any_userdata(task)?)))
        })?,
    )?;
    host.raw_set(
        "join",
        build.waiting("task:join", move |_, args| {
            let task = handle::<Arc<Task>>(args, "task", "a task")?;
            let timeout = args.optional_number("timeout")?;
            let time = timeout.map(|it| Duration::try_from_secs_f64(it.max(0.0)).unwrap_or(Duration::MAX));
            Ok(join(task, time.map(|it| own_door.sleep(it))))
        })?,
    )?;
    host.raw_set(
        "cancel",
        build.function("task:cancel", |_, _, args| {
            Ok(Reply::Lua(Value::Boolean(handle::<Arc<Task>>(args, "task", "a task")?.cancel())))
        })?,
    )?;
    host.raw_set("run", build.waiting("panotti.task.run", move |ctx, args| run(&home, ctx, args))?)?;
    locks(build, &host)?;
    GLUE.run(build.lua, host)
}

fn actor(home: &Weak<Actor>) -> Result<Arc<Actor>, Raise> {
    home.upgrade().ok_or_else(|| Raise::Wrong("the plugin was unloaded".to_owned()))
}

fn begin_parts(home: &Weak<Actor>, ctx: &ApiContext, args: &mut Args) -> Result<Vec<Part>, Raise> {
    let actor = actor(home)?;
    let call = ctx.call()?;
    let mut functions = Vec::new();
    while args.left() > 0 {
        functions.push(args.callback("fn")?);
    }
    if functions.len() > MAX_PARTS {
        return Err(Raise::Limit(format!("takes at most {MAX_PARTS} functions, got {}", functions.len())));
    }
    if let Some(record) = call.record.as_ref().filter(|_| !functions.is_empty()) {
        record.note_part();
    }
    let parts = functions.into_iter().map(|function| {
        let (waiting, part) = oneshot::channel();
        actor.start(Job::Part { function, call: Arc::clone(&call), waiting });
        part
    });
    Ok(parts.collect())
}

async fn gather(parts: Vec<Part>) -> Outcome {
    let parts = parts.into_iter().map(|it| async { it.await.map_err(|_| stopped())? });
    match futures_util::future::try_join_all(parts).await {
        Ok(all) => {
            let mut values = MultiValue::from_iter(all.into_iter().map(first));
            values.push_front(Value::Boolean(true));
            Ok(Reply::Several(values))
        }
        Err(error) if fault::is_memory(&error) => Err(Raise::Lua(error)),
        Err(error) => Ok(Reply::Json(serde_json::Value::String(fault::text_of(&error)))),
    }
}

async fn settle(parts: Vec<Part>) -> Outcome {
    let all = futures_util::future::join_all(parts).await;
    let mut values = MultiValue::new();
    // ok and value of each, one after another; the glue makes tables of them.
    for part in all.into_iter().rev() {
        let (ok, value) = match part.unwrap_or_else(|_| Err(stopped())) {
            Ok(returned) => (true, first(returned)),
            Err(error) => {
                let text = fault::text_of(&error);
                (false, Value::Error(Box::new(mlua::Error::runtime(text))))
            }
        };
        values.push_front(value);
        values.push_front(Value::Boolean(ok));
    }
    Ok(Reply::Several(values))
}

fn first(values: MultiValue) -> Value {
    values.into_iter().next().unwrap_or(Value::Nil)
}

fn stopped() -> mlua::Error {
    mlua::Error::runtime("the call was stopped")
}

/// The context of a task: its starter's, under a name of its own and with a time of its own.
fn task_ctx(call: &CallState) -> Arc<CallContext> {
    Arc::new(CallContext { hook: "task", ..CallContext::clone(&call.ctx) })
}

fn task_of(actor: &Arc<Actor>, call: &CallState, held: Held) -> Arc<Task> {
    Task::new(actor, task_ctx(call), call.payload.clone(), held)
}

fn spawn(home: &Weak<Actor>, ctx: &ApiContext, args: &mut Args) -> Result<Arc<Task>, Raise> {
    let actor = actor(home)?;
    let function = args.callback("fn")?;
    let mut arguments = MultiValue::new();
    while args.left() > 0 {
        arguments.push_back(args.any());
    }
    let max = ctx.limits.in_flight;
    let held = Held::take(&actor.tasks, max)
        .ok_or_else(|| Raise::Limit(format!("{max} tasks are running already (limits.in_flight = {max})")))?;
    let task = task_of(&actor, &*ctx.call()?, held);
    // In a replay it is only told of: what came of it is recorded where it is asked for.
    if ctx.replay.is_none() {
        actor.start(Job::Task { function, arguments, task: Arc::clone(&task) });
    }
    Ok(task)
}

fn delay(
    home: &Weak<Actor>,
    door: &Arc<dyn Door>,
    ctx: &ApiContext,
    args: &mut Args,
) -> Result<Arc<Task>, Raise> {
    let actor = actor(home)?;
    let seconds = args.number("seconds")?;
    if seconds < 0.0 {
        return Err(args.wrong_because("seconds", "must not be negative"));
    }
    let function = args.callback("fn")?;
    let max = ctx.limits.timers;
    let held = Held::take(&actor.timers, max)
        .ok_or_else(|| Raise::Limit(format!("{max} timers are set already (limits.timers = {max})")))?;
    let task = task_of(&actor, &*ctx.call()?, held);
    if ctx.replay.is_some() {
        return Ok(task);
    }
    // The function stays with the actor: nothing of a VM may be dropped elsewhere.
    let number = actor.parked.put(function, Arc::clone(&task));
    let (mut wait, waiting) =
        (door.sleep(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)), task.clone());
    let home = Weak::clone(home);
    ctx.runtime.spawn(async move {
        tokio::select! {
            () = &mut wait => {}
            () = waiting.ended() => {}
        }
        if let Some(actor) = home.upgrade() {
            actor.start(Job::Due(number));
        }
        // Only now is the wait over for whoever watches the clock.
        drop(wait);
    });
    Ok(task)
}

async fn join(task: Arc<Task>, wait: Option<Work<()>>) -> Outcome {
    let ended = match wait {
        None => task.join().await,
        Some(wait) => {
            tokio::select! {
                biased;
                ended = task.join() => ended,
                () = wait => {
                    let message = "the task is not done yet".to_owned();
                    return Ok(Reply::Failed { code: "timeout", message });
                }
            }
        }
    };
    Ok(match ended {
        Ok(values) => Reply::Several(values),
        Err((code, message)) => Reply::Failed { code, message },
    })
}

fn run(
    home: &Weak<Actor>,
    ctx: &ApiContext,
    args: &mut Args,
) -> Result<impl Future<Output = Outcome> + Send + 'static + use<>, Raise> {
    let actor = actor(home)?;
    let name = args.text("name")?;
    let Some((module, function)) = name.rsplit_once('.') else {
        return Err(args.wrong_because("name", "must be \"module.fn\""));
    };
    let (module, function) = (module.to_owned(), function.to_owned());
    let mut arguments = Vec::new();
    while args.left() > 0 {
        arguments.push(args.json("argument")?);
    }
    let call = ctx.call()?;
    let supervisor = actor.supervisor.get().and_then(Weak::upgrade);
    let supervisor = supervisor.ok_or_else(|| Raise::Wrong("works once the plugin has loaded".to_owned()))?;
    let deadline =
        call.meter.deadline().unwrap_or_else(|| Instant::now() + Duration::from_millis(ctx.limits.wall_ms));
    let answer = supervisor.run(Run { module, function, arguments, ctx: task_ctx(&call), deadline });
    Ok(async move {
        match answer.await {
            Ok(Ok(Done::Value(value, effects))) => {
                let written = effects.kv.into_iter().try_for_each(|it| call.write(it));
                let told = written.and_then(|()| effects.events.into_iter().try_for_each(|it| call.emit(it)));
                told.map_err(Raise::Limit)?;
                Ok(Reply::Json(value))
            }
            Ok(Ok(Done::Hook(_))) => Ok(Reply::Nothing),
            Ok(Err(failed)) => {
                Ok(Reply::Failed { code: failed.outcome.as_str(), message: failed.fault.to_string() })
            }
            Err(_) => Ok(Reply::Failed { code: "cancelled", message: "the plugin was unloaded".to_owned() }),
        }
    })
}

/// Locks: what a call holds is its own and is given back when it ends, however it ends.
fn locks(build: &Build, host: &Table) -> mlua::Result<()> {
    host.raw_set(
        "mutex",
        build.function("panotti.task.mutex", |lua, _, _| {
            Ok(Reply::Lua(Value::UserData(lua.create_any_userdata(Arc::new(Semaphore::new(1)))?)))
        })?,
    )?;
    host.raw_set(
        "semaphore",
        build.function("panotti.task.semaphore", |lua, _, args| {
            let places = args.number("n")?;
            if !(1.0..=MAX_PLACES).contains(&places) || places.fract() != 0.0 {
                return Err(
                    args.wrong_because("n", &format!("must be a whole number from 1 to {MAX_PLACES}"))
                );
            }
            let semaphore = Arc::new(Semaphore::new(places as usize));
            Ok(Reply::Lua(Value::UserData(lua.create_any_userdata(semaphore)?)))
        })?,
    )?;
    let next = Arc::new(AtomicU64::new(1));
    host.raw_set(
        "acquire",
        build.waiting("lock:with", move |ctx, args| {
            let lock = handle::<Arc<Semaphore>>(args, "lock", "a lock")?;
            let call = ctx.call()?;
            let number = next.fetch_add(1, Ordering::Relaxed);
            Ok(async move {
                let Ok(permit) = lock.acquire_owned().await else { return Ok(Reply::Nothing) };
                call.keep(number, Box::new(permit));
                Ok(Reply::Lua(Value::Number(number as f64)))
            })
        })?,
    )?;
    host.raw_set(
        "release",
        build.function("lock:with", |_, ctx, args| {
            let number = args.number("number")? as u64;
            drop(ctx.call()?.take_kept(number).map(|it| it.downcast::<OwnedSemaphorePermit>()));
            Ok(Reply::Nothing)
        })?,
    )
}

fn handle<T: Clone + 'static>(args: &mut Args, name: &str, what: &str) -> Result<T, Raise> {
    let value = args.any();
    let found = match &value {
        Value::UserData(it) => borrow(it),
        _ => None,
    };
    found.ok_or_else(|| args.wrong_because(name, &format!("must be {what}; call it with a colon")))
}

fn borrow<T: Clone + 'static>(it: &AnyUserData) -> Option<T> {
    it.borrow::<T>().ok().map(|it| it.clone())
}
