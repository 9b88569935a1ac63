//! Events that answer each other, and what is kept of the journal.

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::server::wait_for;

/// The plugin's last error, once it has one.
fn last_error(server: &Server, plugin: &str) -> String {
    wait_for("an error", || {
        let status = server.get(&format!("/api/v1/plugins/{plugin}/status")).expect(200);
        status["last_error"]["message"].as_str().map(str::to_owned)
    })
}

fn start(server: &Server) {
    server.post("/api/v1/recordings", json!({"title": "t"})).expect(201);
}

/// The value of a metric without labels.
fn metric(server: &Server, name: &str) -> Option<f64> {
    let text = String::from_utf8(server.get("/metrics").body).unwrap();
    text.lines().find_map(|it| it.strip_prefix(name)?.trim().parse().ok())
}

#[test]
fn two_plugins_that_answer_each_other_are_stopped_and_told_the_circle() {
    let left =
        "panotti.events.subscribe('recording.started', function() panotti.events.publish('a.ping', {}) end)
        panotti.events.subscribe('a.pong', function() panotti.events.publish('a.ping', {}) end)";
    let right = "panotti.events.subscribe('a.ping', function() panotti.events.publish('a.pong', {}) end)";
    let server = Server::with().plugin("left", left).plugin("right", right).start();
    start(&server);
    let told = last_error(&server, "left");
    let circle = "a.ping (plugin/left) -> a.pong (plugin/right) -> a.ping (plugin/left)";
    assert!(told.contains("limits.event_depth is 8") && told.contains(circle), "{told}");
    assert!(metric(&server, "panotti_events_stopped_total") >= Some(1.0));
}

#[test]
fn a_plugin_that_answers_its_own_event_is_stopped_and_told_so() {
    let echo = "panotti.events.subscribe('recording.started', function() panotti.events.publish('echo.heard', {}) end)
        panotti.events.subscribe('echo.*', function(event) panotti.events.publish('echo.heard', event.data) end)";
    let server = Server::with().plugin("echo", echo).start();
    start(&server);
    let told = last_error(&server, "echo");
    assert!(
        told.contains("(limits.event_depth is 8): echo.heard (plugin/echo) -> echo.heard (plugin/echo)"),
        "{told}"
    );
    let page: Value = server.get("/api/v1/plugins/echo/status").expect(200);
    assert_eq!(page["state"], "running");
}

#[test]
fn old_events_go_and_the_rest_of_the_server_does_not_mind() {
    let many = "panotti.events.subscribe('recording.started', function()
            for i = 1, 3000 do panotti.events.publish('many.told', { n = i }) end
        end)
        local heard = 0
        panotti.events.subscribe('many.told', function() heard += 1 end)
        panotti.on.on_clip_captured(function()
            return { metadata = { shown = panotti.db.query('SELECT count(*) AS n FROM events')[1].n } }
        end)";
    let server = Server::with()
        .plugin("many", many)
        .plugin_file("many", "plugin.yaml", "permissions: { db: true }")
        .env("PANOTTI_RETENTION_EVENTS_MAX", 200)
        .start();
    start(&server);
    wait_for("the end of the sweep", || {
        (metric(&server, "panotti_events_stored") <= Some(200.0)
            && metric(&server, "panotti_events_removed_total") >= Some(2000.0))
        .then_some(())
    });
    let clip = server.post("/api/v1/clips", json!({"title": "t", "file_path": "/x"})).expect(201);
    let shown = clip["metadata"]["shown"].as_f64().unwrap();
    assert!((1.0..=201.0).contains(&shown), "{clip}");
    server.wait_for_log("the line of the day", |it| it.to_string().contains("old events were removed"));
    start(&server);
    let server = server.restart();
    assert!(metric(&server, "panotti_events_stored") > Some(200.0));
}

#[test]
fn a_purged_plugin_is_owed_nothing_any_more() {
    let fails = "panotti.events.subscribe('recording.started', function() error('not now') end)";
    let server = Server::with().plugin("owed", fails).start();
    start(&server);
    last_error(&server, "owed");
    let open = |server: &Server| {
        let stats = server.get("/api/v1/events/stats").expect(200);
        let states = stats["deliveries"]["states"].as_object().unwrap().clone();
        states.values().filter_map(Value::as_i64).sum::<i64>()
    };
    assert_eq!(open(&server), 1);
    server.delete("/api/v1/plugins/owed").expect(204);
    assert_eq!(open(&server), 1, "it may come again");
    server.post("/api/v1/plugins", json!({ "name": "owed" })).expect(201);
    server.delete("/api/v1/plugins/owed?purge=true").expect(204);
    assert_eq!(open(&server), 0);
}
