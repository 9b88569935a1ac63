//! Lua values as JSON without loss, for what the host answers: what JSON lacks stands in an object with one key that
//! begins with `$`.
//!
//! | Lua | here |
//! |---|---|
//! | nil | `{"$": "nil"}` (`panotti.json.null` is null) |
//! | list without the mark of a JSON array | `{"$list": […]}` |
//! | table with other keys, or with names that begin with `$` | `{"$pairs": [[key, value], …]}` |
//! | string that is no UTF-8, buffer | `{"$bytes": base64}`, `{"$buffer": base64}` |
//! | NaN, infinite, negative zero | `{"$number": "nan"}`, … |
//! | function, thread, object of the host | `{"$": "function"}`: cannot be made again |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mlua::{Lua, Table, Value};
use serde_json::{Map, Number, json};

use crate::lua::convert::Shapes;

/// How deep a value may nest.
const MAX_DEPTH: usize = 64;

/// Integers up to here are written as such.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Why a value was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// There was no room left.
    TooMuch,
    /// It nests too deep, or contains itself.
    TooDeep,
}

impl Lost {
    /// In words.
    pub fn why(&self) -> &'static str {
        match self {
            Lost::TooMuch => "it is larger than what one recorded call may hold (traces.call_kib)",
            Lost::TooDeep => "it nests too deep",
        }
    }
}

/// Writes `value` down; takes what it needs of the bytes in `room`.
///
/// # Errors
/// It does not fit.
pub fn encode(shapes: &Shapes, value: &Value, room: &mut usize) -> Result<serde_json::Value, Lost> {
    Writer { shapes, room }.value(value, 0)
}

struct Writer<'a> {
    shapes: &'a Shapes,
    room: &'a mut usize,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<serde_json::Value, Lost> {
        self.take(8)?;
        Ok(match value {
            Value::Nil => json!({"$": "nil"}),
            it if it.is_null() => serde_json::Value::Null,
            Value::Boolean(it) => (*it).into(),
            Value::Integer(it) => number(*it as f64),
            Value::Number(it) => number(*it),
            Value::String(it) => self.string(&it.as_bytes())?,
            Value::Buffer(it) => {
                self.take(it.len() / 3 * 4)?;
                json!({"$buffer": STANDARD.encode(it.to_vec())})
            }
            Value::Table(it) => self.table(it, depth)?,
            other => json!({"$": other.type_name()}),
        })
    }

    fn string(&mut self, bytes: &[u8]) -> Result<serde_json::Value, Lost> {
        self.take(bytes.len())?;
        Ok(match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => json!({"$bytes": STANDARD.encode(bytes)}),
        })
    }

    fn table(&mut self, table: &Table, depth: usize) -> Result<serde_json::Value, Lost> {
        if depth >= MAX_DEPTH {
            return Err(Lost::TooDeep);
        }
        let mut pairs = Vec::new();
        let mut lost = None;
        let walked = table.for_each(|key: Value, item: Value| {
            let pair = self.value(&key, depth + 1).and_then(|key| Ok((key, self.value(&item, depth + 1)?)));
            match pair {
                Ok(pair) => {
                    pairs.push(pair);
                    Ok(())
                }
                Err(why) => {
                    lost = Some(why);
                    Err(mlua::Error::runtime("stopped"))
                }
            }
        });
        if let Some(lost) = lost {
            return Err(lost);
        }
        walked.map_err(|_| Lost::TooDeep)?;
        let is_array = self.shapes.is_array(table);
        let length = table.raw_len();
        let counts = length == pairs.len()
            && pairs.iter().enumerate().all(|(at, (key, _))| key.as_u64() == Some(at as u64 + 1));
        if is_array && counts {
            return Ok(pairs.into_iter().map(|(_, item)| item).collect());
        }
        if counts && length > 0 {
            let items: Vec<_> = pairs.into_iter().map(|(_, item)| item).collect();
            return Ok(json!({ "$list": items }));
        }
        // Lua's order is by chance; equal tables shall give equal text.
        if !is_array && pairs.iter().all(|(key, _)| key.as_str().is_some_and(|it| !it.starts_with('$'))) {
            pairs.sort_unstable_by(|(one, _), (other, _)| one.as_str().cmp(&other.as_str()));
            let named = pairs.into_iter().filter_map(|(key, item)| match key {
                serde_json::Value::String(key) => Some((key, item)),
                _ => None,
            });
            return Ok(serde_json::Value::Object(named.collect()));
        }
        pairs.sort_by_cached_key(|(key, _)| key.to_string());
        let pairs: Vec<_> = pairs.into_iter().map(|(key, item)| json!([key, item])).collect();
        Ok(json!({ "$pairs": pairs }))
    }

    fn take(&mut self, bytes: usize) -> Result<(), Lost> {
        *self.room = self.room.checked_sub(bytes).ok_or(Lost::TooMuch)?;
        Ok(())
    }
}

fn number(it: f64) -> serde_json::Value {
    if it.fract() == 0.0 && it.abs() <= EXACT && !(it == 0.0 && it.is_sign_negative()) {
        return (it as i64).into();
    }
    match Number::from_f64(it) {
        Some(number) => number.into(),
        None => json!({ "$number": it.to_string() }),
    }
}

/// Makes the Lua value again; none for what cannot be made.
///
/// # Errors
/// The VM has no memory.
pub fn decode(lua: &Lua, shapes: &Shapes, written: &serde_json::Value) -> mlua::Result<Option<Value>> {
    Ok(Some(match written {
        serde_json::Value::Null => shapes.null(),
        serde_json::Value::Bool(it) => Value::Boolean(*it),
        serde_json::Value::Number(it) => Value::Number(it.as_f64().unwrap_or_default()),
        serde_json::Value::String(it) => Value::String(lua.create_string(it)?),
        serde_json::Value::Array(items) => {
            let Some(table) = list(lua, shapes, items)? else { return Ok(None) };
            shapes.mark_array(&table)?;
            Value::Table(table)
        }
        serde_json::Value::Object(map) => match map.iter().next() {
            Some((key, value)) if map.len() == 1 && key.starts_with('$') => {
                return special(lua, shapes, key, value);
            }
            _ => return named(lua, shapes, map),
        },
    }))
}

fn list(lua: &Lua, shapes: &Shapes, items: &[serde_json::Value]) -> mlua::Result<Option<Table>> {
    let table = lua.create_table_with_capacity(items.len(), 0)?;
    for (at, item) in items.iter().enumerate() {
        let Some(item) = decode(lua, shapes, item)? else { return Ok(None) };
        table.raw_set(at + 1, item)?;
    }
    Ok(Some(table))
}

fn named(lua: &Lua, shapes: &Shapes, map: &Map<String, serde_json::Value>) -> mlua::Result<Option<Value>> {
    let table = lua.create_table_with_capacity(0, map.len())?;
    for (key, item) in map {
        let Some(item) = decode(lua, shapes, item)? else { return Ok(None) };
        table.raw_set(key.as_str(), item)?;
    }
    Ok(Some(Value::Table(table)))
}

fn special(lua: &Lua, shapes: &Shapes, key: &str, value: &serde_json::Value) -> mlua::Result<Option<Value>> {
    let bytes = || value.as_str().and_then(|it| STANDARD.decode(it).ok()).unwrap_or_default();
    Ok(match (key, value) {
        ("$", serde_json::Value::String(what)) if what == "nil" => Some(Value::Nil),
        ("$bytes", _) => Some(Value::String(lua.create_string(bytes())?)),
        ("$buffer", _) => Some(Value::Buffer(lua.create_buffer(bytes())?)),
        ("$number", serde_json::Value::String(text)) => text.parse().ok().map(Value::Number),
        ("$list", serde_json::Value::Array(items)) => list(lua, shapes, items)?.map(Value::Table),
        ("$pairs", serde_json::Value::Array(pairs)) => {
            let table = lua.create_table()?;
            for pair in pairs {
                let (key, item) = (decode(lua, shapes, &pair[0])?, decode(lua, shapes, &pair[1])?);
                let (Some(key), Some(item)) = (key, item) else { return Ok(None) };
                table.raw_set(key, item)?;
            }
            Some(Value::Table(table))
        }
        _ => None,
    })
}

/// Whether something in it cannot be made again.
pub fn is_lost(written: &serde_json::Value) -> Option<&str> {
    match written {
        serde_json::Value::Array(items) => items.iter().find_map(is_lost),
        serde_json::Value::Object(map) => match map.get("$") {
            Some(serde_json::Value::String(what)) if map.len() == 1 => {
                (what != "nil").then_some(what.as_str())
            }
            _ => map.values().find_map(is_lost),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn values_come_back_as_they_were() {
        let lua = Lua::new();
        let shapes = Shapes::install(&lua).unwrap();
        let source = "local list = {1, 2.5, 'x'}
            return {
                a = list, b = {}, c = {[1] = 'a', [5] = 'b', x = true}, ['$'] = 'nil', d = '\\255\\0', e = 0/0, f = -1/0,
                g = {['$list'] = {1}}, h = buffer.fromstring('abc'), i = 2^60, j = -0.0, k = {{}, {{1}}}, [2.5] = 'half',
            }";
        let value: Value = lua.load(source).eval().unwrap();
        let write = |it: &Value| encode(&shapes, it, &mut 100_000).unwrap();
        let written = write(&value);
        let again = decode(&lua, &shapes, &written).unwrap().unwrap();
        assert_eq!(write(&again), written);
        assert_eq!(is_lost(&written), None);
        let array =
            crate::lua::convert::to_lua(&lua, &shapes, &json!({"a": [], "b": [null, {"c": []}]})).unwrap();
        assert_eq!(write(&array), json!({"a": [], "b": [null, {"c": []}]}));
        let lost = lua.load("return {a = {print}}").eval().unwrap();
        assert_eq!(is_lost(&write(&lost)), Some("function"));
        assert!(decode(&lua, &shapes, &write(&lost)).unwrap().is_none());
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn what_does_not_fit_is_not_kept() {
        let lua = Lua::new();
        let shapes = Shapes::install(&lua).unwrap();
        let long: Value = lua.load("return string.rep('x', 2000)").eval().unwrap();
        assert_eq!(encode(&shapes, &long, &mut 1000), Err(Lost::TooMuch));
        let round: Value = lua.load("local t = {} t.t = t return t").eval().unwrap();
        assert_eq!(encode(&shapes, &round, &mut 100_000), Err(Lost::TooDeep));
    }
}
