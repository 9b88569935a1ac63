//! Pages of other origins.

use std::io::Write;
use std::net::TcpStream;

use serde_json::json;

use crate::common::Server;
use crate::common::client::Answer;
use crate::common::server::wait_for;
use crate::common::sse::Sse;

const APP: &str = "https://app.example";
const RECORDINGS: &str = "/api/v1/recordings";

fn preflight(server: &Server, origin: &str, method: &str, headers: &str) -> Answer {
    let asked = [
        ("Origin", origin),
        ("Access-Control-Request-Method", method),
        ("Access-Control-Request-Headers", headers),
    ];
    server.client().with_key(None).send("OPTIONS", RECORDINGS, &asked, None)
}

/// What a page of the app may read of an answer, in lower case.
#[track_caller]
fn exposed(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    assert!(answer.header("vary").unwrap().to_lowercase().contains("origin"), "{answer:?}");
    let names = answer.header("access-control-expose-headers").unwrap().split(',');
    names.map(|it| it.trim().to_lowercase()).collect()
}

#[test]
fn a_preflight_of_a_listed_origin_needs_no_key_and_no_plugin_is_asked() {
    let gate = "panotti.on.before_request(function() return panotti.deny('closed', { status = 403 }) end)";
    let server = Server::with().env("PANOTTI_CORS_ORIGINS", APP).plugin("gate", gate).start();
    let answer = preflight(&server, APP, "POST", "x-api-key,content-type,ce-own");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    assert_eq!(answer.header("access-control-allow-headers"), Some("x-api-key,content-type,ce-own"));
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
        assert!(answer.header("access-control-allow-methods").unwrap().contains(method), "{answer:?}");
    }
    assert_eq!(answer.header("access-control-max-age"), Some("600"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let id = answer.header("x-request-id").unwrap();
    server.wait_for_log("the preflight", |it| it["request_id"] == id && it["method"] == "OPTIONS");
    let refused = preflight(&server, APP, "TRACE", "x-api-key");
    refused.problem(400, "bad_header");
    assert_eq!(refused.header("access-control-allow-origin"), None);
    let closed = server.send("GET", RECORDINGS, &[("Origin", APP)], None);
    closed.problem(403, "hook_denied");
    exposed(&closed);
}

#[test]
fn pages_of_a_listed_origin_read_answers_and_errors_with_their_headers() {
    let server = Server::with().env("PANOTTI_CORS_ORIGINS", APP).start();
    let app = [("Origin", APP)];
    let made = server.json_with("POST", RECORDINGS, &app, json!({ "id": "r1" }));
    made.expect(201);
    assert!(exposed(&made).contains(&"location".to_owned()), "{made:?}");
    server.post(RECORDINGS, json!({ "id": "r2" })).expect(201);
    let listed = server.send("GET", &format!("{RECORDINGS}?limit=1"), &app, None);
    assert_eq!(listed.status, 200);
    let names = exposed(&listed);
    assert!(
        ["etag", "link", "x-request-id"].iter().all(|it| names.iter().any(|name| name == it)),
        "{names:?}"
    );
    let tag = listed.header("etag").unwrap();
    let known = [("Origin", APP), ("If-None-Match", tag)];
    let known = server.send("GET", &format!("{RECORDINGS}?limit=1"), &known, None);
    assert_eq!(known.status, 304);
    exposed(&known);
    let nobody = server.client().with_key(None).send("GET", RECORDINGS, &app, None);
    nobody.problem(401, "key_missing");
    let missing = server.send("GET", "/api/v1/nowhere", &app, None);
    missing.problem(404, "not_found");
    let method = server.send("PUT", RECORDINGS, &app, None);
    method.problem(405, "method_not_allowed");
    let invalid = server.json_with("POST", RECORDINGS, &app, json!({ "id": 7 }));
    assert_eq!(invalid.status, 422, "{invalid:?}");
    let large = server.json_with("POST", RECORDINGS, &app, json!({ "id": "x".repeat(2 << 20) }));
    large.problem(413, "too_large");
    let misdirected = [("Origin", APP), ("Host", "evil.example")];
    let misdirected = server.send("GET", RECORDINGS, &misdirected, None);
    misdirected.problem(421, "misdirected_request");
    for answer in [nobody, missing, method, invalid, large, misdirected] {
        assert!(exposed(&answer).contains(&"x-request-id".to_owned()), "{answer:?}");
    }
}

#[test]
fn a_page_of_a_listed_origin_reads_that_the_server_has_no_place_left() {
    let server = Server::with().env("PANOTTI_CORS_ORIGINS", APP).env("PANOTTI_MAX_REQUESTS", 1).start();
    server.post(RECORDINGS, json!({ "id": "r1" })).expect(201);
    let told = std::fs::read(server.folder().join("data/server.json")).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    let key = std::fs::read_to_string(server.folder().join("data/admin.token")).unwrap();
    let head = format!(
        "PUT {RECORDINGS}/r1/tracks/a HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {}\r\nContent-Length: 9\r\n\r\n",
        key.trim()
    );
    let address = told["url"].as_str().unwrap().trim_start_matches("http://");
    let mut slow = Vec::new();
    // One whose body does not come keeps the place, unless it met a request of ours: then the next one does.
    let full = wait_for("the one place to be taken", || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        slow.push(stream);
        let answer = server.send("GET", RECORDINGS, &[("Origin", APP)], None);
        (answer.status == 503).then_some(answer)
    });
    full.problem(503, "overloaded");
    assert!(exposed(&full).contains(&"retry-after".to_owned()), "{full:?}");
    assert_eq!(preflight(&server, APP, "GET", "x-api-key").status, 200);
}

#[test]
fn a_page_of_a_listed_origin_follows_the_events() {
    let server = Server::with().env("PANOTTI_CORS_ORIGINS", APP).start();
    let mut stream = Sse::open(&server, "", &[("Origin", APP)]);
    let head = stream.head.to_lowercase();
    assert!(head.contains(&format!("\r\naccess-control-allow-origin: {APP}\r\n")), "{head}");
    server.post(RECORDINGS, json!({ "id": "r1" })).expect(201);
    assert_eq!(stream.event().event.as_deref(), Some("recording.started"));
}

#[test]
fn other_origins_get_no_header_of_cors() {
    let listing = Server::with().env("PANOTTI_CORS_ORIGINS", APP).start();
    let without = Server::start();
    let near = "https://app.example.evil";
    for (server, origin) in
        [(&listing, near), (&listing, "null"), (&listing, "http://app.example"), (&without, APP)]
    {
        let asked = preflight(server, origin, "POST", "x-api-key");
        let simple = server.send("GET", RECORDINGS, &[("Origin", origin)], None);
        assert_eq!(simple.status, 200);
        for answer in [asked, simple] {
            let given = answer.headers.iter().find(|(name, _)| name.starts_with("access-control-"));
            assert_eq!(given, None, "{origin}");
        }
    }
    let own = listing.get(RECORDINGS);
    assert!(!own.headers.iter().any(|(name, _)| name.starts_with("access-control-")), "{own:?}");
    // A cache must not hand this answer to a page of a listed origin.
    assert!(own.header("vary").unwrap().to_lowercase().contains("origin"), "{own:?}");
    assert_eq!(without.get(RECORDINGS).header("vary"), None);
}
