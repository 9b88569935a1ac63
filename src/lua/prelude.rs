//! The host's own Lua: what runs once while a VM is built, before any script.

use std::sync::OnceLock;

use mlua::chunk::{ChunkMode, Compiler};
use mlua::{FromLuaMulti, IntoLuaMulti, Lua};

/// A part of the prelude. It is compiled when the first VM is built and loaded into each: compiling is most of what
/// building a VM would cost.
pub(super) struct Part {
    name: &'static str,
    source: &'static str,
    code: OnceLock<Vec<u8>>,
}

impl Part {
    /// The part of this name, as text.
    pub(super) const fn new(name: &'static str, source: &'static str) -> Self {
        Part { name, source, code: OnceLock::new() }
    }

    /// Runs it in a VM. It has no line numbers: errors raised in it are placed at the script's line.
    #[allow(clippy::disallowed_methods)] // the host's own code, outside of any call
    pub(super) fn run<R: FromLuaMulti>(&self, lua: &Lua, arguments: impl IntoLuaMulti) -> mlua::Result<R> {
        let code = self.code()?;
        lua.load(code).set_name(format!("={}", self.name)).set_mode(ChunkMode::Binary).call(arguments)
    }

    fn code(&self) -> mlua::Result<&[u8]> {
        if let Some(code) = self.code.get() {
            return Ok(code);
        }
        let compiler = Compiler::new().set_optimization_level(2).set_debug_level(0);
        let code = compiler.compile(self.source)?;
        Ok(self.code.get_or_init(|| code))
    }
}
