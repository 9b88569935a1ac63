use std::time::Duration;

use serde_json::json;

use crate::model::call::Outcome;

use super::*;

/// Runs `body` as a hook, then shows that the plugin answers again.
fn outcome_of(bench: &Bench, body: &str, limits: Value) -> CallFailure {
    let source = format!(
        "local function attack() {body} end
        panotti.on.on_clip_captured(attack)
        panotti.on.on_clip_processed(function() return {{ title = 'alive' }} end)"
    );
    let plugin = bench.load_with(&source, limits).unwrap_or_else(|it| panic!("{}", it.fault));
    let failure = bench.ask(&plugin, Hook::OnClipCaptured, json!({})).expect_err(body);
    let again = bench.ask(&plugin, Hook::OnClipProcessed, json!({}));
    assert!(matches!(again, Ok(Reply { answer: Answer::Patch(_), .. })), "{body}: {again:?}");
    failure
}

#[test]
fn a_deadline_ends_whatever_the_script_catches() {
    let bench = Bench::new();
    for body in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local function f() while true do xpcall(f, f) end end f()",
        "while true do coroutine.wrap(function() while true do end end)() end",
        "while true do coroutine.yield() end",
        "while true do local co = coroutine.create(function() while true do end end) coroutine.resume(co) end",
        "local function f() pcall(f) pcall(f) end f() while true do f() end",
        "return (string.rep('a', 30)):find(string.rep('.-', 30) .. 'b')",
        "local t = {} for i = 1, 100 do t[i] = i end table.sort(t, function() while true do end end)",
        "return setmetatable({}, { __index = function() while true do end end }).x",
        "error(setmetatable({}, { __tostring = function() while true do end end }))",
    ] {
        let failure = outcome_of(&bench, body, json!({ "question_cpu_ms": 50 }));
        assert_eq!(failure.outcome, Outcome::Deadline, "{body}: {}", failure.fault.message);
        assert!(failure.fault.message.contains("limits.question_cpu_ms"), "{}", failure.fault.message);
    }
}

#[test]
fn waiting_past_the_wall_time_ends_the_call_too() {
    let bench = Bench::new();
    let failure = outcome_of(&bench, "panotti.sleep(3600)", json!({ "question_wall_ms": 100 }));
    assert_eq!(failure.outcome, Outcome::Deadline);
    assert!(failure.fault.message.contains("limits.question_wall_ms"), "{}", failure.fault.message);
    let failure = outcome_of(
        &bench,
        "while true do pcall(panotti.sleep, 0.01) end",
        json!({ "question_wall_ms": 100 }),
    );
    assert_eq!(failure.outcome, Outcome::Deadline);
}

#[test]
fn a_call_whose_time_ends_between_two_of_its_slices_is_told_where_it_was() {
    let bench = Bench::new();
    let plugin = bench
        .load_with(
            "panotti.on.on_clip_captured(function()\nwhile true do end end)",
            json!({ "question_cpu_ms": 60_000, "question_wall_ms": 200 }),
        )
        .unwrap();
    // They take turns: when the time is over for all of them, one computes and the others wait for their turn.
    let calls = (0..6).map(|_| plugin.call(call(&plugin, Hook::OnClipCaptured, json!({}))));
    for reply in bench.runtime.block_on(futures_util::future::join_all(calls)) {
        let failure = reply.unwrap_err();
        assert_eq!((failure.outcome, failure.fault.line), (Outcome::Deadline, Some(2)), "{}", failure.fault);
    }
}

#[test]
fn loading_has_a_budget_of_its_own() {
    let bench = Bench::new();
    let failure = bench.load_with("while true do end", json!({ "load_cpu_ms": 50 })).err().unwrap();
    assert_eq!(failure.outcome, Outcome::Deadline);
    assert!(failure.fault.message.contains("limits.load_cpu_ms"));
    assert_eq!(failure.fault.line, Some(1));
}

#[test]
fn memory_ends_the_call_and_the_plugin_goes_on() {
    let bench = Bench::new();
    for body in [
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = {} end",
        "return buffer.create(2^29)",
    ] {
        let failure = outcome_of(
            &bench,
            body,
            json!({ "memory_mib": 16, "question_cpu_ms": 5000, "question_wall_ms": 20000 }),
        );
        assert_eq!(failure.outcome, Outcome::Memory, "{body}: {}", failure.fault.message);
    }
}

#[test]
fn garbage_does_not_count() {
    let bench = Bench::new();
    let plugin = bench.load_with(
        "panotti.on.on_clip_captured(function()
            local block = string.rep('x', 2^16)
            for i = 1, 300 do local s = string.rep(block, 60) .. i end
            return { title = 'ok' }
        end)",
        json!({ "memory_mib": 32, "question_cpu_ms": 20000, "question_wall_ms": 20000 }),
    );
    bench.patch(&plugin.unwrap(), json!({}));
}

#[test]
fn a_vm_full_of_what_it_keeps_is_replaced() {
    let bench = Bench::new();
    let plugin = bench
        .load_with(
            "panotti.on.on_clip_captured(function() KEPT = KEPT or {} while true do KEPT[#KEPT + 1] = string.rep('x', 1000) .. #KEPT end end)
            panotti.on.on_clip_processed(function() return { title = KEPT and 'old' or 'fresh' } end)",
            json!({ "memory_mib": 16, "question_cpu_ms": 20000, "question_wall_ms": 20000 }),
        )
        .unwrap();
    // How much of what was in the way was garbage is by chance; in the end the VM keeps nothing but this.
    for _ in 0..20 {
        if let Err(failure) = bench.ask(&plugin, Hook::OnClipCaptured, json!({})) {
            assert_eq!(failure.outcome, Outcome::Memory);
            let message = failure.fault.message;
            assert!(message.contains("16 MiB (limits.memory_mib)"), "{message}");
        }
        let reply = bench.ask(&plugin, Hook::OnClipProcessed, json!({})).unwrap();
        let Answer::Patch(patch) = reply.answer else { panic!("no patch") };
        if patch["title"] == json!("fresh") {
            assert_eq!(plugin.stats().replaced, 1);
            return;
        }
    }
    panic!("never replaced");
}

#[test]
fn a_full_stack_is_told_and_a_forged_one_is_not_believed() {
    let bench = Bench::new();
    let failure = outcome_of(&bench, "local function f() return 1 + f() end f()", json!({}));
    assert_eq!(failure.outcome, Outcome::Stack, "{}", failure.fault.message);
    for forged in
        ["error('stack overflow')", "error('not enough memory')", "error('the call used up its CPU time')"]
    {
        assert_eq!(outcome_of(&bench, forged, json!({})).outcome, Outcome::Runtime, "{forged}");
    }
}

#[test]
fn a_full_queue_refuses_at_once_and_names_the_limit() {
    let bench = Bench::new();
    let plugin = bench
        .load_with(
            "panotti.on.on_clip_captured(function() panotti.sleep(0.2) end)",
            json!({ "in_flight": 1, "queue": 2 }),
        )
        .unwrap();
    let begin = || plugin.call(call(&plugin, Hook::OnClipCaptured, json!({})));
    let first = begin();
    until("the first is under way", || plugin.stats().in_flight == 1);
    let waiting = [begin(), begin()];
    let failure = bench.runtime.block_on(begin()).unwrap_err();
    assert_eq!(failure.outcome, Outcome::Limit);
    assert!(failure.fault.message.contains("limits.queue = 2"), "{}", failure.fault.message);
    assert!(bench.runtime.block_on(first).is_ok());
    for call in waiting {
        bench.runtime.block_on(call).unwrap();
    }
}

#[test]
fn calls_that_wait_in_the_queue_too_long_are_told_so() {
    let bench = Bench::new();
    let plugin = bench
        .load_with(
            "panotti.on.on_clip_captured(function() panotti.sleep(3600) end)",
            json!({ "in_flight": 1, "question_wall_ms": 200 }),
        )
        .unwrap();
    let calls = (0..3).map(|_| plugin.call(call(&plugin, Hook::OnClipCaptured, json!({}))));
    let replies = bench.runtime.block_on(futures_util::future::join_all(calls));
    assert!(replies.iter().all(|it| it.as_ref().is_err_and(|it| it.outcome == Outcome::Deadline)));
}

#[test]
fn plugins_that_spin_do_not_keep_another_from_answering() {
    let bench = Bench::new();
    let spin = "panotti.on.on_clip_captured(function() while true do end end)";
    let limits = json!({ "question_cpu_ms": 20000, "question_wall_ms": 20000 });
    let spinning: Vec<_> = (0..4).map(|_| bench.load_with(spin, limits.clone()).unwrap()).collect();
    let held: Vec<_> = spinning.iter().map(|it| it.call(call(it, Hook::OnClipCaptured, json!({})))).collect();
    for it in &spinning {
        until("it spins", || it.stats().in_flight == 1);
    }
    let healthy = bench.load("panotti.on.on_clip_captured(function() return { title = 'ok' } end)");
    for _ in 0..20 {
        bench.patch(&healthy, json!({}));
    }
    assert!(spinning.iter().all(|it| it.stats().in_flight == 1), "they still spin");
    drop(held);
}

#[test]
fn a_hook_that_spins_gives_way_to_the_plugins_others() {
    let bench = Bench::new();
    let plugin = bench
        .load_with(
            "local stop = false
            panotti.on.on_clip_captured(function() while not stop do end return { title = 'stopped' } end)
            panotti.on.on_clip_processed(function() stop = true end)",
            json!({ "question_cpu_ms": 20000, "question_wall_ms": 20000 }),
        )
        .unwrap();
    let spinning = plugin.call(call(&plugin, Hook::OnClipCaptured, json!({})));
    until("it spins", || plugin.stats().in_flight == 1);
    bench.ask(&plugin, Hook::OnClipProcessed, json!({})).unwrap();
    assert!(bench.runtime.block_on(spinning).is_ok());
}

#[test]
fn a_returned_value_that_cannot_cross_fails_the_call_only() {
    let bench = Bench::new();
    let failure = outcome_of(&bench, "local t = {} t.self = t return t", json!({}));
    assert_eq!(failure.outcome, Outcome::Convert);
    assert!(failure.fault.message.contains("/self contains itself"), "{}", failure.fault.message);
    assert_eq!(outcome_of(&bench, "return { f = print }", json!({})).outcome, Outcome::Convert);
    assert_eq!(outcome_of(&bench, "return { s = string.rep('x', 2^21) }", json!({})).outcome, Outcome::Limit);
}

#[test]
fn many_waiting_hooks_hold_no_thread() {
    let bench = Bench::new();
    let plugin = bench
        .load_with(
            "panotti.on.on_clip_captured(function() panotti.sleep(3600) end)
            panotti.on.on_clip_processed(function() return { title = 'ok' } end)",
            json!({ "in_flight": 1001, "queue": 1024, "question_wall_ms": 20000, "memory_mib": 64 }),
        )
        .unwrap();
    let calls: Vec<_> =
        (0..1000).map(|_| plugin.call(call(&plugin, Hook::OnClipCaptured, json!({})))).collect();
    until("all are under way", || plugin.stats().in_flight == 1000);
    assert!(bench.ask(&plugin, Hook::OnClipProcessed, json!({})).is_ok());
    drop(calls);
    until("all are gone", || plugin.stats().in_flight == 0);
    std::thread::sleep(Duration::from_millis(1));
}

#[test]
fn a_plugin_with_little_to_do_is_served_when_another_has_taken_every_slot() {
    let bench = Bench::with(|it| it.in_flight_total = 40);
    let sleeps = "panotti.on.on_clip_captured(function() panotti.sleep(3600) end)";
    let greedy = bench.load_with(sleeps, json!({ "queue": 1024 })).unwrap();
    let held: Vec<_> =
        (0..100).map(|_| greedy.call(call(&greedy, Hook::OnClipCaptured, json!({})))).collect();
    // It has its own 16 besides, which count, too.
    until("no slot is left", || greedy.stats().in_flight == 40);
    let modest = bench.load("panotti.on.on_clip_captured(function() return { title = 'ok' } end)");
    assert!(bench.ask(&modest, Hook::OnClipCaptured, json!({})).is_ok());
    assert_eq!(greedy.stats().in_flight, 40);
    drop(held);
    until("all are gone", || greedy.stats().in_flight == 0 && bench.host.in_flight() == 0);
}

#[test]
fn a_call_that_fails_gives_back_what_it_had_taken_of_the_quota() {
    let bench = Bench::new();
    let source = "panotti.on.before_request(function(request)
        panotti.kv.set('a', string.rep('x', 700 * 1024))
        if request.fails then error('it fails') end
      end)";
    let plugin = bench.load_with(source, json!({ "kv_mib": 1 })).unwrap();
    for _ in 0..3 {
        let failure = bench.ask(&plugin, Hook::BeforeRequest, json!({ "fails": true })).unwrap_err();
        assert_eq!(failure.outcome, Outcome::Runtime);
    }
    let reply = bench.ask(&plugin, Hook::BeforeRequest, json!({ "fails": false })).unwrap();
    assert_eq!((reply.outcome, reply.effects.kv.len()), (Outcome::Ok, 1), "{:?}", reply.noted);
}
