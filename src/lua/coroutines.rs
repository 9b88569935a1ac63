//! Lets scripts wait inside coroutines of their own.

use mlua::{Lua, Value};

use super::prelude::Part;

static PRELUDE: Part = Part::new("coroutines", include_str!("../../scripts/prelude/coroutines.luau"));

/// Replaces `coroutine.resume` and `coroutine.wrap` in a fresh VM, before its sandbox closes.
pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    PRELUDE.run(lua, Value::LightUserData(Lua::poll_pending()))
}
