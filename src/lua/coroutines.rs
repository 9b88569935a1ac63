//! Lets scripts wait inside coroutines of their own.

use mlua::{Lua, Value};

use super::prelude;

const PRELUDE: &str = include_str!("../../scripts/prelude/coroutines.luau");

/// Replaces `coroutine.resume` and `coroutine.wrap` in a fresh VM, before its sandbox closes.
pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    prelude::run(lua, "coroutines", PRELUDE, Value::LightUserData(Lua::poll_pending()))
}
