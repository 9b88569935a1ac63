//! `/api/v1/plugins` and `/api/v1/hooks`, as an admin sees them.

use serde_json::json;

use crate::common::Server;
use crate::common::server::wait_for;

const QUIET: &str = "panotti.on.before_recording_start(function(r) end, { priority = 5 })";

#[test]
fn a_plugin_is_found_by_number_and_name_and_changed_in_parts() {
    let server = Server::with().plugin("quiet", QUIET).start();
    let listed = server.get("/api/v1/plugins?state=running").expect(200);
    assert_eq!((&listed["total"], &listed["items"][0]["name"]), (&json!(1), &json!("quiet")));
    let id = listed["items"][0]["id"].as_i64().unwrap();
    let read = server.get(&format!("/api/v1/plugins/{id}"));
    assert_eq!(read.expect(200), server.get("/api/v1/plugins/quiet").expect(200));
    let tag = read.header("etag").unwrap();
    let change = json!({ "display_name": "Quiet", "plugin_metadata": { "a": 1 } });
    let changed = server.json_with("PUT", "/api/v1/plugins/quiet", &[("If-Match", tag)], change.clone());
    assert_eq!(
        (&changed.expect(200)["display_name"], &changed.json()["enabled"]),
        (&json!("Quiet"), &json!(true))
    );
    let stale = server.json_with("PUT", "/api/v1/plugins/quiet", &[("If-Match", tag)], change);
    stale.problem(412, "precondition_failed");
    server.get("/api/v1/plugins/nobody").problem(404, "plugin_not_found");
    server.patch("/api/v1/plugins/quiet", json!({ "enabld": false })).problem(422, "invalid");
}

#[test]
fn registering_names_a_folder_and_never_a_path() {
    let server = Server::with().plugin("quiet", QUIET).start();
    server.post("/api/v1/plugins", json!({ "name": "quiet" })).problem(409, "plugin_exists");
    server.post("/api/v1/plugins", json!({ "name": "nobody" })).problem(422, "no_such_folder");
    let path = json!({ "name": "../quiet", "install_path": "/etc", "entry_point": "passwd" });
    server.post("/api/v1/plugins", path).problem(422, "no_such_folder");
    assert_eq!(server.delete("/api/v1/plugins/quiet").status, 204);
    let is_discovered = |server: &Server| {
        let all = server.get("/api/v1/plugins").expect(200);
        assert_eq!((&all["total"], &all["items"][0]["state"]), (&json!(1), &json!("discovered")), "{all}");
    };
    is_discovered(&server);
    let server = server.restart();
    is_discovered(&server);
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    is_discovered(&server);
    let refused = server.post("/api/v1/plugins/quiet/enable", json!({})).problem(409, "conflict");
    assert!(refused["hint"].as_str().unwrap().contains("POST /api/v1/plugins"), "{refused}");
    let again = server.post("/api/v1/plugins", json!({ "name": "quiet" })).expect(201);
    assert_eq!(again["state"], "running");
}

#[test]
fn a_plugin_that_does_not_load_says_where() {
    let server = Server::with().plugin("broken", "local x = 1\nlocal y = = 2\n").start();
    let problem = server.post("/api/v1/plugins/broken/enable", json!({})).problem(422, "plugin_load_failed");
    let fault = &problem["errors"][0];
    assert_eq!((&fault["file"], &fault["line"]), (&json!("init.lua"), &json!(2)), "{problem}");
    assert!(fault["excerpt"].as_str().is_some_and(|it| it.contains("= = 2")), "{problem}");
    let status = server.get("/api/v1/plugins/broken/status").expect(200);
    assert_eq!((&status["enabled"], &status["last_error"]["line"]), (&json!(false), &json!(2)));
}

#[test]
fn config_rows_are_unique_by_key_and_reach_the_plugin() {
    let source = r#"
        panotti.on.before_recording_start(function() return { title = tostring(panotti.config.name) } end)
    "#;
    let server = Server::with().plugin("named", source).start();
    let rows = "/api/v1/plugins/named/config";
    let row = server.post(rows, json!({ "key": "name", "value": "one" })).expect(201);
    server.post(rows, json!({ "key": "name", "value": "two" })).problem(409, "key_exists");
    server.post(rows, json!({ "key": 1, "colour": 2 })).problem(422, "invalid");
    let title =
        |id: &str| server.post("/api/v1/recordings", json!({ "id": id })).expect(201)["title"].clone();
    assert_eq!(title("a"), "one");
    let place = format!("{rows}/{}", row["id"]);
    server.put(&place, json!({ "value": "two" })).expect(200);
    assert_eq!(title("b"), "two");
    assert_eq!(server.get(rows).expect(200)["items"][0]["source"], "database");
    assert_eq!(server.delete(&place).status, 204);
    server.delete(&place).problem(404, "config_not_found");
    assert_eq!(title("c"), "nil");
}

#[test]
fn a_key_that_looks_like_a_typo_is_refused_by_a_closed_schema_and_told_by_an_open_one() {
    let schema =
        |closed: &str| format!("config_schema:\n  properties: {{ level: {{ type: integer }} }}\n{closed}");
    let server = Server::with()
        .plugin("open", QUIET)
        .plugin_file("open", "plugin.yaml", &schema(""))
        .plugin("closed", QUIET)
        .plugin_file("closed", "plugin.yaml", &schema("  additionalProperties: false\n"))
        .plugin("any", QUIET)
        .plugin_file("any", "plugin.yaml", &schema("  additionalProperties: true\n"))
        .start();
    let typo = json!({ "key": "levle", "value": 3 });
    let refused = server.post("/api/v1/plugins/closed/config", typo.clone()).problem(422, "invalid");
    assert_eq!(refused["errors"][0]["pointer"], "/key", "{refused}");
    assert!(refused["errors"][0].to_string().contains("did you mean `level`?"), "{refused}");
    let rows = "/api/v1/plugins/open/config";
    let stored = server.post(rows, typo).expect(201);
    assert!(stored["hint"].as_str().is_some_and(|it| it.contains("did you mean `level`?")), "{stored}");
    assert_eq!(server.get(rows).expect(200)["items"][0]["hint"], stored["hint"]);
    wait_for("the warning", || {
        let told = |it: &serde_json::Value| {
            it["plugin"] == "open" && it.to_string().contains("did you mean `level`?")
        };
        server.log_lines().iter().any(told).then_some(())
    });
    let hint = |plugin: &str, key: &str, value: i64| {
        let rows = format!("/api/v1/plugins/{plugin}/config");
        server.post(&rows, json!({ "key": key, "value": value })).expect(201)["hint"].clone()
    };
    assert_eq!(hint("open", "level", 3), json!(null));
    let other = hint("open", "entirely_different", 1);
    assert!(other.as_str().is_some_and(|it| it.ends_with("there are level")), "{other}");
    assert_eq!(hint("any", "entirely_different", 1), json!(null), "the schema says so");
}

#[test]
fn the_chain_of_a_hook_says_who_comes_first_and_why() {
    let late = "panotti.on.before_recording_start(function() end, { priority = 1 })";
    let first = "panotti.on.before_recording_start(function() end, { after = { 'quiet' }, priority = 99 })";
    let server = Server::with().plugin("quiet", QUIET).plugin("late", late).plugin("eager", first).start();
    let hook = server.get("/api/v1/hooks/before_recording_start").expect(200);
    let chain = hook["chain"].as_array().unwrap();
    let names: Vec<&str> = chain.iter().map(|it| it["plugin"].as_str().unwrap()).collect();
    assert_eq!(names, ["quiet", "eager", "late"]);
    assert!(chain.iter().all(|it| it["why"].as_str().is_some_and(|it| !it.is_empty())), "{hook}");
    let all = server.get("/api/v1/hooks").expect(200);
    assert!(all["items"].as_array().unwrap().len() >= 14);
    let problem = server.get("/api/v1/hooks/before_recording_strat").problem(404, "hook_not_found");
    assert!(problem["detail"].as_str().unwrap().contains("before_recording_start"), "{problem}");
}

#[test]
fn a_repeated_registration_or_config_value_is_answered_as_the_first_time() {
    let server = Server::with().plugin("quiet", "panotti.on.on_startup(function() end)").start();
    server.delete("/api/v1/plugins/quiet").expect(204);
    let once = [("Idempotency-Key", "k-1")];
    let send = |path: &str, body: serde_json::Value| server.json_with("POST", path, &once, body);
    let first = send("/api/v1/plugins", json!({"name": "quiet"})).expect(201);
    assert_eq!(send("/api/v1/plugins", json!({"name": "quiet"})).expect(201), first);
    server.post("/api/v1/plugins", json!({"name": "quiet"})).problem(409, "plugin_exists");

    let config = "/api/v1/plugins/quiet/config";
    let once = [("Idempotency-Key", "k-2")];
    let send = |value: u8| server.json_with("POST", config, &once, json!({"key": "k", "value": value}));
    let first = send(1).expect(201);
    assert_eq!(send(1).expect(201), first);
    send(2).problem(422, "idempotency_key_reused");
}
