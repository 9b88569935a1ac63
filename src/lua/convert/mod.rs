//! JSON into Lua values and back, by hand: raw access only, budgets before allocation, faults with a path.
//!
//! | JSON | Lua |
//! |---|---|
//! | null | `panotti.json.null`, which is not nil: a key with it exists; but a null field of a record of the host is nil |
//! | array | table with a marker, so that an empty one stays `[]` |
//! | object | table; a new `{}` is an object too |
//! | integer within 2^53, other number | number; an integral number becomes a JSON integer again |
//! | integer beyond 2^53 | string of its digits; it stays a string on the way back |
//!
//! No metamethod ever runs here, so a hostile table can neither loop nor lie.

mod fields;
mod from_lua;
mod to_lua;
mod words;
#[cfg(test)]
mod fuzz;

pub use fields::{Only, fields_to_lua};
pub use from_lua::{Budget, ConvertFault, from_lua};
pub use to_lua::{record_to_lua, to_lua};
pub use words::Words;

use mlua::{Lua, Table, Value};

/// The largest integer up to which a double counts without gaps.
const MAX_SAFE_INTEGER: i64 = 1 << 53;

/// The two values of a VM that JSON needs beyond plain Lua.
#[derive(Clone)]
pub struct Shapes {
    array_meta: Table,
}

impl Shapes {
    /// Makes the shapes of a VM, once, before its sandbox closes.
    pub fn install(lua: &Lua) -> mlua::Result<Shapes> {
        let null_meta = lua.create_table()?;
        null_meta.raw_set("__tostring", lua.create_function(|_, ()| Ok("null"))?)?;
        null_meta.raw_set("__type", "null")?;
        null_meta.raw_set("__metatable", "locked")?;
        null_meta.set_readonly(true);
        lua.set_type_metatable::<mlua::LightUserData>(Some(null_meta));
        let array_meta = lua.create_table()?;
        array_meta.set_readonly(true);
        Ok(Shapes { array_meta })
    }

    /// What stands for JSON's null.
    pub fn null(&self) -> Value {
        Value::NULL
    }

    /// Marks `table` as an array.
    pub fn mark_array(&self, table: &Table) -> mlua::Result<()> {
        table.set_metatable(Some(self.array_meta.clone()))
    }

    /// Whether `table` carries the mark of an array.
    pub fn is_array(&self, table: &Table) -> bool {
        table.has_metatable() && table.metatable().is_some_and(|it| it == self.array_meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn vm() -> (Lua, Shapes) {
        let lua = Lua::new();
        let shapes = Shapes::install(&lua).unwrap();
        lua.globals().raw_set("null", shapes.null()).unwrap();
        (lua, shapes)
    }

    fn read(source: &str) -> Result<serde_json::Value, ConvertFault> {
        let (lua, shapes) = vm();
        let value: Value = lua.load(source).eval().unwrap();
        from_lua(&shapes, &value, Budget::default())
    }

    fn fault(source: &str) -> String {
        read(source).unwrap_err().to_string()
    }

    #[test]
    fn what_crosses_comes_back_the_same() {
        let (lua, shapes) = vm();
        let value = json!({
            "empty_array": [], "empty_object": {}, "null": null, "nested": {"a": [1, [2.5, {"b": null}], []]},
            "text": "ü\u{0}\n", "yes": true, "": -1, "__proto__": {"admin": true}, "a.b": 9007199254740992i64,
        });
        let crossed = to_lua(&lua, &shapes, &value).unwrap();
        assert_eq!(from_lua(&shapes, &crossed, Budget::default()).unwrap(), value);
    }

    #[test]
    fn a_null_field_of_a_record_is_nil_and_free_json_keeps_its_nulls() {
        let (lua, shapes) = vm();
        let value = json!({"title": null, "tracks": {"system": {"codec": null}}, "metadata": {"kept": null}, "list": [null]});
        let crossed = record_to_lua(&lua, &shapes, &value, "metadata", None).unwrap();
        lua.globals().raw_set("it", crossed).unwrap();
        let source = "return it.title == nil, it.tracks.system.codec == nil, it.metadata.kept == null, it.list[1] == null";
        let said: (bool, bool, bool, bool) = lua.load(source).eval().unwrap();
        assert_eq!(said, (true, true, true, true));
    }

    #[test]
    fn integers_that_a_double_cannot_hold_cross_as_strings_and_stay_so() {
        let (lua, shapes) = vm();
        let value = json!({"id": 9007199254740993i64, "max": u64::MAX, "low": i64::MIN});
        let crossed = to_lua(&lua, &shapes, &value).unwrap();
        let back = from_lua(&shapes, &crossed, Budget::default()).unwrap();
        assert_eq!(
            back,
            json!({"id": "9007199254740993", "max": "18446744073709551615", "low": "-9223372036854775808"})
        );
    }

    #[test]
    fn integral_numbers_become_integers_and_large_ones_stay_numbers() {
        assert_eq!(read("return {1.0, -0.0, 2^53, 0.5}").unwrap(), json!([1, 0, 9007199254740992i64, 0.5]));
        assert_eq!(
            read("return {2^63, -2^63, 1e308}").unwrap(),
            json!([9223372036854775808f64, -9223372036854775808f64, 1e308])
        );
    }

    #[test]
    fn a_table_is_an_array_only_when_it_counts_from_one_without_gaps() {
        assert_eq!(read("return {}").unwrap(), json!({}));
        assert_eq!(
            read("local t = {} t[3] = 'c' t[2] = 'b' t[1] = 'a' return t").unwrap(),
            json!(["a", "b", "c"])
        );
        assert_eq!(read("return {['1'] = 'x'}").unwrap(), json!({"1": "x"}));
        assert!(fault("return {a = {1, 2, x = 3}}").starts_with("/a mixes"));
        assert!(fault("return {[1] = 1, [3] = 3}").contains("has holes"));
        assert!(fault("return {[0] = 1}").contains("has holes"));
        assert!(fault("return {[1.5] = 1}").contains("key 1.5"));
        assert!(fault("return {[true] = 1}").contains("boolean"));
        assert!(fault("local t = {} for i = 1, 3 do t[i * 2^40] = true end return t").contains("has holes"));
    }

    #[test]
    fn what_json_cannot_hold_is_named_with_its_path() {
        assert!(
            fault("return {highlights = {{}, {}, {score = 0/0}}}")
                .starts_with("/highlights/3/score is not a number")
        );
        assert!(fault("return {a = -1/0}").starts_with("/a is infinite"));
        assert!(fault("return {f = print}").starts_with("/f is a function"));
        assert!(fault("return {co = coroutine.create(print)}").starts_with("/co is a thread"));
        assert!(fault("return {['a/b~'] = '\\255'}").starts_with("/a~1b~0 is not UTF-8"));
        assert!(fault("return {b = buffer.create(1)}").contains("base64"));
        assert!(fault("return print").starts_with("the value is a function"));
    }

    #[test]
    fn cycles_depth_and_shared_children_end_at_the_budget() {
        assert!(fault("local t = {} t.self = t return t").starts_with("/self contains itself"));
        assert!(
            fault("local t = {} local c = t for i = 1, 200000 do c.x = {} c = c.x end return t")
                .contains("64 levels")
        );
        assert!(fault("local t = {1} for i = 1, 40 do t = {t, t} end return t").contains("100000 values"));
        assert!(fault("local t = {} for i = 1, 200000 do t[i] = 0 end return t").contains("100000 values"));
        assert!(
            fault("local t = {} for i = 1, 200000 do t['k' .. i] = i end return t").contains("100000 values")
        );
        assert!(fault("return {s = string.rep('x', 40 * 2^20)}").starts_with("/s has more than"));
    }

    #[test]
    fn metamethods_never_run() {
        let source = "return setmetatable({a = 1}, {__index = function() error('ran') end, __len = function() error('ran') end,
            __iter = function() error('ran') end, __pairs = function() error('ran') end})";
        assert_eq!(read(source).unwrap(), json!({"a": 1}));
    }

    #[test]
    fn null_is_one_value_that_says_so_and_cannot_be_changed() {
        let (lua, _shapes) = vm();
        let source = "return tostring(null), null == null, null ~= nil, getmetatable(null), typeof(null)";
        let said: (String, bool, bool, String, String) = lua.load(source).eval().unwrap();
        assert_eq!(said, ("null".into(), true, true, "locked".into(), "null".into()));
    }
}
