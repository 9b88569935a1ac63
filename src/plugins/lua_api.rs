//! The table of the Lua API as data, for editors and pages: `GET /api/v1/lua-api`.

use std::sync::LazyLock;

use serde::Serialize;
use utoipa::ToSchema;

use crate::hooks::Hook;
use crate::lua::api::DOCS;
use crate::lua::api::stubs::{Body, Entry, all_types};

/// Everything that scripts find below `panotti`.
#[derive(Debug, Serialize, ToSchema)]
pub struct LuaApi {
    /// The server's version.
    pub version: &'static str,
    /// The modules, in reading order.
    pub modules: Vec<LuaModule>,
    /// Functions and values, module by module.
    pub functions: Vec<LuaFunction>,
    /// What `panotti.on.<hook>` registers for.
    pub hooks: Vec<LuaHook>,
    /// The types that signatures name.
    pub types: Vec<LuaType>,
}

/// A module.
#[derive(Debug, Serialize, ToSchema)]
pub struct LuaModule {
    /// What scripts call it, as `panotti.kv`.
    pub path: String,
    /// What it is for.
    pub description: String,
}

/// A function, or a value that is there.
#[derive(Debug, Serialize, ToSchema)]
pub struct LuaFunction {
    /// What scripts call it, as `panotti.kv.get`.
    pub path: String,
    /// The module it is in.
    pub module: String,
    /// Its type in Luau's notation.
    pub signature: String,
    /// What it does.
    pub description: String,
    /// The first version of the server that has it.
    pub since: String,
    /// What a plugin must have been granted, as `clips:read`; without it the function is not there.
    pub permission: Option<String>,
    /// Whether it may wait.
    pub waits: bool,
    /// A script that shows its use.
    pub example: String,
}

/// A hook.
#[derive(Debug, Serialize, ToSchema)]
pub struct LuaHook {
    /// Its name below `panotti.on`.
    pub name: &'static str,
    /// `question` (asked, may answer), `fact` (told from the journal), `life` (called once by the host).
    pub kind: &'static str,
    /// When it is called.
    pub description: &'static str,
    /// The type of its first argument; none when it has none or any.
    pub payload: Option<&'static str>,
    /// Whether `panotti.deny` belongs here.
    pub may_deny: bool,
    /// Top-level fields a patch may change.
    pub may_patch: &'static [&'static str],
}

/// A type.
#[derive(Debug, Serialize, ToSchema)]
pub struct LuaType {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Its fields; empty when it is another name for `alias`.
    pub fields: Vec<LuaField>,
    /// What it is another name for.
    pub alias: Option<String>,
}

/// A field of a type.
#[derive(Debug, Serialize, ToSchema)]
pub struct LuaField {
    /// Its name.
    pub name: String,
    /// Its type in Luau's notation.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it means.
    pub description: String,
}

/// The table of this server.
pub fn lua_api() -> &'static LuaApi {
    static API: LazyLock<LuaApi> = LazyLock::new(read);
    &API
}

fn read() -> LuaApi {
    let modules = DOCS.iter().map(|it| LuaModule { path: it.path(), description: it.doc.clone() });
    let functions = DOCS.iter().flat_map(|module| {
        module.entries().map(|(path, it)| LuaFunction {
            path,
            module: module.path(),
            signature: it.signature.clone(),
            description: it.doc.clone(),
            since: it.since.clone().unwrap_or_default(),
            permission: it.permission.clone(),
            waits: it.waits,
            example: it.example.clone().unwrap_or_default(),
        })
    });
    let hooks = Hook::ALL.iter().map(|hook| hook.info()).map(|it| LuaHook {
        name: it.name,
        kind: it.kind.as_str(),
        description: it.doc,
        payload: it.payload.type_name(),
        may_deny: it.may_deny,
        may_patch: it.may_patch,
    });
    // Those of the modules are what `functions` tells.
    let types = all_types().into_iter().filter(|it| !it.name.starts_with("Panotti_")).map(|it| {
        let (fields, alias) = match it.body {
            Body::Alias(other) => (Vec::new(), Some(other)),
            Body::Record(entries) => (entries, None),
        };
        let field = |it: Entry| LuaField { name: it.name, kind: it.signature, description: it.doc };
        LuaType { name: it.name, description: it.doc, fields: fields.into_iter().map(field).collect(), alias }
    });
    LuaApi {
        version: env!("CARGO_PKG_VERSION"),
        modules: modules.collect(),
        functions: functions.collect(),
        hooks: hooks.collect(),
        types: types.collect(),
    }
}
