//! A call that is made right after another one.

use super::*;
use crate::hooks::NextCall;
use crate::model::call::Outcome;

/// A plugin that does `before` when it is asked first, and counts what it is asked.
fn generation(bench: &Bench, before: &str) -> Arc<Generation> {
    bench.load(&format!(
        "local asked = {{}}
         panotti.on.before_request(function(request) table.insert(asked, 'first'); {before} end)
         panotti.on.after_request(function(response)
           table.insert(asked, 'second')
           if response.fails then error('the second fails') end
           return {{ headers = {{ asked = table.concat(asked, ' ') }} }}
         end)"
    ))
}

/// Both questions in one go.
fn both(bench: &Bench, generation: &Generation, response: Value) -> HookCall {
    let next = NextCall {
        call: call(generation, Hook::AfterRequest, response),
        chain_wall: Duration::from_secs(5),
        stamp: bench.host.services().store.stamp().unwrap(),
    };
    let then = Some(Box::new(next));
    HookCall { then, ..call(generation, Hook::BeforeRequest, json!({})) }
}

#[test]
fn what_comes_next_is_called_when_the_first_lets_it_pass() {
    let bench = Bench::new();
    let plugin = generation(&bench, "");
    for round in 1..=3 {
        let reply = bench.runtime.block_on(plugin.call(both(&bench, &plugin, json!({})))).unwrap();
        assert_eq!(reply.answer, Answer::Nothing);
        let second = reply.then.expect("the second was called").result.unwrap();
        let Answer::Patch(patch) = second.answer else { panic!("{:?}", second.answer) };
        assert_eq!(patch["headers"]["asked"], vec!["first second"; round].join(" "));
    }
    let stats = plugin.stats();
    assert_eq!((stats.calls, stats.in_flight, stats.queue_depth), (7, 0, 0), "the load and three times two");
}

#[test]
fn what_comes_next_is_not_called_when_the_first_does_anything() {
    let bench = Bench::new();
    for before in [
        "return { headers = { a = '1' } }",
        "return panotti.deny('no')",
        "return panotti.respond{ status = 200, body = 'own' }",
        "panotti.kv.set('a', 1)",
        "panotti.sleep(0.01)",
        "local n = 0; for i = 1, 3e6 do n += i end; panotti.sleep(0)",
    ] {
        let plugin = generation(&bench, before);
        let reply = bench.runtime.block_on(plugin.call(both(&bench, &plugin, json!({})))).unwrap();
        assert!(reply.then.is_none(), "{before}: {reply:?}");
        // It can be asked all the same, and was not before.
        let later = bench.ask(&plugin, Hook::AfterRequest, json!({})).unwrap();
        let Answer::Patch(patch) = later.answer else { panic!("{:?}", later.answer) };
        assert_eq!(patch["headers"]["asked"], "first second", "{before}");
    }
    let plugin = generation(&bench, "error('the first fails')");
    let failure = bench.runtime.block_on(plugin.call(both(&bench, &plugin, json!({})))).unwrap_err();
    assert_eq!(failure.outcome, Outcome::Runtime);
    assert_eq!(plugin.stats().in_flight, 0);
}

#[test]
fn what_comes_next_is_not_called_when_something_was_stored_meanwhile() {
    let bench = Bench::new();
    let plugin = generation(&bench, "");
    let both = both(&bench, &plugin, json!({}));
    bench.host.services().store.write_blocking(|tx| tx.forget_audit(None, None, 1)).unwrap();
    let reply = bench.runtime.block_on(plugin.call(both)).unwrap();
    assert!(reply.then.is_none(), "what it tells of may have changed: {reply:?}");
}

#[test]
fn what_the_first_has_set_off_comes_before_the_second() {
    let bench = Bench::new();
    let plugin = generation(&bench, "panotti.task.spawn(function() table.insert(asked, 'task') end)");
    let reply = bench.runtime.block_on(plugin.call(both(&bench, &plugin, json!({})))).unwrap();
    let Answer::Patch(patch) = reply.then.expect("the second was called").result.unwrap().answer else {
        panic!("no patch")
    };
    assert_eq!(patch["headers"]["asked"], "first task second");
    until("all have ended", || plugin.stats().in_flight == 0);
}

#[test]
fn a_second_that_fails_leaves_what_the_first_said() {
    let bench = Bench::new();
    let plugin = generation(&bench, "");
    let reply = bench.runtime.block_on(plugin.call(both(&bench, &plugin, json!({ "fails": true })))).unwrap();
    assert_eq!((reply.answer, reply.outcome), (Answer::Nothing, Outcome::Ok));
    let failure = reply.then.unwrap().result.unwrap_err();
    assert_eq!(failure.fault.hook.as_deref(), Some("after_request"));
    assert!(failure.fault.message.contains("the second fails"), "{}", failure.fault.message);
    let stats = plugin.stats();
    assert_eq!((stats.in_flight, stats.queue_depth), (0, 0));
}

#[test]
fn nobody_waits_any_more_and_neither_is_left() {
    let bench = Bench::new();
    let plugin = generation(&bench, "panotti.sleep(60)");
    let asked = plugin.call(both(&bench, &plugin, json!({})));
    let gone = bench.runtime.block_on(async { tokio::time::timeout(Duration::from_millis(50), asked).await });
    assert!(gone.is_err(), "it sleeps");
    until("the first is dropped", || plugin.stats().in_flight == 0);
}
