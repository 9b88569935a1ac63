//! Lua into JSON.

use std::ffi::c_void;
use std::fmt;
use std::time::{Duration, Instant};

use mlua::Table;
use serde_json::{Map, Number, Value};

use super::{MAX_SAFE_INTEGER, Shapes};

/// How long one value may take to read; no interrupt reaches that. Debug builds are slow.
const MAX_WALK: Duration = Duration::from_millis(if cfg!(debug_assertions) { 2_000 } else { 150 });

/// How much one value may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Levels of nesting.
    pub depth: usize,
    /// Values in all, tables included; shared tables count every time they are reached.
    pub nodes: usize,
    /// Bytes of strings and keys in all.
    pub text_bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { depth: 64, nodes: 100_000, text_bytes: 1 << 20 }
    }
}

/// Why a value could not become JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvertFault {
    /// Where: keys and Lua's indices (from 1), joined by `/`; empty for the value itself.
    pub path: String,
    /// What is wrong there and what to do instead.
    pub message: String,
    /// Whether there was too much of it, as against a value that has no JSON or nests too deep.
    pub is_limit: bool,
}

impl fmt::Display for ConvertFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the value" } else { &self.path };
        write!(f, "{path} {}", self.message)
    }
}

impl std::error::Error for ConvertFault {}

/// Makes the JSON of `value`.
///
/// # Errors
/// A fault that names the place, when a budget is met or a value has no JSON.
pub fn from_lua(shapes: &Shapes, value: &mlua::Value, budget: Budget) -> Result<Value, ConvertFault> {
    let (nodes, text) = (budget.nodes, budget.text_bytes);
    let mut reader = Reader { shapes, budget, nodes, text, tables: 0, began: None };
    reader.value(value, None)
}

struct Reader<'a> {
    shapes: &'a Shapes,
    budget: Budget,
    nodes: usize,
    text: usize,
    /// Tables inside others.
    tables: usize,
    /// When the second of these was come upon: a table with one inside is walked to its end anyway.
    began: Option<Instant>,
}

/// A table on the way from the root to the value that is read.
struct Parent<'a> {
    table: *const c_void,
    depth: usize,
    above: Option<&'a Parent<'a>>,
}

impl Reader<'_> {
    fn value(&mut self, value: &mlua::Value, above: Option<&Parent<'_>>) -> Result<Value, ConvertFault> {
        let Some(left) = self.nodes.checked_sub(1) else {
            return Err(self.too_many());
        };
        self.nodes = left;
        Ok(match value {
            mlua::Value::Nil => Value::Null,
            it if it.is_null() => Value::Null,
            mlua::Value::Boolean(it) => Value::Bool(*it),
            mlua::Value::Integer(it) => integer(*it),
            mlua::Value::Number(it) => number(*it)?,
            mlua::Value::String(it) => Value::String(self.string(&it.as_bytes())?),
            mlua::Value::Table(it) => self.table(it, above)?,
            mlua::Value::Buffer(_) => {
                return Err(fault(
                    "is a buffer, which JSON cannot hold; encode it with panotti.base64.encode",
                ));
            }
            other => {
                let name = match other.type_name() {
                    name @ ("function" | "thread" | "vector") => name,
                    _ => "host object",
                };
                return Err(fault(format!("is a {name}, which JSON cannot hold; leave it out")));
            }
        })
    }

    fn table(&mut self, table: &Table, above: Option<&Parent<'_>>) -> Result<Value, ConvertFault> {
        let here = Parent { table: table.to_pointer(), depth: above.map_or(1, |it| it.depth + 1), above };
        let mut ancestor = above;
        while let Some(it) = ancestor {
            if it.table == here.table {
                return Err(fault("contains itself; break the cycle"));
            }
            ancestor = it.above;
        }
        if here.depth > self.budget.depth {
            return Err(fault(format!("nests deeper than {} levels; flatten it", self.budget.depth)));
        }
        self.tables += usize::from(above.is_some());
        // A table has room for more than it holds, and walking takes as long as there is room.
        match self.began {
            None if self.tables == 2 => self.began = Some(Instant::now()),
            Some(began) if began.elapsed() > MAX_WALK => {
                let ms = MAX_WALK.as_millis();
                return Err(limit(format!("takes longer than {ms} ms to read; keep less in it")));
            }
            _ => {}
        }
        let mut parts = Parts::default();
        let mut failed = None;
        let walked = table.for_each(|key: mlua::Value, item: mlua::Value| {
            self.entry(&mut parts, &key, &item, &here).map_err(|fault| {
                failed = Some(fault);
                mlua::Error::runtime("stopped")
            })
        });
        if let Some(fault) = failed {
            return Err(fault);
        }
        walked.map_err(|err| fault(format!("cannot be read: {err}")))?;
        parts.finish(|| self.shapes.is_array(table))
    }

    fn entry(
        &mut self,
        parts: &mut Parts,
        key: &mlua::Value,
        item: &mlua::Value,
        here: &Parent<'_>,
    ) -> Result<(), ConvertFault> {
        if self.nodes == 0 {
            return Err(self.too_many());
        }
        match key {
            mlua::Value::Integer(index) => {
                let item = self.value(item, Some(here)).map_err(|it| it.under(&index.to_string()))?;
                if *index == parts.items.len() as i64 + 1 && parts.later.is_empty() {
                    parts.items.push(item);
                } else {
                    parts.later.push((*index, item));
                }
            }
            mlua::Value::String(name) => {
                let name = self.string(&name.as_bytes())?;
                let item = self.value(item, Some(here)).map_err(|it| it.under(&name))?;
                parts.named.insert(name, item);
            }
            mlua::Value::Number(it) => {
                return Err(fault(format!("has the key {it}; keys must be strings, or 1, 2, 3 …")));
            }
            other => {
                let name = other.type_name();
                return Err(fault(format!("has a {name} as a key; keys must be strings, or 1, 2, 3 …")));
            }
        }
        Ok(())
    }

    fn string(&mut self, bytes: &[u8]) -> Result<String, ConvertFault> {
        let Some(left) = self.text.checked_sub(bytes.len()) else {
            let all = self.budget.text_bytes;
            return Err(limit(format!("has more than {all} bytes of text with all before it; keep less")));
        };
        self.text = left;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(fault("is not UTF-8 text; encode bytes with panotti.base64.encode")),
        }
    }

    fn too_many(&self) -> ConvertFault {
        limit(format!("holds more than {} values with all before it; keep less", self.budget.nodes))
    }
}

/// The entries of one table, sorted by what they could make.
#[derive(Default)]
struct Parts {
    /// Values of 1, 2, 3 … as they came in order.
    items: Vec<Value>,
    /// Values of integer keys that came out of order.
    later: Vec<(i64, Value)>,
    named: Map<String, Value>,
}

impl Parts {
    fn finish(mut self, is_marked: impl Fn() -> bool) -> Result<Value, ConvertFault> {
        self.later.sort_unstable_by_key(|(index, _)| *index);
        let has_items = !self.items.is_empty() || !self.later.is_empty();
        if has_items && let Some(name) = self.named.keys().next() {
            return Err(fault(format!(
                "mixes list items with the key '{}'; use one or the other",
                cut(name)
            )));
        }
        for (index, item) in self.later {
            if index != self.items.len() as i64 + 1 {
                let next = self.items.len() + 1;
                return Err(fault(format!(
                    "has holes: there is [{index}] but no [{next}]; fill them with panotti.json.null, or use string keys"
                )));
            }
            self.items.push(item);
        }
        if has_items || (self.named.is_empty() && is_marked()) {
            return Ok(Value::Array(self.items));
        }
        // Lua's order is by chance; equal tables shall give equal text.
        if self.named.len() > 1 {
            self.named.sort_keys();
        }
        Ok(Value::Object(self.named))
    }
}

impl ConvertFault {
    /// The same fault, seen from one level above.
    fn under(mut self, key: &str) -> Self {
        let key = cut(key).replace('~', "~0").replace('/', "~1");
        self.path.insert_str(0, &key);
        self.path.insert(0, '/');
        self
    }
}

fn cut(name: &str) -> String {
    match name.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

fn integer(it: i64) -> Value {
    if (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(&it) {
        return it.into();
    }
    let double = it as f64;
    // Luau's 64-bit integers are exact where a double is not.
    if double as i128 == i128::from(it) { double.into() } else { it.to_string().into() }
}

fn number(it: f64) -> Result<Value, ConvertFault> {
    if it.is_nan() {
        return Err(fault("is not a number (NaN), which JSON cannot hold; use panotti.json.null"));
    }
    // A value that was never in a VM has not been made an integer there.
    if it.fract() == 0.0 && it.abs() <= MAX_SAFE_INTEGER as f64 {
        return Ok((it as i64).into());
    }
    let number = Number::from_f64(it)
        .ok_or_else(|| fault("is infinite, which JSON cannot hold; use panotti.json.null"))?;
    Ok(Value::Number(number))
}

fn fault(message: impl Into<String>) -> ConvertFault {
    ConvertFault { path: String::new(), message: message.into(), is_limit: false }
}

fn limit(message: impl Into<String>) -> ConvertFault {
    ConvertFault { is_limit: true, ..fault(message) }
}
