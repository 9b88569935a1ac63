//! What stands in `panotti` itself: `on`, `deny`, `respond`, `sleep`, `version`, `plugin`, `config`.

use std::sync::Arc;
use std::time::Duration;

use mlua::{Lua, Table, Value};

use crate::hooks::Hook;
use crate::lua::answer::{Denial, Response};
use crate::lua::context::{ApiContext, CallKind};
use crate::lua::convert::{Budget, Shapes, from_lua, to_lua};
use crate::lua::declared;
use crate::lua::effects::{Door, LiveDoor};
use crate::lua::prelude::Part;
use crate::lua::recorder::Senses;
use crate::lua::vm::Home;
use crate::model::call::ROUTE;

use super::args::Args;
use super::define::{Build, Outcome, Raise, Reply};
use super::handle::Handles;

/// Where the VM keeps the table behind `panotti.config`.
const CONFIG: &str = "panotti.config";

/// `panotti.on(name, …)` beside `panotti.on.<name>(…)`.
static ON: Part = Part::new(
    "panotti",
    "local entries, call, missing = ...
return setmetatable(entries, {
	__call = call,
	__index = function(_, name) error(missing(name), 2) end,
	__metatable = 'locked',
})",
);

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    module.raw_set("on", on(build)?)?;
    module.raw_set("deny", build.function("panotti.deny", deny)?)?;
    let shapes = Arc::clone(build.shapes);
    module.raw_set(
        "respond",
        build.function("panotti.respond", move |lua, ctx, args| respond(lua, ctx, &shapes, args))?,
    )?;
    let door = door(build);
    let sleep = build.waiting("panotti.sleep", move |_, args| {
        let seconds = args.number("seconds")?;
        if seconds < 0.0 {
            return Err(args.wrong_because("seconds", "must not be negative"));
        }
        let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        let wait = door.sleep(time);
        Ok(async move {
            wait.await;
            Ok(Reply::Nothing)
        })
    })?;
    module.raw_set("sleep", sleep)?;
    module.raw_set("version", env!("CARGO_PKG_VERSION"))?;
    let plugin = build.lua.create_table()?;
    plugin.raw_set("name", &*build.ctx.plugin)?;
    plugin.raw_set("version", build.ctx.version.as_str())?;
    plugin.raw_set("generation", build.ctx.generation as f64)?;
    plugin.set_readonly(true);
    module.raw_set("plugin", plugin)?;
    let config = build.lua.create_table()?;
    build.lua.set_named_registry_value(CONFIG, &config)?;
    fill_config(build.lua, build.shapes, &build.ctx.config)?;
    module.raw_set("config", config)?;
    Ok(module)
}

/// The door of the VM that is being built.
pub(super) fn door(build: &Build) -> Arc<dyn Door> {
    match Home::of(build.lua) {
        Ok(actor) => Arc::clone(&actor.host.door),
        Err(_) => Arc::new(LiveDoor::new(build.ctx.clock.clone(), build.ctx.runtime.clone())),
    }
}

/// Clocks and chance of the VM that is being built.
pub(super) fn senses(build: &Build) -> Senses {
    Senses::new(build.ctx, &door(build))
}

/// Puts the values of `config` where scripts read them.
pub(crate) fn fill_config(lua: &Lua, shapes: &Shapes, config: &serde_json::Value) -> mlua::Result<()> {
    let table: Table = lua.named_registry_value(CONFIG)?;
    table.set_readonly(false);
    table.clear()?;
    if let Value::Table(fresh) = to_lua(lua, shapes, config)? {
        fresh.for_each(|key: Value, value: Value| {
            freeze(&value)?;
            table.raw_set(key, value)
        })?;
    }
    table.set_readonly(true);
    Ok(())
}

fn freeze(value: &Value) -> mlua::Result<()> {
    if let Value::Table(table) = value {
        table.for_each(|_: Value, inner: Value| freeze(&inner))?;
        table.set_readonly(true);
    }
    Ok(())
}

fn on(build: &Build) -> mlua::Result<Table> {
    let entries = build.lua.create_table()?;
    let handles = Handles::new(build)?;
    for hook in Hook::ALL.iter().copied() {
        let handles = Arc::clone(&handles);
        let register = build
            .function("panotti.on", move |lua, ctx, args| register(lua, ctx, args, &handles, Some(hook)))?;
        entries.raw_set(hook.name(), register)?;
    }
    let call = build.function("panotti.on", move |lua, ctx, args| {
        args.any(); // the table itself
        args.count_anew();
        register(lua, ctx, args, &handles, None)
    })?;
    let missing = build.lua.create_function(|_, name: Value| {
        let name = name.to_string()?;
        Ok(match declared::hook(&name) {
            Err(why) => format!("panotti.on: {why}"),
            Ok(_) => format!("panotti.on: '{name}' cannot be read"),
        })
    })?;
    let on: Table = ON.run(build.lua, (entries, call, missing))?;
    on.set_readonly(true);
    Ok(on)
}

fn register(lua: &Lua, ctx: &ApiContext, args: &mut Args, handles: &Handles, hook: Option<Hook>) -> Outcome {
    let hook = match hook {
        Some(hook) => hook,
        None => {
            let name = args.text("name")?;
            declared::hook(&name).map_err(Raise::Wrong)?
        }
    };
    let function = args.callback("fn")?;
    let options = args.options("opts", declared::OPTIONS)?.into_map();
    if ctx.call()?.kind != CallKind::Load {
        return Err(Raise::Wrong(format!(
            "{}: hooks are registered while the plugin loads; afterwards only events.subscribe may be called",
            hook.name()
        )));
    }
    declared::room_for_one(ctx).map_err(Raise::Limit)?;
    let slot = declared::add(ctx, hook, function, &options)
        .map_err(|why| Raise::Wrong(format!("{}: {why}", hook.name())))?;
    Ok(Reply::Lua(handles.make(lua, slot)?))
}

fn deny(lua: &Lua, ctx: &ApiContext, args: &mut Args) -> Outcome {
    let reason = args.text("reason")?;
    let options = args.options("opts", &["status"])?;
    let status = match options.number("status", 400.0)? {
        None => None,
        Some(it) if it.fract() == 0.0 && it < 500.0 => Some(it as u16),
        Some(it) => return Err(options.wrong("status", &format!("must be 400 to 499, got {it}"))),
    };
    let call = ctx.call()?;
    if call.ctx.hook != ROUTE && !Hook::from_name(call.ctx.hook).is_some_and(|it| it.info().may_deny) {
        return Err(Raise::Wrong(format!(
            "belongs to before-hooks and routes; {} cannot refuse anything",
            call.ctx.hook
        )));
    }
    let reason = crate::lua::fault::clean(&ctx.secrets.mask(&reason), 1024);
    Ok(Reply::Lua(Value::UserData(lua.create_any_userdata(Denial { reason, status })?)))
}

fn respond(lua: &Lua, ctx: &ApiContext, shapes: &Shapes, args: &mut Args) -> Outcome {
    let table = args.table("response")?;
    let wrong = |key: &str, what: &str| Raise::Wrong(format!("argument 1 (response.{key}) {what}"));
    let mut response = Response { status: 200, headers: Vec::new(), body: Vec::new() };
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let key = key.to_string()?;
        match (key.as_str(), &value) {
            ("status", Value::Number(it)) if (200.0..600.0).contains(it) && it.fract() == 0.0 => {
                response.status = *it as u16;
            }
            ("status", Value::Integer(it)) if (200..600).contains(it) => response.status = *it as u16,
            ("status", _) => return Err(wrong("status", "must be 200 to 599")),
            ("body", Value::String(it)) if !table.contains_key("json")? => {
                response.body = it.as_bytes().to_vec()
            }
            ("body", _) => return Err(wrong("body", "must be a string, and not beside json")),
            ("json", value) => {
                let json = from_lua(shapes, value, Budget::default())
                    .map_err(|fault| Raise::Convert(format!("argument 1 (response.json): {fault}")))?;
                response.body = json.to_string().into_bytes();
                if !response.headers.iter().any(|(name, _)| name == "content-type") {
                    response.headers.push(("content-type".to_owned(), "application/json".to_owned()));
                }
            }
            ("headers", Value::Table(headers)) => {
                for pair in headers.pairs::<String, String>() {
                    let (name, value) = pair.map_err(|_| wrong("headers", "must be names and texts"))?;
                    let name = name.to_ascii_lowercase();
                    let clean = !name.is_empty()
                        && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it))
                        && !value.bytes().any(|it| it < 32 && it != 9 || it == 127);
                    if !clean {
                        return Err(wrong("headers", "has a name or text that HTTP does not allow"));
                    }
                    response.headers.retain(|(known, _)| *known != name);
                    response.headers.push((name, value));
                }
            }
            ("headers", _) => return Err(wrong("headers", "must be a table of names and texts")),
            _ => {
                return Err(wrong(
                    &crate::lua::fault::clean(&key, 64),
                    "is unknown; known: status, headers, json, body",
                ));
            }
        }
    }
    let call = ctx.call()?;
    if call.ctx.hook != Hook::BeforeRequest.name() && call.ctx.hook != ROUTE {
        return Err(Raise::Wrong(format!(
            "belongs to before_request and routes; {} has nobody to answer",
            call.ctx.hook
        )));
    }
    Ok(Reply::Lua(Value::UserData(lua.create_any_userdata(response)?)))
}
