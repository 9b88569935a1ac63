use parking_lot::Mutex;
use serde_json::json;

use crate::model::call::{Outcome, PluginEffects};

use super::*;

/// Runs `body` as a hook that must not fail, and answers the title it returned.
fn run(bench: &Bench, body: &str, limits: Value) -> Value {
    let source = format!("local task = panotti.task panotti.on.on_clip_captured(function() {body} end)");
    let plugin = bench.load_with(&source, limits).unwrap_or_else(|it| panic!("{}", it.fault));
    let patch = bench.patch(&plugin, json!({}));
    bench.runtime.block_on(plugin.retire(Duration::from_secs(5)));
    patch["title"].clone()
}

#[test]
fn gather_runs_all_at_once_and_returns_in_order() {
    let bench = Bench::new();
    let title = run(
        &bench,
        "local begun = 0
        local function work(name) return function() begun += 1 panotti.sleep(0.05) return name .. begun end end
        local a, b, c = task.gather(work('a'), work('b'), function() return nil end)
        assert(task.gather() == nil)
        return { title = a .. b .. tostring(c) }",
        json!({}),
    );
    assert_eq!(title, json!("a2b2nil"));
}

#[test]
fn gather_raises_the_first_error_and_stops_the_others() {
    let bench = Bench::new();
    let title = run(
        &bench,
        "local late = false
        local ok, err = pcall(task.gather, function() error('boom') end, function() panotti.sleep(0.1) late = true end)
        assert(not ok and type(err) == 'string' and err:find('^init.lua:2: boom') and not err:find('traceback'), err)
        panotti.sleep(0.2)
        assert(not late)
        local one, two = task.gather_settled(function() return 1 end, function() error('boom', 0) end)
        assert(one.ok and one.value == 1 and not two.ok and two.error:find('boom'), two.error)
        return { title = 'fine' }",
        json!({}),
    );
    assert_eq!(title, json!("fine"));
}

#[test]
fn a_task_outlives_its_hook_and_its_effects_are_handed_over_when_it_ends() {
    let handed: Arc<Mutex<Vec<PluginEffects>>> = Arc::default();
    let taken = Arc::clone(&handed);
    let bench = Bench::with(|it| it.sink = Arc::new(move |effects, _| taken.lock().push(effects)));
    let plugin = bench.load(
        "panotti.on.on_clip_captured(function()
            panotti.events.publish('a.direct', {})
            panotti.task.spawn(function(text) panotti.sleep(0.05) panotti.events.publish('a.' .. text, {}) end, 'spawned')
            panotti.task.delay(0.02, function() panotti.events.publish('a.delayed', {}) end)
            panotti.task.spawn(function() panotti.events.publish('a.lost', {}) error('boom') end)
        end)",
    );
    let reply = bench.ask(&plugin, Hook::OnClipCaptured, json!({})).unwrap();
    assert_eq!(reply.effects.events.len(), 1);
    until("both have ended", || handed.lock().len() == 2);
    let mut kinds: Vec<_> =
        handed.lock().iter().flat_map(|it| it.effects.events.iter().map(|it| it.kind.clone())).collect();
    kinds.sort();
    assert_eq!(kinds, ["a.delayed", "a.spawned"]);
    until("nothing is left", || plugin.stats().tasks == 0 && plugin.stats().in_flight == 0);
}

#[test]
fn tasks_are_joined_and_cancelled() {
    let bench = Bench::new();
    let title = run(
        &bench,
        "local t = task.spawn(function(a, b) panotti.sleep(0.02) return a + b, 'x' end, 1, 2)
        local sum, x = t:join()
        assert(sum == 3 and x == 'x' and not t:cancel())
        local slow = task.spawn(panotti.sleep, 3600)
        local none, err = slow:join(0.02)
        assert(none == nil and err.code == 'timeout')
        assert(slow:cancel())
        none, err = slow:join()
        assert(none == nil and err.code == 'cancelled' and err.message == 'the task was cancelled', err.code)
        local _, plain = task.gather_settled(function() end, function() error('plain', 0) end)
        assert(not plain.ok and plain.error == 'plain', plain.error)
        local running = task.spawn(panotti.sleep, 3600)
        panotti.sleep(0.02)
        assert(running:cancel())
        none, err = running:join()
        assert(none == nil and err.code == 'cancelled', err.code)
        none, err = task.spawn(function() error('boom') end):join()
        assert(none == nil and err.code == 'runtime' and err.message == 'boom', err.message)
        local late = task.delay(3600, print)
        assert(late:cancel())
        none, err = late:join()
        assert(err.code == 'cancelled')
        return { title = 'fine' }",
        json!({}),
    );
    assert_eq!(title, json!("fine"));
}

#[test]
fn task_run_works_in_another_vm_and_copies_values() {
    let bench = Bench::new();
    let init = "MARK = 'hooks'
        panotti.on.on_clip_captured(function()
            local a, b = panotti.task.gather(
                function() return panotti.task.run('lib.work.sum', { 1, 2, 3 }) end,
                function() return panotti.task.run('lib.work.sum', { 4, 5 }) end)
            local none, err = panotti.task.run('lib.work.nope')
            assert(none == nil and err.code == 'runtime' and err.message:find(\"no function 'nope'\"), err.message)
            assert(not pcall(panotti.task.run, 'lib.work.sum', print))
            return { title = a.sum + b.sum, description = a.mark }
        end)";
    let work = "local M = {} function M.sum(list) local sum = 0 for _, it in list do sum += it end
        panotti.events.publish('a.summed', {}) return { sum = sum, mark = MARK or 'other' } end return M";
    let plugin = bench.load_files(&[("init.lua", init), ("lib/work.lua", work)], json!({})).unwrap();
    let reply = bench.ask(&plugin, Hook::OnClipCaptured, json!({})).unwrap();
    assert_eq!(reply.effects.events.len(), 2, "what it tells is the call's own");
    let Answer::Patch(patch) = reply.answer else { panic!("no patch") };
    assert_eq!((&patch["title"], &patch["description"]), (&json!(15), &json!("other")));
}

#[test]
fn a_mutex_keeps_others_out_and_is_given_back_by_whoever_dies_in_it() {
    let bench = Bench::new();
    let plugin = bench
        .load_with(
            "local lock, inside, most = panotti.task.mutex(), 0, 0
            panotti.on.on_clip_captured(function(clip)
                return lock:with(function()
                    inside += 1 most = math.max(most, inside)
                    panotti.sleep(clip.hang and 3600 or 0.002)
                    inside -= 1
                    return { title = most }
                end)
            end)
            panotti.on.on_clip_processed(function() inside = 0 end)",
            json!({ "question_wall_ms": 2000 }),
        )
        .unwrap();
    let calls = (0..20).map(|_| plugin.call(call(&plugin, Hook::OnClipCaptured, json!({}))));
    for reply in bench.runtime.block_on(futures_util::future::join_all(calls)) {
        let Answer::Patch(patch) = reply.unwrap().answer else { panic!("no patch") };
        assert_eq!(patch["title"], json!(1));
    }
    let hung = plugin.call(HookCall {
        asked_at: Instant::now(),
        timeout: Some(Duration::from_millis(50)),
        ..call(&plugin, Hook::OnClipCaptured, json!({"hang": true}))
    });
    assert_eq!(bench.runtime.block_on(hung).unwrap_err().outcome, Outcome::Deadline);
    bench.ask(&plugin, Hook::OnClipProcessed, json!({})).unwrap();
    assert!(bench.ask(&plugin, Hook::OnClipCaptured, json!({})).is_ok());
}

#[test]
fn tasks_and_timers_are_counted() {
    let bench = Bench::new();
    let plugin = bench
        .load_with(
            "panotti.on.on_clip_captured(function() while true do panotti.task.spawn(panotti.sleep, 3600) end end)
            panotti.on.on_clip_processed(function() while true do panotti.task.delay(3600, print) end end)",
            json!({ "in_flight": 50, "timers": 10 }),
        )
        .unwrap();
    for (hook, told) in
        [(Hook::OnClipCaptured, "limits.in_flight = 50"), (Hook::OnClipProcessed, "limits.timers = 10")]
    {
        let failure = bench.ask(&plugin, hook, json!({})).unwrap_err();
        assert_eq!(failure.outcome, Outcome::Limit, "{}", failure.fault.message);
        assert!(failure.fault.message.contains(told), "{}", failure.fault.message);
    }
    assert_eq!(plugin.stats().tasks, 60);
    bench.runtime.block_on(plugin.retire(Duration::ZERO));
    until("retiring ends them", || plugin.stats().tasks == 0 && plugin.stats().in_flight == 0);
}

#[test]
fn nobody_waits_for_ever_on_a_machine_that_has_too_much_to_do() {
    // Slices end anywhere then, also between asking what a coroutine waits for and giving way.
    let bench = Bench::new();
    let body = "local tasks = {}
        for i = 1, 200 do
            tasks[i] = panotti.task.spawn(function() panotti.fs.stat('none') panotti.fs.stat('none') end)
        end
        for _, it in tasks do it:join() end
        return { title = 'done' }";
    let limits = json!({ "question_wall_ms": 20_000, "question_cpu_ms": 20_000, "wall_ms": 20_000 });
    let plugin =
        bench.load_with(&format!("panotti.on.on_clip_captured(function() {body} end)"), limits).unwrap();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let others: Vec<_> = (0..cores * 2)
        .map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || while !stop.load(std::sync::atomic::Ordering::Relaxed) {})
        })
        .collect();
    let asked: Vec<_> =
        (0..15).map(|_| bench.ask(&plugin, Hook::OnClipCaptured, json!({})).is_ok()).collect();
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    others.into_iter().for_each(|it| it.join().unwrap());
    assert!(asked.iter().all(|it| *it), "{asked:?}");
}
