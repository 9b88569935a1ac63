//! What was sent is what arrived (RFC 9530).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256, Sha512};

use crate::common::Server;
use crate::common::audio::{tone, wav};

fn short(bytes: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(bytes)))
}

fn long(bytes: &[u8]) -> String {
    format!("sha-512=:{}:", STANDARD.encode(Sha512::digest(bytes)))
}

fn server_with_recording() -> Server {
    let server = Server::start();
    server.post("/api/v1/recordings", json!({ "id": "r1" })).expect(201);
    server
}

#[test]
fn a_track_whose_digest_does_not_fit_is_not_stored() {
    let server = server_with_recording();
    let audio = wav(8_000, 1.0, tone(440.0, 0.5));
    let path = "/api/v1/recordings/r1/tracks/a";
    let half = format!("{}, {}", short(&audio), long(b"other"));
    for wrong in [short(b"other"), long(b"other"), half] {
        let sent = server.send("PUT", path, &[("Repr-Digest", &wrong)], Some(&audio));
        sent.problem(400, "digest_mismatch");
        server.get(path).problem(404, "track_not_found");
    }
    for (status, right) in [(201, short(&audio)), (200, long(&audio)), (200, "unixsum=:AAAA:".to_owned())] {
        server.send("PUT", path, &[("Repr-Digest", &right)], Some(&audio)).expect(status);
    }
    server.send("PUT", path, &[("Repr-Digest", "sha-256=x")], Some(&audio)).problem(400, "bad_header");
    let kept = server.get(path);
    assert_eq!(kept.body, audio);
    assert_eq!(kept.header("repr-digest"), Some(short(&audio).as_str()));
    // Of the whole file, also with a part of it.
    let part = server.send("GET", path, &[("Range", "bytes=0-3")], None);
    assert_eq!((part.status, part.header("repr-digest")), (206, Some(short(&audio).as_str())));
    let unwanted = server.send("GET", path, &[("Want-Repr-Digest", "sha-256=0")], None);
    assert_eq!(unwanted.header("repr-digest"), None);
}

#[test]
fn media_of_a_clip_whose_digest_does_not_fit_change_nothing() {
    let server = Server::start();
    server.post("/api/v1/clips", json!({ "title": "a", "file_path": "/elsewhere.wav" })).expect(201);
    let audio = wav(8_000, 1.0, tone(440.0, 0.5));
    let path = "/api/v1/clips/1/content";
    for wrong in [short(b"other"), long(b"other")] {
        server.send("PUT", path, &[("Repr-Digest", &wrong)], Some(&audio)).problem(400, "digest_mismatch");
        server.get(path).problem(404, "media_unavailable");
    }
    server.send("PUT", path, &[("Content-Digest", &long(&audio))], Some(&audio)).expect(200);
    assert_eq!(server.get(path).body, audio);
}

#[test]
fn files_of_plugins_are_held_against_their_digest_and_given_with_one() {
    let server = Server::with().plugin("first", "local a = 1").start();
    let path = "/api/v1/plugins/first/files/init.lua";
    let edit = b"local a = 2";
    let save = |path: &str, digest: &str, body: &[u8]| {
        let headers = [("If-Match", "*"), ("Repr-Digest", digest)];
        server.send("PUT", path, &headers, Some(body))
    };
    save(path, &short(b"other"), edit).problem(400, "digest_mismatch");
    assert_eq!(server.get(path).body, b"local a = 1");
    save(path, &long(edit), edit).expect(200);
    let given = server.send("GET", path, &[("Want-Repr-Digest", "sha-512=3, sha-256=1")], None);
    assert_eq!((given.body.as_slice(), given.header("repr-digest")), (&edit[..], Some(long(edit).as_str())));
    assert_eq!(server.get(path).header("repr-digest"), None);
    let archive =
        server.send("GET", "/api/v1/plugins/first/archive", &[("Want-Repr-Digest", "sha-256=1")], None);
    assert_eq!(archive.header("repr-digest"), Some(short(&archive.body).as_str()));
    let upload = |digest: &str| {
        let headers = [("Content-Type", "application/zip"), ("Repr-Digest", digest)];
        server.send("POST", "/api/v1/plugins/upload?name=second", &headers, Some(&archive.body))
    };
    upload(&short(b"other")).problem(400, "digest_mismatch");
    server.get("/api/v1/plugins/second").problem(404, "plugin_not_found");
    upload(&short(&archive.body)).expect(201);
}
