//! JSON into Lua.

use mlua::{Lua, Table};
use serde_json::{Map, Number, Value};

use super::fields::Only;
use super::{MAX_SAFE_INTEGER, Shapes};

/// How deep a value may nest. Request bodies are held to the same depth when they are parsed.
const MAX_DEPTH: usize = 128;

/// Makes the Lua value of `value`; every null in it is `panotti.json.null`.
///
/// # Errors
/// When the VM's memory is full, or `value` nests deeper than 128 levels.
pub fn to_lua(lua: &Lua, shapes: &Shapes, value: &Value) -> mlua::Result<mlua::Value> {
    Maker { lua, shapes, free: None }.value(value)
}

/// Makes the Lua value of a record of the host: a field that is null is not there, so that scripts may write
/// `recording.title or "Untitled"`. The field `free` holds somebody's own JSON and keeps its nulls.
///
/// # Errors
/// As [`to_lua`].
pub fn record_to_lua(
    lua: &Lua,
    shapes: &Shapes,
    value: &Value,
    free: &str,
    only: Only<'_>,
) -> mlua::Result<mlua::Value> {
    let maker = Maker { lua, shapes, free: Some(free) };
    match value {
        Value::Object(map) => Ok(mlua::Value::Table(maker.wanted(map, only)?)),
        _ => maker.value(value),
    }
}

/// Makes the table of an object, or of some of its fields; every null in it is `panotti.json.null`.
///
/// # Errors
/// As [`to_lua`].
pub(super) fn object_to_lua(
    lua: &Lua,
    shapes: &Shapes,
    map: &Map<String, Value>,
    only: Only<'_>,
) -> mlua::Result<Table> {
    Maker { lua, shapes, free: None }.wanted(map, only)
}

/// A whole number: a number if a double holds it, else its digits.
///
/// # Errors
/// When the VM's memory is full.
pub(super) fn integer_to_lua(lua: &Lua, number: i64) -> mlua::Result<mlua::Value> {
    match (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(&number) {
        true => Ok(mlua::Value::Number(number as f64)),
        false => Ok(mlua::Value::String(lua.create_string(number.to_string())?)),
    }
}

#[derive(Clone, Copy)]
struct Maker<'a> {
    lua: &'a Lua,
    shapes: &'a Shapes,
    /// Inside a record: the field that is no part of it.
    free: Option<&'a str>,
}

impl Maker<'_> {
    fn value(self, value: &Value) -> mlua::Result<mlua::Value> {
        Ok(match value {
            Value::Null => self.shapes.null(),
            Value::Bool(it) => mlua::Value::Boolean(*it),
            Value::String(it) => mlua::Value::String(self.lua.create_string(it)?),
            Value::Number(it) => match double(it) {
                Some(it) => mlua::Value::Number(it),
                None => mlua::Value::String(self.lua.create_string(it.to_string())?),
            },
            Value::Array(items) => mlua::Value::Table(self.array(items, 1)?),
            Value::Object(map) => mlua::Value::Table(self.object(map, map.len(), 1)?),
        })
    }

    fn array(self, items: &[Value], depth: usize) -> mlua::Result<Table> {
        check(depth)?;
        let table = self.lua.create_table_with_capacity(items.len(), 0)?;
        for (index, item) in items.iter().enumerate() {
            self.set(&table, index + 1, item, depth)?;
        }
        self.shapes.mark_array(&table)?;
        Ok(table)
    }

    /// An object, or what is wanted of it.
    fn wanted(self, map: &Map<String, Value>, only: Only<'_>) -> mlua::Result<Table> {
        match only {
            None => self.object(map, map.len(), 1),
            Some(only) => {
                let wanted = only.iter().filter_map(|it| map.get_key_value(&it.name));
                self.object(wanted, only.len().min(map.len()), 1)
            }
        }
    }

    fn object<'a>(
        self,
        items: impl IntoIterator<Item = (&'a String, &'a Value)>,
        count: usize,
        depth: usize,
    ) -> mlua::Result<Table> {
        check(depth)?;
        let table = self.lua.create_table_with_capacity(0, count)?;
        for (key, item) in items {
            match self.free {
                None => self.set(&table, key.as_str(), item, depth)?,
                Some(_) if item.is_null() => {}
                Some(free) if free == key => {
                    Maker { free: None, ..self }.set(&table, key.as_str(), item, depth)?;
                }
                Some(_) => self.set(&table, key.as_str(), item, depth)?,
            }
        }
        Ok(table)
    }

    /// Scalars go to the VM's stack directly: a `mlua::Value` of each would cost a reference.
    fn set(self, table: &Table, key: impl mlua::IntoLua, value: &Value, depth: usize) -> mlua::Result<()> {
        match value {
            Value::Null => table.raw_set(key, self.shapes.null()),
            Value::Bool(it) => table.raw_set(key, *it),
            Value::String(it) => table.raw_set(key, it.as_str()),
            Value::Number(it) => match double(it) {
                Some(it) => table.raw_set(key, it),
                None => table.raw_set(key, it.to_string()),
            },
            Value::Array(items) => table.raw_set(key, self.array(items, depth + 1)?),
            Value::Object(map) => table.raw_set(key, self.object(map, map.len(), depth + 1)?),
        }
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
