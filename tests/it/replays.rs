//! Past events told again, deliveries that were given up, and traces.

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::server::{Builder, wait_for};

/// Tells an event for each clip that is made, and answers what it was told.
const COUNTER: &str = r#"panotti.on.on_clip_captured(function(clip)
    panotti.events.publish(clip.title, { n = clip.duration or 0 }, { subject = "thing/" .. clip.title })
  end)
  panotti.events.subscribe("thing.**", function(event, ctx)
    if event.type == "thing.bad" and not panotti.kv.get("mended") then error("not yet") end
    panotti.kv.incr(ctx.replay and "again" or "live")
    panotti.kv.incr("of/" .. event.id)
  end, { max_attempts = 1 })
  panotti.route("GET", "/told", function()
    return { live = panotti.kv.get("live") or 0, again = panotti.kv.get("again") or 0 }
  end)
  panotti.route("POST", "/mend", function() panotti.kv.set("mended", true) return {} end)"#;

/// Is told of the same events.
const OTHER: &str = r#"panotti.events.subscribe("thing.one", function(event, ctx) panotti.kv.incr(ctx.replay and "again" or "live") end)
  panotti.route("GET", "/told", function()
    return { live = panotti.kv.get("live") or 0, again = panotti.kv.get("again") or 0 }
  end)"#;

/// The server with `COUNTER`.
fn counting() -> Builder {
    let routes = "permissions: { routes: true }";
    Server::with().plugin("counter", COUNTER).plugin_file("counter", "plugin.yaml", routes)
}

fn told(server: &Server, plugin: &str) -> (i64, i64) {
    let told = server.get(&format!("/api/v1/plugins/{plugin}/x/told")).expect(200);
    let count = |name: &str| told[name].as_f64().unwrap_or_default() as i64;
    (count("live"), count("again"))
}

fn tell(server: &Server, kind: &str) {
    server.post("/api/v1/clips", json!({ "title": kind, "file_path": "/x" })).expect(201);
}

fn wait_told(server: &Server, plugin: &str, wanted: (i64, i64)) {
    wait_for(&format!("{plugin} told {wanted:?}"), || Some(told(server, plugin)).filter(|it| *it == wanted));
}

fn wait_over(server: &Server, replay: &Value) -> Value {
    wait_for("the end of the replay", || {
        let now = server.get(&format!("/api/v1/events/replays/{}", replay["id"])).expect(200);
        (now["state"] == "done").then_some(now)
    })
}

fn replay(server: &Server, body: Value) -> Value {
    let begun = server.post("/api/v1/events/replay", body).expect(202);
    wait_over(server, &begun)
}

fn counts(replay: &Value) -> [i64; 4] {
    ["matched", "queued", "done", "failed"].map(|it| replay[it].as_i64().unwrap())
}

fn both() -> Server {
    let server = counting()
        .plugin("other", OTHER)
        .plugin_file("other", "plugin.yaml", "permissions: { routes: true }")
        .start();
    for kind in ["thing.one", "thing.one", "thing.two"] {
        tell(&server, kind);
    }
    wait_told(&server, "counter", (3, 0));
    wait_told(&server, "other", (2, 0));
    server
}

#[test]
fn events_are_told_again_by_type_to_one_or_to_all_who_subscribe_now() {
    let server = both();
    let dry = server.post("/api/v1/events/replay", json!({ "type": "thing.*", "dry_run": true })).expect(200);
    assert_eq!((&dry["matched"], &dry["queued"]), (&json!(3), &json!(5)));
    assert_eq!(dry["by_subscriber"], json!({ "counter": 3, "other": 2 }));
    assert_eq!(counts(&replay(&server, json!({ "type": "thing.*" }))), [3, 5, 5, 0]);
    assert_eq!((told(&server, "counter"), told(&server, "other")), ((3, 3), (2, 2)));

    let one = replay(&server, json!({ "type": "thing.**", "plugin": "other" }));
    assert_eq!(counts(&one), [3, 2, 2, 0], "only what it subscribes to");
    assert_eq!((told(&server, "counter"), told(&server, "other")), ((3, 3), (2, 4)));
    let none = replay(&server, json!({ "type": "nothing.like.this" }));
    assert_eq!((counts(&none), &none["state"]), ([0, 0, 0, 0], &json!("done")));
    let all = server.get("/api/v1/events/replays").expect(200);
    assert_eq!((all["items"].as_array().unwrap().len(), &all["items"][0]["id"]), (3, &none["id"]));
    let acts = server.get("/api/v1/audit?action=events.replay&outcome=ok").expect(200);
    let done = acts["items"].as_array().unwrap().iter().filter(|it| it["detail"]["changed"] != false);
    assert_eq!(done.count(), 3, "{acts}");
}

#[test]
fn events_are_told_again_by_id_by_place_by_time_and_by_subject() {
    let server = both();
    let dead = server.get("/api/v1/events/dead").expect(200);
    assert_eq!((&dead["items"], &dead["next"]), (&json!([]), &Value::Null));
    let whole =
        |body: Value| server.post("/api/v1/events/replay", body).expect(200)["matched"].as_i64().unwrap();
    assert_eq!(whole(json!({ "subject": "thing/thing.one", "dry_run": true })), 2);
    assert_eq!(whole(json!({ "source": "plugin/counter", "dry_run": true })), 3);
    let all = whole(json!({ "all": true, "dry_run": true }));
    assert!(all >= 6, "three clips, three things: {all}");
    assert_eq!(whole(json!({ "after": all - 1, "dry_run": true })), 1);
    assert_eq!(whole(json!({ "after": 0, "before": 3, "dry_run": true })), 2);
    assert_eq!(
        whole(json!({ "from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z", "dry_run": true })),
        0
    );
    assert_eq!(whole(json!({ "from": "2020-01-01T00:00:00Z", "dry_run": true })), all);

    let clip = server.post("/api/v1/clips", json!({ "title": "thing.one", "file_path": "/x" }));
    let trace = wait_for("the thing", || {
        let id = clip.header("x-request-id").unwrap();
        let trace = server.get(&format!("/api/v1/events/trace/{id}")).expect(200);
        (trace["events"] == 2).then_some(trace)
    });
    let thing = trace["roots"].as_array().unwrap().iter().find(|it| it["type"] == "thing.one").unwrap();
    wait_told(&server, "counter", (4, 0));
    assert_eq!(counts(&replay(&server, json!({ "ids": [thing["id"]], "plugin": "counter" }))), [1, 1, 1, 0]);
    assert_eq!(told(&server, "counter"), (4, 1));
}

#[test]
fn what_is_asked_for_wrongly_is_told_with_its_place() {
    let server = both();
    let wrong = |body: Value, at: &str| {
        let problem = server.post("/api/v1/events/replay", body).problem(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], at, "{problem}");
    };
    wrong(json!({}), "");
    wrong(json!({ "ids": ["nobody"] }), "/ids/0");
    wrong(json!({ "deliveries": [4711] }), "/deliveries/0");
    wrong(json!({ "type": "a*" }), "/type");
    wrong(json!({ "from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z" }), "/from");
    wrong(json!({ "al": true }), "/al");
    let gone = server.post("/api/v1/events/replay", json!({ "after": 0, "plugin": "nobody" }));
    assert!(
        gone.problem(409, "plugin_not_running")["detail"].as_str().unwrap().contains("`nobody` does not run")
    );
    server.get("/api/v1/events/replays/77").problem(404, "replay_not_found");
    server.delete("/api/v1/events/replays/77").problem(404, "replay_not_found");
    server.delete("/api/v1/events/dead/77").problem(404, "delivery_not_found");
    server.post("/api/v1/events/dead/77/replay", json!({})).problem(404, "delivery_not_found");
    server.get("/api/v1/events/dead?type=a*").problem(400, "bad_query");
    let over = replay(&server, json!({ "type": "thing.one" }));
    server.delete(&format!("/api/v1/events/replays/{}", over["id"])).problem(409, "conflict");
    let reader = server.post("/api/v1/tokens", json!({ "name": "r", "scopes": ["events:read"] })).expect(201);
    let reader = server.with_key(reader["token"].as_str());
    reader.get("/api/v1/events/dead").expect(200);
    reader.post("/api/v1/events/replay", json!({ "all": true })).problem(403, "scope_missing");
}

#[test]
fn what_was_given_up_is_listed_told_again_and_discarded() {
    let server = counting().start();
    for _ in 0..4 {
        tell(&server, "thing.bad");
    }
    let dead = |query: &str| server.get(&format!("/api/v1/events/dead{query}")).expect(200);
    let four = wait_for("four dead ones", || {
        let page = dead("");
        (page["items"].as_array().unwrap().len() == 4).then_some(page)
    });
    let first = &four["items"][0];
    assert_eq!(
        (&first["plugin"], &first["state"], &first["attempts"]),
        (&json!("counter"), &json!("dead"), &json!(1))
    );
    assert_eq!(first["event"]["type"], "thing.bad");
    assert!(
        first["last_error"].as_str().unwrap().contains("not yet") && first["since"].is_string(),
        "{first}"
    );
    assert!(first["id"].as_i64() > four["items"][3]["id"].as_i64(), "newest first");
    let page = dead("?limit=3&type=thing.*&plugin=counter");
    assert_eq!((page["items"].as_array().unwrap().len(), &page["next"]), (3, &page["items"][2]["id"]));
    let rest = dead(&format!("?limit=3&before={}", page["next"]));
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    assert_eq!(dead("?type=other.**")["items"], json!([]));
    assert_eq!(dead("?plugin=nobody")["items"], json!([]));

    server.delete(&format!("/api/v1/events/dead/{}", first["id"])).expect(204);
    let acts = server.get("/api/v1/audit?action=events.dead_discard").expect(200);
    assert_eq!(acts["items"][0]["subject"], format!("delivery/{}", first["id"]));
    assert_eq!(dead("")["items"].as_array().unwrap().len(), 3);

    // Not mended: it fails again and is dead again.
    let again = server.post(&format!("/api/v1/events/dead/{}/replay", page["next"]), json!({})).expect(202);
    assert_eq!(counts(&wait_over(&server, &again)), [1, 1, 0, 1]);
    assert_eq!(dead("")["items"].as_array().unwrap().len(), 3);
    server.post("/api/v1/plugins/counter/x/mend", json!({})).expect(200);
    let failed = replay(&server, json!({ "failed": true, "type": "thing.bad" }));
    assert_eq!(counts(&failed), [3, 3, 3, 0]);
    assert_eq!(dead("")["items"], json!([]), "the list is shorter");
    assert_eq!(told(&server, "counter"), (0, 3));
}

#[test]
fn a_trace_hangs_what_was_caused_below_the_delivery_that_caused_it() {
    let chain = r#"panotti.events.subscribe("clip.created", function(event)
        panotti.events.publish("chain.first", { title = event.data.title }, { subject = "chain/1" })
      end)
      panotti.events.subscribe("chain.first", function() panotti.events.publish("chain.second", {}) end)"#;
    let deaf =
        r#"panotti.events.subscribe("chain.first", function() error("deaf") end, { max_attempts = 1 })"#;
    let server = Server::with().plugin("chain", chain).plugin("deaf", deaf).start();
    let made = server.post("/api/v1/clips", json!({ "title": "t", "file_path": "/x" }));
    let id = made.header("x-request-id").unwrap();
    let trace = wait_for("the whole chain", || {
        let trace = server.get(&format!("/api/v1/events/trace/{id}")).expect(200);
        let first = &trace["roots"][0]["deliveries"][0]["caused"][0];
        let deaf = first["deliveries"].as_array()?.iter().any(|it| it["state"] == "dead");
        (trace["events"] == 3 && deaf).then_some(trace)
    });
    assert_eq!((&trace["correlation_id"], &trace["truncated"]), (&json!(id), &json!(false)));
    let root = &trace["roots"][0];
    assert_eq!((&root["type"], trace["roots"].as_array().unwrap().len()), (&json!("clip.created"), 1));
    let delivery = &root["deliveries"][0];
    assert_eq!((&delivery["subscriber"], &delivery["state"]), (&json!("chain"), &json!("done")));
    assert!(delivery["duration_ms"].as_f64().is_some() && delivery["started"].is_string(), "{delivery}");
    let first = &delivery["caused"][0];
    assert_eq!((&first["type"], &first["causation_id"]), (&json!("chain.first"), &root["id"]));
    let of = |name: &str| {
        let all = first["deliveries"].as_array().unwrap();
        all.iter().find(|it| it["subscriber"] == name).cloned().unwrap()
    };
    assert_eq!(of("chain")["caused"][0]["type"], "chain.second");
    assert!(of("deaf")["last_error"].as_str().unwrap().contains("deaf"), "{first}");
    assert_eq!(of("deaf")["caused"], json!([]));
    let nothing = server.get("/api/v1/events/trace/nobody").expect(200);
    assert_eq!((&nothing["events"], &nothing["roots"]), (&json!(0), &json!([])));
}

/// Makes many things at once, and is told of them slowly enough to be watched.
const SLOW: &str = r#"panotti.route("POST", "/fill/{n}", function(request)
    for at = 1, tonumber(request.params.n) do
      panotti.events.publish("many.one", { at = at }, { subject = "many/" .. at % 50 })
    end
    return {}
  end)
  panotti.events.subscribe("many.one", function(event, ctx)
    if ctx.replay then panotti.sleep(0.002) end
    panotti.kv.incr(ctx.replay and "again" or "live")
  end)
  panotti.events.subscribe("urgent.one", function() panotti.kv.set("urgent_after", panotti.kv.get("again") or 0) end)
  panotti.on.on_clip_captured(function() panotti.events.publish("urgent.one", {}) end)
  panotti.route("GET", "/told", function()
    return { live = panotti.kv.get("live") or 0, again = panotti.kv.get("again") or 0,
      urgent = panotti.kv.get("urgent_after") }
  end)"#;

fn filled(count: i64) -> Server {
    let routes = "permissions: { routes: true }";
    let server = Server::with().plugin("slow", SLOW).plugin_file("slow", "plugin.yaml", routes).start();
    for _ in 0..count / 500 {
        server.post("/api/v1/plugins/slow/x/fill/500", json!({})).expect(200);
    }
    wait_told(&server, "slow", (count, 0));
    server
}

fn open_deliveries(server: &Server) -> i64 {
    let stats = server.get("/api/v1/events/stats").expect(200);
    let count = |state: &str| stats["deliveries"]["states"][state].as_i64().unwrap_or_default();
    ["waiting", "ready", "suspect", "claimed", "delayed"].into_iter().map(count).sum()
}

#[test]
fn a_large_replay_comes_in_parts_behind_what_is_live_and_goes_on_after_a_kill() {
    let server = filled(2000);
    let begun = server.post("/api/v1/events/replay", json!({ "type": "many.one" })).expect(202);
    wait_for("some of it", || Some(told(&server, "slow").1).filter(|it| *it >= 200));
    assert!(open_deliveries(&server) <= 1100, "{}", open_deliveries(&server));
    tell(&server, "urgent");
    let urgent = wait_for("the urgent one", || {
        server.get("/api/v1/plugins/slow/x/told").expect(200)["urgent"].as_f64()
    });
    assert!(urgent < 1900.0, "it did not wait for the replay: {urgent}");

    let server = server.kill_and_restart();
    // What was claimed when it died runs one by one now: that takes a while.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(90);
    let path = format!("/api/v1/events/replays/{}", begun["id"]);
    let over = loop {
        let now = server.get(&path).expect(200);
        if now["state"] == "done" {
            break now;
        }
        assert!(std::time::Instant::now() < end, "{now}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_eq!(counts(&over), [2000, 2000, 2000, 0]);
    // At least once: what was under way at the kill may have come twice.
    let again = told(&server, "slow").1;
    assert!((2000..2400).contains(&again), "{again}");
}

#[test]
fn what_a_cancelled_replay_has_not_begun_is_not_told() {
    let server = filled(2000);
    let begun = server.post("/api/v1/events/replay", json!({ "all": true, "plugin": "slow" })).expect(202);
    wait_for("some of it", || Some(told(&server, "slow").1).filter(|it| *it >= 50));
    let ended = server.delete(&format!("/api/v1/events/replays/{}", begun["id"])).expect(200);
    assert_eq!(ended["state"], "cancelled");
    wait_for("quiet", || (open_deliveries(&server) == 0).then_some(()));
    let again = told(&server, "slow").1;
    assert!(again < 2000, "{again}");
    tell(&server, "urgent");
    let whole = replay(&server, json!({ "type": "many.one", "after": 0, "before": 100 }));
    assert_eq!(whole["failed"], 0, "nothing of the cancelled one stands in its way: {whole}");
}

#[test]
fn a_new_plugin_is_given_the_past_that_it_wants_once() {
    let source = r#"panotti.events.subscribe("clip.created", function(event, ctx)
        panotti.kv.incr(ctx.replay and "again" or "live")
      end, { from = "beginning" })
      panotti.route("GET", "/told", function()
        return { live = panotti.kv.get("live") or 0, again = panotti.kv.get("again") or 0 }
      end)"#;
    let server = Server::start();
    for _ in 0..3 {
        tell(&server, "before");
    }
    let folder = server.folder().join("plugins/late");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("init.lua"), source).unwrap();
    std::fs::write(folder.join("plugin.yaml"), "permissions: { routes: true }").unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    wait_told(&server, "late", (0, 3));
    tell(&server, "after");
    wait_told(&server, "late", (1, 3));
    std::fs::write(folder.join("init.lua"), format!("{source}\n-- edited")).unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    let server = server.restart();
    tell(&server, "after");
    wait_told(&server, "late", (2, 3));
    let all = server.get("/api/v1/events/replays").expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all}");
    assert_eq!(all["items"][0]["asked_by"], "plugin/late");

    server.delete("/api/v1/plugins/late?purge=true").expect(204);
    server.post("/api/v1/plugins", json!({ "name": "late", "enabled": true })).expect(201);
    wait_told(&server, "late", (0, 5));
}

#[test]
fn the_command_line_replays_and_shows() {
    let server = counting().start();
    tell(&server, "thing.one");
    tell(&server, "thing.bad");
    wait_told(&server, "counter", (1, 0));
    wait_for("a dead one", || server.get("/api/v1/events/dead").expect(200)["items"][0]["id"].as_i64());
    let data = server.folder().join("data");
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_panotti"));
        let done = command.args(args).arg("--data-dir").arg(&data).output().unwrap();
        (done.status.code().unwrap(), String::from_utf8(done.stdout).unwrap())
    };
    let (code, text) = run(&["replay", "--type", "thing.*", "--dry-run"]);
    assert_eq!((code, text.as_str()), (0, "2 events are meant, 2 deliveries\n  counter: 2\n"));
    let (code, text) = run(&["replay", "--type", "thing.one", "--plugin", "counter"]);
    assert_eq!(
        (code, text.ends_with("is done: 1 events, 1 deliveries, 1 done, 0 given up\n")),
        (0, true),
        "{text}"
    );
    assert_eq!(run(&["replay", "--failed"]).0, 1, "it is given up again");
    let (code, text) = run(&["events", "dead"]);
    assert!(code == 0 && text.contains("thing.bad") && text.contains("not yet"), "{text}");
    assert_eq!(run(&["replay"]).0, 2, "it must be said what");
    assert_eq!(run(&["replay", "--id", "nobody"]).0, 1);
    let made = server.post("/api/v1/clips", json!({ "title": "thing.one", "file_path": "/x" }));
    let (code, text) = run(&["events", "trace", made.header("x-request-id").unwrap()]);
    assert!(code == 0 && text.contains("clip.created clip/"), "{text}");
}
