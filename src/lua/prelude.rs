//! The host's own Lua: what runs once while a VM is built, before any script.

use mlua::chunk::Compiler;
use mlua::{FromLuaMulti, IntoLuaMulti, Lua};

/// Runs a part of the prelude. It has no line numbers: errors raised in it are placed at the script's line.
#[allow(clippy::disallowed_methods)] // the host's own code, outside of any call
pub(super) fn run<R: FromLuaMulti>(
    lua: &Lua,
    name: &str,
    source: &str,
    arguments: impl IntoLuaMulti,
) -> mlua::Result<R> {
    let compiler = Compiler::new().set_optimization_level(2).set_debug_level(0);
    lua.load(source).set_name(format!("={name}")).set_compiler(compiler).call(arguments)
}
