//! States of plugins and what is told of them; health; lists; the same done with several plugins.

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::server::wait_for;

const QUIET: &str = "panotti.on.before_recording_start(function(r) end)";

/// The states a plugin went through, as `from>to`, since an event.
fn moves(server: &Server, plugin: &str, after: i64) -> Vec<String> {
    let page = server
        .get(&format!(
            "/api/v1/events?type=plugin.state_changed&subject=plugin/{plugin}&after={after}&limit=100"
        ))
        .expect(200);
    let word = |it: &Value| it.as_str().unwrap_or("-").to_owned();
    let items = page["items"].as_array().unwrap();
    items.iter().map(|it| format!("{}>{}", word(&it["data"]["from"]), word(&it["data"]["to"]))).collect()
}

fn last_event(server: &Server) -> i64 {
    let page = server.get("/api/v1/events?order=desc&limit=1").expect(200);
    page["items"][0]["sequence"].as_str().unwrap().parse().unwrap()
}

fn status(server: &Server, plugin: &str) -> Value {
    server.get(&format!("/api/v1/plugins/{plugin}/status")).expect(200)
}

#[test]
fn every_change_of_state_is_an_event_with_its_reason_and_nothing_else_is() {
    let server = Server::with().plugin("quiet", QUIET).plugin("broken", "local = 1").start();
    assert_eq!(moves(&server, "quiet", 0), ["->loading", "loading>running"]);
    assert_eq!(moves(&server, "broken", 0), ["->loading", "loading>failed"]);
    let page = server.get("/api/v1/events?type=plugin.state_changed&subject=plugin/broken").expect(200);
    let failed = &page["items"][1]["data"];
    assert!(failed["reason"].as_str().unwrap().starts_with("init.lua:1:"), "{failed}");
    assert_eq!((&failed["plugin"], &failed["generation"]), (&json!("broken"), &json!(1)));

    let before = last_event(&server);
    server.post("/api/v1/plugins/quiet/enable", json!({})).expect(200);
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(moves(&server, "quiet", before), Vec::<String>::new(), "a touch is no change");
    server.post("/api/v1/plugins/quiet/reload", json!({})).expect(200);
    assert_eq!(
        moves(&server, "quiet", before),
        Vec::<String>::new(),
        "it runs as before; plugin.reloaded tells"
    );

    server.post("/api/v1/plugins/quiet/unload", json!({})).expect(200);
    assert_eq!(moves(&server, "quiet", before), ["running>draining", "draining>disabled"]);
    let unloaded = status(&server, "quiet");
    assert_eq!(
        (&unloaded["state"], &unloaded["enabled"]),
        (&json!("disabled"), &json!(true)),
        "wanted and actual"
    );
    assert!(unloaded["state_reason"].as_str().unwrap().contains("unloaded"), "{unloaded}");
    assert_eq!(unloaded["version_number"], Value::Null);

    let before = last_event(&server);
    server.post("/api/v1/plugins/quiet/load", json!({})).expect(200);
    assert_eq!(moves(&server, "quiet", before), ["disabled>loading", "loading>running"]);
    assert_eq!(status(&server, "quiet")["version_number"], 1);

    let before = last_event(&server);
    assert_eq!(server.delete("/api/v1/plugins/quiet").status, 204);
    let told = moves(&server, "quiet", before);
    assert_eq!(
        (told[0].as_str(), told.last().unwrap().as_str()),
        ("running>draining", "disabled>discovered")
    );
    std::fs::remove_dir_all(server.folder().join("plugins/broken")).unwrap();
    let before = last_event(&server);
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(moves(&server, "broken", before), ["failed>missing"]);
}

#[test]
fn the_states_of_others_that_lose_or_get_what_they_need_are_told_too() {
    let server = Server::with()
        .plugin("base", QUIET)
        .plugin("user", QUIET)
        .plugin_file("user", "plugin.yaml", "dependencies: [base]\n")
        .plugin("tool", "x")
        .plugin_file("tool", "plugin.yaml", "type: go\n")
        .start();
    assert_eq!(moves(&server, "tool", 0), ["->unsupported"]);
    let before = last_event(&server);
    server.post("/api/v1/plugins/base/disable", json!({})).expect(200);
    assert_eq!(moves(&server, "base", before), ["running>draining", "draining>disabled"]);
    assert_eq!(moves(&server, "user", before).last().unwrap(), "disabled>failed");
    let before = last_event(&server);
    server.post("/api/v1/plugins/base/enable", json!({})).expect(200);
    assert_eq!(moves(&server, "user", before), ["failed>loading", "loading>running"]);
    let server = server.restart();
    let page = server
        .get("/api/v1/events?type=plugin.state_changed&subject=plugin/base&order=desc&limit=2")
        .expect(200);
    assert_eq!(page["items"][1]["data"]["from"], Value::Null, "the first one of this start: {page}");
}

const SICK: &str = r#"
    panotti.on.health(function()
      if panotti.kv.get("sick") then return false, "no disk", { left = 0 } end
      return true, "fine", { left = 7 }
    end)
    panotti.on.before_recording_start(function(r)
      if r.title == "sick" then panotti.kv.set("sick", true) else panotti.kv.delete("sick") end
      return { title = r.title .. "!" }
    end)
"#;

#[test]
fn a_plugin_that_is_not_well_says_so_once_and_runs_on() {
    let server = Server::with()
        .plugin("sick", SICK)
        .plugin("mute", QUIET)
        .plugin("throws", "panotti.on.health(function() error('no idea') end)")
        .env("PANOTTI_HEALTH_EVERY_S", 1)
        .env("PANOTTI_HEALTH_HISTORY", 5)
        .start();
    let health = |plugin: &str| server.get(&format!("/api/v1/plugins/{plugin}/health")).expect(200);
    let ok =
        |wanted: bool| wait_for("its health", || Some(health("sick")).filter(|it| it["ok"] == json!(wanted)));
    let well = ok(true);
    assert_eq!((&well["message"], &well["details"]), (&json!("fine"), &json!({ "left": 7 })), "{well}");
    assert!(well["latency_ms"].as_f64().is_some_and(|it| it > 0.0), "{well}");
    server.post("/api/v1/recordings", json!({ "title": "sick" })).expect(201);
    let bad = ok(false);
    assert_eq!((&bad["message"], &bad["state"]), (&json!("no disk"), &json!("running")), "{bad}");
    wait_for("more of it", || (health("sick")["failures_in_a_row"].as_u64() >= Some(3)).then_some(()));
    let told = |plugin: &str| {
        let route = format!("/api/v1/events?type=plugin.health_changed&subject=plugin/{plugin}");
        server.get(&route).expect(200)["items"].as_array().unwrap().clone()
    };
    assert_eq!(told("sick").len(), 1, "told once: {:?}", told("sick"));
    let lines = |plugin: &str, text: &str| {
        let has = |it: &&Value| it["plugin"] == plugin && it.to_string().contains(text);
        server.log_lines().iter().filter(has).count()
    };
    assert_eq!(lines("sick", "is not well"), 1);
    let recording = server.post("/api/v1/recordings", json!({ "title": "well" })).expect(201);
    assert_eq!(recording["title"], "well!", "it is asked as before");
    let well = ok(true);
    assert_eq!(well["failing_since"], Value::Null);
    // Told a moment later: when it is on the disk.
    wait_for("it is told", || (told("sick").len() == 2).then_some(()));
    // A reload keeps the past, and the past has an end.
    server.post("/api/v1/plugins/sick/reload", json!({})).expect(200);
    let after = wait_for("the new generation's", || Some(health("sick")).filter(|it| it["ok"] == true));
    let history = after["history"].as_array().unwrap();
    assert!(history.len() == 5 && history.iter().any(|it| it["generation"] == 1), "{after}");
    assert!(status(&server, "sick")["health"]["ok"].as_bool().unwrap());

    let mute = health("mute");
    assert_eq!((&mute["has_health"], &mute["ok"]), (&json!(false), &Value::Null));
    assert!(mute["message"].as_str().unwrap().contains("no health hook"), "{mute}");
    let throws = wait_for("its failure", || {
        Some(health("throws")).filter(|it| it["failures_in_a_row"].as_u64() >= Some(4))
    });
    assert_eq!((&throws["state"], &throws["history"][0]["outcome"]), (&json!("running"), &json!("runtime")));
    assert_eq!((told("throws").len(), lines("throws", "no idea")), (1, 1), "{:?}", server.log_lines());
    assert_eq!(status(&server, "throws")["breaker"]["kills"], 0);
    let text = String::from_utf8(server.get("/metrics").body).unwrap();
    assert!(text.contains("panotti_plugin_healthy{plugin=\"sick\"} 1"), "{text}");
    assert!(text.contains("panotti_plugin_healthy{plugin=\"throws\"} 0"), "{text}");
    assert!(!text.contains("panotti_plugin_healthy{plugin=\"mute\"}"), "{text}");
    server.get("/api/v1/plugins/nobody/health").problem(404, "plugin_not_found");
}

#[test]
fn numbers_of_one_plugin_are_told_by_hook_and_outcome() {
    let lua = "panotti.on.before_recording_start(function(r) if r.title == 'x' then error('no') end end)";
    let server = Server::with().plugin("counted", lua).start();
    for title in ["a", "x", "b"] {
        server.post("/api/v1/recordings", json!({ "title": title })).expect(201);
    }
    let metrics = server.get("/api/v1/plugins/counted/metrics").expect(200);
    let hook = &metrics["hooks"]["before_recording_start"];
    assert_eq!(hook["outcomes"], json!({ "ok": 2, "runtime": 1 }), "{metrics}");
    assert_eq!((&hook["latency"]["count"], &metrics["failed"]), (&json!(3), &json!(1)), "{metrics}");
    assert!(hook["latency"]["p95_ms"].as_f64().unwrap() > 0.0, "{metrics}");
    assert!(metrics["memory"]["peak_bytes"].as_u64() >= metrics["memory"]["bytes"].as_u64(), "{metrics}");
    assert!(metrics["memory"]["bytes"].as_u64().unwrap() > 0, "{metrics}");
    assert!(metrics["queue"]["count"].as_u64() >= Some(3), "{metrics}");
    assert_eq!((&metrics["breaker"]["state"], &metrics["calls"]), (&json!("closed"), &json!(4)), "{metrics}");
    assert_eq!(metrics["log"]["lines"]["warn"], 1, "its failure: {metrics}");
    server.get("/api/v1/plugins/nobody/metrics").problem(404, "plugin_not_found");
}

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect()
}

#[test]
fn a_list_of_plugins_is_narrowed_sorted_and_cut_into_pages() {
    let server = Server::with()
        .plugin("a", "local = 1")
        .plugin("b", QUIET)
        .plugin("c", QUIET)
        .plugin_file("c", "plugin.yaml", "enabled: false\ndisplay_name: Calm\n")
        .plugin("d", "x")
        .plugin_file("d", "plugin.yaml", "type: go\n")
        .start();
    let list = |query: &str| server.get(&format!("/api/v1/plugins?{query}")).expect(200);
    for (query, expected) in [
        ("", vec!["a", "b", "c", "d"]),
        ("sort=-name", vec!["d", "c", "b", "a"]),
        ("sort=state", vec!["c", "a", "b", "d"]),
        ("state=failed", vec!["a"]),
        ("enabled=false", vec!["c"]),
        ("type=go", vec!["d"]),
        ("q=CALM", vec!["c"]),
        ("sort=-id&page=2&page_size=3", vec!["a"]),
    ] {
        assert_eq!(names(&list(query)), expected, "{query}");
    }
    assert_eq!(list("page_size=3")["total_pages"], 2);
    server.get("/api/v1/plugins?sort=colour").problem(400, "bad_query");
    server.get("/api/v1/plugins?state=asleep").problem(400, "bad_query");
}

#[test]
fn several_plugins_are_changed_in_the_order_of_their_needs_and_one_that_fails_stops_none() {
    let server = Server::with()
        .plugin("base", QUIET)
        .plugin("a_user", QUIET)
        .plugin_file("a_user", "plugin.yaml", "dependencies: [base]\n")
        .plugin("broken", "local = 1")
        .plugin("other", QUIET)
        .start();
    let bulk = |body: Value| server.post("/api/v1/plugins/bulk", body).expect(200);
    let order = |done: &Value| -> Vec<String> {
        let each = done["results"].as_array().unwrap().iter();
        each.map(|it| format!("{} {}", it["plugin"].as_str().unwrap(), it["ok"])).collect()
    };
    let id = status(&server, "other")["id"].clone();
    let done = bulk(json!({ "action": "disable", "plugins": ["base", "a_user", "base", id, "nobody"] }));
    assert_eq!((&done["succeeded"], &done["failed"]), (&json!(3), &json!(1)), "{done}");
    let told = order(&done);
    let at = |name: &str| told.iter().position(|it| it.starts_with(name)).unwrap();
    assert!(at("a_user") < at("base") && told.contains(&"nobody false".to_owned()), "{done}");
    let unknown = &done["results"][at("nobody")]["error"];
    assert_eq!(unknown["code"], "plugin_not_found", "{done}");
    assert_eq!(status(&server, "a_user")["enabled"], false);

    let done = bulk(json!({ "action": "enable", "filter": {} }));
    let told = order(&done);
    let at = |name: &str| told.iter().position(|it| it.starts_with(name)).unwrap();
    assert!(at("base") < at("a_user"), "{done}");
    assert_eq!((&done["succeeded"], &done["failed"]), (&json!(3), &json!(1)), "{done}");
    let broken = &done["results"][at("broken")];
    assert_eq!(
        (&broken["error"]["code"], &broken["state"]),
        (&json!("plugin_load_failed"), &json!("failed")),
        "{done}"
    );
    assert_eq!(broken["error"]["fault"]["line"], 1, "{done}");

    let done = bulk(json!({ "action": "reload", "filter": { "state": "running", "q": "s" } }));
    assert_eq!((&done["succeeded"], &done["failed"]), (&json!(2), &json!(0)), "{done}");
    assert!(done["results"].as_array().unwrap().iter().all(|it| it["changed"] == true), "{done}");
    let again = bulk(json!({ "action": "enable", "plugins": ["base"] }));
    assert_eq!((&again["results"][0]["ok"], &again["results"][0]["changed"]), (&json!(true), &json!(false)));
    let none = bulk(json!({ "action": "enable", "filter": { "state": "quarantined" } }));
    assert_eq!(none["results"], json!([]));

    let refused = server.post("/api/v1/plugins/bulk", json!({ "action": "purge", "plugins": ["base"] }));
    assert_eq!(refused.problem(422, "invalid")["errors"][0]["pointer"], "/action");
    server.post("/api/v1/plugins/bulk", json!({ "action": "enable" })).problem(422, "invalid");
    let audit = server.get("/api/v1/audit?action=plugin.bulk&outcome=ok").expect(200);
    assert_eq!(audit["items"].as_array().unwrap().len(), 5, "{audit}");
    assert_eq!(audit["items"][4]["detail"]["failed"], json!(["nobody"]), "{audit}");
}
