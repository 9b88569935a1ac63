//! Lets scripts wait inside coroutines of their own.

use mlua::chunk::Compiler;
use mlua::{Lua, Value};

const PRELUDE: &str = include_str!("../../scripts/prelude/coroutines.luau");

/// Replaces `coroutine.resume` and `coroutine.wrap` in a fresh VM, before its sandbox closes.
pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    let compiler = Compiler::new().set_optimization_level(2).set_debug_level(0);
    let chunk = lua.load(PRELUDE).set_name("=coroutines").set_compiler(compiler);
    chunk.call(Value::LightUserData(Lua::poll_pending()))
}
