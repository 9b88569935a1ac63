//! Distributed traces (W3C Trace Context) through the server.

use serde_json::json;

use crate::common::Server;
use crate::common::receiver::Receiver;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn a_request_goes_by_its_trace_in_answer_log_problem_and_events() {
    let server = Server::start();
    let sent =
        server.json_with("POST", "/api/v1/recordings", &[("traceparent", PARENT)], json!({ "id": "r1" }));
    sent.expect(201);
    assert_eq!(sent.header("x-request-id"), Some(TRACE));
    let event = server.get("/api/v1/events?type=recording.started").expect(200)["items"][0].clone();
    assert_eq!(event["correlationid"], TRACE);
    let trace = server.get(&format!("/api/v1/events/trace/{TRACE}")).expect(200);
    assert_eq!(trace["roots"][0]["type"], "recording.started", "{trace}");
    let line = server.wait_for_log("the request", |it| it["request_id"] == TRACE);
    assert_eq!(line["w3c_trace_id"], TRACE);
    let problem =
        server.send("GET", "/api/v1/nowhere", &[("traceparent", PARENT)], None).problem(404, "not_found");
    assert_eq!((&problem["request_id"], &problem["w3c_trace_id"]), (&json!(TRACE), &json!(TRACE)));
}

#[test]
fn an_id_of_the_clients_own_stands_beside_the_trace() {
    let server = Server::start();
    let both = [("traceparent", PARENT), ("X-Request-Id", "mine-1")];
    let sent = server.json_with("POST", "/api/v1/recordings", &both, json!({ "id": "r1" }));
    assert_eq!(sent.header("x-request-id"), Some("mine-1"));
    let line = server.wait_for_log("the request", |it| it["request_id"] == "mine-1");
    assert_eq!(line["w3c_trace_id"], TRACE);
    let event = server.get("/api/v1/events?type=recording.started").expect(200)["items"][0].clone();
    assert_eq!(event["correlationid"], "mine-1");
    let problem = server.send("GET", "/api/v1/nowhere", &both, None).problem(404, "not_found");
    assert_eq!((&problem["request_id"], &problem["w3c_trace_id"]), (&json!("mine-1"), &json!(TRACE)));
}

#[test]
fn a_malformed_trace_is_replaced_by_a_new_one_and_none_is_made_without() {
    let server = Server::start();
    for wrong in [
        "nonsense",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        let problem =
            server.send("GET", "/api/v1/nowhere", &[("traceparent", wrong)], None).problem(404, "not_found");
        let made = problem["w3c_trace_id"].as_str().unwrap();
        assert!(made.len() == 32 && made != TRACE && !wrong.contains(made), "{problem}");
    }
    assert_eq!(server.get("/api/v1/nowhere").problem(404, "not_found")["w3c_trace_id"], json!(null));
}

#[test]
fn what_a_plugin_asks_others_for_a_request_carries_its_trace_on() {
    let other = Receiver::that(|_, _| (200, "{}"));
    let source = r#"
        panotti.on.before_recording_start(function(recording)
          assert(panotti.http.post("http://other.example/", { body = "x" }))
          panotti.http.post("http://other.example/own", { body = "x", headers = { traceparent = "mine" } })
        end)"#;
    let host = other.url().trim_start_matches("http://").trim_end_matches("/in").to_owned();
    let server = Server::with()
        .env("PANOTTI_HTTP_HOSTS", format!("other.example={host}"))
        .plugin("asker", source)
        .plugin_file("asker", "plugin.yaml", "permissions: { http: [other.example] }\n")
        .start();
    server.post("/api/v1/plugins/asker/grants", json!({ "all": true })).expect(200);
    let start = |headers: &[(&str, &str)]| {
        server.json_with("POST", "/api/v1/recordings", headers, json!({})).expect(201);
        let hits = other.hits();
        [hits[hits.len() - 2].clone(), hits[hits.len() - 1].clone()]
    };
    let [first, own] = start(&[("traceparent", PARENT), ("tracestate", "a=b")]);
    let sent = first.header("traceparent");
    assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-01") && sent != PARENT, "{sent}");
    assert_eq!(first.header("tracestate"), "a=b");
    assert_eq!(own.header("traceparent"), "mine");
    let [again, _] = start(&[("traceparent", PARENT)]);
    assert_ne!(again.header("traceparent"), sent, "each request has a span of its own");
    let [untraced, _] = start(&[]);
    let events = server.get("/api/v1/events?type=recording.started").expect(200);
    let traces: Vec<&str> =
        events["items"].as_array().unwrap().iter().filter_map(|it| it["traceparent"].as_str()).collect();
    assert_eq!(traces.len(), 2, "{events}");
    assert!(traces.iter().all(|it| it.starts_with(&format!("00-{TRACE}-"))), "{traces:?}");
    assert!(untraced.headers.iter().all(|(name, _)| name != "traceparent"), "{untraced:?}");
}

#[test]
fn what_a_plugin_asks_others_for_an_event_carries_the_trace_of_its_request_on() {
    let other = Receiver::that(|_, _| (200, "{}"));
    let source = r#"
        panotti.on.after_recording_end(function() panotti.http.post("http://other.example/", { body = "x" }) end)"#;
    let host = other.url().trim_start_matches("http://").trim_end_matches("/in").to_owned();
    let server = Server::with()
        .env("PANOTTI_HTTP_HOSTS", format!("other.example={host}"))
        .plugin("asker", source)
        .plugin_file("asker", "plugin.yaml", "permissions: { http: [other.example] }\n")
        .start();
    server.post("/api/v1/plugins/asker/grants", json!({ "all": true })).expect(200);
    server.post("/api/v1/recordings", json!({ "id": "r1" })).expect(201);
    let end = "/api/v1/recordings/r1/end";
    server
        .json_with("POST", end, &[("traceparent", PARENT), ("X-Request-Id", "mine-2")], json!({}))
        .expect(200);
    let asked = other.wait_for(1);
    assert!(asked[0].header("traceparent").starts_with(&format!("00-{TRACE}-")), "{asked:?}");
}
