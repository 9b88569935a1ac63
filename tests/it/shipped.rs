//! The plugins that ship, asked as a client asks them, on real audio.

use std::fs;
use std::path::Path;

use panotti::hooks::Hook;
use serde_json::{Value, json};

use crate::common::Server;
use crate::common::audio::{tone, wav};
use crate::common::server::{Builder, wait_for};

const RATE: u32 = 8000;

fn shipped() -> Builder {
    Server::with().with_shipped_plugins()
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("user_plugins")
}

/// Starts a recording, gives it the track `system`, and ends it.
#[track_caller]
fn record(server: &Server, id: &str, audio: &[u8]) {
    server.post("/api/v1/recordings", json!({ "id": id, "title": id })).expect(201);
    server.put_track(id, "system", audio).expect(201);
    server.post(&format!("/api/v1/recordings/{id}/end"), json!({})).expect(200);
}

/// The clip of a whole recording, as it is stored.
#[track_caller]
fn clip_of(server: &Server, id: &str, seconds: f64) -> Value {
    let cut = json!({ "recording_id": id, "start": 0, "end": seconds });
    let clip = server.post("/api/v1/clips", cut).expect(201);
    let stored = server.get(&format!("/api/v1/clips/{}", clip["id"])).expect(200);
    assert_eq!(clip["metadata"], stored["metadata"], "what the client is told is what is kept");
    stored
}

/// A quiet tone with a louder one in each of `bursts` (from, to), `db` above it.
fn with_bursts(seconds: f64, bursts: &[(f64, f64)], db: f64) -> Vec<u8> {
    let (quiet, loud) = (tone(440.0, 0.02), tone(660.0, 0.02 * 10f64.powf(db / 20.0)));
    wav(RATE, seconds, |at| {
        let inside = bursts.iter().any(|(from, to)| at >= *from && at < *to);
        if inside { loud(at) } else { quiet(at) }
    })
}

#[track_caller]
fn assert_highlights(clip: &Value, expected: &[(f64, f64)]) {
    let metadata = &clip["metadata"];
    let found = metadata["highlights"].as_array().unwrap_or_else(|| panic!("no highlights: {metadata}"));
    let told: Vec<(f64, f64)> = found
        .iter()
        .map(|it| (it["timestamp"].as_f64().unwrap(), it["duration"].as_f64().unwrap()))
        .collect();
    let near = |(at, lasts): (f64, f64), (from, to): (f64, f64)| {
        (at - from).abs() <= 0.1 && (at + lasts - to).abs() <= 0.1
    };
    assert_eq!(told.len(), expected.len(), "{told:?} for {expected:?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(near(*told, *expected), "{told:?} for {expected:?}");
    }
    assert_eq!(metadata["highlight_count"], expected.len());
    assert_eq!(metadata["analyzed_by"], "highlight_detector");
    for it in found {
        let score = it["score"].as_f64().unwrap();
        assert!(it["type"].is_string() && score > 0.0 && score <= 1.0, "{it}");
    }
}

#[test]
fn every_shipped_plugin_runs_and_has_its_texts() {
    let server = shipped().start();
    let mut names = Vec::new();
    for entry in fs::read_dir(folder()).unwrap().map(Result::unwrap).filter(|it| it.path().is_dir()) {
        let name = entry.file_name().into_string().unwrap();
        for file in ["README.md", "plugin.yaml.example"] {
            assert!(entry.path().join(file).is_file(), "{name} has no {file}");
        }
        let status = server.get(&format!("/api/v1/plugins/{name}/status")).expect(200);
        assert_eq!(
            (&status["state"], &status["last_error"]),
            (&json!("running"), &Value::Null),
            "{name}: {status}"
        );
        names.push(name);
    }
    for name in ["example", "highlight_detector", "async_example", "long_running_example", "hybrid_example"] {
        assert!(names.iter().any(|it| it == name), "{name} does not ship: {names:?}");
    }
    let complaints: Vec<Value> =
        server.log_lines().into_iter().filter(|it| it["level"] == "warn" || it["level"] == "error").collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn the_example_listens_to_every_hook_there_is() {
    let server = shipped().start();
    for hook in Hook::ALL {
        let chain = server.get(&format!("/api/v1/hooks/{}", hook.name())).expect(200);
        assert!(chain.to_string().contains("\"example\""), "{}: {chain}", hook.name());
    }
}

#[test]
fn the_example_notes_recordings_and_clips_and_touches_nothing_else() {
    let server = shipped().start();
    let sent = json!({ "id": "r1", "title": "Standup", "metadata": { "mine": [1, 2] } });
    let recording = server.post("/api/v1/recordings", sent).expect(201);
    assert_eq!((&recording["title"], &recording["metadata"]["mine"]), (&json!("Standup"), &json!([1, 2])));
    assert_eq!(
        recording["metadata"]["example"],
        json!({ "note": "seen by the example plugin", "set_off_by": "http" })
    );
    server.post("/api/v1/recordings/r1/end", json!({})).expect(200);
    server
        .wait_for_log("the end", |it| it["plugin"] == "example" && it["message"] == "a recording has ended");

    let clip = server.post("/api/v1/clips", json!({ "title": "Ace", "file_path": "/x.mp4", "tags": ["a"] }));
    let clip = clip.expect(201);
    assert_eq!((&clip["title"], &clip["tags"]), (&json!("Ace"), &json!(["a"])));
    assert_eq!(clip["metadata"]["example"]["title_length"], 3);
    let path = format!("/api/v1/clips/{}", clip["id"]);
    let done = server.patch(&path, json!({ "processed": true })).expect(200);
    assert!(done["metadata"]["example"]["processed_at"].is_string(), "{done}");
    assert_eq!(done["metadata"]["example"]["title_length"], 3, "the former note is still there");
}

#[test]
fn the_example_refuses_the_titles_that_its_config_names() {
    let server = shipped().start();
    let value = json!({ "key": "refused_titles", "value": ["Private"] });
    server.post("/api/v1/plugins/example/config", value).expect(201);
    let refused = wait_for("the new config", || {
        let answer = server.post("/api/v1/recordings", json!({ "title": "Private" }));
        (answer.status != 201).then_some(answer)
    });
    let problem = refused.problem(422, "hook_denied");
    assert!(problem["detail"].as_str().unwrap().contains("'Private'"), "{problem}");
    server.post("/api/v1/recordings", json!({ "title": "Public" })).expect(201);
}

#[test]
fn loud_passages_of_a_clip_are_found_where_they_are() {
    let server = shipped().start();
    type Bursts = &'static [(f64, f64)];
    let cases: [(&str, f64, Bursts); 6] = [
        ("middle", 10.0, &[(4.0, 5.5)]),
        ("several", 12.0, &[(1.0, 2.0), (4.0, 6.0), (9.0, 9.7)]),
        ("start", 8.0, &[(0.0, 1.0)]),
        ("end", 8.0, &[(7.2, 8.0)]),
        ("mostly", 3.0, &[(1.0, 3.0)]),
        ("too-short", 8.0, &[]),
    ];
    for (id, seconds, bursts) in cases {
        let made: Bursts = if id == "too-short" { &[(3.0, 3.2)] } else { bursts };
        record(&server, id, &with_bursts(seconds, made, 20.0));
        assert_highlights(&clip_of(&server, id, seconds), bursts);
    }
}

#[test]
fn silence_and_a_steady_tone_and_very_short_clips_have_no_highlight() {
    let server = shipped().start();
    for (id, audio, seconds) in [
        ("silence", wav(RATE, 5.0, |_| 0.0), 5.0),
        ("loud", wav(RATE, 5.0, tone(440.0, 0.9)), 5.0),
        ("short", wav(RATE, 0.2, tone(440.0, 0.9)), 0.2),
        ("tiny", wav(RATE, 0.01, tone(440.0, 0.9)), 0.01),
    ] {
        record(&server, id, &audio);
        assert_highlights(&clip_of(&server, id, seconds), &[]);
    }
}

#[test]
fn timestamps_of_highlights_count_from_the_start_of_the_clip() {
    let server = shipped().start();
    record(&server, "r", &with_bursts(20.0, &[(12.0, 13.0)], 30.0));
    let clip =
        server.post("/api/v1/clips", json!({ "recording_id": "r", "start": 10, "end": 18 })).expect(201);
    assert_highlights(&clip, &[(2.0, 3.0)]);
}

#[test]
fn sensitivity_and_shortest_length_are_config() {
    let server = shipped().start();
    record(&server, "r", &with_bursts(10.0, &[(3.0, 3.3), (6.0, 8.0)], 10.0));
    assert_highlights(&clip_of(&server, "r", 10.0), &[]);
    for (key, value) in [("sensitivity", 1.0), ("min_duration", 0.1)] {
        let row = json!({ "key": key, "value": value });
        server.post("/api/v1/plugins/highlight_detector/config", row).expect(201);
    }
    wait_for("the new config", || {
        (clip_of(&server, "r", 10.0)["metadata"]["highlight_count"] == 2).then_some(())
    });
    assert_highlights(&clip_of(&server, "r", 10.0), &[(3.0, 3.3), (6.0, 8.0)]);
    for (key, value) in [("sensitivity", 1.5), ("min_duration", 0.05)] {
        let row = json!({ "key": key, "value": value });
        let rows = server.get("/api/v1/plugins/highlight_detector/config").expect(200);
        let rows = rows["items"].as_array().or_else(|| rows.as_array()).cloned().unwrap();
        let old = rows.iter().find(|it| it["key"] == key).unwrap();
        let path = format!("/api/v1/plugins/highlight_detector/config/{}", old["id"]);
        server.put(&path, row).problem(422, "invalid");
    }
}

#[test]
fn ten_minutes_of_audio_are_looked_through_within_the_limits() {
    let server = shipped().start();
    record(&server, "long", &with_bursts(600.0, &[(100.0, 103.0), (590.0, 600.0)], 25.0));
    assert_highlights(&clip_of(&server, "long", 600.0), &[(100.0, 103.0), (590.0, 600.0)]);
}

#[test]
fn a_clip_without_readable_audio_is_stored_as_it_is() {
    let server = shipped().start();
    let clip =
        server.post("/api/v1/clips", json!({ "title": "Elsewhere", "file_path": "/etc/passwd" })).expect(201);
    assert_eq!(
        (&clip["metadata"]["highlights"], &clip["metadata"]["analyzed_by"]),
        (&Value::Null, &Value::Null)
    );
    server.wait_for_log("why there are no highlights", |it| {
        it["plugin"] == "highlight_detector"
            && it["message"].as_str().unwrap_or_default().starts_with("no highlights")
    });
    let status = server.get("/api/v1/plugins/highlight_detector/status").expect(200);
    assert_eq!(status["last_error"], Value::Null);
}

/// The messages of a plugin about one recording, in order, once `last` is among them.
#[track_caller]
fn story(server: &Server, plugin: &str, recording: &str, last: &str) -> Vec<String> {
    wait_for(last, || {
        let lines = server.log_lines().into_iter();
        let about = |it: &Value| it["plugin"] == plugin && it.to_string().contains(recording);
        let told: Vec<String> =
            lines.filter(about).filter_map(|it| it["message"].as_str().map(str::to_owned)).collect();
        told.iter().any(|it| it == last).then_some(told)
    })
}

#[test]
fn two_things_at_once_are_both_under_way_before_either_is_done() {
    let server = shipped().start();
    server.post("/api/v1/recordings", json!({ "id": "once" })).expect(201);
    server.post("/api/v1/recordings/once/end", json!({})).expect(200);
    let told = story(&server, "async_example", "once", "gathered");
    let expected =
        ["setup done", "processing started", "saving started", "saving done", "processing done", "gathered"];
    assert_eq!(told, expected);
}

#[test]
fn work_in_the_background_outlives_its_hook_and_is_joined_later() {
    let server = shipped().start();
    server.post("/api/v1/recordings", json!({ "id": "worked" })).expect(201);
    server.post("/api/v1/recordings/worked/end", json!({})).expect(200);
    let told = story(&server, "long_running_example", "worked", "joined");
    let at = |message: &str| {
        told.iter().position(|it| it == message).unwrap_or_else(|| panic!("{message}: {told:?}"))
    };
    assert!(at("hook returned") < at("long work done"), "{told:?}");
    assert!(at("long work done") < at("joined"), "{told:?}");
}

#[test]
fn computing_happens_in_another_vm_and_its_result_is_stored() {
    let server = shipped().start();
    let recording = server.post("/api/v1/recordings", json!({ "id": "computed" })).expect(201);
    let mixed = (0..200)
        .flat_map(|_| "computed".bytes())
        .fold(5381u64, |mixed, byte| (mixed * 33 % (1 << 32)) ^ u64::from(byte));
    assert_eq!(recording["metadata"]["hybrid_example"], json!({ "checksum": mixed, "rounds": 200 }));
    server.post("/api/v1/recordings/computed/end", json!({})).expect(200);
    let told = story(&server, "hybrid_example", "computed", "recording over");
    assert_eq!(told, ["computed", "waited", "recording over"]);
    let over = server
        .wait_for_log("the end", |it| it["plugin"] == "hybrid_example" && it["message"] == "recording over");
    assert!(over.to_string().replace('\\', "").contains("\"runs_here\":0"), "{over}");
}
