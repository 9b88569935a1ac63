//! The arguments of a host function, taken one by one and checked with their names.

use mlua::{Function, Lua, LuaString, MultiValue, Table, Value};

use crate::lua::context::ApiContext;
use crate::lua::convert::{Budget, Shapes, from_lua};
use crate::lua::quota::{Place, Quota};

use super::define::{Outcome, Raise, Reply};
use super::permit;
use super::stubs::find_similar;

/// The arguments that are still to be read.
pub struct Args<'a> {
    lua: &'a Lua,
    function: &'static str,
    shapes: &'a Shapes,
    values: MultiValue,
    taken: usize,
}

impl<'a> Args<'a> {
    /// The arguments of a call of `function`.
    pub fn new(lua: &'a Lua, function: &'static str, shapes: &'a Shapes, values: MultiValue) -> Self {
        Args { lua, function, shapes, values, taken: 0 }
    }

    /// Opens the door behind `permission` (for `part`, when only some of it is asked), or says what to ask for.
    ///
    /// # Errors
    /// The plugin lacks it; the call is marked and the admin's log told of it.
    pub fn permit(&self, ctx: &ApiContext, permission: &str, part: Option<&str>) -> Result<(), Raise> {
        let allowed = match part {
            Some(part) => ctx.permissions.allows(permission, part),
            None => ctx.permissions.has(permission),
        };
        match allowed || permit::learns(ctx, permission, part) {
            true => Ok(()),
            false => Err(Raise::Denied(permit::deny(ctx, self.lua, self.function, permission, part))),
        }
    }

    /// Notes that `permission` is missing, for a door that was tried; what to tell the script.
    pub fn refuse(&self, ctx: &ApiContext, permission: &str, part: Option<&str>) -> String {
        permit::deny(ctx, self.lua, self.function, permission, part)
    }

    /// What a door that may turn out to be shut only later will have to tell.
    pub fn shut(&self, ctx: &ApiContext, permission: &'static str) -> permit::Shut {
        permit::shut(ctx, self.lua, self.function, permission)
    }

    /// JSON's null and arrays.
    pub fn shapes(&self) -> &'a Shapes {
        self.shapes
    }

    /// The function's own name, as messages tell it.
    pub fn function(&self) -> &'static str {
        self.function
    }

    /// The next argument as it is; nil when there are no more.
    pub fn any(&mut self) -> Value {
        self.taken += 1;
        self.values.pop_front().unwrap_or(Value::Nil)
    }

    /// Counts the next argument as the first: those before it were not the script's own.
    pub fn count_anew(&mut self) {
        self.taken = 0;
    }

    /// How many arguments are left.
    pub fn left(&self) -> usize {
        self.values.len()
    }

    /// A string of bytes.
    pub fn bytes(&mut self, name: &str) -> Result<LuaString, Raise> {
        match self.any() {
            Value::String(it) => Ok(it),
            other => Err(self.wrong(name, "a string", &other)),
        }
    }

    /// Text.
    pub fn text(&mut self, name: &str) -> Result<String, Raise> {
        let bytes = self.bytes(name)?;
        let text = bytes.to_str().map(|it| it.to_owned());
        text.map_err(|_| self.wrong_because(name, "must be UTF-8 text"))
    }

    /// A string of at most `max` bytes: what works through it cannot be interrupted.
    pub fn bytes_up_to(&mut self, name: &str, max: usize) -> Result<LuaString, Raise> {
        let bytes = self.bytes(name)?;
        match bytes.as_bytes().len() {
            length if length > max => Err(Raise::Limit(format!(
                "argument {} ({name}) has {length} bytes; at most {max} are taken at once",
                self.taken
            ))),
            _ => Ok(bytes),
        }
    }

    /// Text of at most `max` bytes.
    pub fn text_up_to(&mut self, name: &str, max: usize) -> Result<String, Raise> {
        let bytes = self.bytes_up_to(name, max)?;
        let text = bytes.to_str().map(|it| it.to_owned());
        text.map_err(|_| self.wrong_because(name, "must be UTF-8 text"))
    }

    /// Text, or nothing.
    pub fn optional_text(&mut self, name: &str) -> Result<Option<String>, Raise> {
        match self.values.front() {
            None | Some(Value::Nil) => {
                self.any();
                Ok(None)
            }
            Some(_) => self.text(name).map(Some),
        }
    }

    /// A finite number.
    pub fn number(&mut self, name: &str) -> Result<f64, Raise> {
        match self.optional_number(name)? {
            Some(it) => Ok(it),
            None => Err(self.wrong(name, "a number", &Value::Nil)),
        }
    }

    /// A finite number, or nothing.
    pub fn optional_number(&mut self, name: &str) -> Result<Option<f64>, Raise> {
        match self.any() {
            Value::Nil => Ok(None),
            Value::Integer(it) => Ok(Some(it as f64)),
            Value::Number(it) if it.is_finite() => Ok(Some(it)),
            Value::Number(it) => Err(self.wrong_because(name, &format!("must be finite, got {it}"))),
            other => Err(self.wrong(name, "a number", &other)),
        }
    }

    /// A function.
    pub fn callback(&mut self, name: &str) -> Result<Function, Raise> {
        match self.any() {
            Value::Function(it) => Ok(it),
            other => Err(self.wrong(name, "a function", &other)),
        }
    }

    /// A table as it is.
    pub fn table(&mut self, name: &str) -> Result<Table, Raise> {
        match self.any() {
            Value::Table(it) => Ok(it),
            other => Err(self.wrong(name, "a table", &other)),
        }
    }

    /// Anything that has a JSON; nil is null.
    pub fn json(&mut self, name: &str) -> Result<serde_json::Value, Raise> {
        let value = self.any();
        self.convert(name, &value)
    }

    /// Anything that has a JSON, or nothing.
    pub fn optional_json(&mut self, name: &str) -> Result<Option<serde_json::Value>, Raise> {
        match self.any() {
            Value::Nil => Ok(None),
            value => self.convert(name, &value).map(Some),
        }
    }

    /// A table of named values.
    pub fn object(&mut self, name: &str) -> Result<serde_json::Map<String, serde_json::Value>, Raise> {
        match self.json(name)? {
            serde_json::Value::Object(map) => Ok(map),
            other => {
                Err(self
                    .wrong_because(name, &format!("must be a table of named values, got {}", kind(&other))))
            }
        }
    }

    /// The VM that calls.
    pub fn lua(&self) -> &'a Lua {
        self.lua
    }

    /// Counts `bytes` of the argument read last as held by the host until the place is dropped: no VM's memory counts
    /// that copy.
    ///
    /// # Errors
    /// The plugin has handed over as much as its memory may be.
    pub fn hold(&self, ctx: &ApiContext, name: &str, bytes: usize) -> Result<Place, Raise> {
        let most = Quota::HeldBytes.limit(&ctx.limits);
        ctx.quotas.take_many(Quota::HeldBytes, bytes as u64, most).ok_or_else(|| {
            Raise::Limit(format!(
                "argument {} ({name}): the host still works on {} bytes of this plugin; with {bytes} more it would be past \
                 limits.memory_mib = {}; wait for what is under way",
                self.taken,
                ctx.quotas.read(Quota::HeldBytes).used,
                ctx.limits.memory_mib
            ))
        })
    }

    /// A table of named values, or nothing; a name that is not `known` raises.
    pub fn options(&mut self, name: &str, known: &[&str]) -> Result<Options, Raise> {
        let value = self.any();
        self.options_of(name, value, known)
    }

    /// [`Args::options`] of a value that was read already.
    pub fn options_of(&self, name: &str, value: Value, known: &[&str]) -> Result<Options, Raise> {
        let map = match &value {
            Value::Nil => serde_json::Map::new(),
            Value::Table(_) => match self.convert(name, &value)? {
                serde_json::Value::Object(map) => map,
                _ => return Err(self.wrong_because(name, "must be a table of named values, got a list")),
            },
            other => return Err(self.wrong(name, "a table", other)),
        };
        if let Some(key) = map.keys().find(|key| !known.contains(&key.as_str())) {
            let near = match find_similar(key, known.iter().copied()) {
                Some(near) => format!(" (did you mean '{near}'?)"),
                None => format!("; known: {}", known.join(", ")),
            };
            return Err(self.wrong_because(name, &format!("has an unknown key '{key}'{near}")));
        }
        Ok(Options { name: name.to_owned(), position: self.taken, map })
    }

    /// A fault of the argument that was read last.
    pub fn wrong_because(&self, name: &str, what: &str) -> Raise {
        Raise::Wrong(format!("argument {} ({name}) {what}", self.taken))
    }

    /// `reply`, unless arguments are left over.
    pub fn finish(&self, reply: Reply) -> Outcome {
        self.check_end().map(|()| reply)
    }

    /// Raises when arguments are left over.
    pub fn check_end(&self) -> Result<(), Raise> {
        if self.values.iter().all(Value::is_nil) {
            return Ok(());
        }
        Err(Raise::Wrong(format!("takes {} arguments, got {}", self.taken, self.taken + self.values.len())))
    }

    fn convert(&self, name: &str, value: &Value) -> Result<serde_json::Value, Raise> {
        from_lua(self.shapes, value, Budget::default()).map_err(|fault| {
            let text = format!("argument {} ({name}): {fault}", self.taken);
            if fault.is_limit { Raise::Limit(text) } else { Raise::Convert(text) }
        })
    }

    fn wrong(&self, name: &str, wanted: &str, got: &Value) -> Raise {
        let got = match got {
            Value::Integer(_) => "number",
            it if it.is_null() => "json.null",
            it => it.type_name(),
        };
        self.wrong_because(name, &format!("must be {wanted}, got {got}"))
    }
}

/// Named options, read one by one.
pub struct Options {
    name: String,
    position: usize,
    map: serde_json::Map<String, serde_json::Value>,
}

impl Options {
    /// A number that is at least `min`.
    pub fn number(&self, key: &str, min: f64) -> Result<Option<f64>, Raise> {
        match self.map.get(key) {
            None | Some(serde_json::Value::Null) => Ok(None),
            Some(value) => match value.as_f64() {
                Some(it) if it >= min => Ok(Some(it)),
                Some(it) => Err(self.wrong(key, &format!("must be at least {min}, got {it}"))),
                None => Err(self.wrong(key, &format!("must be a number, got {}", kind(value)))),
            },
        }
    }

    /// A whole number within bounds.
    pub fn integer(&self, key: &str, bounds: std::ops::RangeInclusive<i64>) -> Result<Option<i64>, Raise> {
        match self.map.get(key) {
            None | Some(serde_json::Value::Null) => Ok(None),
            Some(value) => match value.as_i64() {
                Some(it) if bounds.contains(&it) => Ok(Some(it)),
                _ => {
                    let (least, most) = (bounds.start(), bounds.end());
                    Err(self
                        .wrong(key, &format!("must be a whole number from {least} to {most}, got {value}")))
                }
            },
        }
    }

    /// Text.
    pub fn text(&self, key: &str) -> Result<Option<&str>, Raise> {
        match self.map.get(key) {
            None | Some(serde_json::Value::Null) => Ok(None),
            Some(serde_json::Value::String(it)) => Ok(Some(it)),
            Some(other) => Err(self.wrong(key, &format!("must be a string, got {}", kind(other)))),
        }
    }

    /// True or false.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, Raise> {
        match self.map.get(key) {
            None | Some(serde_json::Value::Null) => Ok(None),
            Some(serde_json::Value::Bool(it)) => Ok(Some(*it)),
            Some(other) => Err(self.wrong(key, &format!("must be true or false, got {}", kind(other)))),
        }
    }

    /// Any value.
    pub fn get(&self, key: &str) -> Option<&serde_json::Value> {
        self.map.get(key)
    }

    /// A fault of one option.
    pub fn wrong(&self, key: &str, what: &str) -> Raise {
        Raise::Wrong(format!("argument {} ({}.{key}) {what}", self.position, self.name))
    }

    /// All of them.
    pub fn into_map(self) -> serde_json::Map<String, serde_json::Value> {
        self.map
    }
}

fn kind(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "nil or json.null",
        serde_json::Value::Bool(_) => "boolean",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Array(_) => "list",
        serde_json::Value::Object(_) => "table",
    }
}
