//! JSON into Lua.

use mlua::{Lua, Table};
use serde_json::{Map, Number, Value};

use super::{MAX_SAFE_INTEGER, Shapes};

/// How deep a value may nest. Request bodies are held to the same depth when they are parsed.
const MAX_DEPTH: usize = 128;

/// Makes the Lua value of `value`.
///
/// # Errors
/// When the VM's memory is full, or `value` nests deeper than 128 levels.
pub fn to_lua(lua: &Lua, shapes: &Shapes, value: &Value) -> mlua::Result<mlua::Value> {
    Ok(match value {
        Value::Null => shapes.null(),
        Value::Bool(it) => mlua::Value::Boolean(*it),
        Value::String(it) => mlua::Value::String(lua.create_string(it)?),
        Value::Number(it) => match double(it) {
            Some(it) => mlua::Value::Number(it),
            None => mlua::Value::String(lua.create_string(it.to_string())?),
        },
        Value::Array(items) => mlua::Value::Table(array(lua, shapes, items, 1)?),
        Value::Object(map) => mlua::Value::Table(object(lua, shapes, map, 1)?),
    })
}

fn array(lua: &Lua, shapes: &Shapes, items: &[Value], depth: usize) -> mlua::Result<Table> {
    check(depth)?;
    let table = lua.create_table_with_capacity(items.len(), 0)?;
    for (index, item) in items.iter().enumerate() {
        set(lua, shapes, &table, index + 1, item, depth)?;
    }
    shapes.mark_array(&table)?;
    Ok(table)
}

fn object(lua: &Lua, shapes: &Shapes, map: &Map<String, Value>, depth: usize) -> mlua::Result<Table> {
    check(depth)?;
    let table = lua.create_table_with_capacity(0, map.len())?;
    for (key, item) in map {
        set(lua, shapes, &table, key.as_str(), item, depth)?;
    }
    Ok(table)
}

/// Scalars go to the VM's stack directly: a `mlua::Value` of each would cost a reference.
fn set(
    lua: &Lua,
    shapes: &Shapes,
    table: &Table,
    key: impl mlua::IntoLua,
    value: &Value,
    depth: usize,
) -> mlua::Result<()> {
    match value {
        Value::Null => table.raw_set(key, shapes.null()),
        Value::Bool(it) => table.raw_set(key, *it),
        Value::String(it) => table.raw_set(key, it.as_str()),
        Value::Number(it) => match double(it) {
            Some(it) => table.raw_set(key, it),
            None => table.raw_set(key, it.to_string()),
        },
        Value::Array(items) => table.raw_set(key, array(lua, shapes, items, depth + 1)?),
        Value::Object(map) => table.raw_set(key, object(lua, shapes, map, depth + 1)?),
    }
}

/// The number as a double, unless it is an integer that a double may miss.
fn double(number: &Number) -> Option<f64> {
    match number.as_i64() {
        Some(it) if (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(&it) => Some(it as f64),
        Some(_) => None,
        None if number.is_u64() => None,
        None => number.as_f64(),
    }
}

fn check(depth: usize) -> mlua::Result<()> {
    if depth > MAX_DEPTH {
        return Err(mlua::Error::runtime(format!("the value nests deeper than {MAX_DEPTH} levels")));
    }
    Ok(())
}
