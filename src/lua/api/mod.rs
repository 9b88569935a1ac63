//! What scripts see as `panotti.*`: one file per module, each with its `.d.luau` beside it; this is the list.
//!
//! The `.d.luau` is the one source: names, signatures, documents, `@permission` and `@waits` are read from it, for
//! the permissions a VM is built with, the editors' stubs and the guide. A test holds that what is built is what
//! is told.

pub mod args;
pub mod define;
pub mod handle;
mod permit;
mod recorded;
pub mod stubs;
pub use permit::place;
mod assets;
mod base64;
mod clips;
mod db;
mod examine;
mod events;
mod export;
mod fs;
mod hash;
mod http;
mod json;
mod kv;
mod log;
mod media;
mod notify;
mod once;
mod process;
mod recordings;
mod regex;
mod route;
mod schedule;
mod task;
mod tested;
mod time;
pub(crate) mod top;
mod url;
mod uuid;
mod window;
mod yaml;

use std::sync::{Arc, LazyLock};

use mlua::{Function, Lua, Table, Value};

use super::context::ApiContext;
use super::convert::Shapes;
use define::Build;
use stubs::ModuleDoc;

/// One module: its name under `panotti`, its types, and what makes it.
pub struct Module {
    /// The name; empty for what stands in `panotti` itself.
    pub name: &'static str,
    /// Its `.d.luau`.
    pub types: &'static str,
    entry: Entry,
}

enum Entry {
    /// A table of functions.
    Table(fn(&Build) -> mlua::Result<Table>),
    /// A function by itself.
    Function(fn(&Build) -> mlua::Result<Function>),
}

const fn table(name: &'static str, types: &'static str, build: fn(&Build) -> mlua::Result<Table>) -> Module {
    Module { name, types, entry: Entry::Table(build) }
}

const fn function(
    name: &'static str,
    types: &'static str,
    build: fn(&Build) -> mlua::Result<Function>,
) -> Module {
    Module { name, types, entry: Entry::Function(build) }
}

/// All modules.
pub const MODULES: &[Module] = &[
    table("", include_str!("top.d.luau"), top::build),
    table("task", include_str!("task.d.luau"), task::build),
    table("log", include_str!("log.d.luau"), log::build),
    table("json", include_str!("json.d.luau"), json::build),
    table("yaml", include_str!("yaml.d.luau"), yaml::build),
    table("base64", include_str!("base64.d.luau"), base64::build),
    table("hash", include_str!("hash.d.luau"), hash::build),
    function("uuid", include_str!("uuid.d.luau"), uuid::build),
    table("url", include_str!("url.d.luau"), url::build),
    table("regex", include_str!("regex.d.luau"), regex::build),
    table("time", include_str!("time.d.luau"), time::build),
    function("once", include_str!("once.d.luau"), once::build),
    function("export", include_str!("export.d.luau"), export::export),
    function("import", include_str!("import.d.luau"), export::import),
    function("route", include_str!("route.d.luau"), route::build),
    table("schedule", include_str!("schedule.d.luau"), schedule::build),
    table("kv", include_str!("kv.d.luau"), kv::build),
    table("fs", include_str!("fs.d.luau"), fs::build),
    table("assets", include_str!("assets.d.luau"), assets::build),
    function("notify", include_str!("notify.d.luau"), notify::build),
    table("process", include_str!("process.d.luau"), process::build),
    table("http", include_str!("http.d.luau"), http::build),
    table("events", include_str!("events.d.luau"), events::build),
    table("recordings", include_str!("recordings.d.luau"), recordings::build),
    table("clips", include_str!("clips.d.luau"), clips::build),
    table("db", include_str!("db/db.d.luau"), db::build),
    table("media", include_str!("media.d.luau"), media::build),
];

/// Puts `panotti` and `print` into a VM, before its sandbox closes.
pub fn install(lua: &Lua, ctx: &Arc<ApiContext>, shapes: &Arc<Shapes>) -> mlua::Result<()> {
    let build = Build::new(lua, ctx, shapes)?;
    let panotti = lua.create_table()?;
    for (module, doc) in MODULES.iter().zip(DOCS.iter()) {
        let value = match module.entry {
            Entry::Function(make) => Value::Function(make(&build)?),
            Entry::Table(make) if module.name.is_empty() => {
                make(&build)?.for_each(|name: String, value: Value| panotti.raw_set(name, value))?;
                continue;
            }
            Entry::Table(make) => Value::Table(build.close(make(&build)?, doc)?),
        };
        panotti.raw_set(module.name, value)?;
    }
    if let Some(examiner) = &ctx.examiner {
        examine::install(&build, examiner)?;
    }
    let log: Table = panotti.raw_get("log")?;
    lua.globals().raw_set("print", build.printer(&log.raw_get("info")?)?)?;
    lua.globals().raw_set("panotti", build.close(panotti, &TOP)?)
}

/// What the files of [`MODULES`] say, read once for all VMs.
pub static DOCS: LazyLock<Vec<ModuleDoc>> =
    LazyLock::new(|| MODULES.iter().map(|it| ModuleDoc::read(it.name, it.types)).collect());

/// Of the table that holds the modules: nothing in it needs a permission as a whole.
static TOP: ModuleDoc =
    ModuleDoc { name: String::new(), doc: String::new(), functions: Vec::new(), whole: None };

#[cfg(test)]
mod service_tests;
#[cfg(test)]
mod tests;
