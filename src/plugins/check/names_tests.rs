use super::*;

fn of(text: &str) -> Named {
    read(text).expect("a tree")
}

#[test]
fn names_are_found_through_aliases_and_in_brackets() {
    let named = of(
        "local p = panotti\nlocal kv, on = p.kv, panotti['on']\n  kv.gett('x')\non.befor_x(print)\non('nope', print)\np.htp.get()",
    );
    let unknown: Vec<(Place, &str)> = named.unknown.iter().map(|(at, why)| (*at, why.as_str())).collect();
    assert_eq!(unknown[0], ((3, 6), "panotti.kv has no function 'gett' (did you mean 'get'?)"));
    assert_eq!(unknown[1], ((6, 3), "panotti has no module or function 'htp' (did you mean 'http'?)"));
    assert_eq!(named.hooks, [((4, 4), "befor_x".to_owned()), ((5, 4), "nope".to_owned())]);
}

#[test]
fn what_cannot_be_told_is_not_told() {
    for text in [
        "local kv = panotti.kv\nkv = { gett = print }\nkv.gett()",
        "local kv = panotti.kv\nlocal function f(kv) return kv.gett end",
        "local name = 'gett'\npanotti.kv[name]()",
        "for _, panotti in pairs({}) do panotti.nothing() end",
        "local panotti = require('fake')\npanotti.nothing()",
        "panotti.config.anything.below = panotti.plugin.name.x",
        "local hook = 'no_hook'\npanotti.on[hook](print)\npanotti.on(hook, print)",
        "-- panotti.nothing()\nlocal text = 'panotti.nothing()'",
        "local t = { panotti = 1 }\nt.panotti.nothing()",
        "local function require(x) return x end",
    ] {
        let named = of(text);
        assert_eq!((named.unknown, named.hooks), (vec![], vec![]), "{text}");
    }
}

#[test]
fn what_is_used_is_known_and_so_is_what_may_be() {
    let named = of("local get = panotti.http.get\nget('x')\nrequire('lib.a')\nrequire 'b'");
    assert_eq!(named.needs, [((1, 26), "panotti.http.get".to_owned(), "http".to_owned())]);
    assert_eq!(named.requires, [((3, 9), "lib.a".to_owned()), ((4, 9), "b".to_owned())]);
    assert!(!named.escapes && !named.modules.is_empty());
    for text in [
        "print(panotti)",
        "local x = panotti[key]",
        "local t = { panotti }",
        "local function f() return panotti end",
    ] {
        assert!(of(text).escapes, "{text}");
    }
}

#[test]
fn what_luau_adds_to_lua_is_read() {
    for text in [
        "local kind = if a then b else c",
        "local text = `{panotti.version}: {1 + 2}`",
        "for key, value in t do if key then continue end end",
        "n += 1 s ..= 'x'",
        "type T = { a: number, [string]: any }\nexport type U = T | (number, ...string) -> ()\nlocal x: T? = nil :: any",
        "local function f<T>(a: T, ...: any): (T, number) return a, 1 end",
        "local x = 0b1010 + 0xFF + 1_000 // 2",
        "local s = [==[ long ]==] .. '\\u{48}\\z  x'",
        "@native function f() end",
    ] {
        assert!(read(text).is_some(), "{text}");
    }
    let deep = format!("return {}1{}", "(".repeat(150), ")".repeat(150));
    assert!(read(&deep).is_some());
}
