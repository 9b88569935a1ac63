//! `panotti.recordings`: what the REST API does with recordings, by the same services.

use mlua::Table;

use crate::services::recordings::{self, Dialect, Include, RecordingFilter};

use super::args::Options;
use super::define::{Build, Raise};
use super::window::{answer, time, window, word};

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    let get = build.waiting("panotti.recordings.get", |ctx, args| {
        let (services, id) = (ctx.services.clone(), args.text("id")?);
        Ok(async move { answer(recordings::get(&services, &id, Include::default()).map(|it| it.recording)) })
    })?;
    module.raw_set("get", get)?;
    let list = build.waiting("panotti.recordings.list", |ctx, args| {
        let options = args.options("query", &["status", "from", "to", "q", "page", "page_size"])?;
        let (filter, window) = (filter(&options)?, window(&options)?);
        let services = ctx.services.clone();
        Ok(async move { answer(recordings::list(&services, filter, window).await) })
    })?;
    module.raw_set("list", list)?;
    let create = build.waiting("panotti.recordings.create", |ctx, args| {
        let (services, caller, fields) = (ctx.services.clone(), ctx.caller()?, args.object("fields")?);
        Ok(async move {
            answer(
                recordings::start(&services, &caller, fields, Dialect::V1, None).await.map(|it| it.recording),
            )
        })
    })?;
    module.raw_set("create", create)?;
    let update = build.waiting("panotti.recordings.update", |ctx, args| {
        let (services, caller) = (ctx.services.clone(), ctx.caller()?);
        let (id, patch) = (args.text("id")?, args.object("patch")?);
        Ok(async move { answer(recordings::patch(&services, &caller, &id, patch, None).await) })
    })?;
    module.raw_set("update", update)?;
    let delete =
        build.waiting("panotti.recordings.delete", |ctx, args| {
            let (services, caller, id) = (ctx.services.clone(), ctx.caller()?, args.text("id")?);
            let files = args.options("options", &["files"])?.boolean("files")?.unwrap_or(false);
            Ok(async move {
                answer(recordings::delete(&services, &caller, &id, files, None).await.map(|()| true))
            })
        })?;
    module.raw_set("delete", delete)?;
    Ok(module)
}

fn filter(options: &Options) -> Result<RecordingFilter, Raise> {
    Ok(RecordingFilter {
        status: word(options, "status", "active or completed")?,
        from: time(options, "from")?,
        to: time(options, "to")?,
        q: options.text("q")?.map(str::to_owned),
    })
}
