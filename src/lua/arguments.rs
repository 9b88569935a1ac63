//! What a function is given: its arguments cross into the VM, field by field, as far as it looks at them.

use std::time::Duration;

use mlua::function::AsyncCallFuture;
use mlua::{Function, MultiValue, Table, Value};

use crate::hooks::Hook;
use crate::hooks::catalogue::Payload;
use crate::model::call::EXPORT;
use crate::model::event::is_reserved_type;

use super::context::CallState;
use super::convert::{fields_to_lua, record_to_lua, to_lua};
use super::effects::Door;
use super::strand::QueuedCall;
use super::vm::Vm;
use super::wants::{FieldRead, Wanted};

/// The arguments of a call.
pub(super) enum Arguments {
    /// What it is about.
    One(Value),
    /// The same, and who asks.
    Two(Value, Table),
    /// Any others.
    Many(MultiValue),
}

impl Arguments {
    /// None.
    pub(super) fn none() -> Self {
        Arguments::Many(MultiValue::new())
    }

    /// Those of a call from outside, which has so much time left.
    ///
    /// # Errors
    /// The VM's memory is full.
    pub(super) fn of(
        vm: &Vm,
        door: &dyn Door,
        queued: &QueuedCall,
        state: &CallState,
        left: Duration,
        wanted: &Wanted<'_>,
    ) -> mlua::Result<Self> {
        let first = match first(vm, queued, state, wanted.fields)? {
            First::One(value) => value,
            First::All(values) => return Ok(Arguments::Many(values)),
        };
        Ok(match wanted.ctx {
            true => Arguments::Two(first, ctx_table(vm, door, state, left)?),
            false => Arguments::One(first),
        })
    }

    /// Makes the coroutine of `function` with them.
    pub(super) fn call(self, function: &Function) -> AsyncCallFuture<MultiValue> {
        // `enter` runs it.
        #[allow(clippy::disallowed_methods)]
        match self {
            Arguments::One(value) => function.call_async(value),
            Arguments::Two(first, second) => function.call_async((first, second)),
            Arguments::Many(values) => function.call_async(values),
        }
    }
}

enum First {
    One(Value),
    All(MultiValue),
}

fn first(vm: &Vm, queued: &QueuedCall, state: &CallState, only: Option<&[FieldRead]>) -> mlua::Result<First> {
    if let Some(fields) = queued.call.payload.plain_fields() {
        let given = fields_to_lua(&vm.lua, &vm.shapes, &vm.words, fields, only)?;
        return Ok(First::One(Value::Table(given)));
    }
    let json = &**queued.call.payload.json();
    if let (EXPORT, serde_json::Value::Array(arguments)) = (state.ctx.hook, json) {
        let values = arguments.iter().map(|it| match it {
            serde_json::Value::Null => Ok(Value::Nil),
            it => to_lua(&vm.lua, &vm.shapes, it),
        });
        return Ok(First::All(values.collect::<mlua::Result<_>>()?));
    }
    let given = match json {
        serde_json::Value::Null => Value::Nil,
        payload => match free_field(queued.hook, payload) {
            Some(free) => record_to_lua(&vm.lua, &vm.shapes, payload, free, only)?,
            None => to_lua(&vm.lua, &vm.shapes, payload)?,
        },
    };
    Ok(First::One(given))
}

/// The field of a first argument that is somebody's own JSON; none when the whole is.
fn free_field(hook: Option<Hook>, payload: &serde_json::Value) -> Option<&'static str> {
    match hook.map(|it| it.info().payload) {
        Some(Payload::Config | Payload::State) => None,
        Some(_) => Some("metadata"),
        // The server's own events tell of records; what a plugin tells is its own.
        None => match payload["type"].as_str().is_some_and(is_reserved_type) {
            true => Some("metadata"),
            false => Some("data"),
        },
    }
}

/// The second argument of every hook; made by hand because every call pays for it.
fn ctx_table(vm: &Vm, door: &dyn Door, state: &CallState, left: Duration) -> mlua::Result<Table> {
    let ctx = &state.ctx;
    let table = vm.lua.create_table_with_capacity(0, 12)?;
    table.raw_set("hook", ctx.hook)?;
    table.raw_set("source", &*ctx.caller.source)?;
    table.raw_set("attempt", ctx.attempt)?;
    table.raw_set("replay", ctx.replay)?;
    table.raw_set("plugin", &*vm.context.plugin)?;
    table.raw_set("generation", vm.context.generation as f64)?;
    let recorded = vm.context.replay.as_ref().and_then(|it| it.deadline());
    let deadline = recorded.unwrap_or_else(|| door.now_us() as f64 / 1e6 + left.as_secs_f64());
    if let Some(record) = &state.record {
        record.note_deadline(deadline);
    }
    table.raw_set("deadline", deadline)?;
    let optional = [
        ("event_id", &ctx.event_id),
        ("correlation_id", &ctx.caller.correlation_id),
        ("causation_id", &ctx.caller.causation_id),
        ("request_id", &ctx.caller.request_id),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            table.raw_set(key, &**value)?;
        }
    }
    if let Some(changed) = &ctx.changed {
        table.raw_set("changed", vm.lua.create_sequence_from(changed.iter().map(String::as_str))?)?;
    }
    Ok(table)
}
