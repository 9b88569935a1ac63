//! Recorded calls into plugins: found, read, bounded, kept over a restart, run again on other code.

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::server::wait_for;
use crate::metrics::metrics;

const GATE: &str = r#"panotti.on.before_recording_start(function(recording, ctx)
  panotti.log.info("asked", { token = panotti.config.token })
  panotti.kv.set("last", { title = recording.title, at = panotti.time.now(), key = panotti.config.token })
  if recording.title == "Bad" then error("cannot bear " .. recording.title .. " with " .. panotti.config.token) end
  if recording.title == "Private" then return panotti.deny("private") end
  return { title = recording.title .. "!" }
end)"#;

const MANIFEST: &str = r#"config: { token: "hunter2-secret" }
config_schema: { properties: { token: { type: string, writeOnly: true } } }
"#;

fn start() -> Server {
    Server::with().plugin("gate", GATE).plugin_file("gate", "plugin.yaml", MANIFEST).start()
}

fn record(server: &Server, title: &str) -> u16 {
    server.post("/api/v1/recordings", json!({ "title": title })).status
}

/// The newest call that fits.
fn newest(server: &Server, query: &str) -> Value {
    let path = format!("/api/v1/traces?plugin=gate&{query}&limit=1");
    wait_for("a recorded call", || server.get(&path).expect(200)["items"].get(0).cloned())
}

fn whole(server: &Server, query: &str) -> Value {
    let head = newest(server, query);
    server.get(&format!("/api/v1/traces/{}", head["id"].as_str().unwrap())).expect(200)
}

#[test]
fn a_failure_names_its_record_which_holds_no_secret_and_outlives_the_process() {
    let server = start();
    assert_eq!(record(&server, "Bad"), 201);
    let status = server.get("/api/v1/plugins/gate/status").expect(200);
    let id = status["last_error"]["trace_id"].as_str().unwrap().to_owned();
    let line = server.wait_for_log("the failure", |it| it["trace_id"] == id.as_str());
    assert_eq!(line["hook"], "before_recording_start", "{line}");
    let trace = server.get(&format!("/api/v1/traces/{id}")).expect(200);
    assert_eq!((&trace["outcome"], &trace["kept"]), (&json!("runtime"), &json!("failure")));
    assert_eq!(trace["input"]["title"], "Bad");
    assert!(trace["subject"].as_str().unwrap().starts_with("recording/"));
    let text = trace.to_string();
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("cannot bear Bad with ***"), "{text}");
    let names: Vec<&str> =
        trace["steps"].as_array().unwrap().iter().filter_map(|it| it["name"].as_str()).collect();
    assert_eq!(names, ["panotti.log.info", "panotti.kv.set"]);
    let request = trace["request_id"].as_str().unwrap();
    assert_eq!(newest(&server, &format!("request_id={request}"))["id"], id.as_str());
    let server = server.restart();
    assert_eq!(server.get(&format!("/api/v1/traces/{id}")).expect(200)["steps"], trace["steps"]);
    server.get("/api/v1/traces/12345").problem(404, "trace_not_found");
}

#[test]
fn a_failure_behind_the_answer_is_found_by_the_id_of_its_request() {
    let lua = "panotti.on.after_recording_end(function(recording)\n  error('lost ' .. recording.id)\nend)";
    let server = Server::with().plugin("gate", lua).start();
    server.post("/api/v1/recordings", json!({ "id": "r1" })).expect(201);
    let ended = server.post("/api/v1/recordings/r1/end", json!({}));
    let request = ended.header("x-request-id").unwrap().to_owned();
    let head = newest(&server, &format!("outcome=runtime&request_id={request}"));
    assert_eq!((&head["hook"], &head["request_id"]), (&json!("after_recording_end"), &json!(request)));
    assert_eq!(head["message"], "init.lua:2: lost r1");
    let line = server.wait_for_log("the failure", |it| it["outcome"] == "runtime");
    assert_eq!((&line["request_id"], &line["trace_id"]), (&json!(request), &head["id"]), "{line}");
}

#[test]
fn a_call_run_again_comes_to_the_same_and_changes_nothing() {
    let server = start();
    assert_eq!((record(&server, "Private"), record(&server, "Plain")), (422, 201));
    for (outcome, kind) in [("refused", "deny"), ("ok", "patch")] {
        let head = newest(&server, &format!("hook=before_recording_start&outcome={outcome}"));
        let path = format!("/api/v1/traces/{}/replay", head["id"].as_str().unwrap());
        let before = server.log_length();
        let again = server.post(&path, json!({})).expect(200);
        assert_eq!((&again["same"], &again["output"]["kind"]), (&json!(true), &json!(kind)), "{again}");
        assert_eq!((&again["diverged"], &again["diff"]), (&Value::Null, &json!([])));
        assert_eq!(again["log"][0]["message"], "asked");
        assert!(
            server.log_since(before).iter().all(|it| it["message"] != "asked"),
            "what it logs goes nowhere"
        );
    }
    let all = server.get("/api/v1/traces?plugin=gate&hook=before_recording_start").expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 2, "a replay is not recorded");
}

#[test]
fn other_code_shows_where_it_goes_another_way() {
    let server = start();
    assert_eq!(record(&server, "Plain"), 201);
    let id = newest(&server, "hook=before_recording_start")["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/traces/{id}/replay");
    let shout = GATE.replace("title .. \"!\"", "title .. \"?\"");
    let again = server.post(&path, json!({ "files": { "init.lua": shout } })).expect(200);
    assert_eq!((&again["same"], &again["same_code"]), (&json!(false), &json!(false)));
    let diff = json!([{ "path": "/output/patch/title", "before": "Plain!", "after": "Plain?" }]);
    assert_eq!(again["diff"], diff);
    let asks = "panotti.on.before_recording_start(function()\n  local all = panotti.kv.list('')\nend)";
    let again = server.post(&path, json!({ "files": { "init.lua": asks } })).expect(200);
    let diverged = &again["diverged"];
    assert_eq!(
        (&diverged["function"], &diverged["file"], &diverged["line"]),
        (&json!("panotti.kv.list"), &json!("init.lua"), &json!(2))
    );
    assert_eq!(again["outcome"], Value::Null);
    // An edit that went live: the files of then are kept.
    std::fs::write(server.folder().join("plugins/gate/init.lua"), shout).unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(server.post(&path, json!({})).expect(200)["same"], true);
    assert_eq!(server.post(&path, json!({ "code": "live" })).expect(200)["diff"], diff);
    let wrong = server.post(&path, json!({ "code": "other" })).problem(422, "invalid");
    assert_eq!(wrong["hint"], "Correct what the detail names.", "there are no `errors` to look at");
    server.post(&path, json!({ "files": { "../x.lua": "" } })).problem(400, "bad_path");
}

#[test]
fn the_content_of_calls_needs_another_scope_than_their_list() {
    let server = start();
    assert_eq!(record(&server, "Bad"), 201);
    let id = newest(&server, "outcome=runtime")["id"].as_str().unwrap().to_owned();
    let made =
        server.post("/api/v1/tokens", json!({ "name": "looks", "scopes": ["plugins:read"] })).expect(201);
    let client = server.client().with_key(made["token"].as_str());
    client.get("/api/v1/traces").expect(200);
    client.get(&format!("/api/v1/traces/{id}")).problem(403, "scope_missing");
    client.post(&format!("/api/v1/traces/{id}/replay"), json!({})).problem(403, "scope_missing");
}

#[test]
fn the_last_calls_of_each_hook_are_held_and_a_page_leads_to_the_next() {
    let server = Server::with()
        .plugin("gate", "panotti.on.on_clip_captured(function() end)")
        .plugin_file("gate", "plugin.yaml", "limits: { trace_per_mille: 0 }")
        .env("PANOTTI_TRACES_LAST", 5)
        .start();
    for n in 0..12 {
        server.post("/api/v1/clips", json!({ "title": format!("c{n}"), "file_path": "/x" })).expect(201);
    }
    let path = "/api/v1/traces?plugin=gate&hook=on_clip_captured";
    let all = server.get(path).expect(200)["items"].clone();
    assert_eq!(all.as_array().unwrap().len(), 5);
    assert!(all.as_array().unwrap().iter().all(|it| it["kept"] == "recent"), "{all}");
    let first = server.get(&format!("{path}&limit=2")).expect(200);
    let next = first["next"].as_str().unwrap();
    let second = server.get(&format!("{path}&limit=2&before={next}")).expect(200);
    assert_eq!(second["items"][0]["id"], all[2]["id"]);
    let server = server.restart();
    assert_eq!(server.get(path).expect(200)["items"], json!([]));
}

#[test]
fn a_plugin_that_is_called_all_the_time_stores_so_many_calls_a_second_and_no_more() {
    let source =
        "panotti.on.on_clip_captured(function(clip) if clip.title == 'bad' then error('no') end end)";
    let server = Server::with()
        .plugin("busy", source)
        .plugin_file("busy", "plugin.yaml", "limits: { trace_per_mille: 1000 }")
        .env("PANOTTI_TRACES_FAILURES_PER_SECOND", 2)
        .env("PANOTTI_TRACES_SAMPLES_PER_SECOND", 3)
        .start();
    let began = std::time::Instant::now();
    for n in 0..60 {
        let title = if n % 2 == 0 { "bad" } else { "good" };
        server.post("/api/v1/clips", json!({ "title": title, "file_path": "/x" })).expect(201);
    }
    let seconds = began.elapsed().as_secs() as usize + 2;
    let held = server.get("/api/v1/traces?hook=on_clip_captured&limit=100").expect(200);
    let is_recent = |it: &&Value| it["kept"] == "recent";
    assert!(held["items"].as_array().unwrap().iter().filter(is_recent).count() >= 10, "{held}");
    let named: Vec<String> =
        server.log_lines().iter().filter_map(|it| it["trace_id"].as_str().map(str::to_owned)).collect();
    let not_stored = metrics(&server)["panotti_traces_not_stored_total{plugin=\"busy\"}"];
    let server = server.restart();
    assert_eq!(named.len() + not_stored as usize, 30, "each that failed has an id or is counted");
    for id in &named {
        server.get(&format!("/api/v1/traces/{id}")).expect(200);
    }
    let stored = |outcome: &str| {
        let path = format!("/api/v1/traces?hook=on_clip_captured&outcome={outcome}&limit=100");
        server.get(&path).expect(200)["items"].as_array().unwrap().len()
    };
    let (failures, samples) = (stored("runtime"), stored("ok"));
    assert!((1..=2 * seconds).contains(&failures) && failures < 30, "{failures} in {seconds} s");
    assert!((1..=3 * seconds).contains(&samples) && samples < 30, "{samples} in {seconds} s");
}

#[test]
fn nothing_is_recorded_when_that_is_switched_off() {
    let server = Server::with()
        .plugin("gate", GATE)
        .plugin_file("gate", "plugin.yaml", MANIFEST)
        .env("PANOTTI_TRACES_ENABLED", false)
        .start();
    assert_eq!(record(&server, "Bad"), 201);
    let status = server.get("/api/v1/plugins/gate/status").expect(200);
    assert_eq!(status["last_error"]["trace_id"], Value::Null, "{status}");
    assert_eq!(server.get("/api/v1/traces").expect(200)["items"], json!([]));
}

fn title_of(call: &Value, side: &str) -> Value {
    call[side]["output"]["patch"]["title"].clone()
}

#[test]
fn a_preview_shows_what_an_edit_would_refuse_change_and_break() {
    let server = start();
    for title in ["One", "Two", "Private", "Bad"] {
        record(&server, title);
    }
    let path = "/api/v1/plugins/gate/preview";
    let same = server.post(path, json!({ "files": { "README.md": "hello" } })).expect(200);
    assert_eq!((&same["summary"]["calls"], &same["summary"]["same"]), (&json!(4), &json!(4)), "{same:#}");
    assert_eq!(same["summary"]["changed"], 0);
    let edit = r#"panotti.on.before_recording_start(function(recording)
  panotti.kv.set("seen", recording.title)
  if recording.title == "Two" then return panotti.deny("not two") end
  if recording.title == "Private" then return nil end
  return { title = recording.title .. "?" }
end)"#;
    let would = server.post(path, json!({ "files": { "init.lua": edit } })).expect(200);
    let summary = &would["summary"];
    let figures =
        ["calls", "changed", "new_refusals", "gone_refusals", "new_errors", "gone_errors", "unknown"];
    assert_eq!(figures.map(|it| summary[it].as_i64().unwrap()), [4, 4, 1, 1, 0, 1, 0], "{would:#}");
    let calls = would["calls"].as_array().unwrap();
    let one = calls.iter().find(|it| title_of(it, "before") == "One!").unwrap();
    assert_eq!((title_of(one, "after"), &one["error"]), (json!("One?"), &Value::Null));
    assert!(one["diff"].as_array().unwrap().iter().any(|it| it["path"] == "/effects/kv/0/key"), "{one:#}");
    let two = calls.iter().find(|it| it["after"]["outcome"] == "refused").unwrap();
    assert_eq!(two["after"]["output"]["reason"], "not two");
    let asks = "panotti.on.before_recording_start(function(it)\n  return { title = panotti.http.get('https://a.example').body }\nend)";
    let manifest = format!("permissions: {{ http: [a.example] }}\n{MANIFEST}");
    let would = server
        .post(path, json!({ "files": { "init.lua": asks, "plugin.yaml": manifest }, "calls": 2 }))
        .expect(200);
    let told = would["calls"].to_string();
    assert_eq!(would["summary"]["calls"], 2);
    assert!(told.contains("init.lua:2"), "{would:#}");
    let broken = server.post(path, json!({ "files": { "init.lua": "local x = = 1" } })).expect(200);
    assert!(broken["calls"][0]["error"].as_str().unwrap().contains("init.lua:1"), "{broken:#}");
    server.post(path, json!({ "calls": 3 })).problem(422, "invalid");
    server.post(path, json!({ "draft": true })).problem(404, "not_found");
    let listed = server.get("/api/v1/traces?plugin=gate&hook=before_recording_start").expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 4, "a preview is not recorded");
    assert_eq!(record(&server, "Two"), 201, "and changes nothing");
}

#[test]
fn a_preview_may_be_demanded_before_files_go_live_over_http() {
    let server = Server::with()
        .plugin("gate", GATE)
        .plugin_file("gate", "plugin.yaml", MANIFEST)
        .env("PANOTTI_PREVIEW_REQUIRED", true)
        .start();
    let edit = GATE.replace("Private", "Secret");
    let save = || {
        let etag = server.get("/api/v1/plugins/gate/files/init.lua").header("etag").unwrap().to_owned();
        server.client().send(
            "PUT",
            "/api/v1/plugins/gate/files/init.lua",
            &[("if-match", &etag)],
            Some(edit.as_bytes()),
        )
    };
    let refused = save().problem(428, "preview_required");
    let seen =
        server.post("/api/v1/plugins/gate/preview", json!({ "files": { "init.lua": edit } })).expect(200);
    assert_eq!(seen["hash"], refused["hash"]);
    assert_eq!(save().expect(200)["hash"], seen["hash"]);
}
