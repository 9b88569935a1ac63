//! `panotti.json`: JSON text, null and arrays.

use mlua::{Table, Value};

use super::define::{Build, Raise, Reply};

/// Bytes of JSON text that are read at once.
const MAX_TEXT_BYTES: usize = 1 << 20;

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    module.raw_set("null", build.shapes.null())?;
    let encode = build.function("panotti.json.encode", |_, _, args| {
        let value = args.json("value")?;
        let options = args.options("options", &["pretty"])?;
        let text = match options.boolean("pretty")? {
            Some(true) => serde_json::to_vec_pretty(&value),
            _ => serde_json::to_vec(&value),
        };
        text.map(Reply::Bytes).map_err(|err| Raise::Convert(err.to_string()))
    })?;
    module.raw_set("encode", encode)?;
    let decode = build.function("panotti.json.decode", |_, _, args| {
        let text = args.bytes_up_to("text", MAX_TEXT_BYTES)?;
        let text = text.as_bytes();
        Ok(match serde_json::from_slice(&text) {
            Ok(value) => Reply::Json(value),
            Err(err) => Reply::Failed { code: "not_json", message: err.to_string() },
        })
    })?;
    module.raw_set("decode", decode)?;
    let shapes = build.shapes.clone();
    let array = build.function("panotti.json.array", move |lua, _, args| {
        let table = match args.any() {
            Value::Nil => lua.create_table()?,
            Value::Table(table) => table,
            other => {
                return Err(args.wrong_because("t", &format!("must be a table, got {}", other.type_name())));
            }
        };
        shapes.mark_array(&table)?;
        Ok(Reply::Lua(Value::Table(table)))
    })?;
    module.raw_set("array", array)?;
    Ok(module)
}
