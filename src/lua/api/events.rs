//! `panotti.events`: past facts, told to whoever subscribed, and heard.

use std::sync::Arc;
use std::time::Duration;

use mlua::Table;
use serde_json::Value;

use crate::config::PluginLimits;
use crate::hooks::Subscription;
use crate::hooks::catalogue::Payload;
use crate::hooks::when::When;
use crate::lua::context::{ApiContext, CallState};
use crate::lua::json_size::json_bytes;
use crate::model::call::Emitted;
use crate::model::event::{Priority, check_event_type, check_pattern, is_reserved_type, ttl_of_seconds};
use crate::model::rate::Rate;
use crate::model::replay::Past;
use crate::model::time::{MissingOffset, Timestamp};
use crate::services::Services;

use super::args::{Args, Options};
use super::define::{Build, Outcome, Raise, Reply};
use super::handle::Handles;

/// Bytes of a subject.
const MAX_SUBJECT_BYTES: usize = 256;

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    module
        .raw_set("publish", build.function("panotti.events.publish", |_, ctx, args| publish(ctx, args))?)?;
    let handles = Handles::new(build)?;
    let subscribe = build.function("panotti.events.subscribe", move |lua, ctx, args| {
        let slot = subscribe(ctx, args)?;
        Ok(Reply::Lua(handles.make(lua, slot)?))
    })?;
    module.raw_set("subscribe", subscribe)?;
    Ok(module)
}

fn publish(ctx: &ApiContext, args: &mut Args) -> Outcome {
    let kind = args.text("type")?;
    check_event_type(&kind).map_err(|what| args.wrong_because("type", &what))?;
    if is_reserved_type(&kind) {
        let first = kind.split('.').next().unwrap_or_default();
        args.permit(ctx, "events", Some(first))?;
    }
    let data = args.json("data")?;
    let options = args.options("options", &["priority", "subject", "ttl"])?;
    let priority = priority(&options)?;
    let subject = options.text("subject")?.map(str::to_owned);
    if subject.as_ref().is_some_and(|it| it.is_empty() || it.len() > MAX_SUBJECT_BYTES) {
        return Err(options.wrong("subject", &format!("must have 1 to {MAX_SUBJECT_BYTES} bytes")));
    }
    let ttl = options.number("ttl", 0.0)?.map(ttl_of_seconds).transpose();
    let ttl = ttl.map_err(|what| options.wrong("ttl", &what))?;
    let call = ctx.writing_call()?;
    check_schema(&ctx.services, &kind, &data).map_err(|what| args.wrong_because("data", &what))?;
    check_depth(&ctx.services, &ctx.plugin, &ctx.limits, &call, &kind).map_err(Raise::Limit)?;
    EmitLimits::of(ctx).check(json_bytes(&data)).map_err(Raise::Limit)?;
    call.emit(Emitted { kind, subject, data: Arc::new(data), priority, ttl }).map_err(Raise::Limit)?;
    Ok(Reply::Nothing)
}

/// Holds the data of an event to the schema of its type; what to tell the script: every fault with its path.
pub(super) fn check_schema(services: &Services, kind: &str, data: &Value) -> Result<(), String> {
    let faults = services.journal.schemas().check(kind, data);
    if faults.is_empty() {
        return Ok(());
    }
    let told = faults.iter().map(|it| match it.pointer.as_str() {
        "" => it.message.clone(),
        pointer => format!("{pointer} {}", it.message),
    });
    let told = told.collect::<Vec<_>>().join("; ");
    Err(format!("does not fit the schema of `{kind}`: {told}"))
}

/// Ends rows of events that lead to each other; what to tell the script: the circle by its events.
pub(super) fn check_depth(
    services: &Services,
    plugin: &str,
    limits: &PluginLimits,
    call: &CallState,
    kind: &str,
) -> Result<(), String> {
    let caller = &call.ctx.caller;
    let depth = u32::try_from(caller.event_depth).unwrap_or_default();
    if depth < limits.event_depth {
        return Ok(());
    }
    let path = services.store.read(|r| services.journal.cycle(r, caller, kind, plugin));
    Err(format!(
        "this event would be number {} in a row that led to each other (limits.event_depth is {}): {}",
        depth + 1,
        limits.event_depth,
        path.unwrap_or_else(|err| format!("which ones cannot be told: {err}"))
    ))
}

/// How much a plugin may publish.
pub(super) struct EmitLimits {
    limits: PluginLimits,
    events: Arc<Rate>,
    bytes: Arc<Rate>,
}

impl EmitLimits {
    pub(super) fn of(ctx: &ApiContext) -> Self {
        let (events, bytes) = (Arc::clone(&ctx.emit_rate), Arc::clone(&ctx.emit_bytes));
        EmitLimits { limits: ctx.limits, events, bytes }
    }

    /// Counts one more event, which has so many bytes as JSON; what to tell the script when it is too much.
    pub(super) fn check(&self, bytes: u64) -> Result<(), String> {
        let limits = &self.limits;
        if self.events.take().is_none() {
            return Err(format!(
                "more than {} events a second after a burst of {} (limits.emits_per_s, limits.emits_burst)",
                limits.emits_per_s, limits.emits_burst
            ));
        }
        match self.bytes.take_many(bytes) {
            Some(_) => Ok(()),
            None => Err(format!(
                "an event of {bytes} bytes is too much now: a plugin may publish {} MiB a second after a burst of \
                 {} MiB (limits.emit_mib_per_s, limits.emit_burst_mib)",
                limits.emit_mib_per_s, limits.emit_burst_mib
            )),
        }
    }
}

fn priority(options: &Options) -> Result<Priority, Raise> {
    match options.get("priority") {
        None => Ok(Priority::Normal),
        Some(value) => serde_json::from_value(value.clone())
            .map_err(|_| options.wrong("priority", "must be low, normal, high or critical")),
    }
}

fn subscribe(ctx: &ApiContext, args: &mut Args) -> Result<u32, Raise> {
    let pattern = args.text("pattern")?;
    check_pattern(&pattern).map_err(|what| args.wrong_because("pattern", &what))?;
    let function = args.callback("fn")?;
    let options = args.options("opts", &["priority", "timeout", "when", "max_attempts", "from"])?;
    let most = ctx.limits.hooks;
    if ctx.registry.len() >= most {
        return Err(Raise::Limit(format!("the plugin has {most} handlers already (limits.hooks)")));
    }
    let priority =
        options.integer("priority", i64::from(i32::MIN)..=i64::from(i32::MAX))?.unwrap_or(0) as i32;
    let timeout = match options.number("timeout", 0.0)? {
        Some(0.0) => return Err(options.wrong("timeout", "must be seconds above 0")),
        timeout => timeout,
    };
    let longest = ctx.limits.wall_ms as f64 / 1e3;
    let timeout = timeout.map(|seconds| Duration::from_secs_f64(seconds.min(longest)));
    let max_attempts = options.integer("max_attempts", 1..=1000)?.map(|it| it as i32);
    let when = match options.get("when") {
        None => None,
        Some(Value::Object(rules)) => Some(When::parse(rules, Payload::Event).map_err(Raise::Wrong)?),
        Some(_) => return Err(options.wrong("when", "must be a table of field = value")),
    };
    let past = past(&options)?;
    Ok(ctx.registry.subscribe(function, |slot| Subscription {
        pattern,
        slot,
        priority,
        timeout,
        max_attempts,
        when,
        past,
    }))
}

/// The past that a subscription wants.
fn past(options: &Options) -> Result<Option<Past>, Raise> {
    let wrong = || {
        options.wrong(
            "from",
            "must be \"beginning\", a sequence from 1 on, or a time such as 2026-01-31T00:00:00Z",
        )
    };
    match options.get("from") {
        None => Ok(None),
        Some(Value::String(word)) if word == "beginning" => Ok(Some(Past::Beginning)),
        Some(Value::String(text)) => {
            Timestamp::parse(text, MissingOffset::Refused).map(|at| Some(Past::Time(at))).map_err(|_| wrong())
        }
        Some(Value::Number(_)) => Ok(options.integer("from", 1..=i64::MAX)?.map(Past::Sequence)),
        Some(_) => Err(wrong()),
    }
}
