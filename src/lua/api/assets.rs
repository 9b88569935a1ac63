//! `panotti.assets`: files that a plugin keeps for clients.

use mlua::{Table, Value};
use serde_json::json;

use crate::error::Code;
use crate::lua::quota::Quota;
use crate::model::asset::Asset;
use crate::services::assets::{self, AssetQuota};

use super::args::Args;
use super::define::{Build, Raise, Reply};

/// Assets that one list answers.
const MAX_LISTED: i64 = 1000;

/// Media types by the endings of names.
const TYPES: &[(&str, &str)] = &[
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("svg", "image/svg+xml"),
    ("wav", "audio/wav"),
    ("mp3", "audio/mpeg"),
    ("ogg", "audio/ogg"),
    ("flac", "audio/flac"),
    ("mp4", "video/mp4"),
    ("txt", "text/plain; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("json", "application/json"),
    ("html", "text/html; charset=utf-8"),
    ("pdf", "application/pdf"),
];

/// Assets that one plugin reads at once.
const READ_AT_ONCE: usize = 4;

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    let save = build.waiting("panotti.assets.save", |ctx, args| {
        let name = name(args)?;
        let bytes = args.bytes("bytes")?;
        let held = args.hold(ctx, "bytes", bytes.as_bytes().len())?;
        let bytes = bytes.as_bytes().to_vec();
        let options = args.options("options", &["mime"])?;
        let mime = options.text("mime")?.map_or_else(|| type_of(&name), str::to_owned);
        if mime.len() > 128 || !mime.contains('/') || mime.bytes().any(|it| !(32..127).contains(&it)) {
            return Err(options.wrong("mime", "must be a media type such as image/png"));
        }
        let quota = AssetQuota { count: ctx.limits.assets, bytes: ctx.limits.assets_mib << 20 };
        let (services, plugin, quotas) = (ctx.services.clone(), ctx.plugin.clone(), ctx.quotas.clone());
        Ok(async move {
            let saved = assets::save(&services, &plugin, &name, &mime, bytes, quota).await;
            drop(held);
            if let Ok((count, bytes)) = assets::usage(&services, &plugin) {
                quotas.set(Quota::Assets, count);
                quotas.set(Quota::AssetBytes, bytes);
            }
            Ok(match saved {
                Ok(asset) => shown(&plugin, &asset),
                Err(error) => {
                    if error.code == Code::TooLarge {
                        quotas.refuse(Quota::Assets);
                        return Err(Raise::Limit(error.detail));
                    }
                    error.into()
                }
            })
        })
    })?;
    module.raw_set("save", save)?;
    let exists = build.function("panotti.assets.exists", |_, ctx, args| {
        Ok(match assets::get(&ctx.services, &ctx.plugin, &name(args)?) {
            Ok(Some(asset)) => shown(&ctx.plugin, &asset),
            Ok(None) => Reply::Lua(Value::Nil),
            Err(error) => error.into(),
        })
    })?;
    module.raw_set("exists", exists)?;
    let read = build.waiting("panotti.assets.read", |ctx, args| {
        let (name, services, plugin) = (name(args)?, ctx.services.clone(), ctx.plugin.clone());
        let turns = ctx.quotas.turns(Quota::Assets, READ_AT_ONCE);
        Ok(async move {
            // What is read is in memory that no VM counts.
            let _turn = turns.acquire_owned().await;
            let found = match assets::get(&services, &plugin, &name) {
                Ok(Some(asset)) => assets::read(&services, &plugin, &asset).await,
                Ok(None) => return Ok(Reply::Lua(Value::Nil)),
                Err(error) => Err(error),
            };
            Ok(found.map_or_else(Reply::from, Reply::Bytes))
        })
    })?;
    module.raw_set("read", read)?;
    let list = build.waiting("panotti.assets.list", |ctx, args| {
        let after = args.optional_text("after")?.unwrap_or_default();
        let (services, plugin) = (ctx.services.clone(), ctx.plugin.clone());
        Ok(async move {
            Ok(match assets::list(&services, &plugin, &after, MAX_LISTED).await {
                Ok(all) => Reply::Record(all.iter().map(|it| view(&plugin, it)).collect()),
                Err(error) => error.into(),
            })
        })
    })?;
    module.raw_set("list", list)?;
    let remove = build.waiting("panotti.assets.remove", |ctx, args| {
        let (name, services, plugin) = (name(args)?, ctx.services.clone(), ctx.plugin.clone());
        Ok(async move {
            Ok(match assets::remove(&services, &plugin, &name).await {
                Ok(done) => Reply::Lua(Value::Boolean(done)),
                Err(error) => error.into(),
            })
        })
    })?;
    module.raw_set("remove", remove)?;
    Ok(module)
}

fn name(args: &mut Args) -> Result<String, Raise> {
    let name = args.text("name")?;
    assets::check_name(&name).map_err(|why| args.wrong_because("name", &why))?;
    Ok(name)
}

fn type_of(name: &str) -> String {
    let ending = name.rsplit_once('.').map(|(_, it)| it.to_ascii_lowercase()).unwrap_or_default();
    let known = TYPES.iter().find(|(it, _)| *it == ending);
    known.map_or("application/octet-stream", |(_, mime)| mime).to_owned()
}

fn shown(plugin: &str, asset: &Asset) -> Reply {
    Reply::Record(view(plugin, asset))
}

fn view(plugin: &str, asset: &Asset) -> serde_json::Value {
    let url = assets::url(plugin, &asset.name);
    json!({
        "name": asset.name, "mime": asset.mime, "sha256": asset.sha256, "size": asset.size,
        "created_at": asset.created_at, "url": url,
    })
}
