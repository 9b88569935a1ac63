//! What a script declares: handlers of hooks, by `panotti.on` or by the table its chunk returns.

use std::time::Duration;

use mlua::{Function, MultiValue, Value};
use serde_json::Map;

use crate::hooks::when::When;
use crate::hooks::{Hook, OnError, Registration};

use super::api::stubs::find_similar;
use super::context::ApiContext;
use super::vm::Vm;

/// The options of a handler.
pub const OPTIONS: &[&str] = &["priority", "before", "after", "timeout", "on_error", "when"];

/// The hook of a name, or what to tell about it.
pub fn hook(name: &str) -> Result<Hook, String> {
    Hook::from_name(name).ok_or_else(|| {
        let near = find_similar(name, Hook::ALL.iter().map(|it| it.name()));
        let near = near.map(|it| format!(" (did you mean '{it}'?)")).unwrap_or_default();
        format!("there is no hook '{}'{near}", super::fault::clean(name, 64))
    })
}

/// Whether the plugin may have one more handler; the sentence to tell otherwise.
pub fn room_for_one(context: &ApiContext) -> Result<(), String> {
    let max = context.limits.hooks;
    if context.registry.len() >= max {
        return Err(format!("a plugin has at most {max} handlers (limits.hooks = {max})"));
    }
    Ok(())
}

/// Reads the options of a handler of `hook`.
pub fn registration(
    hook: Hook,
    slot: u32,
    options: &Map<String, serde_json::Value>,
) -> Result<Registration, String> {
    let number = |key: &str| match options.get(key) {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(it) => it.as_f64().map(Some).ok_or_else(|| format!("{key} must be a number")),
    };
    let priority = match number("priority")? {
        None => 0,
        Some(it) if it.fract() == 0.0 && it.abs() <= 1e9 => it as i32,
        Some(it) => return Err(format!("priority must be a whole number, got {it}")),
    };
    let timeout = match number("timeout")? {
        None => None,
        Some(it) if it > 0.0 && it <= 1e6 => Some(Duration::from_secs_f64(it)),
        Some(it) => return Err(format!("timeout must be seconds above 0, got {it}")),
    };
    let on_error = match options.get("on_error").map(|it| it.as_str()) {
        None => OnError::Allow,
        Some(_) if !hook.info().may_deny => {
            return Err(format!("on_error belongs to hooks that may refuse, not to {}", hook.name()));
        }
        Some(Some("allow")) => OnError::Allow,
        Some(Some("deny")) => OnError::Deny,
        Some(_) => return Err("on_error must be \"allow\" or \"deny\"".to_owned()),
    };
    let when = match options.get("when") {
        None | Some(serde_json::Value::Null) => None,
        Some(serde_json::Value::Object(spec)) => Some(When::parse(spec, hook.info().payload)?),
        Some(_) => return Err("when must be a table of fields".to_owned()),
    };
    let (before, after) = (names(options, "before")?, names(options, "after")?);
    Ok(Registration { hook, slot, priority, before, after, timeout, on_error, when })
}

fn names(options: &Map<String, serde_json::Value>, key: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("{key} must be a list of plugin names");
    match options.get(key) {
        None | Some(serde_json::Value::Null) => Ok(Vec::new()),
        Some(serde_json::Value::String(name)) => Ok(vec![name.clone()]),
        Some(serde_json::Value::Array(items)) => {
            items.iter().map(|it| it.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(serde_json::Value::Object(items)) if items.is_empty() => Ok(Vec::new()),
        Some(_) => Err(wrong()),
    }
}

/// Registers `function`; the slot it got.
pub fn add(
    context: &ApiContext,
    hook: Hook,
    function: Function,
    options: &Map<String, serde_json::Value>,
) -> Result<u32, String> {
    let registration = registration(hook, 0, options)?;
    Ok(context.registry.add_hook(function, |slot| Registration { slot, ..registration }))
}

/// Takes the table of functions that a chunk returned.
pub(super) fn take_returned(vm: &Vm, values: MultiValue) -> Result<(), String> {
    let Some(Value::Table(table)) = values.front() else { return Ok(()) };
    let mut found = Vec::new();
    let mut fault = None;
    let walked = table.for_each(|name: Value, value: Value| {
        let taken = match (&name, value) {
            (Value::String(name), Value::Function(function)) => {
                hook(&name.to_string_lossy()).map(|hook| found.push((hook, function)))
            }
            (name, value) => Err(format!(
                "the chunk returned a table with a {} under {}; it may hold functions named by hook",
                value.type_name(),
                super::fault::clean(&name.to_string().unwrap_or_default(), 64)
            )),
        };
        taken.map_err(|why| {
            fault = Some(why);
            mlua::Error::runtime("stopped")
        })
    });
    if let Some(fault) = fault {
        return Err(fault);
    }
    walked.map_err(|error| error.to_string())?;
    // Lua's order is by chance; slots shall be the same in every VM of a generation.
    found.sort_by_key(|(hook, _)| *hook);
    for (hook, function) in found {
        room_for_one(&vm.context)?;
        add(&vm.context, hook, function, &Map::new())?;
    }
    Ok(())
}
