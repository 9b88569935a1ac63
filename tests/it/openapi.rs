//! The document and the page that shows it, as they are served.

use serde_json::Value;

use crate::common::Server;

#[test]
fn the_document_is_served_without_a_key_on_this_machine() {
    let server = Server::start();
    let answer = server.with_key(None).get("/api/openapi.json");
    let document = answer.expect(200);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["paths"]["/api/v1/clips"]["get"]["operationId"], "listClips");
    let tag = answer.header("etag").unwrap();
    assert_eq!(server.send("GET", "/api/openapi.json", &[("If-None-Match", tag)], None).status, 304);
}

#[test]
fn behind_a_proxy_the_document_needs_a_key() {
    let server = Server::with().env("PANOTTI_BEHIND_PROXY", true).start();
    server.with_key(None).get("/api/openapi.json").problem(401, "key_missing");
    server.get("/api/openapi.json").expect(200);
}

#[test]
fn the_page_names_only_files_that_are_served() {
    let started = Server::start();
    let server = started.with_key(None);
    let page = server.get("/api/docs");
    page.expect_bytes(200);
    let page = String::from_utf8(page.body).unwrap();
    let files: Vec<&str> =
        page.split("\"/api/docs/").skip(1).map(|it| it.split('"').next().unwrap()).collect();
    assert!(files.len() >= 5, "{page}");
    for file in files {
        server.get(&format!("/api/docs/{file}")).expect_bytes(200);
    }
    server.get("/api/docs/nothing.js").problem(404, "not_found");
}

#[test]
fn no_route_of_the_document_is_open_by_accident() {
    let server = Server::start();
    let document = server.get("/api/openapi.json").expect(200);
    let nobody = server.with_key(None);
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let filled =
                path.replace("{track}", "t").replace("{hook}", "on_load").replace("{file}", "index.css");
            let filled = filled.replace("{id}", "1").replace("{config_id}", "1");
            let answer = nobody.send(&method.to_uppercase(), &filled, &[], None);
            let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
            assert_eq!(answer.status == 401, !is_open, "{method} {path}: {}", answer.status);
        }
    }
}

#[test]
fn answers_fit_their_schemas() {
    let server = Server::start();
    server.post("/api/v1/recordings", serde_json::json!({ "id": "r1", "title": "T" })).expect(201);
    let clip =
        serde_json::json!({ "title": "A", "file_path": "/a", "tags": ["x"], "metadata": { "n": null } });
    server.post("/api/v1/clips", clip).expect(201);
    let document = server.get("/api/openapi.json").expect(200);
    for (path, filled) in [
        ("/api/v1/recordings", "/api/v1/recordings"),
        ("/api/v1/recordings/{id}", "/api/v1/recordings/r1?include=clips,events,tasks"),
        ("/api/v1/recordings/{id}/events", "/api/v1/recordings/r1/events"),
        ("/api/v1/recordings/{id}/tracks", "/api/v1/recordings/r1/tracks"),
        ("/api/v1/clips", "/api/v1/clips"),
        ("/api/v1/clips/{id}", "/api/v1/clips/1"),
        ("/api/v1/clips/stats", "/api/v1/clips/stats"),
        ("/api/v1/plugins", "/api/v1/plugins"),
        ("/api/v1/hooks", "/api/v1/hooks"),
        ("/api/v1/tokens", "/api/v1/tokens"),
        ("/health", "/health"),
    ] {
        let mut schema =
            document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
                .clone();
        schema["components"] = document["components"].clone();
        check(&schema, &server.get(filled).expect(200), filled);
    }
    let mut problem = serde_json::json!({ "$ref": "#/components/schemas/Problem" });
    problem["components"] = document["components"].clone();
    check(&problem, &server.get("/api/v1/clips?x=1").expect(400), "a problem");
}

#[track_caller]
fn check(schema: &Value, answer: &Value, what: &str) {
    let validator = jsonschema::validator_for(schema).unwrap();
    let faults: Vec<String> =
        validator.iter_errors(answer).map(|it| format!("{}: {it}", it.instance_path())).collect();
    assert!(faults.is_empty(), "{what}: {faults:#?}\n{answer:#}");
}
