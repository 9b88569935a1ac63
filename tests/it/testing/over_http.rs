//! `POST /api/v1/plugins/{id}/test`: the same report as `panotti test --json`, and nothing else changes.

use std::fs;

use serde_json::{Value, json};

use crate::common::Server;

const COUNTS: &str = "panotti.on.before_recording_start(function()
    panotti.kv.incr('asked')
    panotti.events.publish('p.asked', {})
    return { title = 'p ' .. panotti.config.word }
end)";

const TESTS: &str = "local t = require('@panotti/test')
t.case('gives a title', function()
    local host = t.host()
    t.eq(host:fire('before_recording_start', t.recording()).title, 'p manifest')
    t.eq(host.kv:get('asked'), 1)
end)
t.case('is wrong', function()
    t.eq(t.host():fire('before_recording_start', t.recording()).title, 'x')
end)
";

fn server() -> Server {
    Server::with()
        .plugin("p", COUNTS)
        .plugin_file("p", "plugin.yaml", "config: { word: manifest }\n")
        .plugin_file("p", "tests/p_test.lua", TESTS)
        .start()
}

#[test]
fn the_report_is_that_of_the_command_and_live_data_is_not_touched() {
    let server = server();
    let kept = |server: &Server| {
        let status = server.get("/api/v1/plugins/p/status").expect(200);
        let events = server.get("/api/v1/events").expect(200);
        (status["generation"].clone(), status["last_error"].clone(), events)
    };
    let before = kept(&server);
    let report = server.post("/api/v1/plugins/p/test", json!({ "seed": 3 })).expect(200);
    assert_eq!(
        (&report["summary"]["ok"], &report["summary"]["failed"], &report["seed"]),
        (&json!(1), &json!(1), &json!(3)),
        "{report:#}"
    );
    let wrong = &report["plugins"][0]["files"][0]["cases"][1];
    assert_eq!((&wrong["name"], &wrong["failure"]["line"]), (&json!("is wrong"), &json!(8)));
    assert_eq!(kept(&server), before);
    let left: Vec<_> = fs::read_dir(server.folder().join("plugins/p")).unwrap().collect();
    assert_eq!(left.len(), 3, "{left:?}");
    // It goes on as before, with its own values.
    server.post("/api/v1/plugins/p/config", json!({ "key": "word", "value": "live" })).expect(201);
    let one = server.post("/api/v1/plugins/p/test", json!({ "filter": "gives" })).expect(200);
    assert_eq!((&one["summary"]["cases"], &one["summary"]["ok"]), (&json!(1), &json!(1)), "{one:#}");
    assert_eq!(server.post("/api/v1/recordings", json!({})).expect(201)["title"], "p live");
}

#[test]
fn what_is_asked_wrongly_is_told() {
    let server = server();
    let ask = |body: Value| server.post("/api/v1/plugins/p/test", body);
    ask(json!({ "filer": "x" })).problem(422, "invalid");
    ask(json!({ "filter": 3 })).problem(422, "invalid");
    ask(json!({ "seed": -1 })).problem(422, "invalid");
    server.post("/api/v1/plugins/none/test", json!({})).problem(404, "plugin_not_found");
}
