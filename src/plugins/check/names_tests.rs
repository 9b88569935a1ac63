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

/// What is odd about a script, as `line:column what`.
fn odd(text: &str) -> Vec<String> {
    of(text).odd.iter().map(|it| format!("{}:{} {}", it.place.0, it.place.1, it.message)).collect()
}

#[test]
fn arguments_that_are_too_many_or_missing_are_told() {
    assert_eq!(
        odd(
            "local kv = panotti.kv\nkv.get('a', 'b')\npanotti.uuid(1)\npanotti.hash.sha256()\npanotti.sleep{}\nkv.delete(nil, nil)"
        ),
        [
            "2:4 panotti.kv.get takes 1 argument, got 2",
            "3:9 panotti.uuid takes 0 arguments, got 1",
            "4:14 panotti.hash.sha256 takes 1 argument, got 0: bytes is missing",
            "6:4 panotti.kv.delete takes 1 argument, got 0: key is missing",
        ]
    );
    for text in [
        "panotti.kv.set('a', nil)",
        "panotti.kv.get('a', nil)",
        "panotti.kv.get(f())",
        "panotti.kv.set('a', f())",
        "panotti.hash.sha256(...)",
        "panotti.log.info('a')",
        "panotti.once('id', print, 1, 2, 3)",
        "panotti.json.decode 'null'",
        "local kv = panotti.kv\nlocal function g(kv) kv.get(1, 2, 3) end",
        "panotti.on('on_load', print) panotti.kv.get('x'):upper(1, 2)",
    ] {
        assert!(odd(text).is_empty(), "{text}: {:?}", odd(text));
    }
    assert_eq!(
        odd("panotti.on.on_load()"),
        ["1:12 panotti.on.on_load takes at least 1 argument, got 0: fn is missing"]
    );
}

#[test]
fn fields_that_are_never_there_are_told() {
    assert_eq!(
        odd(
            "panotti.on.on_clip_captured(function(clip, ctx)\n  local t = clip.titel .. ctx['attempts']\n  print(clip)\n  return { title = t }\nend)"
        ),
        [
            "2:18 clip is a Clip, which has no field 'titel' (did you mean 'title'?)",
            "2:31 ctx is a Ctx, which has no field 'attempts' (did you mean 'attempt'?)",
        ]
    );
    assert_eq!(
        odd("panotti.events.subscribe('a.b', function(event) return event.payload.id end)").len(),
        1,
        "what handlers of events are given is known, too"
    );
    let passed_on =
        "panotti.on.on_clip_captured(function(clip) enrich(clip) return { title = clip.titel } end)";
    assert_eq!(
        of(passed_on).odd[0].unless_written.as_deref(),
        Some("titel"),
        "whoever is given it may write it"
    );
    assert_eq!(
        odd("return { after_recording_end = function(recording) return recording.tarcks.system end }").len(),
        1
    );
    assert_eq!(odd("panotti.route('GET', '/a', function(request) return request.parms.id end)").len(), 1);
    for text in [
        "panotti.on.on_clip_captured(function(clip) clip.mine = 1 return clip.mine end)",
        "panotti.on.on_clip_captured(function(clip) clip[key] = 1 return clip.mine end)",
        "panotti.on.on_clip_captured(function(clip) enrich(clip) return clip.mine end)",
        "panotti.on.on_clip_captured(function(clip) local t = { clip } enrich(t) return clip.mine end)",
        "panotti.on.on_clip_captured(function(clip) clip = other() return clip.mine end)",
        "panotti.on.on_clip_captured(function(clip) for _, clip in list do print(clip.mine) end end)",
        "panotti.on.on_clip_captured(function(clip) local f = function(clip) return clip.mine end end)",
        "panotti.on.on_clip_captured(function(clip) return clip.metadata.anything.below end)",
        "panotti.on.on_config_changed(function(config) return config.anything end)",
        "panotti.on.on_load(function(state) return state.anything end)",
        "panotti.on.on_clip_captured(handler)",
        "other.on.on_clip_captured(function(clip) return clip.mine end)",
    ] {
        assert!(odd(text).is_empty(), "{text}: {:?}", odd(text));
    }
}

#[test]
fn hosts_programs_and_events_that_are_written_out_are_held_against_the_manifest() {
    let requested = serde_json::from_value(
        serde_json::json!({ "http": ["api.example", "*.cdn.example", "nas:8443"], "process": ["ffmpeg"], "events": ["clip"] }),
    )
    .unwrap();
    let refused = |text: &str| -> Vec<String> {
        let named = of(text);
        let why = named
            .asked
            .iter()
            .filter_map(|(_, function, it)| super::super::asked::refused(function, it, &requested));
        why.map(|(why, _)| why).collect()
    };
    for (text, part) in [
        ("panotti.http.get('https://other.example/x')", "panotti.http.get asks other.example,"),
        ("panotti.http.get('https://api.example:8080/x')", "asks api.example:8080,"),
        ("panotti.http.post('https://other.example/x/' .. id, { json = {} })", "asks other.example,"),
        (
            "panotti.http.request({ method = 'PUT', url = 'https://other.example' })",
            "panotti.http.request asks other.example,",
        ),
        ("panotti.process.run('ffprobe', {})", "runs ffprobe,"),
        ("panotti.events.publish('recording.mine', {})", "tells 'recording.mine',"),
    ] {
        let told = refused(text);
        assert!(told.len() == 1 && told[0].contains(part), "{text}: {told:?}");
    }
    for text in [
        "panotti.http.get('https://api.example/x')",
        "panotti.http.get('https://a.cdn.example/' .. path)",
        "panotti.http.get('https://nas:8443')",
        "panotti.http.get('https://' .. host)",
        "panotti.http.get('https://other' .. rest)",
        "panotti.http.get(url)",
        "panotti.process.run('ffmpeg')",
        "panotti.process.run(tool)",
        "panotti.events.publish('clip.tagged', {}) panotti.events.publish('mine.done', {})",
    ] {
        assert!(refused(text).is_empty(), "{text}: {:?}", refused(text));
    }
}
