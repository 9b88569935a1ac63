//! Values of Lua as those of SQL, and back.

use mlua::{Lua, Table, Value};

use crate::lua::api::args::Args;
use crate::lua::api::define::Raise;
use crate::lua::context::ApiContext;
use crate::lua::quota::Place;
use crate::services::databases::{Answer, Params, SqlValue};

/// Parameters of one statement.
const MAX_PARAMS: usize = 1_000;

/// The largest integer up to which a double counts without gaps.
const MAX_SAFE_INTEGER: i64 = 1 << 53;

/// Reads what is to be bound: nothing, a list, or named values; with the place that their copies take.
pub(super) fn params(ctx: &ApiContext, args: &mut Args) -> Result<(Params, Place), Raise> {
    let table = match args.any() {
        Value::Nil => return Ok((Params::None, args.hold(ctx, "params", 0)?)),
        Value::Table(it) => it,
        other => {
            return Err(args.wrong_because("params", &format!("must be a table, got {}", other.type_name())));
        }
    };
    let (mut list, mut named, mut bytes) = (Vec::new(), Vec::new(), 0);
    table.for_each(|key: Value, value: Value| {
        bytes += match &value {
            Value::String(text) => text.as_bytes().len(),
            Value::Buffer(buffer) => buffer.len(),
            _ => size_of::<SqlValue>(),
        };
        match key {
            Value::String(name) => named.push((name.to_string_lossy(), value)),
            Value::Integer(at) => list.push((at as f64, value)),
            Value::Number(at) => list.push((at, value)),
            _ => list.push((f64::NAN, value)),
        }
        match list.len() + named.len() > MAX_PARAMS {
            true => Err(mlua::Error::runtime(format!("params has more than {MAX_PARAMS} values"))),
            false => Ok(()),
        }
    })?;
    let held = args.hold(ctx, "params", bytes)?;
    let params = match (list.is_empty(), named.is_empty()) {
        (false, false) => return Err(args.wrong_because("params", "mixes a list with named values")),
        (_, true) => positional(args, list)?,
        (true, false) => {
            let mut made = Vec::with_capacity(named.len());
            for (name, value) in named {
                let value = to_sql(args, &format!("params.{name}"), &value)?;
                made.push((name, value));
            }
            Params::Named(made)
        }
    };
    Ok((params, held))
}

/// Values by their places; those between that are nil are NULL.
fn positional(args: &Args, list: Vec<(f64, Value)>) -> Result<Params, Raise> {
    let mut made = Vec::with_capacity(list.len());
    for (at, value) in list {
        if !(at.fract() == 0.0 && (1.0..=MAX_PARAMS as f64).contains(&at)) {
            return Err(
                args.wrong_because("params", &format!("must have keys from 1 to {MAX_PARAMS}, or names"))
            );
        }
        let at = at as usize;
        if made.len() < at {
            made.resize(at, SqlValue::Null);
        }
        made[at - 1] = to_sql(args, &format!("params[{at}]"), &value)?;
    }
    Ok(Params::List(made))
}

fn to_sql(args: &Args, name: &str, value: &Value) -> Result<SqlValue, Raise> {
    Ok(match value {
        value if value.is_null() || value.is_nil() => SqlValue::Null,
        Value::Boolean(it) => SqlValue::Integer(i64::from(*it)),
        Value::Integer(it) => SqlValue::Integer(*it),
        // Below 2^63 every whole double is an integer without loss.
        Value::Number(it) if it.fract() == 0.0 && it.abs() < 9.2e18 => SqlValue::Integer(*it as i64),
        Value::Number(it) if it.is_nan() => return Err(args.wrong_because(name, "is not a number (NaN)")),
        Value::Number(it) => SqlValue::Real(*it),
        Value::String(it) => {
            let bytes = it.as_bytes().to_vec();
            if it.to_str().is_ok() { SqlValue::Text(bytes) } else { SqlValue::Blob(bytes) }
        }
        Value::Buffer(it) => SqlValue::Blob(it.to_vec()),
        other => {
            let what = format!(
                "cannot be bound: it is a {}; bind numbers, strings, booleans, buffers and nil",
                other.type_name()
            );
            return Err(args.wrong_because(name, &what));
        }
    })
}

/// The rows of an answer, each a table by column name.
pub(super) fn rows(lua: &Lua, answer: &Answer) -> mlua::Result<Value> {
    let columns = answer.columns.iter().map(|it| lua.create_string(it)).collect::<mlua::Result<Vec<_>>>()?;
    let rows = lua.create_table_with_capacity(answer.rows.len(), 0)?;
    for values in &answer.rows {
        let row = lua.create_table_with_capacity(0, columns.len())?;
        for (column, value) in columns.iter().zip(values) {
            row.raw_set(column, to_lua(lua, value)?)?;
        }
        rows.raw_push(row)?;
    }
    Ok(Value::Table(rows))
}

/// What a statement changed.
pub(super) fn changes(lua: &Lua, answer: &Answer) -> mlua::Result<Value> {
    let table: Table = lua.create_table_with_capacity(0, 2)?;
    table.raw_set("changes", answer.changes as f64)?;
    if let Some(id) = answer.last_insert_id {
        table.raw_set("last_insert_id", to_lua(lua, &SqlValue::Integer(id))?)?;
    }
    Ok(Value::Table(table))
}

fn to_lua(lua: &Lua, value: &SqlValue) -> mlua::Result<Value> {
    Ok(match value {
        SqlValue::Null => Value::Nil,
        SqlValue::Integer(it) if it.unsigned_abs() <= MAX_SAFE_INTEGER.unsigned_abs() => {
            Value::Number(*it as f64)
        }
        SqlValue::Integer(it) => Value::String(lua.create_string(it.to_string())?),
        SqlValue::Real(it) => Value::Number(*it),
        SqlValue::Text(it) | SqlValue::Blob(it) => Value::String(lua.create_string(it)?),
    })
}
