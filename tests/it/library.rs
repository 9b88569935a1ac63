//! Modules that scripts require: those of the host, and plain-Lua ones from elsewhere.

use crate::common::Server;

#[test]
fn a_value_is_shown_as_text_with_sorted_keys_and_its_circles_closed() {
    let server = Server::with()
        .plugin(
            "shows",
            r#"
            local inspect = require("@panotti/inspect")
            local loop = { name = "x" }
            loop.self = loop
            panotti.on.on_startup(function()
              panotti.log.info(inspect({ b = 1, a = { true, "q\"" }, ["odd key"] = {}, [10] = 2 }))
              panotti.log.info(inspect(loop))
              panotti.log.info(inspect({ { { 1 } } }, { depth = 2 }))
            end)
            "#,
        )
        .start();
    for text in [
        r#"{ [10] = 2, a = { true, "q\"" }, b = 1, ["odd key"] = {} }"#,
        r#"{ name = "x", self = {this} }"#,
        "{ { {…} } }",
    ] {
        server.wait_for_log(text, |line| line["message"] == text);
    }
}

#[test]
fn plain_lua_modules_run_unmodified_from_lua_modules() {
    // The idioms that such modules are made of: module tables, classes by metatable, varargs, string patterns,
    // `setfenv or`, `unpack or`, a version field, a callable table, and probing for what is not there.
    let class = r##"
        local class = { _VERSION = "1.0" }
        local unpack = unpack or table.unpack
        local setfenv, loadstring, io = setfenv, loadstring, io
        local function create(name, super)
          local made = { name = name, super = super, static = {} }
          made.__index = made
          if super then setmetatable(made, { __index = super, __call = function(c, ...) return c:new(...) end })
          else setmetatable(made, { __call = function(c, ...) return c:new(...) end, __tostring = function() return name end }) end
          function made:new(...) local it = setmetatable({}, made) if it.initialize then it:initialize(...) end return it end
          function made.static:args(...) return select("#", ...), (unpack({ ... })) end
          return made
        end
        return setmetatable(class, { __call = function(_, ...) return create(...) end })
    "##;
    let decode = r#"
        local json = {}
        local escapes = { ['"'] = '"', ["\\"] = "\\", n = "\n" }
        local function skip(text, at) return text:find("[^ \n\r\t]", at) or #text + 1 end
        local value
        local function string_(text, at)
          local out, i = {}, at + 1
          while text:sub(i, i) ~= '"' do
            local c = text:sub(i, i)
            if c == "\\" then i = i + 1 c = escapes[text:sub(i, i)] end
            out[#out + 1] = c
            i = i + 1
          end
          return table.concat(out), i + 1
        end
        local function list(text, at)
          local out = {}
          at = skip(text, at + 1)
          while text:sub(at, at) ~= "]" do
            out[#out + 1], at = value(text, at)
            at = skip(text, at)
            if text:sub(at, at) == "," then at = skip(text, at + 1) end
          end
          return out, at + 1
        end
        function value(text, at)
          at = skip(text, at)
          local c = text:sub(at, at)
          if c == '"' then return string_(text, at) end
          if c == "[" then return list(text, at) end
          local word = text:match("^-?%d+%.?%d*", at)
          return tonumber(word), at + #word
        end
        function json.decode(text) return (value(text, 1)) end
        return json
    "#;
    let server = Server::with()
        .plugin_file("rocks", "lua_modules/class.lua", class)
        .plugin_file("rocks", "lua_modules/tiny/json.lua", decode)
        .plugin(
            "rocks",
            r##"
            local class, json = require("class"), require("tiny.json")
            local Animal = class("Animal")
            function Animal:initialize(sound) self.sound = sound end
            function Animal:speak() return self.sound end
            local Dog = class("Dog", Animal)
            local list = json.decode('[1, 2.5, "a\\"b", [3]]')
            panotti.on.on_startup(function()
              panotti.log.info(Dog("woof"):speak() .. " " .. #list .. " " .. list[3] .. " " .. list[4][1])
            end)
            "##,
        )
        .start();
    server.wait_for_log("the modules", |line| line["message"] == "woof 4 a\"b 3");
}
