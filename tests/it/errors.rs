//! Every error is a problem document, whoever found the fault.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::common::Server;

fn connect(server: &Server) -> TcpStream {
    let told = std::fs::read(server.folder().join("data/server.json")).unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    let address = told["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
    TcpStream::connect(address).unwrap()
}

/// Sends raw bytes and gives the whole answer as text.
fn raw(server: &Server, request: &str) -> String {
    let mut stream = connect(server);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_problem_has_all_its_members_and_the_id_of_its_request() {
    let server = Server::start();
    let answer = server.send("GET", "/api/v1/clips/7", &[("X-Request-Id", "my-id.1")], None);
    let problem = answer.problem(404, "clip_not_found");
    for member in ["type", "title", "detail", "hint"] {
        assert!(problem[member].as_str().is_some_and(|it| !it.is_empty()), "{member}: {problem}");
    }
    assert_eq!((&problem["status"], &problem["instance"]), (&json!(404), &json!("/api/v1/clips/7")));
    assert_eq!(problem["request_id"], "my-id.1");
    assert_eq!(answer.header("x-request-id"), Some("my-id.1"));
}

#[test]
fn the_router_speaks_in_problems() {
    let server = Server::start();
    server.get("/nothing/here").problem(404, "not_found");
    let other = server.delete("/api/v1/clips");
    other.problem(405, "method_not_allowed");
    assert_eq!(other.header("allow"), Some("GET, HEAD, POST, OPTIONS"));
    let options = server.send("OPTIONS", "/api/v1/clips", &[], None);
    assert_eq!((options.status, options.header("allow")), (204, Some("GET, HEAD, POST, OPTIONS")));
    server.get("/api/v1/clips/abc").problem(400, "bad_path");
    server.get("/api/v1/recordings/..%2f..%2fetc").problem(400, "bad_path");
    server.get("/api/v1/clips?page=0").problem(400, "bad_query");
    server.get("/api/v1/hooks/on_startp").problem(404, "hook_not_found");
}

#[test]
fn a_head_is_a_get_without_its_body() {
    let server = Server::start();
    let (get, head) = (server.get("/api/v1/clips"), server.send("HEAD", "/api/v1/clips", &[], None));
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("etag"), get.header("etag"));
    assert_eq!(head.header("content-length"), get.header("content-length"));
}

#[test]
fn a_body_that_is_no_json_object_says_what_it_is() {
    let server = Server::start();
    let send =
        |kind: &str, body: &[u8]| server.send("POST", "/api/v1/clips", &[("Content-Type", kind)], Some(body));
    let broken = send("application/json", b"{\n \"title\": }").problem(400, "not_json");
    assert_eq!((&broken["line"], &broken["column"]), (&json!(2), &json!(11)));
    send("application/json", b"").problem(422, "invalid");
    send("application/json", b"[]").problem(422, "invalid");
    send("text/plain", b"{}").problem(415, "unsupported_media_type");
    let packed = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    server.send("POST", "/api/v1/clips", &packed, Some(b"{}")).problem(415, "unsupported_media_type");
    let deep = format!("{{\"metadata\":{}{}}}", "[".repeat(500), "]".repeat(500));
    send("application/json", deep.as_bytes()).problem(400, "not_json");
}

#[test]
fn a_body_beyond_the_limit_is_refused_before_it_is_read() {
    let limits = Server::with().env("PANOTTI_BODY_MAX_BYTES", 2000).env("PANOTTI_METADATA_MAX_BYTES", 1024);
    let server = limits.start();
    let body = json!({ "title": "x".repeat(3000), "file_path": "a" });
    let problem = server.post("/api/v1/clips", body).problem(413, "too_large");
    assert_eq!(problem["limit_bytes"], 2000);
    let head = "POST /api/v1/clips HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let key = std::fs::read_to_string(server.folder().join("data/admin.token")).unwrap();
    let answer = raw(&server, &format!("{head}X-API-Key: {}\r\nContent-Length: 9999999\r\n\r\n", key.trim()));
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[test]
fn a_body_that_never_comes_is_given_up() {
    let server = Server::with().env("PANOTTI_BODY_TIMEOUT_S", 1).start();
    let key = std::fs::read_to_string(server.folder().join("data/admin.token")).unwrap();
    let head = format!("POST /api/v1/clips HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {}\r\n", key.trim());
    let answer =
        raw(&server, &format!("{head}Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{{\"ti"));
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{answer}");
}

#[test]
fn another_host_name_is_misdirected_but_for_probes() {
    let server = Server::with().env("PANOTTI_ALLOWED_HOSTS", "clips.example").start();
    let ask = |path: &str, host: &str| {
        raw(&server, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    };
    assert!(ask("/health", "evil.example").starts_with("HTTP/1.1 421"));
    assert!(ask("/health", "evil.example").contains("misdirected_request"));
    assert!(ask("/health", "clips.example:8000").starts_with("HTTP/1.1 200"));
    assert!(ask("/health", "[::1]:8000").starts_with("HTTP/1.1 200"));
    assert!(ask("/healthz", "10.1.2.3").starts_with("HTTP/1.1 200"));
    assert!(ask("/readyz", "10.1.2.3").starts_with("HTTP/1.1 200"));
}

#[test]
fn every_answer_carries_the_security_headers() {
    let server = Server::start();
    for path in ["/healthz", "/nothing", "/api/v1/clips", "/api/docs", "/api/openapi.json"] {
        let answer = server.get(path);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("script-src 'self'"), "{path}");
        assert!(answer.header("x-request-id").is_some(), "{path}");
    }
}

#[test]
fn past_the_limit_a_request_is_turned_away_at_once() {
    let server = Server::with().env("PANOTTI_MAX_REQUESTS", 1).start();
    let key = std::fs::read_to_string(server.folder().join("data/admin.token")).unwrap();
    let head = format!("POST /api/v1/clips HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {}\r\n", key.trim());
    let (turned, _held) = crate::common::server::wait_for("a refusal", || {
        // Holds the only place until its body comes, unless our own request was quicker: then once more.
        let mut held = connect(&server);
        held.write_all(
            format!("{head}Content-Type: application/json\r\nContent-Length: 9\r\n\r\n").as_bytes(),
        )
        .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let answer = server.get("/api/v1/clips");
        (answer.status == 503).then_some((answer, held))
    });
    turned.problem(503, "overloaded");
    assert_eq!(turned.header("retry-after"), Some("1"));
    server.with_key(None).get("/healthz").expect(200);
}
