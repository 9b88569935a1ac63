//! What a script may use, and that nobody else notices when it wants more.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::Server;
use crate::common::server::wait_for;

#[test]
fn a_spinning_hook_is_stopped_and_everybody_elses_requests_go_on() {
    let server = Server::with()
        .plugin(
            "spinner",
            r#"panotti.on.on_clip_captured(function() while true do pcall(function() while true do end end) end end)"#,
        )
        .plugin(
            "healthy",
            r#"panotti.on.on_clip_captured(function() return { tags = { "healthy" } } end, { priority = -5 })"#,
        )
        .start();
    let client = server.client();
    let spinning = std::thread::spawn(move || {
        let body = json!({"title": "t", "file_path": "/x"});
        (0..4).map(|_| client.post("/api/v1/clips", body.clone()).expect(201)).collect::<Vec<_>>()
    });
    let mut slowest = Duration::ZERO;
    while !spinning.is_finished() {
        let begun = Instant::now();
        server.get("/api/v1/recordings").expect(200);
        slowest = slowest.max(begun.elapsed());
    }
    // Each clip is stored, with what the healthy plugin said, although the spinner was stopped each time.
    for clip in spinning.join().unwrap() {
        assert_eq!(clip["tags"], json!(["healthy"]));
    }
    // Not a measure of speed: the spinner's own time is 100 ms a call, four calls, none of it is ours.
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    let status = server.get("/api/v1/plugins/spinner/status").expect(200);
    assert_eq!(status["last_error"]["outcome"], "deadline");
    assert_eq!(status["last_error"]["hook"], "on_clip_captured");
}

#[test]
fn a_hook_that_eats_memory_is_stopped_and_the_plugin_can_be_called_again() {
    let server = Server::with()
        .plugin_file("eater", "plugin.yaml", "limits: { memory_mib: 16, question_cpu_ms: 2000 }")
        .plugin(
            "eater",
            r#"panotti.on.on_clip_captured(function(clip)
                 if clip.title == "eat" then
                   local kept = {}
                   while true do kept[#kept + 1] = string.rep("x", 100000) .. #kept end
                 end
                 return { tags = { "fine" } }
               end)"#,
        )
        .start();
    let clip =
        |title: &str| server.post("/api/v1/clips", json!({"title": title, "file_path": "/x"})).expect(201);
    assert_eq!(clip("eat")["tags"], json!([]));
    assert_eq!(clip("then")["tags"], json!(["fine"]));
    let status = server.get("/api/v1/plugins/eater/status").expect(200);
    assert_eq!(status["last_error"]["outcome"], "memory");
}

#[test]
fn a_manifest_gets_no_more_than_the_admin_allows_and_everybody_is_told() {
    let server = Server::with()
        .plugin_file("greedy", "plugin.yaml", "limits:\n  memory_mib: 4096\n  question_cpu_ms: 2000")
        .plugin(
            "greedy",
            r#"panotti.on.on_clip_captured(function()
                 local kept = {}
                 for n = 1, 640 do kept[n] = string.rep("x", 100000) .. n end
                 return { tags = { "64 MB" } }
               end)"#,
        )
        .env("PANOTTI_LIMITS_MAX_MEMORY_MIB", 8)
        .env("PANOTTI_LIMITS_MEMORY_MIB", 16)
        .start();
    let made = server.post("/api/v1/clips", json!({"title": "t", "file_path": "/x"})).expect(201);
    assert_eq!(made["tags"], json!([]));
    let status = server.get("/api/v1/plugins/greedy/status").expect(200);
    assert_eq!((&status["state"], &status["last_error"]["outcome"]), (&json!("running"), &json!("memory")));
    let told = "limits.memory_mib: 4096 is more than the 16 that the admin allows (limits_max.memory_mib): the latter is in force";
    assert_eq!(status["warnings"], json!([format!("plugin.yaml:2: {told}")]));
    server.wait_for_log("the warning", |it| it["message"].as_str().is_some_and(|it| it.contains(told)));
}

#[test]
fn five_kills_open_the_breaker_and_it_can_be_reset() {
    let server = Server::with()
        .plugin("spinner", "panotti.on.on_clip_captured(function() while true do end end)")
        .start();
    for _ in 0..5 {
        server.post("/api/v1/clips", json!({"title": "t", "file_path": "/x"})).expect(201);
    }
    let status = wait_for("the breaker", || {
        Some(server.get("/api/v1/plugins/spinner/status").expect(200))
            .filter(|it| it["breaker"]["state"] == "open")
    });
    assert_eq!(status["state"], "running");
    server.post("/api/v1/plugins/spinner/breaker/reset", json!({})).expect(200);
    let status = server.get("/api/v1/plugins/spinner/status").expect(200);
    assert_eq!(status["breaker"]["state"], "closed");
}

#[test]
fn an_endless_loop_while_loading_fails_that_plugin_alone() {
    let server = Server::with()
        .plugin("endless", "while true do end")
        .plugin("fine", "panotti.on.on_startup(function() panotti.log.info('started') end)")
        .start();
    let endless = server.get("/api/v1/plugins/endless").expect(200);
    assert_eq!(
        (&endless["state"], &endless["last_error"]["outcome"]),
        (&json!("failed"), &json!("deadline"))
    );
    assert_eq!(server.get("/api/v1/plugins/fine").expect(200)["state"], "running");
}

#[test]
fn a_plugin_that_slows_most_requests_is_left_out_unless_it_is_a_gate() {
    let slow = |opts: &str| format!("panotti.on.before_request(function() panotti.sleep(0.3) end{opts})");
    let server = Server::with().plugin("slow", &slow("")).env("PANOTTI_BREAKER_SLOW_REQUEST_MS", 100).start();
    let status = |name: &str| server.get(&format!("/api/v1/plugins/{name}/status")).expect(200);
    for _ in 0..10 {
        server.get("/api/v1/recordings").expect(200);
    }
    let status_of_slow = status("slow");
    assert_eq!(status_of_slow["request_breaker"]["state"], "open", "{status_of_slow}");
    assert_eq!(
        (&status_of_slow["state"], &status_of_slow["breaker"]["state"]),
        (&json!("running"), &json!("closed"))
    );
    assert!(status_of_slow["counts"]["skipped"].as_u64() >= Some(1), "{status_of_slow}");
    server.wait_for_log("it is told", |it| {
        it["message"].as_str().is_some_and(|it| it.contains("it is not asked around them for a while"))
    });
    server.post("/api/v1/plugins/slow/breaker/reset", json!({})).expect(200);
    assert_eq!(status("slow")["request_breaker"]["state"], "closed");
    let server = Server::with()
        .plugin("gate", &slow(", { on_error = 'deny' }"))
        .env("PANOTTI_BREAKER_SLOW_REQUEST_MS", 100)
        .start();
    for _ in 0..12 {
        server.get("/api/v1/recordings").expect(200);
    }
    let gate = server.get("/api/v1/plugins/gate/status").expect(200);
    assert_eq!(gate["request_breaker"]["state"], "closed");
}
