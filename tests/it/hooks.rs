//! What hooks may change, refuse and answer, seen by the client.

use serde_json::json;

use crate::common::Server;
use crate::common::server::wait_for;

fn clip(server: &Server, title: &str) -> serde_json::Value {
    server.post("/api/v1/clips", json!({"title": title, "file_path": "/x.mp4"})).expect(201)
}

#[test]
fn what_a_hook_changes_is_stored_with_the_clip_and_who_changed_it_is_known() {
    let server = Server::with()
        .plugin(
            "first",
            r#"panotti.on.on_clip_captured(function(clip)
                 return { tags = { "a" }, metadata = { first = true, deep = { x = 1 } }, duration = 99, id = 7 }
               end, { priority = 10 })"#,
        )
        .plugin(
            "second",
            r#"panotti.on.on_clip_captured(function(clip)
                 clip.tags[#clip.tags + 1] = "b"
                 clip.metadata.deep.y = 2
                 return clip
               end)"#,
        )
        .start();
    let made = clip(&server, "t");
    let got = server.get(&format!("/api/v1/clips/{}", made["id"])).expect(200);
    assert_eq!(got["tags"], json!(["a", "b"]));
    assert_eq!(got["metadata"], json!({"first": true, "deep": {"x": 1, "y": 2}}));
    assert_eq!((&got["id"], &got["duration"]), (&made["id"], &json!(null)));
    assert_eq!(got["provenance"]["/metadata/first"]["plugin"], "first");
    assert_eq!(got["provenance"]["/tags"]["plugin"], "second");
    assert_eq!(made, got);
    server.wait_for_log("the dropped field", |line| {
        line["plugin"] == "first" && line["message"].as_str().unwrap_or_default().contains("duration")
    });
}

#[test]
fn a_broken_hook_costs_nothing_unless_it_is_a_gate_that_fails_closed() {
    let server = Server::with()
        .plugin("broken", "panotti.on.before_recording_start(function(r) return r.nothing.here end)")
        .start();
    server.post("/api/v1/recordings", json!({"id": "a"})).expect(201);
    let status = server.get("/api/v1/plugins/broken/status").expect(200);
    let error = &status["last_error"];
    assert_eq!(
        (&error["outcome"], &error["file"], &error["line"]),
        (&json!("runtime"), &json!("init.lua"), &json!(1))
    );
    assert!(error["excerpt"].as_str().unwrap().contains("r.nothing.here"), "{error}");

    let server = Server::with()
        .plugin(
            "gate",
            "panotti.on.before_recording_start(function() error('cannot know') end, { on_error = 'deny' })",
        )
        .start();
    let problem = server.post("/api/v1/recordings", json!({"id": "a"})).problem(422, "hook_denied");
    assert!(problem["detail"].as_str().unwrap().contains("gate"), "{problem}");
    server.get("/api/v1/recordings/a").problem(404, "recording_not_found");
}

#[test]
fn a_patch_of_a_wrong_type_is_dropped_and_its_author_is_told() {
    let server = Server::with()
        .plugin("typo", "panotti.on.on_clip_captured(function() return { title = 5, tags = { 'x' } } end)")
        .start();
    let made = clip(&server, "t");
    assert_eq!((&made["title"], &made["tags"]), (&json!("t"), &json!([])));
    let error = server.get("/api/v1/plugins/typo/status").expect(200)["last_error"].clone();
    assert_eq!((&error["outcome"], &error["hook"]), (&json!("convert"), &json!("on_clip_captured")));
    assert!(error["message"].as_str().unwrap().contains("title"), "{error}");
}

#[test]
fn keys_and_events_cannot_be_written_while_the_files_load() {
    let server = Server::with().plugin("early", "panotti.kv.set('a', 1)").start();
    let plugin = server.get("/api/v1/plugins/early").expect(200);
    assert_eq!(plugin["state"], "failed");
    let message = plugin["last_error"]["message"].as_str().unwrap();
    assert!(message.contains("on_load"), "{message}");
}

#[test]
fn who_returns_false_to_refuse_is_told_once_how_it_is_done() {
    let server = Server::with()
        .plugin("hopes", "panotti.on.before_recording_start(function() return false end)")
        .start();
    (0..3).for_each(|_| _ = server.post("/api/v1/recordings", json!({})).expect(201));
    let told = |line: &serde_json::Value| {
        let message = line["message"].as_str().unwrap_or_default();
        line["hook"] == "before_recording_start" && message.contains("it returned false, which means nothing")
    };
    let line = server.wait_for_log("the remedy", told);
    assert!(line["message"].as_str().unwrap().contains("panotti.deny(reason)"), "{line}");
    assert_eq!(server.log_lines().iter().filter(|it| told(it)).count(), 1);
}

#[test]
fn arguments_of_a_registration_are_counted_as_they_are_written() {
    let server = Server::with().plugin("halved", "panotti.on('on_clip_captured')").start();
    let plugin = server.get("/api/v1/plugins/halved").expect(200);
    let message = plugin["last_error"]["message"].as_str().unwrap();
    assert!(message.contains("panotti.on: argument 2 (fn) must be a function, got nil"), "{message}");
}

#[test]
fn a_refusal_may_choose_its_status() {
    let server = Server::with()
        .plugin(
            "quota",
            "panotti.on.before_recording_start(function() return panotti.deny('five a day', { status = 429 }) end)",
        )
        .start();
    server.post("/api/v1/recordings", json!({})).problem(429, "hook_denied");
}

#[test]
fn before_request_may_answer_refuse_and_patch_headers_and_after_request_sees_the_answer() {
    let server = Server::with()
        .plugin(
            "door",
            r#"
            panotti.on.before_request(function(request)
              if request.path == "/api/v1/closed" then return panotti.deny("closed today", { status = 403 }) end
              if request.path == "/teapot" then
                return panotti.respond{ status = 418, headers = { ["x-pot"] = "tea" }, json = { short = true } }
              end
              assert(request.headers["x-api-key"] == nil, "secrets are shown")
            end)
            panotti.on.after_request(function(response)
              return { headers = { ["x-seen"] = response.request.method .. " " .. response.status } }
            end)
            "#,
        )
        .start();
    let refused = server.get("/api/v1/closed");
    refused.problem(403, "hook_denied");
    let pot = server.get("/teapot");
    assert_eq!((pot.status, pot.header("x-pot")), (418, Some("tea")));
    assert_eq!(pot.json(), json!({"short": true}));
    let list = server.get("/api/v1/clips");
    list.expect(200);
    assert_eq!(list.header("x-seen"), Some("GET 200"));
    let missing = server.get("/api/v1/clips/999");
    missing.problem(404, "clip_not_found");
    assert_eq!(missing.header("x-seen"), Some("GET 404"));
    assert_eq!(server.get("/healthz").header("x-seen"), None);
}

#[test]
fn nobody_can_lock_the_admin_out_of_the_plugins() {
    let server = Server::with()
        .plugin("jailer", "panotti.on.before_request(function() return panotti.deny('no') end)")
        .start();
    server.get("/api/v1/clips").problem(422, "hook_denied");
    server.post("/api/v1/plugins/jailer/disable", json!({})).expect(200);
    server.get("/api/v1/clips").expect(200);
}

#[test]
fn processed_becomes_true_once_and_its_hook_runs_once() {
    let server = Server::with()
        .plugin(
            "counter",
            r#"panotti.on.on_clip_processed(function(clip)
                 panotti.kv.incr("processed")
                 panotti.log.info("processed", { id = clip.id })
                 return { metadata = { done = true } }
               end)"#,
        )
        .start();
    let made = clip(&server, "t");
    let path = format!("/api/v1/clips/{}", made["id"]);
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let (client, path) = (server.client(), path.clone());
            std::thread::spawn(move || client.patch(&path, json!({"processed": true})).expect(200))
        })
        .collect();
    for racer in racers {
        assert_eq!(racer.join().unwrap()["processed"], true);
    }
    let got = server.get(&path).expect(200);
    assert_eq!((&got["processing_status"], &got["metadata"]["done"]), (&json!("completed"), &json!(true)));
    let hooks = server.log_lines().iter().filter(|line| line["message"] == "processed").count();
    assert_eq!(hooks, 1);
    server.patch(&path, json!({"processing_status": "pending"})).problem(409, "illegal_transition");
}

#[test]
fn plugins_that_the_time_does_not_reach_are_asked_later_and_do_not_overwrite_the_client() {
    let server = Server::with()
        .plugin("slow", "panotti.on.on_clip_captured(function() panotti.sleep(0.6) end, { priority = 10 })")
        .plugin(
            "late",
            r#"panotti.on.on_clip_captured(function(clip)
                 panotti.sleep(0.3)
                 return { title = "from late", tags = { "late" } }
               end)"#,
        )
        .env("PANOTTI_CHAIN_WALL_MS", 300)
        .start();
    let made = clip(&server, "mine");
    assert_eq!(made["tags"], json!([]));
    let path = format!("/api/v1/clips/{}", made["id"]);
    server.patch(&path, json!({"title": "the client's"})).expect(200);
    let got = wait_for("the late plugin", || {
        Some(server.get(&path).expect(200)).filter(|it| it["tags"] == json!(["late"]))
    });
    assert_eq!(got["title"], "the client's");
}

#[test]
fn the_effective_chain_and_its_reasons_can_be_read() {
    let server = Server::with()
        .plugin("zeta", "panotti.on.on_clip_captured(function() end, { priority = 5 })")
        .plugin("alpha", "panotti.on.on_clip_captured(function() end, { after = { 'zeta' } })")
        .start();
    let hook = server.get("/api/v1/hooks/on_clip_captured").expect(200);
    let chain: Vec<_> = hook["chain"].as_array().unwrap().iter().map(|it| it["plugin"].clone()).collect();
    assert_eq!(chain, ["zeta", "alpha"]);
    assert!(hook["chain"][1]["why"].as_str().unwrap().contains("after zeta"), "{hook}");
    server.get("/api/v1/hooks/on_nothing").problem(404, "hook_not_found");
    let all = server.get("/api/v1/hooks").expect(200);
    assert!(
        all["items"].as_array().unwrap().iter().any(|it| it["name"] == "before_recording_start"),
        "{all}"
    );
}

#[test]
fn what_plugins_did_for_a_recording_can_be_read_with_what_went_wrong() {
    let server = Server::with()
        .plugin(
            "scribe",
            r#"panotti.on.after_recording_end(function(recording)
                 panotti.kv.set("last", recording.id)
                 panotti.events.publish("scribe.noted", { id = recording.id })
               end)"#,
        )
        .plugin("broken", "panotti.events.subscribe('recording.ended', function() error('no model') end)")
        .start();
    server.post("/api/v1/recordings", json!({"id": "rec"})).expect(201);
    server.post("/api/v1/recordings/rec/end", json!({})).expect(200);
    let tasks = wait_for("both tasks", || {
        let tasks =
            server.get("/api/v1/recordings/rec/tasks").expect(200)["items"].as_array().unwrap().clone();
        (tasks.len() >= 2).then_some(tasks)
    });
    let of = |plugin: &str| tasks.iter().find(|it| it["plugin"] == plugin).unwrap();
    let done = of("scribe");
    assert_eq!((&done["task"], &done["status"]), (&json!("recording.ended"), &json!("completed")));
    assert_eq!(done["inputs"]["attempt"], 1);
    assert_eq!(
        done["outputs"],
        json!({"keys": ["last"], "keys_count": 1, "events": ["scribe.noted"], "events_count": 1})
    );
    let failed = of("broken");
    assert_eq!(failed["status"], "failed");
    assert!(failed["error"].as_str().unwrap().contains("no model"), "{failed}");
}

#[test]
fn a_hook_that_is_called_very_often_is_given_what_it_was_given_first() {
    let server = Server::with()
        .plugin(
            "some",
            r#"panotti.on.on_clip_captured(function(clip)
                 return { metadata = { title = clip.title, tag = clip.tags[1], codec = clip['codec'] or "none" } }
               end)"#,
        )
        .plugin(
            "all",
            r#"panotti.on.on_clip_captured(function(clip)
                 local names = {}
                 for name in pairs(clip) do names[#names + 1] = name end
                 table.sort(names)
                 return { metadata = { names = table.concat(names, " ") } }
               end)
               panotti.on.before_request(function(request)
                 return { headers = { ["x-asked"] = request.method .. (request.headers.accept or "-") } }
               end)
               panotti.on.after_request(function(response)
                 local names = {}
                 for name in pairs(response.request) do names[#names + 1] = name end
                 table.sort(names)
                 return { headers = { ["x-names"] = `{response.status} {table.concat(names, " ")}` } }
               end)"#,
        )
        .start();
    let ask = || {
        let made = server.post("/api/v1/clips", json!({"title": "t", "file_path": "/x.mp4", "tags": ["a"]}));
        let names = made.header("x-names").map(str::to_owned);
        (made.expect(201)["metadata"].clone(), names)
    };
    let first = ask();
    assert_eq!(first.0["title"], "t");
    assert_eq!((&first.0["tag"], &first.0["codec"]), (&json!("a"), &json!("none")));
    assert!(first.0["names"].as_str().unwrap().contains("file_path"), "{}", first.0);
    assert!(first.1.as_deref().unwrap().starts_with("201 headers id method path"), "{:?}", first.1);
    for _ in 0..300 {
        assert_eq!(ask(), first);
    }
}
