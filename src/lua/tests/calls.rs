use std::time::Duration;

use serde_json::json;

use crate::hooks::OnError;
use crate::model::call::Outcome;

use super::*;

#[test]
fn a_hook_is_called_with_its_payload_and_context_and_answers_a_patch() {
    let bench = Bench::new();
    let plugin = bench.load(
        "panotti.on.on_clip_captured(function(clip, ctx)
            return { title = clip.title .. '!', metadata = { hook = ctx.hook, plugin = ctx.plugin, generation = ctx.generation } }
        end, { priority = 5 })",
    );
    assert_eq!(plugin.registrations()[0].priority, 5);
    let patch = bench.patch(&plugin, json!({"id": 1, "title": "Ace"}));
    assert_eq!(
        patch,
        json!({"title": "Ace!", "metadata": {"hook": "on_clip_captured", "plugin": "quiet", "generation": 7}})
    );
}

#[test]
fn a_chunk_may_return_its_hooks_and_a_misspelt_one_does_not_load() {
    let bench = Bench::new();
    let plugin = bench.load(
        "return { on_clip_captured = function() return {} end, health = function() return true, 'fine' end }",
    );
    assert_eq!(plugin.registrations().len(), 2);
    let reply = bench.ask(&plugin, Hook::Health, json!(null)).unwrap();
    assert_eq!(reply.answer, Answer::Health { ok: true, message: Some("fine".into()), details: json!(null) });
    let failure = bench.load_with("return { on_clip_capture = function() end }", json!({})).err().unwrap();
    assert!(failure.fault.message.contains("did you mean 'on_clip_captured'?"), "{}", failure.fault.message);
    let failure = bench.load_with("panotti.on.before_record_start(function() end)", json!({})).err().unwrap();
    assert!(
        failure.fault.message.contains("did you mean 'before_recording_start'?"),
        "{}",
        failure.fault.message
    );
    assert_eq!((failure.fault.file.as_deref(), failure.fault.line), (Some("init.lua"), Some(1)));
}

#[test]
fn options_are_checked_when_the_plugin_loads() {
    let bench = Bench::new();
    for (options, told) in [
        ("{ priorty = 1 }", "did you mean 'priority'?"),
        ("{ priority = 1.5 }", "whole number"),
        ("{ timeout = 0 }", "above 0"),
        ("{ on_error = 'deny' }", "may refuse"),
        ("{ when = { title = { starts = 'A' } } }", "knows min, max"),
        ("{ when = { duratoin = { min = 5 } } }", "did you mean 'duration'?"),
    ] {
        let source = format!("panotti.on('on_clip_captured', function() end, {options})");
        let failure = bench.load_with(&source, json!({})).err().unwrap();
        assert!(failure.fault.message.contains(told), "{options}: {}", failure.fault.message);
    }
    let gate = "panotti.on.before_recording_start(function() end, { on_error = 'deny', timeout = 0.5, after = {'a'} })";
    let registered = bench.load(gate).registrations().remove(0);
    assert_eq!(registered.on_error, OnError::Deny);
    assert_eq!(
        (registered.timeout, registered.after),
        (Some(Duration::from_millis(500)), vec!["a".to_owned()])
    );
}

#[test]
fn deny_refuses_where_something_can_be_refused_and_raises_elsewhere() {
    let bench = Bench::new();
    let plugin = bench.load(
        "panotti.on.before_recording_start(function(r) return panotti.deny('private', { status = 451 }) end)
        panotti.on.on_clip_captured(function() return panotti.deny('no') end)",
    );
    let reply = bench.ask(&plugin, Hook::BeforeRecordingStart, json!({"id": "a"})).unwrap();
    assert_eq!(reply.answer, Answer::Deny { reason: "private".into(), status: Some(451) });
    assert_eq!(reply.outcome, Outcome::Refused);
    let failure = bench.ask(&plugin, Hook::OnClipCaptured, json!({})).unwrap_err();
    assert_eq!(failure.outcome, Outcome::Runtime);
    assert!(failure.fault.message.contains("on_clip_captured cannot refuse"), "{}", failure.fault.message);
}

#[test]
fn respond_answers_a_request_whole() {
    let bench = Bench::new();
    let plugin = bench.load(
        "panotti.on.before_request(function(r)
            return panotti.respond { status = 203, headers = { ['X-Who'] = 'me' }, json = { ok = true } }
        end)",
    );
    let Answer::Respond { status, headers, body } =
        bench.ask(&plugin, Hook::BeforeRequest, json!({"path": "/"})).unwrap().answer
    else {
        panic!("no response")
    };
    assert_eq!((status, &*body), (203, &b"{\"ok\":true}"[..]));
    assert!(headers.contains(&("x-who".into(), "me".into())));
    assert!(headers.contains(&("content-type".into(), "application/json".into())));
}

#[test]
fn a_fault_tells_file_line_excerpt_and_the_scripts_own_frames() {
    let bench = Bench::new();
    let rules = "local M = {}\nfunction M.check(clip)\n  return clip.game.name\nend\nreturn M";
    let init = "local rules = require('lib.rules')\npanotti.on.on_clip_captured(function(clip) rules.check(clip) end)";
    let plugin = bench.load_files(&[("init.lua", init), ("lib/rules.lua", rules)], json!({})).unwrap();
    let failure = bench.ask(&plugin, Hook::OnClipCaptured, json!({"id": 1})).unwrap_err();
    let fault = failure.fault;
    assert_eq!((fault.file.as_deref(), fault.line), (Some("lib/rules.lua"), Some(3)));
    assert!(fault.message.starts_with("attempt to index nil"), "{}", fault.message);
    assert!(fault.excerpt.unwrap().contains(">    3 |   return clip.game.name"));
    let traceback = fault.traceback.unwrap();
    assert!(traceback.contains("lib/rules.lua:3") && traceback.contains("init.lua:2"), "{traceback}");
    assert!(!traceback.contains("[C]") && !traceback.contains("panotti"), "{traceback}");
}

#[test]
fn a_syntax_error_has_an_excerpt_and_a_hint() {
    let bench = Bench::new();
    for (line, told) in [
        ("local x <const> = 1", "plain local"),
        ("goto out", "no goto"),
        ("local x = 1 << 4", "lshift"),
        ("local x = a & b", "band"),
        ("if a != b then end", "~="),
    ] {
        let failure = bench.load_with(&format!("-- a plugin\n{line}\n"), json!({})).err().unwrap();
        assert_eq!(failure.outcome, Outcome::Syntax, "{line}");
        let fault = failure.fault;
        assert_eq!(
            (fault.file.as_deref(), fault.line),
            (Some("init.lua"), Some(2)),
            "{line}: {}",
            fault.message
        );
        assert!(fault.excerpt.unwrap().contains(line));
        assert!(fault.hint.unwrap_or_default().contains(told), "{line}");
    }
}

#[test]
fn modules_are_found_once_and_never_outside_the_plugin() {
    let bench = Bench::new();
    let files = [
        (
            "init.lua",
            "assert(require('lib.a') == require('./lib/a') and require('lib/a').b.n == 1)
            assert(require('rock').part == 'part')
            for _, bad in {'../x', '/etc/passwd', './../../x', 'lib/../../x', 'c:\\\\x'} do
                local ok, err = pcall(require, bad)
                assert(not ok, bad)
            end
            local ok, err = pcall(require, 'lib.aa')
            assert(err:find('there is lib/a.lua', 1, true), err)",
        ),
        ("lib/a.lua", "return { b = require('./b') }"),
        ("lib/b.lua", "COUNT = (COUNT or 0) + 1 return { n = COUNT }"),
        ("lua_modules/rock/init.lua", "return { part = require('rock.part') }"),
        ("lua_modules/rock/part.lua", "return 'part'"),
    ];
    bench.load_files(&files, json!({})).unwrap_or_else(|it| panic!("{}", it.fault));
}

#[test]
fn a_module_that_fails_says_so_in_a_text_and_a_fault_still_tells_the_way_there() {
    let bench = Bench::new();
    let broken = "local function deep()\n  local none = nil\n  return none.x\nend\nreturn deep()";
    let caught = "local ok, err = pcall(require, 'lib.broken')
        assert(not ok and type(err) == 'string', typeof(err))
        assert(err:find('^lib/broken.lua:3: attempt to index nil'), err)
        ok, err = pcall(require, 'lib.unreadable')
        assert(not ok and err:find('^lib/unreadable.lua:1: '), err)
        ok, err = pcall(require, 'lib.outer')
        assert(not ok and err:find('^lib/broken.lua:3: '), err)";
    let files = |init| {
        [
            ("init.lua", init),
            ("lib/broken.lua", broken),
            ("lib/unreadable.lua", "local = 1"),
            ("lib/outer.lua", "return require('./broken')"),
        ]
    };
    bench.load_files(&files(caught), json!({})).unwrap_or_else(|it| panic!("{}", it.fault));
    let init = "local inner\nlocal function load() inner = require('lib.outer') end\nload()";
    let fault = bench.load_files(&files(init), json!({})).err().unwrap().fault;
    assert_eq!((fault.file.as_deref(), fault.line), (Some("lib/broken.lua"), Some(3)));
    assert!(fault.message.starts_with("attempt to index nil"), "{}", fault.message);
    let traceback = fault.traceback.unwrap();
    for frame in ["lib/broken.lua:3", "lib/broken.lua:5", "lib/outer.lua:1", "init.lua:2", "init.lua:3"] {
        assert!(traceback.contains(frame), "{traceback}");
    }
}

#[test]
fn modules_that_need_each_other_are_named() {
    let bench = Bench::new();
    let files = [("init.lua", "require('a')"), ("a.lua", "require('b')"), ("b.lua", "return require('a')")];
    let failure = bench.load_files(&files, json!({})).err().unwrap();
    assert!(failure.fault.message.contains("a.lua -> b.lua -> a.lua"), "{}", failure.fault.message);
    assert_eq!(failure.fault.file.as_deref(), Some("b.lua"));
}

#[test]
fn bytecode_is_not_run() {
    let bench = Bench::new();
    for source in ["\u{1b}Lua", "\u{6}\u{3}abc"] {
        let failure = bench.load_with(source, json!({})).err().unwrap();
        assert_eq!(failure.outcome, Outcome::Syntax);
    }
}

#[test]
fn hooks_of_one_plugin_interleave_while_they_wait() {
    let bench = Bench::new();
    let plugin = bench.load(
        "local now = 0
        panotti.on.on_clip_captured(function(clip)
            now += 1
            while now < 200 do panotti.sleep(0.01) end
            return { metadata = { seen = now } }
        end)",
    );
    let calls = (0..200).map(|id| plugin.call(call(&plugin, Hook::OnClipCaptured, json!({ "id": id }))));
    let replies = bench.runtime.block_on(futures_util::future::join_all(calls));
    for reply in replies {
        let Answer::Patch(patch) = reply.unwrap().answer else { panic!("no patch") };
        assert_eq!(patch["metadata"]["seen"], json!(200), "all began before the first went on");
    }
}

#[test]
fn dropping_the_future_cancels_the_call() {
    let bench = Bench::new();
    let plugin = bench.load(
        "panotti.on.on_clip_captured(function() panotti.sleep(3600) end)
        panotti.on.on_clip_processed(function() return { title = 'alive' } end)",
    );
    let waiting = plugin.call(call(&plugin, Hook::OnClipCaptured, json!({})));
    until("it is under way", || plugin.stats().in_flight == 1);
    drop(waiting);
    until("it is gone", || plugin.stats().in_flight == 0);
    assert!(bench.ask(&plugin, Hook::OnClipProcessed, json!({})).is_ok());
}

#[test]
fn registration_after_the_chunk_raises() {
    let bench = Bench::new();
    let plugin = bench.load("panotti.on.on_clip_captured(function() panotti.on.health(function() end) end)");
    let failure = bench.ask(&plugin, Hook::OnClipCaptured, json!({})).unwrap_err();
    assert!(failure.fault.message.contains("while the plugin loads"), "{}", failure.fault.message);
}

#[test]
fn config_is_read_only_and_follows_the_host() {
    let bench = Bench::new();
    let plugin = bench.load(
        "panotti.on.on_clip_captured(function()
            assert(not pcall(function() panotti.config.from = 1 end))
            return { title = panotti.config.from, metadata = { missing = panotti.config.nope == nil } }
        end)",
    );
    assert_eq!(bench.patch(&plugin, json!({})), json!({"title": "22:00", "metadata": {"missing": true}}));
    plugin.set_config(Arc::new(json!({"from": "23:00"})));
    assert_eq!(bench.patch(&plugin, json!({}))["title"], json!("23:00"));
}

#[test]
fn time_and_chance_go_through_the_door() {
    let bench = Bench::with(|it| it.clock = Arc::new(crate::clock::ManualClock::at(86_400_000_000)));
    bench.load(
        "assert(os.time() == 86400 and os.date('!%Y-%m-%d') == '1970-01-02' and os.clock() >= 0)
        for i = 1, 100 do
            local n = math.random(3)
            assert(n >= 1 and n <= 3 and n % 1 == 0)
            assert(math.random() < 1 and math.random(-5, -5) == -5)
        end
        math.randomseed(1) local a = math.random() math.randomseed(1) assert(math.random() == a)
        assert(not pcall(math.random, 2, 1))",
    );
}

#[test]
fn a_retired_generation_lets_calls_finish_and_takes_no_more() {
    let bench = Bench::new();
    let plugin = bench
        .load("panotti.on.on_clip_captured(function() panotti.sleep(0.05) return { title = 'done' } end)");
    let under_way = plugin.call(call(&plugin, Hook::OnClipCaptured, json!({})));
    until("it is under way", || plugin.stats().in_flight == 1);
    bench.runtime.block_on(plugin.retire(Duration::from_secs(30)));
    assert!(bench.runtime.block_on(under_way).is_ok());
    let failure = bench.ask(&plugin, Hook::OnClipCaptured, json!({})).unwrap_err();
    assert_eq!(failure.outcome, Outcome::Skipped);
}

#[test]
fn waiting_works_inside_pcall_and_inside_the_scripts_own_coroutines() {
    let bench = Bench::new();
    let plugin = bench.load(
        "panotti.on.on_clip_captured(function()
            assert(pcall(panotti.sleep, 0.01))
            local co = coroutine.create(function(a)
                panotti.sleep(0.01)
                local b = coroutine.yield(a + 1)
                pcall(panotti.sleep, 0.01)
                return a + b, 'x'
            end)
            local ok, got = coroutine.resume(co, 1)
            assert(ok and got == 2)
            local ok, sum, x = coroutine.resume(co, 10)
            assert(ok and sum == 11 and x == 'x' and coroutine.status(co) == 'dead')
            assert(not coroutine.resume(co))
            local inner = coroutine.wrap(function() return coroutine.wrap(function() panotti.sleep(0.01) return 'deep' end)() end)
            assert(inner() == 'deep')
            local ok, err = pcall(coroutine.wrap(function() panotti.sleep(0.01) error('boom') end))
            assert(not ok and err:find('boom'), err)
            return { title = 'fine' }
        end)",
    );
    assert_eq!(bench.patch(&plugin, json!({}))["title"], json!("fine"));
}

#[test]
fn nothing_of_a_generation_is_left_when_it_is_gone() {
    let bench = Bench::new();
    let plugin = bench.load(
        "local kept = {}
        panotti.on.on_clip_captured(function() panotti.task.spawn(panotti.sleep, 3600) kept[#kept + 1] = panotti.task.mutex() end)
        panotti.task.delay(3600, function() return kept end)",
    );
    bench.ask(&plugin, Hook::OnClipCaptured, json!({})).unwrap();
    let context = plugin.weak_context();
    bench.runtime.block_on(plugin.retire(Duration::ZERO));
    drop(plugin);
    until("its context is dropped with its VM", || context.strong_count() == 0);
}

#[test]
fn what_a_hook_starts_waits_without_a_thread_and_may_hear_the_same_files() {
    let bench = Bench::new();
    let source = "panotti.on.after_recording_end(function(recording)
        local task = panotti.task.spawn(function() return panotti.media.probe(recording.tracks.mic.path) end)
        local probe, failure = task:join()
        assert(probe == nil and failure.code == 'media_unavailable', failure and failure.code)
        assert(panotti.recordings.create({ id = 'r2' }).id == 'r2' and panotti.kv.cas('k', nil, 1))
        panotti.kv.set('seen', recording.id)
    end)";
    let mut plugin = plugin(&[("init.lua", source)], json!({}));
    plugin.permissions = serde_json::from_value(json!({ "recordings": true })).unwrap();
    let plugin =
        bench.runtime.block_on(bench.host.load(plugin)).unwrap_or_else(|it| panic!("{:?}", it.fault));
    let payload = json!({ "id": "r1", "tracks": { "mic": { "path": "gone.wav", "origin": "client" } } });
    let reply =
        bench.ask(&plugin, Hook::AfterRecordingEnd, payload).unwrap_or_else(|it| panic!("{:?}", it.fault));
    assert_eq!(reply.effects.kv.len(), 1);
}

#[test]
fn a_new_empty_table_is_a_list_where_the_field_is_one() {
    let bench = Bench::new();
    let plugin =
        bench.load("panotti.on.on_clip_captured(function() return { tags = {}, metadata = {} } end)");
    assert_eq!(bench.patch(&plugin, json!({ "tags": ["a"] })), json!({ "tags": [], "metadata": {} }));
}

#[test]
fn a_raised_table_is_told_with_what_to_raise_instead() {
    let bench = Bench::new();
    let failed = "panotti.on.on_clip_captured(function() error({ code = 'gone', message = 'away' }) end)";
    let plugin = bench.load(failed);
    let fault = bench.ask(&plugin, Hook::OnClipCaptured, json!({})).unwrap_err().fault;
    assert!(fault.message.contains("raised a table"), "{}", fault.message);
    assert!(fault.hint.as_deref().is_some_and(|it| it.contains("error(err.message)")), "{:?}", fault.hint);
}

#[test]
fn an_assert_of_what_the_host_fails_with_says_why() {
    let bench = Bench::new();
    let plugin =
        bench.load("panotti.on.on_clip_captured(function()\n  assert(panotti.fs.read('nope.txt'))\nend)");
    let fault = bench.ask(&plugin, Hook::OnClipCaptured, json!({})).unwrap_err().fault;
    assert!(fault.message.starts_with("not_found: "), "{}", fault.message);
    assert_eq!((fault.file.as_deref(), fault.line), (Some("init.lua"), Some(2)));
    let plugin = bench.load(
        "panotti.on.on_clip_captured(function()
            local function why(...) return select(2, pcall(assert, ...)) end
            assert(why(nil, 'mine') == 'mine' and why(false) == 'assertion failed!' and assert(1, 2) == 1)
            assert(select('#', assert(1, nil, nil)) == 3)
            assert(why(nil, {}):find('string expected, got table', 1, true))
            return { title = 'fine' } end)",
    );
    let reply = bench.ask(&plugin, Hook::OnClipCaptured, json!({})).unwrap();
    assert!(matches!(reply.answer, Answer::Patch(patch) if patch["title"] == json!("fine")));
}
