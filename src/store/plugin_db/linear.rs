//! `instr`, `replace` and `trim` in linear time. Nothing stops SQLite within one function, and its own ones work
//! through (length of one text) x (length of the other).

use std::collections::HashSet;

use memchr::memmem;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result, ffi};

use super::open::MAX_VALUE_BYTES;

/// Puts them into a connection, in place of SQLite's.
pub(super) fn install(connection: &Connection) -> Result<()> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("instr", 2, flags, instr)?;
    connection.create_scalar_function("replace", 3, flags, replace)?;
    for (name, left, right) in [("trim", true, true), ("ltrim", true, false), ("rtrim", false, true)] {
        connection.create_scalar_function(name, 2, flags, move |ctx| trim(ctx, left, right))?;
    }
    Ok(())
}

/// The bytes of an argument as text; none for NULL.
fn text<'a>(value: ValueRef<'a>, made: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    match value {
        ValueRef::Null => return None,
        ValueRef::Text(it) | ValueRef::Blob(it) => return Some(it),
        ValueRef::Integer(it) => *made = it.to_string().into_bytes(),
        ValueRef::Real(it) => *made = format!("{it:?}").into_bytes(),
    }
    Some(made)
}

fn instr(ctx: &Context<'_>) -> Result<Option<i64>> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let (whole, part) = (ctx.get_raw(0), ctx.get_raw(1));
    let blobs = matches!((&whole, &part), (ValueRef::Blob(_), ValueRef::Blob(_)));
    let (Some(whole), Some(part)) = (text(whole, &mut a), text(part, &mut b)) else { return Ok(None) };
    Ok(Some(match memmem::find(whole, part) {
        None => 0,
        Some(at) if blobs => at as i64 + 1,
        Some(at) => chars(&whole[..at]) + 1,
    }))
}

/// Characters, as SQLite counts them: every byte that does not go on with one.
fn chars(bytes: &[u8]) -> i64 {
    bytes.iter().filter(|it| **it & 0xc0 != 0x80).count() as i64
}

fn replace(ctx: &Context<'_>) -> Result<Value> {
    let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
    let whole = text(ctx.get_raw(0), &mut a);
    let (part, with) = (text(ctx.get_raw(1), &mut b), text(ctx.get_raw(2), &mut c));
    let (Some(whole), Some(part), Some(with)) = (whole, part, with) else { return Ok(Value::Null) };
    if part.is_empty() {
        return Ok(as_text(whole.to_vec()));
    }
    let mut made = Vec::with_capacity(whole.len());
    let mut from = 0;
    for at in memmem::find_iter(whole, part) {
        made.extend_from_slice(&whole[from..at]);
        made.extend_from_slice(with);
        from = at + part.len();
        if made.len() > MAX_VALUE_BYTES as usize {
            return Err(too_big());
        }
    }
    made.extend_from_slice(&whole[from..]);
    Ok(as_text(made))
}

fn trim(ctx: &Context<'_>, left: bool, right: bool) -> Result<Value> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let (Some(whole), Some(set)) = (text(ctx.get_raw(0), &mut a), text(ctx.get_raw(1), &mut b)) else {
        return Ok(Value::Null);
    };
    let (whole, set) = (String::from_utf8_lossy(whole), String::from_utf8_lossy(set));
    let set: HashSet<char> = set.chars().collect();
    let mut kept: &str = &whole;
    if left {
        kept = kept.trim_start_matches(|it| set.contains(&it));
    }
    if right {
        kept = kept.trim_end_matches(|it| set.contains(&it));
    }
    Ok(Value::Text(kept.to_owned()))
}

fn as_text(bytes: Vec<u8>) -> Value {
    String::from_utf8(bytes).map_or_else(|it| Value::Blob(it.into_bytes()), Value::Text)
}

fn too_big() -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), Some("string or blob too big".to_owned()))
}
