//! `panotti.regex`: regular expressions that cannot backtrack.
//!
//! A search takes (length of the text) x (size of the compiled pattern) at worst and no interrupt reaches it,
//! so that product is bounded (times the number of groups, where they are asked for), and what walks over all matches looks at the time between two of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlua::{Lua, MultiValue, Table, Value};
use parking_lot::Mutex;
use regex::bytes::{Captures, Regex, RegexBuilder};
use regex_automata::util::interpolate;

use super::args::Args;
use super::define::{Build, Outcome, Raise, Reply};

/// Sizes a compiled pattern may have; the smallest that does is taken.
const SIZES_BYTES: [usize; 4] = [16 << 10, 64 << 10, 256 << 10, 1 << 20];
/// Size of the pattern x length of the text.
const MAX_WORK: usize = 1 << 36;
/// How long one walk over all matches may take.
const MAX_WALK: Duration = Duration::from_millis(200);
/// Compiled patterns a VM keeps.
const MAX_KEPT: usize = 64;
/// Bytes of a pattern's text.
const MAX_PATTERN_BYTES: usize = 4096;

struct Compiled {
    pattern: String,
    regex: Regex,
    size_bytes: usize,
}

/// The patterns compiled last, the latest at the front.
type Kept = Arc<Mutex<VecDeque<Arc<Compiled>>>>;

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    let kept = Kept::default();
    let add = |name: &str,
               path: &'static str,
               with_groups: bool,
               body: fn(&Lua, &Regex, &[u8], &mut Args) -> Outcome| {
        let kept = kept.clone();
        let function = build.function(path, move |lua, _, args| {
            let pattern = args.text("pattern")?;
            let compiled = compile(&kept, &pattern).map_err(|what| args.wrong_because("pattern", &what))?;
            let text = args.bytes("text")?;
            let text = text.as_bytes();
            // Each state of the search keeps the places of all groups.
            let groups = if with_groups { compiled.regex.captures_len().div_ceil(2) } else { 1 };
            let most = MAX_WORK / compiled.size_bytes / groups;
            if text.len() > most {
                return Err(Raise::Limit(format!(
                    "the text is longer than {most} bytes, the most for so large a pattern; search it in parts, \
                     or begin the pattern with (?-u) when it is about ASCII"
                )));
            }
            body(lua, &compiled.regex, &text, args)
        })?;
        module.raw_set(name, function)
    };
    add("is_match", "panotti.regex.is_match", false, |_, regex, text, _| {
        Ok(Reply::Lua(Value::Boolean(regex.is_match(text))))
    })?;
    add("find", "panotti.regex.find", false, |_, regex, text, args| {
        let from = match args.optional_number("init")?.unwrap_or(1.0) {
            it if it >= 1.0 => it as usize - 1,
            it => return Err(args.wrong_because("init", &format!("must be at least 1, got {it}"))),
        };
        if from > text.len() {
            return Ok(Reply::Lua(Value::Nil));
        }
        Ok(match regex.find_at(text, from) {
            Some(it) => {
                let ends = [it.start() + 1, it.end()].map(|at| Value::Number(at as f64));
                Reply::Several(MultiValue::from_iter(ends))
            }
            None => Reply::Lua(Value::Nil),
        })
    })?;
    add("match", "panotti.regex.match", true, |lua, regex, text, _| match regex.captures(text) {
        Some(captures) => Ok(Reply::Lua(Value::Table(groups(lua, regex, &captures)?))),
        None => Ok(Reply::Lua(Value::Nil)),
    })?;
    add("match_all", "panotti.regex.match_all", true, |lua, regex, text, args| {
        let limit = limit(args)?;
        let list = lua.create_table()?;
        let clock = Instant::now();
        for captures in regex.captures_iter(text).take(limit) {
            check(clock)?;
            list.raw_push(groups(lua, regex, &captures)?)?;
        }
        Ok(Reply::Lua(Value::Table(list)))
    })?;
    add("replace", "panotti.regex.replace", true, |_, regex, text, args| {
        let with = args.bytes("replacement")?;
        let (with, limit) = (with.as_bytes(), limit(args)?);
        let mut out = Vec::with_capacity(text.len());
        let mut from = 0;
        let clock = Instant::now();
        for captures in regex.captures_iter(text).take(limit) {
            check(clock)?;
            let Some(whole) = captures.get(0) else { continue };
            append(&mut out, &text[from..whole.start()])?;
            expand(&captures, &with, &mut out)?;
            from = whole.end();
        }
        append(&mut out, &text[from..])?;
        Ok(Reply::Bytes(out))
    })?;
    add("split", "panotti.regex.split", false, |lua, regex, text, args| {
        let limit = limit(args)?;
        let list = lua.create_table()?;
        let clock = Instant::now();
        for part in regex.splitn(text, limit) {
            check(clock)?;
            list.raw_push(lua.create_string(part)?)?;
        }
        Ok(Reply::Lua(Value::Table(list)))
    })?;
    let escape = build.function("panotti.regex.escape", |_, _, args| {
        Ok(Reply::Bytes(regex::escape(&args.text_up_to("text", MAX_PATTERN_BYTES)?).into_bytes()))
    })?;
    module.raw_set("escape", escape)?;
    Ok(module)
}

/// Bytes that a replacement may make.
const MAX_REPLACED_BYTES: usize = 16 << 20;

/// Puts the groups into the replacement; a few bytes of it may stand for a long group many times.
fn expand(captures: &Captures<'_>, with: &[u8], out: &mut Vec<u8>) -> Result<(), Raise> {
    let mut done = Ok(());
    let group = |index: usize, out: &mut Vec<u8>| {
        if let (Ok(()), Some(group)) = (&done, captures.get(index)) {
            done = append(out, group.as_bytes());
        }
    };
    let index_of = |name: &str| {
        let found = captures.name(name)?;
        (0..captures.len()).find(|it| captures.get(*it).is_some_and(|it| it.range() == found.range()))
    };
    interpolate::bytes(with, group, index_of, out);
    done?;
    append(out, &[])
}

fn append(out: &mut Vec<u8>, more: &[u8]) -> Result<(), Raise> {
    if out.len() + more.len() > MAX_REPLACED_BYTES {
        return Err(Raise::Limit(format!("the result is longer than {MAX_REPLACED_BYTES} bytes")));
    }
    out.extend_from_slice(more);
    Ok(())
}

fn compile(kept: &Kept, pattern: &str) -> Result<Arc<Compiled>, String> {
    let mut kept = kept.lock();
    if let Some(at) = kept.iter().position(|it| it.pattern == pattern)
        && let Some(it) = kept.remove(at)
    {
        kept.push_front(it.clone());
        return Ok(it);
    }
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(format!("is longer than {MAX_PATTERN_BYTES} bytes"));
    }
    let mut last = None;
    for size_bytes in SIZES_BYTES {
        let built = RegexBuilder::new(pattern).size_limit(size_bytes).dfa_size_limit(1 << 20).build();
        match built {
            Ok(regex) => {
                let compiled = Arc::new(Compiled { pattern: pattern.to_owned(), regex, size_bytes });
                kept.push_front(compiled.clone());
                kept.truncate(MAX_KEPT);
                return Ok(compiled);
            }
            Err(err @ regex::Error::CompiledTooBig(_)) => last = Some(err),
            Err(err) => return Err(format!("is not a regular expression: {err}")),
        }
    }
    Err(last.map_or_else(String::new, |err| format!("cannot be used: {err}")))
}

/// `[0]` the whole match, then the groups; named ones under their names too. A group that took no part is nil.
fn groups(lua: &Lua, regex: &Regex, captures: &Captures<'_>) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(captures.len(), 1)?;
    for (index, group) in captures.iter().enumerate() {
        if let Some(group) = group {
            table.raw_set(index, lua.create_string(group.as_bytes())?)?;
        }
    }
    for name in regex.capture_names().flatten() {
        if let Some(group) = captures.name(name) {
            table.raw_set(name, lua.create_string(group.as_bytes())?)?;
        }
    }
    Ok(table)
}

fn limit(args: &mut Args) -> Result<usize, Raise> {
    match args.optional_number("limit")? {
        None => Ok(usize::MAX),
        Some(it) if it >= 1.0 => Ok(it as usize),
        Some(it) => Err(args.wrong_because("limit", &format!("must be at least 1, got {it}"))),
    }
}

fn check(clock: Instant) -> Result<(), Raise> {
    if clock.elapsed() > MAX_WALK {
        return Err(Raise::Limit("took longer than 0.2 s; search a shorter text".to_owned()));
    }
    Ok(())
}
