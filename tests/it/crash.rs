//! What was answered with 2xx is there after the power is cut.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::common::Server;
use crate::common::audio::{tone, wav};

/// What writers were told is stored.
#[derive(Default)]
struct Acknowledged {
    started: Vec<String>,
    ended: Vec<String>,
    clips: Vec<(i64, String)>,
    /// Bytes of the live track that were acknowledged.
    live_bytes: usize,
}

#[test]
fn twenty_power_cuts_in_the_middle_of_writes_lose_nothing_that_was_acknowledged() {
    let mut server = Server::with()
        .plugin(
            "tagger",
            r#"panotti.on.on_clip_captured(function(clip) return { tags = { "cut" } } end)
               panotti.on.after_recording_end(function(recording) panotti.kv.incr("ended") end)"#,
        )
        .start();
    let known = Arc::new(Mutex::new(Acknowledged::default()));
    let audio = Arc::new(wav(8_000, 30.0, tone(200.0, 0.3)));
    server.post("/api/v1/recordings", json!({"id": "live"})).expect(201);
    for round in 0..20 {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (client, known) = (server.client(), Arc::clone(&known));
                std::thread::spawn(move || write_until_gone(&client, &known, round, writer))
            })
            .chain(std::iter::once({
                let (client, known, audio) = (server.client(), Arc::clone(&known), Arc::clone(&audio));
                std::thread::spawn(move || append_until_gone(&client, &known, &audio))
            }))
            .collect();
        std::thread::sleep(Duration::from_millis(40 + 13 * (round % 5)));
        server.kill();
        for writer in writers {
            writer.join().unwrap();
        }
        server = server.kill_and_restart();
        check(&server, &known.lock().unwrap(), &audio);
    }
    let known = known.lock().unwrap();
    assert!(known.clips.len() > 20, "too little was written to prove anything: {}", known.clips.len());
}

fn write_until_gone(
    client: &crate::common::client::Client,
    known: &Mutex<Acknowledged>,
    round: u64,
    writer: u64,
) {
    for count in 0.. {
        let id = format!("r{round}-{writer}-{count}");
        let send = |method: &str, path: &str, body: serde_json::Value| {
            let headers = [("Content-Type", "application/json")];
            client.try_send(method, path, &headers, Some(body.to_string().as_bytes()))
        };
        match send("POST", "/api/v1/recordings", json!({"id": id})) {
            Ok(answer) if answer.status == 201 => known.lock().unwrap().started.push(id.clone()),
            _ => return,
        }
        match send("POST", "/api/v1/clips", json!({"title": id, "file_path": "/x.mp4"})) {
            Ok(answer) if answer.status == 201 => {
                let number = answer.json()["id"].as_i64().unwrap();
                known.lock().unwrap().clips.push((number, id.clone()));
            }
            _ => return,
        }
        match send("POST", &format!("/api/v1/recordings/{id}/end"), json!({})) {
            Ok(answer) if answer.status == 200 => known.lock().unwrap().ended.push(id),
            _ => return,
        }
    }
}

fn append_until_gone(client: &crate::common::client::Client, known: &Mutex<Acknowledged>, audio: &[u8]) {
    loop {
        let from = known.lock().unwrap().live_bytes;
        if from >= audio.len() {
            return;
        }
        let to = (from + 900).min(audio.len());
        let offset = from.to_string();
        let headers = [("Upload-Offset", offset.as_str()), ("Content-Type", "application/octet-stream")];
        let path = "/api/v1/recordings/live/tracks/system";
        match client.try_send("POST", path, &headers, Some(&audio[from..to])) {
            Ok(answer) if answer.status == 200 => known.lock().unwrap().live_bytes = to,
            // Written, but the answer was lost: the server tells where to go on.
            Ok(answer) if answer.status == 409 => {
                let expected = answer.json()["expected_offset"].as_u64().unwrap() as usize;
                assert!(expected >= from, "acknowledged bytes are gone: {expected} of {from}");
                known.lock().unwrap().live_bytes = expected;
            }
            _ => return,
        }
    }
}

fn check(server: &Server, known: &Acknowledged, audio: &[u8]) {
    for id in &known.started {
        server.get(&format!("/api/v1/recordings/{id}")).expect(200);
    }
    for id in &known.ended {
        assert_eq!(server.get(&format!("/api/v1/recordings/{id}")).expect(200)["status"], "completed");
    }
    for (number, title) in &known.clips {
        let clip = server.get(&format!("/api/v1/clips/{number}")).expect(200);
        assert_eq!((&clip["title"], &clip["tags"]), (&json!(title), &json!(["cut"])));
    }
    if known.live_bytes > 0 {
        let stored = server.get("/api/v1/recordings/live/tracks/system");
        stored.expect_bytes(200);
        assert!(stored.body.len() >= known.live_bytes);
        assert_eq!(stored.body[..known.live_bytes], audio[..known.live_bytes]);
    }
}
