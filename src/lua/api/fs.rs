//! `panotti.fs`: a plugin's own files, and the folders that an admin opened to it.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use mlua::Table;
use serde_json::{Value, json};

use crate::lua::context::{ApiContext, CallState, Mark};
use crate::lua::permission::Grant;
use crate::lua::quota::{Quota as Counted, Quotas};
use crate::services::plugin_files::{
    self, Entry, EntryKind, FileFault, MAX_PATH_BYTES, PluginFiles, Quota, Root,
};

use super::args::Args;
use super::define::{Build, Outcome, Raise, Reply};
use super::permit::{self, Shut};

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    let read = build.waiting("panotti.fs.read", |ctx, args| {
        let place = Place::of(ctx, args, "read")?;
        Ok(place.work(|files, plugin, root, path| {
            plugin_files::read(files, plugin, root, path).map(Reply::Bytes)
        }))
    })?;
    module.raw_set("read", read)?;
    for (name, path, is_append) in
        [("write", "panotti.fs.write", false), ("append", "panotti.fs.append", true)]
    {
        let function = build.waiting(path, move |ctx, args| {
            let place = Place::of(ctx, args, "write")?;
            let bytes = args.bytes("bytes")?;
            let held = args.hold(ctx, "bytes", bytes.as_bytes().len())?;
            let bytes = bytes.as_bytes().to_vec();
            let quota = Quota { files: ctx.limits.files, bytes: ctx.limits.files_mib << 20 };
            Ok(place.work(move |files, plugin, root, path| {
                let done = match is_append {
                    true => plugin_files::append(files, plugin, root, path, &bytes, quota),
                    false => plugin_files::write(files, plugin, root, path, &bytes, quota),
                };
                drop(held);
                done.map(|()| Reply::Lua(mlua::Value::Boolean(true)))
            }))
        })?;
        module.raw_set(name, function)?;
    }
    let list = build.waiting("panotti.fs.list", |ctx, args| {
        let place = Place::of_folder(ctx, args)?;
        Ok(place.work(|files, plugin, root, path| {
            let found = plugin_files::list(files, plugin, root, path)?;
            Ok(Reply::Record(found.iter().map(shown).collect()))
        }))
    })?;
    module.raw_set("list", list)?;
    let stat = build.waiting("panotti.fs.stat", |ctx, args| {
        let place = Place::of(ctx, args, "read")?;
        Ok(place.work(|files, plugin, root, path| {
            let found = plugin_files::stat(files, plugin, root, path)?;
            Ok(found.map_or(Reply::Lua(mlua::Value::Nil), |it| Reply::Record(shown(&it))))
        }))
    })?;
    module.raw_set("stat", stat)?;
    let remove = build.waiting("panotti.fs.remove", |ctx, args| {
        let place = Place::of(ctx, args, "write")?;
        let whole = args.options("options", &["recursive"])?.boolean("recursive")?.unwrap_or(false);
        Ok(place.work(move |files, plugin, root, path| {
            let done = plugin_files::remove(files, plugin, root, path, whole)?;
            Ok(Reply::Lua(mlua::Value::Boolean(done)))
        }))
    })?;
    module.raw_set("remove", remove)?;
    Ok(module)
}

fn shown(it: &Entry) -> Value {
    let kind = match it.kind {
        EntryKind::File => "file",
        EntryKind::Folder => "folder",
        EntryKind::Other => "other",
    };
    json!({ "name": it.name, "kind": kind, "size": it.size, "modified_at": it.modified_at.0 as f64 / 1e6 })
}

/// Work on files that one plugin has under way at once.
const AT_ONCE: usize = 4;

/// A path below a folder that is open to the plugin.
struct Place {
    files: PluginFiles,
    plugin: Arc<str>,
    root: Root,
    path: String,
    call: Arc<CallState>,
    quotas: Arc<Quotas>,
    runtime: tokio::runtime::Handle,
    shut: Shut,
}

impl Place {
    fn of(ctx: &ApiContext, args: &mut Args, what: &str) -> Result<Place, Raise> {
        let text = args.text("path")?;
        let place = Place::read(ctx, args, &text, what)?;
        match place.path.is_empty() {
            true => Err(args.wrong_because("path", "names no file")),
            false => Ok(place),
        }
    }

    fn of_folder(ctx: &ApiContext, args: &mut Args) -> Result<Place, Raise> {
        let text = args.optional_text("path")?.unwrap_or_default();
        Place::read(ctx, args, &text, "read")
    }

    fn read(ctx: &ApiContext, args: &Args, text: &str, what: &str) -> Result<Place, Raise> {
        if text.len() > MAX_PATH_BYTES || text.contains('\0') {
            return Err(args.wrong_because(
                "path",
                &format!("must have at most {MAX_PATH_BYTES} bytes, none of them 0"),
            ));
        }
        let (root, path) = match text.split_once(':') {
            Some((name @ ("recordings" | "clips"), path)) => {
                args.permit(ctx, "fs", Some(&format!("{name}:{what}")))?;
                let root = if name == "clips" { Root::Clips } else { Root::Recordings };
                (root, path.trim_start_matches('/').to_owned())
            }
            _ if text.starts_with('/') && ctx.stand_in.is_some() => {
                return Err(Raise::Wrong(format!(
                    "'{}' is outside of the plugin's own files, which are the only ones in tests",
                    crate::lua::fault::clean(text, 100)
                )));
            }
            _ if text.starts_with('/') => named(ctx, args, text, what)?,
            _ => (Root::Own, text.to_owned()),
        };
        if Path::new(&path).components().any(|it| matches!(it, Component::ParentDir | Component::RootDir)) {
            ctx.mark(Mark::Denied);
            return Err(Raise::Denied(format!(
                "'{}' leads out of its folder",
                crate::lua::fault::clean(text, 100)
            )));
        }
        Ok(Place {
            files: ctx.services.plugin_files.clone(),
            plugin: Arc::clone(&ctx.plugin),
            root,
            path,
            call: ctx.call()?,
            quotas: Arc::clone(&ctx.quotas),
            runtime: ctx.runtime.clone(),
            shut: args.shut(ctx, "fs"),
        })
    }

    /// Does `work` where it may block, and tells what came of it.
    fn work(
        self,
        work: impl FnOnce(&PluginFiles, &str, &Root, &str) -> plugin_files::Result<Reply> + Send + 'static,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        let Place { files, plugin, root, path, call, quotas, runtime, shut } = self;
        async move {
            let (own, name) = (files.clone(), Arc::clone(&plugin));
            let (is_own, shown) = (root == Root::Own, path.clone());
            // A few at once: what they read is in memory that no VM counts.
            let _turn = quotas.turns(Counted::Files, AT_ONCE).acquire_owned().await;
            let done = runtime.spawn_blocking(move || work(&own, &name, &root, &path)).await;
            if is_own {
                let (count, bytes) = files.usage(&plugin).read();
                quotas.set(Counted::Files, count);
                quotas.set(Counted::FileBytes, bytes);
            }
            Ok(match done {
                Ok(Ok(reply)) => reply,
                // A loop that fills its folder ends here, whatever it makes of failures.
                Ok(Err(FileFault::Limit(why))) => {
                    quotas.refuse(Counted::Files);
                    return Err(Raise::Limit(why));
                }
                Ok(Err(fault)) => {
                    if matches!(fault, FileFault::Denied(_)) {
                        permit::note(&call, &shut, &shown);
                    }
                    Reply::Failed { code: fault.code(), message: fault.to_string() }
                }
                Err(_) => {
                    Reply::Failed { code: "internal", message: "the server's log has the cause".to_owned() }
                }
            })
        }
    }
}

/// The granted folder that an absolute path is below, and the rest of the path.
fn named(ctx: &ApiContext, args: &Args, text: &str, what: &str) -> Result<(Root, String), Raise> {
    let parts = match ctx.permissions.0.get("fs") {
        Some(Grant::Parts(parts)) => parts.as_slice(),
        _ => &[],
    };
    let wanted = Path::new(text);
    let folders = parts.iter().filter_map(|it| it.rsplit_once(':')).filter(|(_, may)| *may == what);
    let below = folders.filter_map(|(folder, _)| Some((folder, wanted.strip_prefix(folder).ok()?)));
    match below.max_by_key(|(folder, _)| folder.len()) {
        Some((folder, rest)) => Ok((Root::Named(PathBuf::from(folder)), rest.to_string_lossy().into_owned())),
        None => {
            let folder = wanted.parent().unwrap_or(wanted).to_string_lossy();
            let part = format!("{folder}:{what}");
            if permit::learns(ctx, "fs", Some(&part)) {
                let rest = wanted.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
                return Ok((Root::Named(PathBuf::from(&*folder)), rest));
            }
            Err(Raise::Denied(args.refuse(ctx, "fs", Some(&part))))
        }
    }
}
