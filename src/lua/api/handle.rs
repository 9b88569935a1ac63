//! What a registration gives back: a table with `:off()`.

use std::sync::Arc;

use mlua::{Lua, Table, Value};

use super::define::{Build, Reply};

/// Makes the handles of a VM; they share one `off`.
pub struct Handles {
    meta: Table,
}

impl Handles {
    /// Ready to make handles.
    pub fn new(build: &Build) -> mlua::Result<Arc<Handles>> {
        let off = build.function("handle:off", |_, ctx, args| {
            let handle = args.table("handle")?;
            match handle.raw_get::<Value>("slot")? {
                Value::Integer(slot) => {
                    ctx.registry.off(u32::try_from(slot).unwrap_or(u32::MAX));
                    Ok(Reply::Nothing)
                }
                _ => {
                    Err(args.wrong_because("handle", "must be what the registration gave back: handle:off()"))
                }
            }
        })?;
        let methods = build.lua.create_table()?;
        methods.raw_set("off", off)?;
        methods.set_readonly(true);
        let meta = build.lua.create_table()?;
        meta.raw_set("__index", methods)?;
        meta.raw_set("__metatable", "locked")?;
        meta.set_readonly(true);
        Ok(Arc::new(Handles { meta }))
    }

    /// The handle of a slot in the registry.
    pub fn make(&self, lua: &Lua, slot: u32) -> mlua::Result<Value> {
        let handle = lua.create_table_with_capacity(0, 1)?;
        handle.raw_set("slot", slot)?;
        handle.set_metatable(Some(self.meta.clone()))?;
        handle.set_readonly(true);
        Ok(Value::Table(handle))
    }
}
