//! `panotti.time`: the wall clock, the monotonic clock, and RFC 3339.

use mlua::{Table, Value};

use crate::model::time::{MissingOffset, Timestamp};

use super::define::{Build, Reply};
use super::top::senses;

/// Bytes of a text that may be a time.
const MAX_TEXT_BYTES: usize = 256;

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    let senses = senses(build);
    let clock = senses.clone();
    let now = build.function("panotti.time.now", move |_, _, _| Ok(seconds(clock.now_us())))?;
    module.raw_set("now", now)?;
    let clock = senses.clone();
    let monotonic = build.function("panotti.time.monotonic", move |_, _, _| {
        Ok(Reply::Lua(Value::Number(clock.monotonic())))
    })?;
    module.raw_set("monotonic", monotonic)?;
    let parse = build.function("panotti.time.parse", |_, _, args| {
        Ok(match Timestamp::parse(&args.text_up_to("text", MAX_TEXT_BYTES)?, MissingOffset::Utc) {
            Ok(at) => seconds(at.0),
            Err(what) => Reply::Failed { code: "not_time", message: format!("the text {what}") },
        })
    })?;
    module.raw_set("parse", parse)?;
    let format = build.function("panotti.time.format", move |_, _, args| {
        let at = match args.optional_number("seconds")? {
            Some(seconds) => (seconds * 1e6).round() as i64,
            None => senses.now_us(),
        };
        if !(0..=253_402_300_799_999_999).contains(&at) {
            return Err(args.wrong_because("seconds", "must lie between the years 1970 and 9999"));
        }
        Ok(Reply::Bytes(Timestamp(at).to_string().into_bytes()))
    })?;
    module.raw_set("format", format)?;
    Ok(module)
}

fn seconds(us: i64) -> Reply {
    Reply::Lua(Value::Number(us as f64 / 1e6))
}
