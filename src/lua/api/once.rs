//! `panotti.once`: what is done once for an id.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mlua::{Function, Value};

use crate::lua::context::{ApiContext, CallKind};
use crate::lua::convert::to_lua;
use crate::lua::prelude::Part;
use crate::lua::quota::Quota;
use crate::services::once::{self, Once};

use super::args::Args;
use super::define::{Build, Raise, Reply};

static GLUE: Part = Part::new("panotti", include_str!("../../../scripts/prelude/once.luau"));

/// Bytes of an id.
const MAX_ID_BYTES: usize = 256;

/// Bytes of what a function returned, as JSON.
const MAX_RESULT_BYTES: usize = 64 << 10;

/// What the host keeps on a call begins here, apart from the locks of `panotti.task`.
const FIRST: u64 = 1 << 48;

pub(super) fn build(build: &Build) -> mlua::Result<Function> {
    let host = build.lua.create_table()?;
    let (next, shapes) = (Arc::new(AtomicU64::new(FIRST)), build.shapes.clone());
    let begin = build.waiting("panotti.once", move |ctx, args| {
        let id = id(args)?;
        let call = ctx.call()?;
        if call.kind == CallKind::Load {
            return Err(Raise::Wrong("works in hooks, not while the plugin's files load".to_owned()));
        }
        let kept = once::count(&ctx.services, &ctx.plugin).unwrap_or_default().unsigned_abs();
        if kept >= ctx.limits.kv_keys {
            ctx.quotas.refuse(Quota::Keys);
            return Err(Raise::Limit(format!(
                "the plugin has done {kept} things once; the limit is {} (limits.kv_keys)",
                ctx.limits.kv_keys
            )));
        }
        let (services, plugin) = (ctx.services.clone(), ctx.plugin.clone());
        let (number, shapes) = (next.fetch_add(1, Ordering::Relaxed), shapes.clone());
        Ok(async move {
            Ok(match once::begin(&services, &plugin, &id).await {
                Ok(Once::Done(result)) => Reply::Made(Box::new(move |lua| {
                    let pair = lua.create_table()?;
                    pair.raw_set(1, "done")?;
                    // Nothing is nil here, not json.null.
                    if !result.is_null() {
                        pair.raw_set(2, to_lua(lua, &shapes, &result)?)?;
                    }
                    Ok(Value::Table(pair))
                })),
                Ok(Once::Mine(turn)) => {
                    call.keep(number, Box::new(turn));
                    Reply::Made(Box::new(move |lua| {
                        let pair = lua.create_table()?;
                        pair.raw_set(1, "mine")?;
                        pair.raw_set(2, number as f64)?;
                        Ok(Value::Table(pair))
                    }))
                }
                Err(error) => error.into(),
            })
        })
    })?;
    host.raw_set("begin", begin)?;
    let leave = build.function("panotti.once", |_, ctx, args| {
        drop(ctx.call()?.take_kept(args.number("number")? as u64));
        Ok(Reply::Nothing)
    })?;
    host.raw_set("leave", leave)?;
    host.raw_set("finish", build.waiting("panotti.once", finish)?)?;
    GLUE.run(build.lua, host)
}

fn id(args: &mut Args) -> Result<String, Raise> {
    let id = args.text("id")?;
    match id.len() {
        1..=MAX_ID_BYTES => Ok(id),
        length => {
            Err(args.wrong_because("id", &format!("must have 1 to {MAX_ID_BYTES} bytes, got {length}")))
        }
    }
}

fn finish(
    ctx: &ApiContext,
    args: &mut Args,
) -> Result<impl Future<Output = super::define::Outcome> + Send + 'static + use<>, Raise> {
    let number = args.number("number")? as u64;
    let (id, call) = (id(args)?, ctx.call()?);
    // Whatever happens below, nobody waits for this call any longer than until it has answered.
    let turn = call.take_kept(number);
    let result = args.json("what the function returned")?;
    let bytes = result.to_string().len();
    if bytes > MAX_RESULT_BYTES {
        return Err(Raise::Limit(format!(
            "the function returned {bytes} bytes; {MAX_RESULT_BYTES} are kept at most"
        )));
    }
    let (services, plugin) = (ctx.services.clone(), ctx.plugin.clone());
    Ok(async move {
        let done = once::finish(&services, &plugin, &id, result).await;
        drop(turn);
        Ok(match done {
            Ok(()) => Reply::Lua(Value::Boolean(true)),
            Err(error) => error.into(),
        })
    })
}
