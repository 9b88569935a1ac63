//! PanottiServer's clients, with the bodies they send.

use serde_json::json;

use crate::common::Server;

#[test]
fn a_meeting_is_recorded_over_the_older_routes() {
    let server = Server::start();
    let start = json!({
        "recordingId": "20250125100000_4AFEA8B6", "event": "Recording Started", "recordingTimestamp": "20250125100000",
        "systemAudioPath": "", "MicrophoneAudioPath": "", "metadata": { "eventTitle": "Standup" }, "whatever": [1],
    });
    let started = server.post("/api/recording-started?debug=1", start).expect(200);
    assert_eq!(started, json!({ "status": "success", "recording_id": "20250125100000_4AFEA8B6" }));
    let active = server.get("/api/active-recordings").expect(200);
    assert_eq!(active["recordings"]["20250125100000_4AFEA8B6"], "2025-01-25T10:00:00Z");

    let end = json!({
        "recordingId": "20250125100000_4AFEA8B6", "event": "RECORDING ENDED", "recordingTimestamp": "2025-01-25T11:00:00",
        "systemAudioPath": "/nowhere/system.wav", "MicrophoneAudioPath": "/nowhere/mic.wav",
    });
    let ended = server.post("/api/recording-ended", end.clone()).expect(200);
    assert_eq!(ended["status"], "success");
    assert!(ended["event_id"].as_str().is_some_and(|it| !it.is_empty()));
    let recording = server.get("/api/v1/recordings/20250125100000_4AFEA8B6").expect(200);
    assert_eq!((&recording["status"], &recording["duration"]), (&json!("completed"), &json!(3600.0)));
    assert_eq!(recording["metadata"]["eventTitle"], "Standup");
    // The same end once more changes nothing and is answered alike.
    assert_eq!(server.post("/api/recording-ended", end).expect(200), ended);
    assert_eq!(server.get("/api/active-recordings").expect(200)["recordings"], json!({}));
}

#[test]
fn an_end_whose_start_was_lost_keeps_the_meeting() {
    let server = Server::start();
    let end = json!({ "session_id": "lost", "timestamp": 1_737_799_200 });
    server.post("/recording/ended", end).expect(200);
    let recording = server.get("/api/v1/recordings/lost").expect(200);
    assert_eq!((&recording["start_missing"], &recording["status"]), (&json!(true), &json!("completed")));
}

#[test]
fn all_older_routes_take_every_name_of_a_field_and_any_content_type() {
    let server = Server::start();
    let routes = [("/recording/started", "/recording/ended"), ("/start-recording", "/end-recording")];
    for (n, (start, end)) in routes.iter().enumerate() {
        for name in ["recordingId", "recording_id", "session_id"] {
            let id = format!("{name}-{n}");
            let body = json!({ name: id, "timestamp": "2025-01-25T10:00:00.5Z" }).to_string();
            let headers = [("Content-Type", "text/plain")];
            let started = server.send("POST", start, &headers, Some(body.as_bytes())).expect(200);
            assert_eq!(started["recording_id"], id);
            let body = json!({ name: id, "microphone_audio_path": "/nowhere/m.wav" }).to_string();
            server.send("POST", end, &headers, Some(body.as_bytes())).expect(200);
        }
    }
}

#[test]
fn a_time_that_is_none_is_refused_with_the_forms_that_are() {
    let server = Server::start();
    let body = json!({ "recording_id": "a", "timestamp": "yesterday" });
    let problem = server.post("/api/recording-started", body).problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/timestamp");
    assert!(problem["errors"][0]["message"].as_str().unwrap().contains("20250125100000"));
    server.get("/api/v1/recordings/a").problem(404, "recording_not_found");
}

#[test]
fn the_older_routes_need_a_key_but_for_health() {
    let server = Server::start();
    let nobody = server.with_key(None);
    nobody.get("/health").expect(200);
    nobody.get("/api/active-recordings").problem(401, "key_missing");
    nobody.post("/api/recording-started", json!({ "recording_id": "a" })).problem(401, "key_missing");
}
