//! `/api/v1/clips`, as a client sees it.

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::audio::{samples, tone, wav};

fn clip(server: &Server, title: &str, more: Value) -> Value {
    let mut body = json!({ "title": title, "file_path": format!("/games/{title}.mp4") });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.post("/api/v1/clips", body).expect(201)
}

#[test]
fn a_clip_is_created_read_merged_and_deleted() {
    let server = Server::start();
    let body = json!({ "title": "Ace", "file_path": "/games/ace.mp4", "clip_metadata": { "a": { "b": 1 } }, "fps": 60 });
    let made = server.post("/api/v1/clips", body);
    assert_eq!(made.header("location"), Some("/api/v1/clips/1"));
    let made = made.expect(201);
    assert_eq!(
        (&made["id"], &made["metadata"]["a"]["b"], &made["processed"]),
        (&json!(1), &json!(1), &json!(false))
    );
    let merged = server.put("/api/v1/clips/1", json!({ "metadata": { "a": { "c": 2 } } })).expect(200);
    assert_eq!(merged["metadata"], json!({ "a": { "b": 1, "c": 2 } }));
    assert_eq!(merged["title"], "Ace");
    assert_eq!(server.get("/api/v1/clips/1").expect(200), merged);
    assert_eq!(server.delete("/api/v1/clips/1").status, 204);
    server.get("/api/v1/clips/1").problem(404, "clip_not_found");
}

#[test]
fn paths_work_with_and_without_a_slash_at_their_end() {
    let server = Server::start();
    let body = json!({ "title": "Ace", "file_path": "/a.mp4" });
    server.post("/api/v1/clips/", body).expect(201);
    for path in [
        "/api/v1/clips",
        "/api/v1/clips/",
        "/api/v1/clips/1/",
        "/api/v1/clips/stats",
        "/api/v1/clips/stats/summary/",
    ] {
        server.get(path).expect(200);
    }
    assert_eq!(server.get("/api/v1/clips/stats/summary").expect(200)["total_clips"], 1);
}

#[test]
fn a_list_knows_its_filters_and_refuses_others() {
    let server = Server::start();
    clip(&server, "one", json!({ "tags": ["a", "b"], "game_name": "Chess" }));
    clip(&server, "two", json!({ "tags": ["a"], "description": "a fine rook" }));
    clip(&server, "three", json!({ "processed": true }));
    let titles = |query: &str| -> Vec<String> {
        let page = server.get(&format!("/api/v1/clips?{query}")).expect(200);
        page["items"].as_array().unwrap().iter().map(|it| it["title"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(titles(""), ["three", "two", "one"]);
    assert_eq!(titles("tag=a&tag=b"), ["one"]);
    assert_eq!(titles("game_name=Chess"), ["one"]);
    assert_eq!(titles("processed=true"), ["three"]);
    assert_eq!(titles("status=completed"), ["three"]);
    assert_eq!(titles("q=rook"), ["two"]);
    assert_eq!(titles("sort=title"), ["one", "three", "two"]);
    assert_eq!(titles("skip=1&limit=1"), ["two"]);
    let problem = server.get("/api/v1/clips?game=Chess").problem(400, "bad_query");
    assert_eq!(problem["errors"][0]["pointer"], "game");
}

#[test]
fn every_fault_of_a_body_is_told_at_its_place() {
    let server = Server::start();
    let body = json!({ "title": "", "file_size": 0, "duration": "long", "tags": "a", "colour": 1 });
    let problem = server.post("/api/v1/clips", body).problem(422, "invalid");
    let mut places: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|it| it["pointer"].as_str().unwrap()).collect();
    places.sort_unstable();
    assert_eq!(places, ["/colour", "/duration", "/file_path", "/file_size", "/tags", "/title"]);
}

#[test]
fn processing_moves_forward_and_processed_completes_from_anywhere() {
    let server = Server::start();
    clip(&server, "one", json!({}));
    let path = "/api/v1/clips/1";
    server.patch(path, json!({ "processing_status": "processing" })).expect(200);
    server.patch(path, json!({ "processing_status": "failed" })).expect(200);
    server.patch(path, json!({ "processing_status": "processing" })).problem(409, "illegal_transition");
    assert_eq!(
        server.patch(path, json!({ "processed": true })).expect(200)["processing_status"],
        "completed"
    );
}

#[test]
fn a_cut_holds_exactly_the_samples_asked_for() {
    let server = Server::start();
    server.post("/api/v1/recordings", json!({ "id": "r1", "title": "Talk" })).expect(201);
    let audio = wav(8_000, 4.0, tone(440.0, 0.5));
    server.put_track("r1", "system", &audio).expect(201);
    let made =
        server.post("/api/v1/clips", json!({ "recording_id": "r1", "start": 1.0, "end": 2.5 })).expect(201);
    assert_eq!((&made["duration"], &made["recording_id"]), (&json!(1.5), &json!("r1")));
    let content = server.get("/api/v1/clips/1/content");
    content.expect_bytes(200);
    assert_eq!(content.header("content-type"), Some("audio/wav"));
    assert_eq!(samples(&content.body), samples(&audio)[8_000..20_000]);
    let waveform = server.get("/api/v1/clips/1/waveform?points=4").expect(200);
    assert_eq!(waveform["peaks"].as_array().unwrap().len(), 4);
    let beyond = json!({ "recording_id": "r1", "start": 100, "end": 101 });
    server.post("/api/v1/clips", beyond).problem(422, "out_of_range");
}

#[test]
fn a_path_that_a_client_names_is_text_and_opens_no_file() {
    let server = Server::start();
    let body = json!({ "title": "hosts", "file_path": "/etc/hostname" });
    server.post("/api/v1/clips", body).expect(201);
    server.get("/api/v1/clips/1/content").problem(404, "media_unavailable");
    server.get("/api/v1/clips/1/waveform").problem(404, "media_unavailable");
    assert_eq!(server.delete("/api/v1/clips/1?files=true").status, 204);
    assert!(std::path::Path::new("/etc/hostname").exists());
}

#[test]
fn the_media_of_a_clip_can_be_sent() {
    let server = Server::start();
    clip(&server, "one", json!({}));
    let audio = wav(8_000, 1.0, tone(440.0, 0.5));
    let path = "/api/v1/clips/1/content";
    let stored = server.send("PUT", path, &[("Content-Type", "audio/wav")], Some(&audio)).expect(200);
    assert_eq!((&stored["duration"], &stored["codec"]), (&json!(1.0), &json!("pcm_s16le")));
    assert_eq!(server.get(path).body, audio);
}
