//! `panotti.clips`: what the REST API does with clips, by the same services.

use mlua::{Table, Value};
use serde_json::Map;

use crate::hooks::catalogue::Payload;
use crate::lua::answer::shape_empty;
use crate::lua::context::ApiContext;
use crate::services::clips::{self, ClipFilter, ClipSort};

use super::args::{Args, Options};
use super::define::{Build, Raise};
use super::media::check_clip;
use super::window::{answer, texts, time, window, word};

/// What a list may be asked for.
const QUERY: &[&str] = &[
    "game_name",
    "processed",
    "status",
    "tags",
    "q",
    "recording_id",
    "from",
    "to",
    "sort",
    "page",
    "page_size",
];

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    let get = build.waiting("panotti.clips.get", |ctx, args| {
        let (services, id) = (ctx.services.clone(), id(args)?);
        Ok(async move { answer(clips::get(&services, id)) })
    })?;
    module.raw_set("get", get)?;
    let list = build.waiting("panotti.clips.list", |ctx, args| {
        let options = args.options("query", QUERY)?;
        let (filter, sort, window) = (filter(&options)?, sort(&options)?, window(&options)?);
        let services = ctx.services.clone();
        Ok(async move { answer(clips::list(&services, filter, sort, window).await) })
    })?;
    module.raw_set("list", list)?;
    let create = build.waiting("panotti.clips.create", |ctx, args| {
        let (services, caller, fields) = (ctx.services.clone(), ctx.caller()?, fields(ctx, args, "fields")?);
        Ok(async move { answer(clips::create(&services, &caller, fields, None).await.map(|it| it.clip)) })
    })?;
    module.raw_set("create", create)?;
    let update = build.waiting("panotti.clips.update", |ctx, args| {
        let (services, caller) = (ctx.services.clone(), ctx.caller()?);
        let (id, patch) = (id(args)?, fields(ctx, args, "patch")?);
        Ok(async move { answer(clips::update(&services, &caller, id, patch, None).await) })
    })?;
    module.raw_set("update", update)?;
    let delete = build.waiting("panotti.clips.delete", |ctx, args| {
        let (services, caller, id) = (ctx.services.clone(), ctx.caller()?, id(args)?);
        let files = args.options("options", &["files"])?.boolean("files")?.unwrap_or(false);
        Ok(async move { answer(clips::delete(&services, &caller, id, files, None).await.map(|()| true)) })
    })?;
    module.raw_set("delete", delete)?;
    Ok(module)
}

/// The number of a clip; ids that a double cannot hold are strings.
fn id(args: &mut Args) -> Result<i64, Raise> {
    let id = match args.any() {
        Value::Integer(it) => Some(it),
        Value::String(it) => it.to_str().ok().and_then(|it| it.parse().ok()),
        _ => None,
    };
    id.filter(|it| *it > 0).ok_or_else(|| args.wrong_because("id", "must be the number of a clip"))
}

/// The fields of a clip; a new `{}` is a list where one is kept.
fn fields(ctx: &ApiContext, args: &mut Args, name: &str) -> Result<Map<String, serde_json::Value>, Raise> {
    let mut fields = args.object(name)?;
    check_clip(ctx, args, &fields)?;
    shape_empty(&mut fields, Payload::Clip);
    Ok(fields)
}

fn filter(options: &Options) -> Result<ClipFilter, Raise> {
    let text = |key: &str| options.text(key).map(|it| it.map(str::to_owned));
    Ok(ClipFilter {
        game_name: text("game_name")?,
        processed: options.boolean("processed")?,
        status: word(options, "status", "pending, processing, completed or failed")?,
        tags: texts(options, "tags")?.unwrap_or_default(),
        q: text("q")?,
        recording_id: text("recording_id")?,
        from: time(options, "from")?,
        to: time(options, "to")?,
        after: None,
    })
}

fn sort(options: &Options) -> Result<ClipSort, Raise> {
    let Some(name) = options.text("sort")? else { return Ok(ClipSort::default()) };
    ClipSort::from_name(name).ok_or_else(|| {
        options.wrong(
            "sort",
            "must be created_at, recorded_at, title, duration or id, with - before it for descending",
        )
    })
}
