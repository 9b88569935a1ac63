use std::collections::{BTreeMap, BTreeSet};

use mlua::LuaOptions;
use serde_json::json;

use crate::clock::ManualClock;
use crate::config::Settings;
use crate::lua::context::{CallKind, CallState, CurrentCall, Mark};
use crate::lua::guards;
use crate::lua::permission::Permissions;
use crate::lua::registry::Registry;
use crate::lua::surface;
use crate::model::call::{CallContext, Caller};
use crate::model::rate::Rate;
use crate::services::testing::World;

use super::*;

/// A VM with everything in it, and the call it is in.
pub(super) struct Vm {
    pub(super) lua: Lua,
    pub(super) call: Arc<CallState>,
    pub(super) ctx: Arc<ApiContext>,
    pub(super) world: World,
}

impl Vm {
    pub(super) fn new(permissions: serde_json::Value) -> Vm {
        Vm::about(permissions, |_| json!({}))
    }

    /// A VM in a call that was given what `payload` makes.
    pub(super) fn about(
        permissions: serde_json::Value,
        payload: impl FnOnce(&World) -> serde_json::Value,
    ) -> Vm {
        Vm::made(permissions, payload, |_, _| {})
    }

    /// A VM with some things other than usual.
    pub(super) fn with(
        permissions: serde_json::Value,
        change: impl FnOnce(&mut ApiContext, &mut Settings),
    ) -> Vm {
        Vm::made(permissions, |_| json!({}), change)
    }

    fn made(
        permissions: serde_json::Value,
        payload: impl FnOnce(&World) -> serde_json::Value,
        change: impl FnOnce(&mut ApiContext, &mut Settings),
    ) -> Vm {
        let clock = Arc::new(ManualClock::at(1_767_225_600_000_000));
        let world = World::new(RUNTIME.handle(), clock.clone());
        let lua = Lua::new_with(guards::libraries(), LuaOptions::new().catch_rust_panics(true)).unwrap();
        let mut ctx = ApiContext {
            stand_in: None,
            examiner: None,
            plugin: "quiet".into(),
            generation: 7,
            version: "1.2.0".into(),
            config: Arc::new(json!({})),
            secrets: Default::default(),
            permissions: serde_json::from_value::<Permissions>(permissions).unwrap(),
            limits: Default::default(),
            services: world.services.clone(),
            clock,
            runtime: RUNTIME.handle().clone(),
            registry: Registry::default(),
            log: world.services.plugin_logs.of(&"quiet".into()),
            emit_rate: Arc::new(Rate::new(20_000, 50_000)),
            emit_bytes: Arc::new(Rate::new(8 << 20, 64 << 20)),
            quotas: Arc::default(),
            resolver: Arc::new(crate::net::SystemResolver),
            dependencies: Arc::new([]),
            exports: Arc::new(crate::lua::exports::NoExports),
            tallies: Arc::default(),
            learning: None,
            requested: Permissions::default(),
            denied: Arc::new(|_| {}),
            origin: None,
            replay: None,
            current: CurrentCall::default(),
        };
        let mut settings = Settings::clone(&world.services.settings);
        change(&mut ctx, &mut settings);
        ctx.services.settings = Arc::new(settings);
        let ctx = Arc::new(ctx);
        let mut call = CallState::new(CallKind::Fact, CallContext::new("event", Caller::server()));
        call.payload = Some(payload(&world).into());
        let call = Arc::new(call);
        ctx.current.enter(Some(call.clone()));
        lua.set_app_data(ctx.clone());
        guards::install(&lua).unwrap();
        let shapes = Arc::new(Shapes::install(&lua).unwrap());
        install(&lua, &ctx, &shapes).unwrap();
        lua.sandbox(true).unwrap();
        Vm { lua, call, ctx, world }
    }

    /// Runs a script whose asserts are the test.
    pub(super) fn check(&self, source: &str) {
        let chunk = self.lua.load(source).set_name("=plugin.lua");
        RUNTIME.block_on(chunk.exec_async()).unwrap_or_else(|err| panic!("{source}\n{err}"));
    }
}

pub(super) static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
});

#[test]
fn what_is_built_is_what_the_types_tell() {
    let everything: BTreeMap<_, _> =
        ["recordings", "clips", "db", "media", "events", "http", "process", "routes", "assets", "notify"]
            .into_iter()
            .map(|it| (it, true))
            .collect();
    let vm = Vm::new(json!(everything));
    let panotti: Table = vm.lua.globals().get("panotti").unwrap();
    for module in MODULES {
        let doc = ModuleDoc::read(module.name, module.types);
        let Value::Table(table) = panotti.raw_get::<Value>(module.name).unwrap() else { continue };
        let mut built = BTreeSet::new();
        table
            .for_each(|name: String, _: Value| {
                built.insert(name);
                Ok(())
            })
            .unwrap();
        let told: BTreeSet<_> = doc.functions.iter().map(|it| it.name.clone()).collect();
        assert_eq!(built, told, "panotti.{}", module.name);
        assert!(!doc.doc.is_empty() && doc.functions.iter().all(|it| !it.doc.is_empty()), "{}", module.name);
    }
}

#[test]
fn misuse_raises_text_at_the_line_of_the_script() {
    let vm = Vm::new(json!({}));
    vm.check(
        "local ok, err = pcall(function()
            panotti.hash.sha256(nil)
        end)
        assert(err == 'plugin.lua:2: panotti.hash.sha256: argument 1 (bytes) must be a string, got nil', err)
        ok, err = pcall(function() return panotti.json.qury end)
        assert(err == \"plugin.lua:5: panotti.json has no function 'qury'\", err)
        ok, err = pcall(function() return panotti.json.encoed({}) end)
        assert(err == \"plugin.lua:7: panotti.json has no function 'encoed' (did you mean 'encode'?)\", err)
        ok, err = pcall(function() return panotti.jsn.encode({}) end)
        assert(err == \"plugin.lua:9: panotti has no module or function 'jsn' (did you mean 'json'?)\", err)
        ok, err = pcall(panotti.json.encode, {}, {prety = true})
        assert(err == \"panotti.json.encode: argument 2 (options) has an unknown key 'prety' (did you mean 'pretty'?)\", err)
        ok, err = pcall(panotti.uuid, 1)
        assert(err == 'panotti.uuid: takes 0 arguments, got 1', err)",
    );
    assert!(!vm.call.is_marked(Mark::Convert) && !vm.call.is_marked(Mark::Limit));
}

#[test]
fn the_api_can_be_neither_changed_nor_looked_behind() {
    Vm::new(json!({})).check(
        "local function locked(t)
            assert(getmetatable(t) == 'locked' and not pcall(rawset, t, 'x', 1) and not pcall(setmetatable, t, {}))
            for k in pairs(t) do assert(not pcall(function() t[k] = nil end)) end
        end
        locked(panotti) locked(panotti.json) locked(panotti.log)
        assert(not pcall(function() print = nil panotti = nil end) or true)
        assert(not pcall(function() string.find = nil end))",
    );
}

#[test]
fn a_limit_that_was_met_is_noted_on_the_call_even_when_the_error_is_caught() {
    let vm = Vm::new(json!({}));
    vm.check("assert(not pcall(panotti.json.encode, {f = print}))");
    assert!(!vm.call.is_marked(Mark::Convert) && !vm.call.is_marked(Mark::Limit));
    vm.check("assert(not pcall(panotti.json.encode, string.rep('x', 2^21)))");
    assert!(vm.call.is_marked(Mark::Limit));
}

#[test]
fn json_and_yaml_keep_null_and_empty_arrays() {
    Vm::new(json!({})).check(
        "local json, yaml = panotti.json, panotti.yaml
        local v = json.decode('{\"a\":[],\"b\":null,\"c\":{},\"id\":9007199254740993}')
        assert(v.b == json.null and v.id == '9007199254740993' and tostring(v.b) == 'null')
        assert(json.encode(v) == '{\"a\":[],\"b\":null,\"c\":{},\"id\":\"9007199254740993\"}', json.encode(v))
        assert(json.encode({json.array(), json.array({1})}) == '[[],[1]]')
        assert(json.encode({1.0}, {pretty = true}) == '[\\n  1\\n]')
        local value, err = json.decode('{')
        assert(value == nil and err.code == 'not_json' and err.message:find('line 1'))
        local ok, why = pcall(json.encode, {highlights = {{}, {score = 0/0}}})
        assert(why:find('/highlights/2/score is not a number', 1, true), why)
        assert(yaml.decode('a: [1, x]\\nb:').a[2] == 'x')
        assert(yaml.decode(yaml.encode({n = {1, 2}})).n[2] == 2)
        value, err = yaml.decode('a: [')
        assert(value == nil and err.code == 'not_yaml')",
    );
}

#[test]
fn encodings_and_digests_answer_what_is_known() {
    Vm::new(json!({})).check(
        "local base64, hash, url = panotti.base64, panotti.hash, panotti.url
        assert(base64.encode('\\255\\254a') == '//5h' and base64.encode('\\255\\254a', {url = true}) == '__5h')
        assert(base64.decode('//5h') == '\\255\\254a' and base64.decode('__5h') == '\\255\\254a' and base64.decode('YQ') == 'a')
        assert(select(2, base64.decode('!')).code == 'not_base64')
        assert(hash.sha256('abc') == 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
        assert(hash.hmac_sha256('key', 'The quick brown fox jumps over the lazy dog')
            == 'f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8')
        assert(hash.blake3('') == 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262')
        assert(#panotti.uuid() == 36 and panotti.uuid() ~= panotti.uuid())
        local u = url.parse('https://me:pw@example.org/a?b=c#d')
        assert(u.scheme == 'https' and u.host == 'example.org' and u.port == 443 and u.query == 'b=c' and u.password == 'pw')
        assert(select(2, url.parse('nothing')).code == 'not_url' and url.join('https://a/b/c', '../d') == 'https://a/d')
        assert(url.encode('a b/ü') == 'a%20b%2F%C3%BC' and url.decode('a%20b%2F%C3%BC%') == 'a b/ü%')
        assert(url.query({b = {1, 2}, a = 'x y'}) == 'a=x+y&b=1&b=2' and url.query({a = {}, b = 1}) == 'b=1' and url.parse_query('a=x+y').a == 'x y')",
    );
}

#[test]
fn regular_expressions_match_and_are_bounded() {
    let vm = Vm::new(json!({}));
    vm.check(
        "local regex = panotti.regex
        assert(regex.is_match('^\\\\d+$', '123') and not regex.is_match('^\\\\d+$', '12a'))
        local first, last = regex.find('b+', 'abbb', 1)
        assert(first == 2 and last == 4 and regex.find('b', 'abbb', 5) == nil)
        local m = regex.match('(?<key>\\\\w+)=(\\\\w+)', ' a=1 ')
        assert(m[0] == 'a=1' and m.key == 'a' and m[2] == '1' and regex.match('x', 'y') == nil)
        assert(#regex.match_all('a', 'aaa') == 3 and #regex.match_all('a', 'aaa', 2) == 2)
        assert(regex.replace('(\\\\w)(\\\\d)', 'a1 b2', '$2$1') == '1a 2b')
        assert(table.concat(regex.split('\\\\s*,\\\\s*', 'a , b,c'), '|') == 'a|b|c' and regex.escape('a.b') == 'a\\\\.b')
        local ok, err = pcall(regex.is_match, '(', 'x')
        assert(err:find('argument 1 (pattern) is not a regular expression', 1, true), err)
        assert(not pcall(regex.is_match, '((a{1000}){1000}){1000}', 'x'))",
    );
    assert!(!vm.call.is_marked(Mark::Limit));
    vm.check("assert(not pcall(panotti.regex.match_all, '.*[^A-Z]|[A-Z]', string.rep('A', 2^18)))");
    assert!(vm.call.is_marked(Mark::Limit));
}

#[test]
fn the_time_is_the_injected_one() {
    Vm::new(json!({})).check(
        "local time = panotti.time
        assert(time.now() == 1767225600 and time.format() == '2026-01-01T00:00:00Z')
        assert(time.parse('2026-01-01T01:00:00+01:00') == 1767225600 and time.format(0.5) == '1970-01-01T00:00:00.500Z')
        assert(select(2, time.parse('yesterday')).code == 'not_time')
        assert(time.monotonic() >= 0 and not pcall(time.format, 1e18))",
    );
}

#[test]
fn logging_takes_any_text_and_never_fails() {
    Vm::new(json!({})).check(
        "for i = 1, 600 do panotti.log.info('line ' .. i, {n = i}) end
        print('a', 1, nil, {})
        assert(not pcall(panotti.log.info)) assert(not pcall(panotti.log.info, 'x', {f = print}))",
    );
}

#[test]
fn every_name_a_script_can_reach_stands_in_the_list() {
    let everything = json!({"recordings": true, "clips": true, "db": true, "media": true, "events": true, "http": true, "process": true, "routes": true, "assets": true, "notify": true});
    let vm = Vm::new(everything);
    let mut names = surface::names(&vm.lua).unwrap();
    // A VM with a plugin's files in it has it, too.
    names.insert("require function".to_owned());
    let text: String = names.iter().map(|it| format!("{it}\n")).collect();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/lua_surface.golden");
    if std::env::var_os("UPDATE_STUBS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let kept: BTreeSet<_> = kept.lines().map(str::to_owned).collect();
    let (new, gone): (Vec<_>, Vec<_>) =
        (names.difference(&kept).collect(), kept.difference(&names).collect());
    assert!(
        new.is_empty() && gone.is_empty(),
        "new: {new:?}, gone: {gone:?}; is it meant? Then run the tests with UPDATE_STUBS=1 and commit the list"
    );
}

#[test]
fn events_wait_for_the_end_of_the_call_and_are_bounded() {
    let vm = Vm::new(json!({}));
    vm.check(
        "local publish = panotti.events.publish
        publish('quiet.found', {n = 1}, {priority = 'high', subject = 'clip/1', ttl = 2.5})
        local ok, err = pcall(publish, 'Quiet', {})
        assert(err:find('argument 1 (type) must be words', 1, true), err)
        ok, err = pcall(publish, 'quiet.x', {}, {priority = 'urgent'})
        assert(err:find('argument 3 (options.priority) must be low', 1, true), err)
        ok, err = pcall(publish, 'quiet.x', {}, {ttl = 0})
        assert(err:find('argument 3 (options.ttl) must be more than 0', 1, true), err)",
    );
    let effects = vm.call.effects.lock().clone();
    assert_eq!((effects.events.len(), (*effects.events[0].data).clone()), (1, json!({"n": 1})));
    assert!(!vm.call.is_marked(Mark::Denied));
    vm.check("assert(not pcall(panotti.events.publish, 'recording.ended', {}))");
    assert!(vm.call.is_marked(Mark::Denied) && !vm.call.is_marked(Mark::Limit));
    vm.check(
        "assert(not pcall(function() for i = 1, 1000000 do panotti.events.publish('x.y', {i = i}) end end))",
    );
    assert!(vm.call.is_marked(Mark::Limit));
    Vm::new(json!({"events": ["recording"]})).check("panotti.events.publish('recording.tagged', {})");
}

#[test]
fn subscriptions_are_registered_and_taken_back() {
    let vm = Vm::new(json!({}));
    vm.check(
        "local handle = panotti.events.subscribe('recording.*', function() end, {priority = 2, timeout = 1, when = {['data.x'] = 1}, max_attempts = 3})
        panotti.events.subscribe('a.**', print)
        handle:off() handle:off()
        assert(not pcall(handle.off) and not pcall(function() handle.slot = 9 end))
        assert(not pcall(panotti.events.subscribe, 'a*', print) and not pcall(panotti.events.subscribe, 'a', {}))
        assert(not pcall(panotti.events.subscribe, 'a', print, {when = {subject = {between = 1}}}))
        local ok, why = pcall(panotti.events.subscribe, 'a', print, {when = {subjct = 'x'}})
        assert(not ok and why:find('did you mean .subject.'), why)",
    );
    let kept = vm.ctx.registry.subscriptions();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].pattern.as_str(), kept[0].slot, vm.ctx.registry.len()), ("a.**", 1, 1));
    vm.check("assert(not pcall(function() for i = 1, 300 do panotti.events.subscribe('a', print) end end))");
    assert!(vm.call.is_marked(Mark::Limit));
}
