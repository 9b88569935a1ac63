//! Recorded calls run again: the same code comes to the same, and what would reach the world does not.

use serde_json::json;

use crate::hooks::{Field, Fields, Given, Texts};
use crate::lua::permission::Permissions;
use crate::lua::replay::Replayed;
use crate::model::call::{CallContext, Caller};
use crate::model::trace::{Step, StepAnswer, Trace};

use super::*;

/// The last call of `hook`, as it is written out and read again.
fn last(bench: &Bench, hook: &str) -> Trace {
    let filter = crate::services::traces::TraceFilter { hook: Some(hook.to_owned()), ..Default::default() };
    let traces = bench._world.services.traces.clone();
    let trace = bench.runtime.block_on(async move {
        let found = traces.list(filter, 1).await.unwrap();
        traces.get(&found[0].id).await.unwrap()
    });
    let text = serde_json::to_string(&trace).unwrap();
    let again: Trace = serde_json::from_str(&text).unwrap();
    assert_eq!(again, trace);
    trace
}

fn granted(source: &str) -> PluginSource {
    let permissions = serde_json::from_value::<Permissions>(
        json!({"db": true, "clips": ["read", "write"], "recordings": ["read"]}),
    )
    .unwrap();
    PluginSource { permissions, ..plugin(&[("init.lua", source)], json!({})) }
}

/// Runs `source` once on a clip; its record, and what came of running that again on `again`.
fn twice(bench: &Bench, source: &str, again: &str) -> (Trace, Replayed) {
    let generation = bench.runtime.block_on(bench.host.load(granted(source))).unwrap();
    let _ = bench.ask(&generation, Hook::OnClipCaptured, json!({"id": 7, "title": "Ace"}));
    let trace = last(bench, "on_clip_captured");
    let replayed = bench.runtime.block_on(bench.host.replay(granted(again), &trace));
    (trace, replayed)
}

fn assert_same(trace: &Trace, replayed: &Replayed) {
    assert_eq!(trace.why_not_replayable(), None, "{trace:#?}");
    assert_eq!(replayed.diverged, None, "{trace:#?}");
    assert_eq!(replayed.outcome.as_deref(), Some(&*trace.outcome), "{replayed:#?}");
    assert_eq!(replayed.output.to_string(), trace.output.to_string());
    assert_eq!(replayed.effects.to_string(), trace.effects.to_string());
    assert_eq!((replayed.made_up, &*replayed.left_over), (0, &[][..]), "{trace:#?}");
}

fn assert_replays(body: &str) -> Trace {
    let bench = Bench::new();
    let source = format!("panotti.on.on_clip_captured(function(clip, ctx)\n{body}\nend)");
    let (trace, replayed) = twice(&bench, &source, &source);
    assert_same(&trace, &replayed);
    trace
}

#[test]
fn time_and_chance_come_again() {
    let trace = assert_replays(
        "local t = {panotti.time.now(), panotti.time.monotonic(), os.time(), os.clock(), panotti.time.format(),
            math.random(), math.random(10), panotti.uuid(), panotti.uuid(), ctx.deadline, os.date()}
        math.randomseed(7)
        t[#t + 1] = math.random(1000)
        return {metadata = {seen = t, source = ctx.source}}",
    );
    assert_eq!(trace.outcome, "ok");
    assert_eq!(trace.output["patch"]["metadata"]["seen"].as_array().unwrap().len(), 12);
}

/// A request as the server has it.
struct Asking(Texts);

impl Fields for Asking {
    fn fields(&self) -> Vec<(&'static str, Field<'_>)> {
        vec![
            ("id", Field::Text("r1")),
            ("path", Field::Text("/a")),
            ("headers", Field::Texts(&self.0)),
            ("remote", Field::Null),
        ]
    }
}

#[test]
fn a_request_that_never_was_json_is_recorded_as_such_and_comes_to_the_same_again() {
    let bench = Bench::new();
    let source = "panotti.on.before_request(function(request, ctx)
        local names = {}
        for name in pairs(request) do table.insert(names, name) end
        for name, text in request.headers do table.insert(names, name .. '=' .. text) end
        return {headers = {names = table.concat(names, ' '), host = 'h', at = tostring(ctx.deadline)}}
    end)";
    let generation = bench.runtime.block_on(bench.host.load(granted(source))).unwrap();
    let names: Vec<String> = (0..9).map(|it| format!("x-{it}")).chain(["host".to_owned()]).collect();
    let shown = Arc::new(Asking(names.iter().map(|it| (it.as_str(), "h")).collect()));
    let call =
        HookCall { payload: Given::fields(shown), ..call(&generation, Hook::BeforeRequest, json!(null)) };
    bench.runtime.block_on(generation.call(call)).unwrap();
    let trace = last(&bench, "before_request");
    assert_eq!(trace.input["headers"].as_object().unwrap().len(), 10);
    assert_eq!(
        (&trace.input["path"], &trace.input["remote"], trace.subject.as_deref()),
        (&json!("/a"), &json!(null), None)
    );
    let seen = trace.output["patch"]["headers"]["names"].as_str().unwrap();
    assert!(seen.contains("path") && !seen.contains("remote") && seen.contains("x-8=h"), "{seen}");
    assert_same(&trace, &bench.runtime.block_on(bench.host.replay(granted(source), &trace)));
}

#[test]
fn kv_and_events_leave_the_same_effects_and_nothing_in_the_store() {
    let body = "panotti.kv.set('a', {1, 2, {x = true}}, {ttl = 60})
        panotti.kv.incr('n', 5)
        panotti.kv.delete('gone')
        panotti.events.publish('tests.done', {at = panotti.time.now()}, {subject = 'clip/7'})
        local keys = panotti.kv.list('')
        local done = panotti.kv.cas('c', nil, 1)
        return {metadata = {n = panotti.kv.get('n'), a = panotti.kv.get('a'), keys = keys, done = done,
            none = panotti.kv.get('none') == nil, incr = panotti.kv.incr('n')}}";
    let trace = assert_replays(body);
    assert_eq!(trace.outcome, "ok", "{:?}", trace.fault);
    assert_eq!(trace.effects["kv"].as_array().unwrap().len(), 4);
    assert_eq!(trace.effects["events"][0]["type"], "tests.done");
}

#[test]
fn a_replay_writes_nothing() {
    let bench = Bench::new();
    let source = "panotti.on.on_clip_captured(function() panotti.kv.cas('c', nil, 1); panotti.db.execute('CREATE TABLE t (x)') end)";
    let (trace, replayed) = twice(&bench, source, source);
    assert_same(&trace, &replayed);
    let other = source.replace("'c', nil, 1", "'d', nil, 1");
    let (_, replayed) = twice(&bench, source, &other);
    let diverged = replayed.diverged.unwrap();
    assert_eq!(diverged.function, "panotti.kv.cas");
    assert_eq!((diverged.file.as_deref(), diverged.line), (Some("init.lua"), Some(1)));
    let kept = crate::services::kv::get(&bench._world.services, &Arc::from("quiet"), "d").unwrap();
    assert_eq!(kept, None);
}

#[test]
fn sleeps_and_parts_end_in_their_order() {
    let body = "local order = {}
        local function part(name, seconds)
            return function()
                for i = 1, 3 do
                    panotti.sleep(seconds)
                    order[#order + 1] = name .. i .. math.random(100)
                    panotti.kv.set(name .. i, panotti.time.now())
                end
                return name
            end
        end
        local a, b, c = panotti.task.gather(part('a', 0.011), part('b', 0.004), part('c', 0.002))
        local settled = {panotti.task.gather_settled(part('d', 0.001), function() panotti.sleep(0.002); error('no') end)}
        order[#order + 1] = a .. b .. c .. tostring(settled[2].ok)
        return {metadata = {order = order}}";
    for _ in 0..5 {
        let trace = assert_replays(body);
        assert_eq!(trace.outcome, "ok", "{:?}", trace.fault);
    }
}

#[test]
fn failures_and_refusals_come_again() {
    assert_eq!(assert_replays("error('no ' .. clip.title)").outcome, "runtime");
    assert_eq!(assert_replays("return {title = 7, x = 0/0}").outcome, "convert");
    assert_eq!(assert_replays("while true do end").outcome, "deadline");
    let denied =
        assert_replays("local ok, why = pcall(panotti.http.get, 'https://a.example/')\nreturn {title = why}");
    assert_eq!(denied.outcome, "denied");
    let bench = Bench::new();
    let source = "panotti.on.before_recording_start(function(it) return panotti.deny('not ' .. it.title, {status = 451}) end)";
    let generation = bench.load(source);
    bench.ask(&generation, Hook::BeforeRecordingStart, json!({"id": "a", "title": "this"})).unwrap();
    let trace = last(&bench, "before_recording_start");
    let replayed = bench.runtime.block_on(bench.host.replay(granted(source), &trace));
    assert_same(&trace, &replayed);
    assert_eq!((&*trace.outcome, &*trace.kept), ("refused", "failure"));
    assert_eq!(trace.subject.as_deref(), Some("recording/a"));
}

#[test]
fn the_plugins_own_database_answers_from_the_record() {
    let trace = assert_replays(
        "panotti.db.execute('CREATE TABLE t (x, y)')
        local sum = panotti.db.transaction(function()
            panotti.db.execute('INSERT INTO t VALUES (?, ?), (2, NULL)', {clip.id, 'a'})
            return panotti.db.query('SELECT sum(x) AS s FROM t')[1].s
        end)
        local rows = panotti.db.query('SELECT * FROM t ORDER BY x')
        local none, err = panotti.db.query('SELECT nonsense')
        return {metadata = {sum = sum, rows = rows, err = err and err.code}}",
    );
    assert_eq!(trace.output["patch"]["metadata"]["sum"], 9);
}

#[test]
fn a_call_that_waited_for_ever_ends_again_by_its_deadline() {
    let bench = Bench::new();
    let source = "panotti.on.on_clip_captured(function() panotti.sleep(3600) end, {timeout = 0.05})";
    let (trace, replayed) = twice(&bench, source, source);
    // The limit of the registration is the caller's affair.
    if trace.outcome == "deadline" {
        assert_same(&trace, &replayed);
    }
    assert!(
        trace.steps.len() == 1
            && matches!(&trace.steps[0], Step::Call(it) if it.answer == StepAnswer::Unfinished)
    );
}

#[test]
fn what_the_files_ask_while_they_load_is_recorded_with_each_call() {
    let bench = Bench::new();
    let source = "local began = panotti.time.now()
        local first = panotti.clips.list({page_size = 1})
        local dice = math.random()
        panotti.on.on_clip_captured(function() return {metadata = {began = began, n = #first.items, dice = dice}} end)";
    let (trace, replayed) = twice(&bench, source, source);
    assert_same(&trace, &replayed);
    assert_eq!(trace.load.len(), 2);
}

#[test]
fn tasks_that_are_started_are_not_started_again() {
    let trace = assert_replays(
        "local t = panotti.task.spawn(function() panotti.sleep(0.01); panotti.kv.set('later', 1); return {n = 5} end)
        panotti.task.delay(100, function() end)
        local got = t:join()
        panotti.task.mutex():with(function() panotti.sleep(0.001) end)
        return {metadata = {got = got.n, again = t:cancel()}}",
    );
    assert_eq!(trace.output["patch"]["metadata"]["got"], 5);
}

#[test]
fn another_version_shows_what_would_change() {
    let bench = Bench::new();
    let old = "panotti.on.on_clip_captured(function(clip) panotti.kv.set('x', 1); return {title = clip.title .. '!'} end)";
    let new = "local unused = 1
        panotti.on.on_clip_captured(function(clip) panotti.log.info('hi', {a = 1}); panotti.kv.set('y', 2); return {title = 'new'} end)";
    let (trace, replayed) = twice(&bench, old, new);
    assert_eq!(trace.output, json!({"kind": "patch", "patch": {"title": "Ace!"}}));
    assert_eq!(replayed.output, json!({"kind": "patch", "patch": {"title": "new"}}));
    assert_eq!(replayed.effects["kv"][0]["key"], "y");
    assert_eq!(replayed.left_over, ["panotti.kv.set"]);
    assert_eq!((replayed.log[0].level.as_str(), replayed.log[0].message.as_str()), ("info", "hi"));
    let (_, replayed) = twice(&bench, old, "panotti.on.on_clip_updated(function() end)");
    assert!(replayed.fault.unwrap().message.contains("registers no `on_clip_captured`"));
    let (_, replayed) = twice(&bench, old, "local x = = 1");
    assert_eq!(replayed.outcome.as_deref(), Some("syntax"));
}

#[test]
fn too_much_is_cut_with_a_mark_and_not_run_again() {
    let bench = Bench::new();
    let source = "panotti.on.on_clip_captured(function() for i = 1, 2000 do panotti.kv.set('k' .. i, string.rep('x', 100)) end end)";
    let generation = bench.load(source);
    bench.ask(&generation, Hook::OnClipCaptured, json!({})).unwrap();
    let trace = last(&bench, "on_clip_captured");
    assert!(trace.cut.as_deref().unwrap().contains("traces.call_kib"), "{:?}", trace.cut);
    assert!(trace.why_not_replayable().is_some());
    assert!(serde_json::to_string(&trace).unwrap().len() < 600_000);
}

#[test]
fn events_and_their_context_come_again() {
    let bench = Bench::new();
    let source = "panotti.events.subscribe('tests.**', function(event, ctx)
        panotti.kv.set(event.id, {event.data.n, ctx.attempt, ctx.correlation_id, ctx.event_id}) end)";
    let generation = bench.load(source);
    let caller = Caller { correlation_id: Some("corr".into()), ..Caller::server() };
    let ctx = CallContext { event_id: Some("e1".into()), attempt: 3, ..CallContext::new("event", caller) };
    let payload = json!({"id": "e1", "type": "tests.x", "data": {"n": null}, "source": "plugin/x"});
    let call = HookCall {
        target: Target::Slot(generation.subscriptions()[0].slot),
        payload: payload.into(),
        ctx: ctx.into(),
        asked_at: Instant::now(),
        timeout: None,
        deadline: None,
        is_question: false,
        then: None,
    };
    bench.runtime.block_on(generation.call(call)).unwrap();
    let trace = last(&bench, "event");
    assert_eq!(trace.target.name, "tests.**");
    let replayed = bench.runtime.block_on(bench.host.replay(granted(source), &trace));
    assert_same(&trace, &replayed);
}

/// Pieces of scripts, each of which asks the host for something.
const PIECES: &[&str] = &[
    "panotti.kv.set('k' .. n % 3, {n, panotti.time.now()})",
    "out[#out + 1] = tostring(panotti.kv.get('k' .. n % 3))",
    "out[#out + 1] = tostring(panotti.kv.incr('n' .. n % 2, n))",
    "panotti.kv.delete('k' .. n % 3)",
    "out[#out + 1] = #panotti.kv.list('k')",
    "panotti.sleep(math.random() / 500)",
    "out[#out + 1] = math.random(1000) .. panotti.uuid()",
    "out[#out + 1] = os.clock() + os.time()",
    "panotti.events.publish('tests.n' .. n, {n = n})",
    "panotti.log.info('line ' .. n, {n = n})",
    "out[#out + 1] = tostring(pcall(panotti.http.get, 'https://no.example/'))",
    "out[#out + 1] = panotti.json.encode(panotti.clips.list({page_size = 3}))",
    "out[#out + 1] = panotti.hash.sha256(tostring(n))",
    "out[#out + 1] = tostring(panotti.once('id' .. n, function() panotti.sleep(0.001) return n end))",
    "if n % 7 == 0 then error('seven ' .. n) end",
    "panotti.task.spawn(function() return n end):join()",
    "local m = panotti.task.mutex(); m:with(function() panotti.sleep(0.0005) end)",
];

/// A script of `length` pieces by a seed; some of them run side by side.
fn random_script(seed: &mut u64, length: usize) -> String {
    let mut next = |most: usize| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) as usize % most
    };
    let mut script = String::from("local out, n = {}, 0\n");
    for _ in 0..length {
        let mut piece = || format!("n = n + 1; {}\n", PIECES[next(PIECES.len())]);
        let (one, two, three) = (piece(), piece(), piece());
        match one.len() % 4 {
            0 => script.push_str(&format!(
                "panotti.task.gather(function() {one}{two} end, function() {three} end)\n"
            )),
            1 => script.push_str(&format!("out[#out + 1] = tostring(pcall(function() {one}{two} end))\n")),
            _ => script.push_str(&one),
        }
    }
    script + "return {metadata = {out = out}}"
}

#[test]
fn that_a_call_had_parts_is_known_when_they_asked_for_nothing() {
    let bench = Bench::new();
    for (body, in_parts) in [("panotti.task.gather(function() end)", true), ("panotti.uuid()", false)] {
        let source = format!("panotti.on.on_clip_captured(function(clip) {body} end)");
        let (trace, _) = twice(&bench, &source, &source);
        assert_eq!(trace.world.in_parts, in_parts, "{body}");
    }
}

#[test]
fn whatever_a_script_asks_of_the_host_its_record_comes_to_the_same() {
    let bench = Bench::new();
    let mut seed = 20_260_310;
    for round in 0..60 {
        let source =
            format!("panotti.on.on_clip_captured(function(clip)\n{}\nend)", random_script(&mut seed, 12));
        let (trace, replayed) = twice(&bench, &source, &source);
        assert_eq!(trace.why_not_replayable(), None, "round {round}: {source}");
        if trace.order_is_unknown() {
            continue;
        }
        let then = (Some(trace.outcome.clone()), trace.output.to_string(), trace.effects.to_string());
        let now = (replayed.outcome.clone(), replayed.output.to_string(), replayed.effects.to_string());
        assert_eq!(now, then, "round {round}: {source}\n{:?}\n{replayed:#?}", trace.fault);
    }
}

#[test]
fn what_a_call_carries_for_its_record_is_small() {
    let (call, record) =
        (size_of::<crate::lua::context::CallState>(), size_of::<crate::lua::recorder::Record>());
    assert!(call <= 1024 && record <= 512, "{call} and {record} bytes");
}

#[test]
fn only_so_many_calls_run_again_at_once() {
    let bench = Bench::new();
    let source = "panotti.on.on_clip_captured(function() end)";
    let (trace, _) = twice(&bench, source, source);
    let runs_again = |host: &LuaHost| {
        let (host, trace, source) = (host.clone(), trace.clone(), granted(source));
        async move { tokio::time::timeout(Duration::from_millis(300), host.replay(source, &trace)).await }
    };
    bench.runtime.block_on(async {
        let mut places = Vec::new();
        for _ in 0..4 {
            places.push(bench.host.replay_place().await);
        }
        assert!(runs_again(&bench.host).await.is_err(), "all places are taken");
        places.clear();
        while runs_again(&bench.host).await.is_err() {}
    });
}
