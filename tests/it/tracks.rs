//! Tracks: whole, live, read in ranges.

use serde_json::json;

use crate::common::Server;
use crate::common::audio::{tone, wav};

const SYSTEM: &str = "/api/v1/recordings/r1/tracks/system";

fn server_with_recording() -> Server {
    let server = Server::start();
    server.post("/api/v1/recordings", json!({ "id": "r1" })).expect(201);
    server
}

#[test]
fn a_whole_track_is_stored_measured_and_replaced_only_when_told_so() {
    let server = server_with_recording();
    let audio = wav(8_000, 2.0, tone(440.0, 0.5));
    let stored = server.put_track("r1", "system", &audio);
    let track = stored.expect(201);
    assert_eq!(
        (&track["name"], &track["duration"], &track["channels"]),
        (&json!("system"), &json!(2.0), &json!(1))
    );
    assert_eq!(stored.header("location"), Some(SYSTEM));
    server.put_track("r1", "system", &audio).expect(200);
    let listed = server.get("/api/v1/recordings/r1/tracks").expect(200);
    assert_eq!(listed["items"][0]["name"], "system");
    server.post("/api/v1/recordings/r1/end", json!({})).expect(200);
    server.put_track("r1", "system", &audio).problem(409, "recording_completed");
    let path = format!("{SYSTEM}?replace=true");
    server.send("PUT", &path, &[("Content-Type", "audio/wav")], Some(&audio)).expect(200);
}

#[test]
fn ranges_of_a_track_are_served() {
    let server = server_with_recording();
    let audio = wav(8_000, 1.0, tone(440.0, 0.5));
    server.put_track("r1", "system", &audio).expect(201);
    let whole = server.get(SYSTEM);
    whole.expect_bytes(200);
    assert_eq!(whole.body, audio);
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let tag = whole.header("etag").unwrap();
    let part = server.send("GET", SYSTEM, &[("Range", "bytes=4-7"), ("If-Range", tag)], None);
    part.expect_bytes(206);
    assert_eq!(part.body, audio[4..8]);
    assert_eq!(part.header("content-range"), Some(format!("bytes 4-7/{}", audio.len()).as_str()));
    let outdated = server.send("GET", SYSTEM, &[("Range", "bytes=4-7"), ("If-Range", "\"old\"")], None);
    outdated.expect_bytes(200);
    let beyond = server.send("GET", SYSTEM, &[("Range", "bytes=999999-")], None);
    beyond.problem(416, "range_not_satisfiable");
    assert_eq!(beyond.header("content-range"), Some(format!("bytes */{}", audio.len()).as_str()));
    assert_eq!(server.send("GET", SYSTEM, &[("If-None-Match", tag)], None).status, 304);
}

#[test]
fn a_live_track_grows_at_its_offset_and_is_read_meanwhile() {
    let server = server_with_recording();
    let audio = wav(8_000, 2.0, tone(440.0, 0.5));
    let (first, second) = audio.split_at(10_000);
    let path = "/api/v1/recordings/r1/tracks/live";
    assert_eq!(server.append_track("r1", "live", 0, first).expect(200)["state"], "live");
    let wrong = server.append_track("r1", "live", 3, second).problem(409, "offset_mismatch");
    assert_eq!(wrong["expected_offset"], 10_000);
    assert_eq!(server.get(path).body, first);
    let whole = server.append_track("r1", "live", 10_000, second);
    assert_eq!(whole.header("upload-offset"), Some(audio.len().to_string().as_str()));
    server.post("/api/v1/recordings/r1/end", json!({})).expect(200);
    let recording = server.get("/api/v1/recordings/r1").expect(200);
    assert_eq!(recording["tracks"]["live"]["state"], "stored");
    assert_eq!(recording["tracks"]["live"]["duration"], 2.0);
    assert_eq!(server.get(path).body, audio);
    server.append_track("r1", "live", audio.len(), b"more").problem(409, "recording_completed");
}

#[test]
fn what_cannot_be_decoded_is_stored_and_says_so() {
    let server = server_with_recording();
    let track = server.put_track("r1", "notes", b"no audio at all").expect(201);
    assert!(track["probe_error"].is_string(), "{track}");
    server.get("/api/v1/recordings/r1/tracks/notes/waveform").problem(422, "no_audio");
    assert_eq!(server.get("/api/v1/recordings/r1/tracks/notes").body, b"no audio at all");
}

#[test]
fn a_waveform_has_as_many_peaks_as_asked_for() {
    let server = server_with_recording();
    server.put_track("r1", "system", &wav(8_000, 1.0, tone(440.0, 0.5))).expect(201);
    let waveform = server.get(&format!("{SYSTEM}/waveform?points=10")).expect(200);
    assert_eq!(waveform["points"], 10);
    let peak = &waveform["peaks"][5];
    assert!(peak["max"].as_f64().unwrap() > 0.45 && peak["min"].as_f64().unwrap() < -0.45, "{peak}");
}

#[test]
fn a_deleted_track_is_gone() {
    let server = server_with_recording();
    server.put_track("r1", "system", &wav(8_000, 1.0, tone(440.0, 0.5))).expect(201);
    assert_eq!(server.delete(SYSTEM).status, 204);
    server.get(SYSTEM).problem(404, "track_not_found");
    server.delete(SYSTEM).problem(404, "track_not_found");
}
