//! Closes the standard library of a VM: bounds what an interrupt cannot reach, takes away what is not for plugins.

use memchr::memmem;
use mlua::{Function, Lua, LuaString, MultiValue, StdLib, Table, Value};

use super::context::{Mark, current_call};
use super::prelude::Part;
use super::watchdog;

/// The standard libraries of a VM: no vectors, no 64-bit integer type, nothing of the machine.
pub fn libraries() -> StdLib {
    StdLib::COROUTINE
        | StdLib::TABLE
        | StdLib::OS
        | StdLib::STRING
        | StdLib::UTF8
        | StdLib::BIT
        | StdLib::MATH
        | StdLib::BUFFER
        | StdLib::DEBUG
}

static PRELUDE: Part = Part::new("guards", include_str!("../../scripts/prelude/guards.luau"));

/// What ordinary Lua scripts reach for and do not find here, and what to use instead.
const MISSING: &[(&str, &str)] = &[
    ("io", "files are in panotti.fs, values that are kept in panotti.kv, what is said in panotti.log"),
    ("os.execute", "programs the admin has granted run with panotti.process.run"),
    (
        "os.getenv",
        "settings come from panotti.config; plugin.yaml may take them from the environment with ${NAME}",
    ),
    ("os.remove", "panotti.fs has the plugin's own files"),
    ("os.rename", "panotti.fs has the plugin's own files"),
    ("os.tmpname", "panotti.fs has the plugin's own files"),
    ("os.exit", "return from the hook instead; a plugin cannot stop the server"),
    ("os.setlocale", "the locale is always C"),
    ("package", "require finds the plugin's own modules and those in lua_modules/"),
    ("load", "code is not compiled at run time; put it into a module and require it"),
    ("loadstring", "code is not compiled at run time; put it into a module and require it"),
    ("loadfile", "use require"),
    ("dofile", "use require"),
    ("getfenv", "environments are fixed; pass values as arguments"),
    ("setfenv", "environments are fixed; pass values as arguments"),
    ("newproxy", "use a table with a metatable"),
    ("gcinfo", "use collectgarbage(\"count\")"),
    ("debug.getinfo", "use debug.traceback()"),
    ("debug.info", "use debug.traceback()"),
    ("debug.sethook", "the host stops scripts that run too long"),
    ("debug.getlocal", "use debug.traceback()"),
    ("debug.getupvalue", "use debug.traceback()"),
    ("string.dump", "there is no bytecode"),
];

/// Installs the guards into a fresh VM made with [`libraries`], before `sandbox(true)`.
pub fn install(lua: &Lua) -> mlua::Result<()> {
    let globals = lua.globals();
    let limit = lua.create_function(|lua, ()| {
        if let Some(call) = current_call(lua) {
            call.mark(Mark::Limit);
        }
        Ok(())
    })?;
    let unless_large = lua.create_function(|lua, (name, plain, careful): (String, Function, Function)| {
        let known = [c"find", c"match", c"gmatch", c"gsub", c"split"];
        let name = known.into_iter().find(|it| it.to_bytes() == name.as_bytes());
        let name = name.ok_or_else(|| mlua::Error::runtime("no such function is guarded"))?;
        watchdog::unless_large(lua, name, plain, careful)
    })?;
    let functions = (lua.create_function(find)?, lua.create_function(split)?, limit, unless_large);
    PRELUDE.run::<()>(lua, functions)?;
    for name in ["require", "loadstring", "getfenv", "setfenv", "newproxy", "gcinfo"] {
        globals.raw_set(name, Value::Nil)?;
    }
    let debug: Table = globals.raw_get("debug")?;
    let traceback: Value = debug.raw_get("traceback")?;
    debug.clear()?;
    debug.raw_set("traceback", traceback)
}

/// What to use instead of a missing global that `line` of a script uses.
pub fn hint_for(line: &str) -> Option<String> {
    let used = |name: &str| {
        line.match_indices(name).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + name.len()..].chars().next();
            let is_word = |it: char| it.is_alphanumeric() || it == '_';
            !before.is_some_and(|it| is_word(it) || it == '.' || it == ':') && !after.is_some_and(is_word)
        })
    };
    let (name, instead) = MISSING.iter().find(|(name, _)| used(name))?;
    Some(format!("`{name}` is not there: {instead}"))
}

/// `string.find` of a plain text in linear time.
fn find(_: &Lua, (text, wanted, init): (LuaString, LuaString, Option<f64>)) -> mlua::Result<MultiValue> {
    let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
    let length = text.len() as f64;
    let from = match init.unwrap_or(1.0) {
        it if it < 0.0 => (length + it).max(0.0),
        it => (it - 1.0).max(0.0),
    };
    if from > length {
        return Ok(MultiValue::from_iter([Value::Nil]));
    }
    let from = from as usize;
    Ok(match memmem::find(&text[from..], &wanted) {
        Some(at) => {
            let (first, last) = (from + at + 1, from + at + wanted.len());
            MultiValue::from_iter([Value::Number(first as f64), Value::Number(last as f64)])
        }
        None => MultiValue::from_iter([Value::Nil]),
    })
}

/// `string.split` at a long separator in linear time.
fn split(lua: &Lua, (text, separator): (LuaString, LuaString)) -> mlua::Result<Table> {
    let (text, separator) = (text.as_bytes(), separator.as_bytes());
    let parts = lua.create_table()?;
    let mut from = 0;
    for at in memmem::find_iter(&text, &separator) {
        parts.raw_push(lua.create_string(&text[from..at])?)?;
        from = at + separator.len();
    }
    parts.raw_push(lua.create_string(&text[from..])?)?;
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use mlua::LuaOptions;

    use super::*;

    fn vm() -> Lua {
        let lua = Lua::new_with(libraries(), LuaOptions::new().catch_rust_panics(false)).unwrap();
        install(&lua).unwrap();
        lua.sandbox(true).unwrap();
        lua
    }

    fn check(source: &str) {
        vm().load(source).set_name("=plugin.lua").exec().unwrap_or_else(|err| panic!("{source}\n{err}"));
    }

    #[test]
    fn what_is_not_for_plugins_is_gone() {
        check(
            "for _, name in {'io', 'package', 'load', 'loadstring', 'loadfile', 'dofile', 'getfenv', 'setfenv', 'newproxy',
                'gcinfo', 'require', 'vector', 'integer'} do assert(_G[name] == nil, name) end
            for _, name in {'execute', 'exit', 'getenv', 'remove', 'rename', 'tmpname', 'setlocale'} do assert(os[name] == nil, name) end
            local n = 0 for k in debug do n += 1 assert(k == 'traceback') end assert(n == 1)
            assert(type(collectgarbage('count')) == 'number' and not pcall(collectgarbage, 'collect') and not pcall(collectgarbage))",
        );
    }

    #[test]
    fn guarded_functions_answer_as_the_plain_ones_do() {
        let source = "
            local big = ('a'):rep(2^16) .. 'needle' .. ('b'):rep(2^16)
            local words = ('needle'):rep(1) .. ('b'):rep(100)
            return {
                {string.find(big, words)}, {string.find(big, words, 1, true)}, {string.find(big, words, 2^16 + 2, true)},
                {string.find(big, words, -2^16 - 6, true)}, {string.find(big, words, 2^18, true)}, {string.find(big, 'x' .. words)},
                {('abc'):find('b', 1, true)}, {('abc'):find('(b)(c)')}, {('abc'):find('')}, {('abc'):find('b', -1)},
                {('a,b,c'):split(',')}, string.split('abc', ''), string.split(big .. words .. 'end', words),
                {('k=v'):match('(%w+)=(%w+)')}, {('aaa'):gsub('a', 'b', 2)}, {pcall(string.find, nil, 'a')}, {pcall(string.find, 'a', '[')},
                table.move({1, 2, 3}, 1, 3, 2), table.move({1, 2, 3}, 1, 3, 1, {}), {pcall(table.sort, {1, 'a'})},
                (function() local t = {'b', 'a', ('x'):rep(2^22)} table.sort(t) return {t[1], t[2]} end)(),
                (function() local t = {3, 1, 2} table.sort(t, function(a, b) return a > b end) return t end)(),
                os.date('!%Y-%m-%d', 0),
            }";
        let (ours, theirs) = (vm(), Lua::new());
        let [ours, theirs] = [&ours, &theirs].map(|lua| {
            let value: Value = lua.load(source).set_name("=plugin.lua").eval().unwrap();
            let shapes = super::super::convert::Shapes::install(lua).unwrap();
            super::super::convert::from_lua(&shapes, &value, super::super::convert::Budget::default())
                .unwrap()
        });
        assert_eq!(ours.as_array().unwrap().len(), 23);
        assert_eq!(ours, theirs);
    }

    #[test]
    fn long_searches_end_at_once_or_are_refused_at_the_line_of_the_script() {
        let started = Instant::now();
        check(
            "local n = 2^22
            assert(not string.find(string.rep('a', n), string.rep('a', n / 2) .. 'b', 1, true))
            assert(not string.find(string.rep('a', n), string.rep('a', n / 2) .. ')b'))
            assert(#string.split(string.rep('a', n), string.rep('a', n / 2) .. 'b') == 1)
            local s, p = string.rep('a', 2^20), '^[' .. string.rep('^b', 2^17) .. ']*x'
            for _, f in {string.find, string.match, string.gsub, string.gmatch} do
                local ok, err = pcall(f, s, p, '')
                assert(not ok and err:find('too long', 1, true), err)
            end
            local ok, err = pcall(function() return s:find(p) end)
            assert(err:find('^plugin.lua:10: string.find'), err)
            ok, err = pcall(function() return table.move({}, 1, 2147483646, 2, {}) end)
            assert(err:find('^plugin.lua:12: table.move'), err)
            assert(not pcall(os.date, string.rep('%c', 200000)))",
        );
        assert!(started.elapsed().as_secs() < 20, "linear work takes milliseconds, the other minutes");
    }

    #[test]
    fn a_wrong_use_is_told_at_the_line_of_the_script() {
        check(
            "local ok, err = pcall(function() return ('x'):find('[') end)
            assert(not ok and err:find('^plugin.lua:1: malformed pattern'), err)
            ok, err = pcall(function() return string.gsub(nil, 'a', 'b') end)
            assert(not ok and err:find(\"^plugin.lua:3: .*#1 to 'gsub'\"), err)",
        );
    }

    #[test]
    fn sorting_long_strings_can_be_interrupted() {
        let lua = vm();
        let started = Instant::now();
        lua.set_interrupt(move |_| match started.elapsed().as_millis() {
            0..300 => Ok(mlua::VmState::Continue),
            _ => Err(mlua::Error::runtime("stopped")),
        });
        let source = "local p = string.rep('x', 2^19)
            local base, t = {}, {}
            for i = 1, 64 do base[i] = p .. i end
            for i = 1, 200000 do t[i] = base[(i * 7919) % 64 + 1] end
            table.sort(t)";
        assert!(lua.load(source).exec().unwrap_err().to_string().contains("stopped"));
    }

    #[test]
    fn a_hint_names_the_replacement_of_a_missing_global() {
        assert!(hint_for("  local f = io.open('x')").unwrap().contains("panotti.fs"));
        assert!(hint_for("x = os.getenv(\"HOME\")").unwrap().contains("panotti.config"));
        assert!(hint_for("return load(source)()").unwrap().contains("require"));
        assert_eq!(hint_for("self.io:load(my_load, reload.x)"), None);
    }
}
