//! `/api/v1/recordings`, as a client sees it.

use serde_json::json;

use crate::common::Server;

#[test]
fn the_same_start_again_is_a_duplicate_and_other_content_a_contradiction() {
    let server = Server::start();
    let body = json!({ "id": "r1", "title": "T", "started_at": "2025-01-25T10:00:00Z" });
    let first = server.post("/api/v1/recordings", body.clone());
    assert_eq!(first.expect(201)["started_at"], "2025-01-25T10:00:00Z");
    assert_eq!(first.header("location"), Some("/api/v1/recordings/r1"));
    let again = server.post("/api/v1/recordings", body).expect(200);
    assert_eq!(again["duplicate"], true);
    // The same moment in another form is the same content; what is not sent is not compared.
    let other_form = json!({ "id": "r1", "started_at": "2025-01-25T11:00:00+01:00" });
    server.post("/api/v1/recordings", other_form).expect(200);
    let other = server.post("/api/v1/recordings", json!({ "id": "r1", "title": "U" }));
    assert_eq!(other.problem(409, "contradicting_content")["field"], "title");
}

#[test]
fn an_end_gives_the_duration_and_an_unknown_id_is_404() {
    let server = Server::start();
    let start = json!({ "id": "r1", "started_at": "2025-01-25T10:00:00Z", "metadata": { "a": 1 } });
    server.post("/api/v1/recordings", start).expect(201);
    let before_start = json!({ "ended_at": "2025-01-25T09:00:00Z" });
    server.post("/api/v1/recordings/r1/end", before_start).problem(422, "invalid");
    let end = json!({ "ended_at": "2025-01-25T10:00:01.5Z", "metadata": { "b": 2 } });
    let ended = server.post("/api/v1/recordings/r1/end", end.clone()).expect(200);
    assert_eq!(ended["duration"], 1.5);
    assert_eq!(ended["status"], "completed");
    assert_eq!(ended["metadata"], json!({ "a": 1, "b": 2 }));
    assert_eq!(server.post("/api/v1/recordings/r1/end", end).expect(200)["duplicate"], true);
    server.post("/api/v1/recordings/nobody/end", json!({})).problem(404, "recording_not_found");
}

#[test]
fn a_body_is_not_needed_to_start_and_end() {
    let server = Server::start();
    let started = server.send("POST", "/api/v1/recordings", &[], None).expect(201);
    let id = started["id"].as_str().unwrap();
    assert_eq!(id.len(), "20250125100000_4AFEA8B6".len());
    server.send("POST", &format!("/api/v1/recordings/{id}/end"), &[], None).expect(200);
}

#[test]
fn a_list_is_paged_filtered_and_linked() {
    let server = Server::start();
    for n in 0..5 {
        let at = format!("2025-01-2{n}T10:00:00Z");
        server.post("/api/v1/recordings", json!({ "id": format!("r{n}"), "started_at": at })).expect(201);
    }
    server.post("/api/v1/recordings/r0/end", json!({})).expect(200);
    let page = server.get("/api/v1/recordings?page=2&page_size=2&status=active");
    let body = page.expect(200);
    assert_eq!((&body["total"], &body["page"], &body["total_pages"]), (&json!(4), &json!(2), &json!(2)));
    assert_eq!(body["items"][0]["id"], "r2");
    let links = page.header("link").unwrap();
    assert!(links.contains("status=active&page=1&page_size=2>; rel=\"prev\""), "{links}");
    let skipped = server.get("/api/v1/recordings?skip=2&limit=2&status=active").expect(200);
    assert_eq!(skipped["items"], body["items"]);
    let late = server.get("/api/v1/recordings?from=2025-01-23T00:00:00Z").expect(200);
    assert_eq!(late["total"], 2);
}

#[test]
fn a_change_needs_the_version_it_was_made_for() {
    let server = Server::start();
    server.post("/api/v1/recordings", json!({ "id": "r1", "metadata": { "a": 1, "b": 2 } })).expect(201);
    let read = server.get("/api/v1/recordings/r1");
    let tag = read.header("etag").unwrap().to_owned();
    assert_eq!(server.send("GET", "/api/v1/recordings/r1", &[("If-None-Match", &tag)], None).status, 304);
    let patch = json!({ "title": "new", "metadata": { "a": null } });
    let changed = server.json_with("PATCH", "/api/v1/recordings/r1", &[("If-Match", &tag)], patch);
    assert_eq!(changed.expect(200)["metadata"], json!({ "b": 2 }));
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
    let stale =
        server.json_with("PUT", "/api/v1/recordings/r1", &[("If-Match", &tag)], json!({ "title": "x" }));
    stale.problem(412, "precondition_failed");
    assert_eq!(server.get("/api/v1/recordings/r1").expect(200)["title"], "new");
}

#[test]
fn only_an_ended_recording_is_deleted() {
    let server = Server::start();
    server.post("/api/v1/recordings", json!({ "id": "r1" })).expect(201);
    server.delete("/api/v1/recordings/r1").problem(409, "recording_active");
    server.post("/api/v1/recordings/r1/end", json!({})).expect(200);
    assert_eq!(server.delete("/api/v1/recordings/r1?files=true").status, 204);
    server.get("/api/v1/recordings/r1").problem(404, "recording_not_found");
}

#[test]
fn a_retry_with_its_key_gets_the_first_answer() {
    let server = Server::start();
    let once = [("Idempotency-Key", "k-1")];
    let body = json!({ "title": "T" });
    let first = server.json_with("POST", "/api/v1/recordings", &once, body.clone()).expect(201);
    let again = server.json_with("POST", "/api/v1/recordings", &once, body);
    assert_eq!(again.expect(201), first);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let other = server.json_with("POST", "/api/v1/recordings", &once, json!({ "title": "U" }));
    other.problem(422, "idempotency_key_reused");
    assert_eq!(server.get("/api/v1/recordings").expect(200)["total"], 1);
}

#[test]
fn events_and_tasks_of_a_recording_are_read_beside_it() {
    let server = Server::start();
    server.post("/api/v1/recordings", json!({ "id": "r1" })).expect(201);
    server.post("/api/v1/recordings/r1/end", json!({})).expect(200);
    let events = server.get("/api/v1/recordings/r1/events").expect(200);
    let kinds: Vec<&str> =
        events["items"].as_array().unwrap().iter().filter_map(|it| it["type"].as_str()).collect();
    assert_eq!(kinds, ["recording.ended", "recording.started"]);
    assert_eq!(events["items"][0]["specversion"], "1.0");
    assert_eq!(server.get("/api/v1/recordings/r1/tasks").expect(200)["items"], json!([]));
    let all = server.get("/api/v1/recordings/r1?include=clips,events,tasks").expect(200);
    assert_eq!(all["events"].as_array().unwrap().len(), 2);
    assert_eq!(all["clips"], json!([]));
}
