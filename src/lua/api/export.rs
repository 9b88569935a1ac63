//! `panotti.export` and `panotti.import`: functions of plugins for each other, values copied.

use mlua::Function;

use crate::hooks::{ExportOffer, Offer};
use crate::lua::context::{ApiContext, CallKind, Mark};
use crate::lua::exports::Exported;
use crate::lua::prelude::Part;
use crate::model::call::MAX_CALL_DEPTH;

use super::args::Args;
use super::define::{Build, Outcome, Raise, Reply};
use super::stubs::find_similar;

static GLUE: Part = Part::new("panotti", include_str!("../../../scripts/prelude/import.luau"));

/// Bytes of a name.
const MAX_NAME_BYTES: usize = 64;

pub(super) fn export(build: &Build) -> mlua::Result<Function> {
    build.function("panotti.export", |_, ctx, args| register(ctx, args))
}

pub(super) fn import(build: &Build) -> mlua::Result<Function> {
    let host = build.lua.create_table()?;
    let check = build.function("panotti.import", |_, ctx, args| {
        let plugin = args.text_up_to("plugin", MAX_NAME_BYTES)?;
        match ctx.dependencies.contains(&plugin) {
            true => Ok(Reply::Nothing),
            false => Err(Raise::Wrong(format!(
                "'{}' is no dependency; add `dependencies: [{0}]` to plugin.yaml",
                crate::lua::fault::clean(&plugin, MAX_NAME_BYTES)
            ))),
        }
    })?;
    host.raw_set("check", check)?;
    host.raw_set("call", build.waiting("panotti.import", call)?)?;
    GLUE.run(build.lua, host)
}

fn register(ctx: &ApiContext, args: &mut Args) -> Outcome {
    let name = args.text("name")?;
    let is_word = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_word) {
        return Err(args.wrong_because("name", &format!("must be 1 to {MAX_NAME_BYTES} letters, digits, _")));
    }
    let function = args.callback("fn")?;
    if ctx.call()?.kind != CallKind::Load {
        return Err(Raise::Wrong(
            "functions for other plugins are registered while the plugin loads".to_owned(),
        ));
    }
    let offers = ctx.registry.offers();
    if offers.iter().any(|it| matches!(it, Offer::Export(it) if it.name == name)) {
        return Err(Raise::Wrong(format!("the plugin exports '{name}' already")));
    }
    let most = ctx.limits.hooks;
    if offers.len() >= most {
        return Err(Raise::Limit(format!("the plugin offers {most} things already (limits.hooks)")));
    }
    ctx.registry.offer(function, |slot| Offer::Export(ExportOffer { slot, name }));
    Ok(Reply::Nothing)
}

fn call(
    ctx: &ApiContext,
    args: &mut Args,
) -> Result<impl Future<Output = Outcome> + Send + 'static + use<>, Raise> {
    let (plugin, name) = (args.text("plugin")?, args.text("name")?);
    args.count_anew();
    let (mut arguments, shown) = (Vec::new(), format!("{plugin}.{name}"));
    while args.left() > 0 {
        arguments.push(args.json(&shown)?);
    }
    let (call, caller) = (ctx.call()?, ctx.caller()?);
    if caller.depth > MAX_CALL_DEPTH {
        return Err(Raise::Limit(format!(
            "plugins have called each other {MAX_CALL_DEPTH} deep; do '{}' and '{plugin}' call each other in a circle?",
            ctx.plugin
        )));
    }
    if call.kind == CallKind::Load {
        return Err(Raise::Wrong(
            "other plugins are called from hooks, not while the plugin's files load".to_owned(),
        ));
    }
    let answer = ctx.exports.call((&ctx.plugin, ctx.generation), &plugin, &name, arguments, caller);
    Ok(async move {
        match answer.await {
            Exported::Value(serde_json::Value::Null) => Ok(Reply::Lua(mlua::Value::Nil)),
            Exported::Value(value) => Ok(Reply::Json(value)),
            Exported::NoFunction(known) => {
                let near = find_similar(&name, known.iter().map(String::as_str));
                let near = near.map(|it| format!(" (did you mean '{it}'?)")).unwrap_or_default();
                Err(Raise::Wrong(format!("the plugin '{plugin}' exports no '{name}'{near}")))
            }
            Exported::Failed(code, message) => {
                if code == "limit" {
                    call.mark(Mark::Limit);
                }
                Ok(Reply::Failed { code, message })
            }
        }
    })
}
