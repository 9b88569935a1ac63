//! `panotti.kv`: what a plugin keeps between calls and restarts.

mod overlay;

use mlua::{Lua, Table, Value};

use crate::error::Error;
use crate::lua::context::ApiContext;
use crate::lua::json_size::json_bytes;
use crate::lua::quota::Quota;
use crate::lua::under_way::{Amount, UnderWay};
use crate::model::call::{Hold, KvOp};
use crate::services::kv;

use super::args::Args;
use super::define::{Build, Outcome, Raise, Reply};
use overlay::{NotANumber, Seen, see};

/// Bytes of a key.
const MAX_KEY_BYTES: usize = 512;
/// Bytes that a number takes at most.
const NUMBER_BYTES: u64 = 24;
/// Keys that one list answers.
const MAX_LISTED: i64 = 1000;

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    let shapes = build.shapes.clone();
    let get = build.function("panotti.kv.get", move |lua, ctx, args| {
        let key = key(args)?;
        let seen = seen(ctx, &key)?;
        check_recorded(lua, ctx, "panotti.kv.get", &key, &seen)?;
        Ok(match seen.over(|| kv::get(&ctx.services, &ctx.plugin, &key)) {
            Ok(Ok(Some(serde_json::Value::Null))) => Reply::Lua(shapes.null()),
            Ok(Ok(Some(value))) => Reply::Json(value),
            Ok(Ok(None)) => Reply::Lua(Value::Nil),
            Ok(Err(NotANumber)) => not_a_number(&key),
            Err(error) => error.into(),
        })
    })?;
    module.raw_set("get", get)?;
    module.raw_set("set", build.function("panotti.kv.set", |_, ctx, args| set(ctx, args))?)?;
    let delete = build.function("panotti.kv.delete", |_, ctx, args| {
        let key = key(args)?;
        ctx.writing_call()?.write(KvOp::Delete { key }).map_err(Raise::Limit)?;
        Ok(Reply::Nothing)
    })?;
    module.raw_set("delete", delete)?;
    module.raw_set("incr", build.function("panotti.kv.incr", incr)?)?;
    module.raw_set("list", build.waiting("panotti.kv.list", list)?)?;
    let cas = build.waiting("panotti.kv.cas", |ctx, args| {
        let key = key(args)?;
        let (old, new) = (args.optional_json("old")?, args.optional_json("new")?);
        if !matches!(seen(ctx, &key)?, Seen::Stored(0.0)) {
            return Err(Raise::Wrong(format!(
                "this call has written '{key}' already, which commits when it ends; compare and set it first"
            )));
        }
        let hold = UnderWay::new(&ctx.quotas);
        let failed = match &new {
            Some(new) => check_quota(ctx, &hold, &key, json_bytes(new))?,
            None => None,
        };
        let (services, plugin) = (ctx.services.clone(), ctx.plugin.clone());
        Ok(async move {
            if let Some(failed) = failed {
                return Ok(failed);
            }
            Ok(match kv::cas(&services, &plugin, &key, old, new, Hold::of(hold)).await {
                Ok(done) => Reply::Lua(Value::Boolean(done)),
                Err(error) => error.into(),
            })
        })
    })?;
    module.raw_set("cas", cas)?;
    Ok(module)
}

fn key(args: &mut Args) -> Result<String, Raise> {
    let key = args.text("key")?;
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(
            args.wrong_because("key", &format!("must have 1 to {MAX_KEY_BYTES} bytes, got {}", key.len()))
        );
    }
    Ok(key)
}

/// What the running call has made of `key` so far.
fn seen(ctx: &ApiContext, key: &str) -> Result<Seen, Raise> {
    let call = ctx.call()?;
    let effects = call.effects.lock();
    Ok(see(&effects.kv, key, ctx.clock.now_us()))
}

/// A replay knows of the store only what is recorded.
fn check_recorded(lua: &Lua, ctx: &ApiContext, name: &str, key: &str, seen: &Seen) -> Result<(), Raise> {
    match (&ctx.replay, seen) {
        (Some(replay), Seen::Stored(_)) if !replay.looks() => {
            Err(Raise::Lua(replay.diverge(lua, ctx, name, vec![key.into()])))
        }
        _ => Ok(()),
    }
}

fn set(ctx: &ApiContext, args: &mut Args) -> Outcome {
    let key = key(args)?;
    let Some(value) = args.optional_json("value")? else {
        return Err(args.wrong_because("value", "must not be nil; panotti.kv.delete removes a key"));
    };
    let options = args.options("options", &["ttl"])?;
    let ttl = options.number("ttl", 0.0)?;
    let expires_at_us = ttl.map(|seconds| ctx.clock.now_us().saturating_add((seconds * 1e6) as i64));
    let call = ctx.writing_call()?;
    if let Some(failed) = check_quota(ctx, &call.under_way(&ctx.quotas), &key, json_bytes(&value))? {
        return Ok(failed);
    }
    call.write(KvOp::Set { key, value, expires_at_us }).map_err(Raise::Limit)?;
    Ok(Reply::Nothing)
}

fn incr(lua: &Lua, ctx: &ApiContext, args: &mut Args) -> Outcome {
    let key = key(args)?;
    let by = args.optional_number("by")?.unwrap_or(1.0);
    let seen = seen(ctx, &key)?;
    check_recorded(lua, ctx, "panotti.kv.incr", &key, &seen)?;
    let before = match seen.over(|| kv::get(&ctx.services, &ctx.plugin, &key)) {
        Ok(Ok(None)) => 0.0,
        Ok(Ok(Some(value))) => match value.as_f64() {
            Some(it) => it,
            None => return Ok(not_a_number(&key)),
        },
        Ok(Err(NotANumber)) => return Ok(not_a_number(&key)),
        Err(error) => return Ok(error.into()),
    };
    if !(before + by).is_finite() {
        return Err(
            args.wrong_because("by", &format!("makes a number of {before} that is too large to be kept"))
        );
    }
    let call = ctx.writing_call()?;
    if let Some(failed) = check_quota(ctx, &call.under_way(&ctx.quotas), &key, NUMBER_BYTES)? {
        return Ok(failed);
    }
    call.write(KvOp::Incr { key, by }).map_err(Raise::Limit)?;
    Ok(Reply::Lua(Value::Number(before + by)))
}

fn list(
    ctx: &ApiContext,
    args: &mut Args,
) -> Result<impl Future<Output = Outcome> + Send + 'static + use<>, Raise> {
    let prefix = args.optional_text("prefix")?.unwrap_or_default();
    let options = args.options("options", &["limit", "after"])?;
    let limit = options.integer("limit", 1..=MAX_LISTED)?.unwrap_or(MAX_LISTED);
    let after = options.text("after")?.map(str::to_owned);
    let now_us = ctx.clock.now_us();
    let written = overlay::written(&ctx.call()?.effects.lock().kv, &prefix, after.as_deref(), now_us);
    // Keys that this call has deleted are still among the stored ones.
    let asked = limit + i64::try_from(written.len()).unwrap_or(limit);
    let (services, plugin) = (ctx.services.clone(), ctx.plugin.clone());
    Ok(async move {
        let stored = kv::list(&services, &plugin, &prefix, after.as_deref(), asked).await;
        let limit = usize::try_from(limit).unwrap_or_default();
        Ok(Reply::from(stored.map(|stored| overlay::list(stored, written, limit).into())))
    })
}

/// Refuses a write when the plugin keeps too much already, with what its calls under way have written.
fn check_quota(ctx: &ApiContext, own: &UnderWay, key: &str, value: u64) -> Result<Option<Reply>, Raise> {
    // In a replay nothing is kept, and what is kept of life is no part of it.
    if ctx.replay.is_some() {
        return Ok(None);
    }
    let limits = &ctx.limits;
    let stored = || {
        let usage = kv::usage(&ctx.services, &ctx.plugin)?;
        let stored = Amount { keys: usage.keys.unsigned_abs(), bytes: usage.bytes.unsigned_abs() };
        ctx.quotas.set(Quota::Keys, stored.keys);
        ctx.quotas.set(Quota::KeyBytes, stored.bytes);
        Ok(stored)
    };
    let fits = |it: Amount| it.keys < limits.kv_keys && it.bytes < limits.kv_mib << 20;
    let Amount { keys, bytes } = match own.add(key.len() as u64 + value, stored, fits) {
        Ok(Ok(())) => return Ok(None),
        Ok(Err(kept)) => kept,
        Err(error) => return Ok(Some(Error::into(error))),
    };
    ctx.quotas.refuse(Quota::Keys);
    Err(Raise::Limit(format!(
        "the plugin keeps {keys} keys and {bytes} bytes, with what its calls have written and not committed yet; \
         the limits are {} keys (limits.kv_keys) and {} MiB (limits.kv_mib): delete some first",
        limits.kv_keys, limits.kv_mib
    )))
}

fn not_a_number(key: &str) -> Reply {
    Reply::Failed { code: "not_a_number", message: format!("The value of '{key}' is not a number.") }
}
