//! Uploads in pieces (tus 1.0.0), over connections that break and processes that die.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use crate::common::Server;
use crate::common::audio::{tone, wav};
use crate::common::client::{Answer, Client};
use crate::common::server::{Builder, wait_for};

const UPLOADS: &str = "/api/v1/uploads";
const TUS: (&str, &str) = ("Tus-Resumable", "1.0.0");
const PIECE: (&str, &str) = ("Content-Type", "application/offset+octet-stream");

fn server_with_recording(builder: Builder) -> Server {
    let server = builder.start();
    server.post("/api/v1/recordings", json!({ "id": "r1" })).expect(201);
    server
}

fn metadata(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(key, value)| format!("{key} {}", STANDARD.encode(value)));
    pairs.collect::<Vec<_>>().join(",")
}

fn announce_to(client: &Client, track: &str, length: usize) -> Answer {
    let (length, said) =
        (length.to_string(), metadata(&[("recording", "r1"), ("track", track), ("filename", "a.wav")]));
    client.send("POST", UPLOADS, &[TUS, ("Upload-Length", &length), ("Upload-Metadata", &said)], None)
}

/// Announces an upload and tells where it is.
#[track_caller]
fn announce(client: &Client, track: &str, length: usize) -> String {
    let made = announce_to(client, track, length);
    made.expect(201);
    made.header("location").unwrap().to_owned()
}

fn send(client: &Client, place: &str, offset: usize, bytes: &[u8]) -> Answer {
    client.send("PATCH", place, &[TUS, PIECE, ("Upload-Offset", &offset.to_string())], Some(bytes))
}

#[track_caller]
fn offset(client: &Client, place: &str) -> usize {
    let told = client.send("HEAD", place, &[TUS], None);
    assert_eq!((told.status, told.header("cache-control")), (200, Some("no-store")), "{told:?}");
    told.header("upload-offset").unwrap().parse().unwrap()
}

fn audio() -> Vec<u8> {
    wav(8_000, 2.0, tone(440.0, 0.5))
}

#[test]
fn what_is_spoken_is_told_to_everybody() {
    let server = Server::with().env("PANOTTI_UPLOAD_MAX_BYTES", 5000).start();
    let told = server.with_key(None).send("OPTIONS", UPLOADS, &[], None);
    assert_eq!(told.status, 204);
    let said = |name: &str| told.header(name).unwrap_or_default().to_owned();
    assert_eq!(
        (said("tus-version"), said("tus-resumable"), said("tus-max-size")),
        ("1.0.0".into(), "1.0.0".into(), "5000".into())
    );
    for extension in ["creation", "creation-with-upload", "termination", "checksum", "expiration"] {
        assert!(said("tus-extension").split(',').any(|it| it == extension), "{told:?}");
    }
    assert!(said("tus-checksum-algorithm").contains("sha1"));
    for headers in [&[][..], &[("Tus-Resumable", "0.2.2")][..]] {
        let refused = server.send("POST", UPLOADS, headers, None);
        refused.problem(412, "tus_version");
        assert_eq!(
            (refused.header("tus-version"), refused.header("tus-resumable")),
            (Some("1.0.0"), Some("1.0.0"))
        );
    }
    server.with_key(None).send("POST", UPLOADS, &[TUS], None).problem(401, "key_missing");
}

#[test]
fn a_track_that_came_in_pieces_is_the_same_as_one_that_came_whole() {
    let server = server_with_recording(Server::with());
    let audio = audio();
    let place = announce(&server, "system", audio.len());
    assert_eq!(offset(&server, &place), 0);
    let mut at = 0;
    for piece in audio.chunks(10_000) {
        let sent = send(&server, &place, at, piece);
        assert_eq!(sent.status, 204, "{sent:?}");
        at += piece.len();
        assert_eq!(sent.header("upload-offset"), Some(at.to_string().as_str()));
        assert_eq!(sent.header("upload-expires").is_some(), at < audio.len());
        assert_eq!(offset(&server, &place), at);
    }
    let pieces = server.get("/api/v1/recordings/r1").expect(200)["tracks"]["system"].clone();
    server.put_track("r1", "whole", &audio).expect(201);
    let whole = server.get("/api/v1/recordings/r1").expect(200)["tracks"]["whole"].clone();
    for field in
        ["size", "duration", "codec", "sample_rate", "channels", "sha256", "state", "origin", "probe_error"]
    {
        assert_eq!(pieces[field], whole[field], "{field}");
    }
    assert_eq!(pieces["path"], "recordings/r1/system.wav");
    assert_eq!(server.get("/api/v1/recordings/r1/tracks/system").body, audio);
    let told = server.get("/api/v1/events?type=track.stored").expect(200)["items"].clone();
    assert_eq!((&told[0]["data"]["name"], told.as_array().unwrap().len()), (&json!("system"), 2));
    // Done is done: the address goes, the track stays.
    let view = server.get(&place).expect(200);
    assert!(view["completed_at"].is_string(), "{view}");
    assert_eq!(server.send("DELETE", &place, &[TUS], None).status, 204);
    server.get(&place).problem(404, "upload_not_found");
    server.get("/api/v1/recordings/r1/tracks/system").expect_bytes(200);
}

#[test]
fn the_first_piece_may_come_with_the_announcement() {
    let server = server_with_recording(Server::with());
    let audio = audio();
    let (length, said) = (audio.len().to_string(), metadata(&[("recording", "r1"), ("track", "a")]));
    let headers = [TUS, PIECE, ("Upload-Length", length.as_str()), ("Upload-Metadata", said.as_str())];
    let made = server.send("POST", UPLOADS, &headers, Some(&audio[..5000]));
    made.expect(201);
    assert_eq!(made.header("upload-offset"), Some("5000"));
    let place = made.header("location").unwrap();
    assert_eq!(send(&server, place, 5000, &audio[5000..]).status, 204);
    assert_eq!(server.get("/api/v1/recordings/r1/tracks/a").body, audio);
    let headers = [TUS, ("Upload-Length", "0"), ("Upload-Metadata", said.as_str())];
    let empty = server.send("POST", UPLOADS, &headers, None).expect(201);
    assert_eq!((&empty["offset"], &empty["length"]), (&json!(0), &json!(0)));
    assert_eq!(server.get("/api/v1/recordings/r1/tracks/a").body, b"");
}

#[test]
fn a_wrong_offset_type_or_length_changes_nothing() {
    let server = server_with_recording(Server::with());
    let place = announce(&server, "a", 100);
    assert_eq!(send(&server, &place, 0, &[1; 40]).status, 204);
    let wrong = send(&server, &place, 10, &[1; 40]).problem(409, "offset_mismatch");
    assert_eq!(wrong["expected_offset"], 40);
    let headers = [TUS, ("Content-Type", "audio/wav"), ("Upload-Offset", "40")];
    server.send("PATCH", &place, &headers, Some(b"x")).problem(415, "unsupported_media_type");
    server.send("PATCH", &place, &[TUS, PIECE], Some(b"x")).problem(400, "bad_header");
    server.send("PATCH", &place, &[PIECE, ("Upload-Offset", "40")], Some(b"x")).problem(412, "tus_version");
    send(&server, &place, 40, &[1; 61]).problem(413, "too_large");
    assert_eq!(offset(&server, &place), 40);
    let said = metadata(&[("recording", "r1"), ("track", "b")]);
    for headers in [
        vec![TUS, ("Upload-Metadata", said.as_str())],
        vec![TUS, ("Upload-Metadata", said.as_str()), ("Upload-Defer-Length", "1")],
        vec![TUS, ("Upload-Length", "5")],
        vec![TUS, ("Upload-Length", "-1"), ("Upload-Metadata", said.as_str())],
    ] {
        server.send("POST", UPLOADS, &headers, None).problem(400, "bad_header");
    }
    let nowhere = metadata(&[("recording", "nobody"), ("track", "b")]);
    let headers = [TUS, ("Upload-Length", "5"), ("Upload-Metadata", nowhere.as_str())];
    server.send("POST", UPLOADS, &headers, None).problem(404, "recording_not_found");
    assert_eq!(
        send(&server, &format!("{UPLOADS}/nobody"), 0, b"x").problem(404, "upload_not_found")["status"],
        404
    );
}

#[test]
fn a_piece_that_is_not_what_its_checksum_says_is_dropped() {
    let server = server_with_recording(Server::with());
    let place = announce(&server, "a", 100);
    let checked = |checksum: &str, bytes: &[u8]| {
        let headers = [TUS, PIECE, ("Upload-Offset", "0"), ("Upload-Checksum", checksum)];
        server.send("PATCH", &place, &headers, Some(bytes))
    };
    let right = format!("sha1 {}", STANDARD.encode(Sha1::digest([7; 50])));
    checked(&right, &[8; 50]).problem(460, "checksum_mismatch");
    assert_eq!(offset(&server, &place), 0);
    checked("crc32 AAAA", &[7; 50]).problem(400, "bad_header");
    assert_eq!(checked(&right, &[7; 50]).status, 204);
    assert_eq!(offset(&server, &place), 50);
}

#[test]
fn an_upload_is_given_up_also_by_clients_that_cannot_send_delete() {
    let server = server_with_recording(Server::with());
    let (one, other) = (announce(&server, "a", 100), announce(&server, "b", 4));
    assert_eq!(server.get(UPLOADS).expect(200)["total"], 2);
    send(&server, &one, 0, &[1; 40]);
    assert_eq!(server.send("DELETE", &one, &[TUS], None).status, 204);
    server.send("HEAD", &one, &[TUS], None).expect_bytes(404);
    send(&server, &one, 40, b"x").problem(404, "upload_not_found");
    let over = |method: &str, body: &[u8]| {
        let headers = [TUS, PIECE, ("Upload-Offset", "0"), ("X-HTTP-Method-Override", method)];
        server.send("POST", &other, &headers, Some(body))
    };
    over("PUT", b"x").problem(400, "bad_header");
    assert_eq!(over("PATCH", b"flac").status, 204);
    assert_eq!(server.get("/api/v1/recordings/r1/tracks/b").body, b"flac");
    assert_eq!(over("DELETE", b"").status, 204);
    assert_eq!(std::fs::read_dir(server.folder().join("data/media/uploads")).unwrap().count(), 0);
}

#[test]
fn a_track_of_an_ended_recording_is_replaced_only_when_that_was_said() {
    let server = server_with_recording(Server::with());
    let late = announce(&server, "a", 6);
    server.put_track("r1", "a", b"before").expect(201);
    server.post("/api/v1/recordings/r1/end", json!({})).expect(200);
    announce_to(&server, "a", 4).problem(409, "recording_completed");
    send(&server, &late, 0, b"after!").problem(409, "recording_completed");
    assert_eq!(offset(&server, &late), 0);
    assert_eq!(server.get("/api/v1/recordings/r1/tracks/a").body, b"before");
    let said = metadata(&[("recording", "r1"), ("track", "a"), ("replace", "true")]);
    let headers = [TUS, PIECE, ("Upload-Length", "5"), ("Upload-Metadata", said.as_str())];
    server.send("POST", UPLOADS, &headers, Some(b"after")).expect(201);
    assert_eq!(server.get("/api/v1/recordings/r1/tracks/a").body, b"after");
}

#[test]
fn too_much_is_refused_before_it_is_sent_with_limit_and_setting() {
    let server = server_with_recording(
        Server::with().env("PANOTTI_UPLOADS_MAX_MIB", 1).env("PANOTTI_UPLOAD_MAX_BYTES", 900_000),
    );
    let refused = announce_to(&server, "a", 900_001).problem(413, "too_large");
    assert!(refused["detail"].as_str().unwrap().contains("upload_max_bytes"), "{refused}");
    let first = announce(&server, "a", 800_000);
    let full = announce_to(&server, "b", 800_000);
    assert!(full.problem(507, "uploads_full")["detail"].as_str().unwrap().contains("uploads.max_mib"));
    assert!(full.header("retry-after").is_some());
    assert_eq!(server.send("DELETE", &first, &[TUS], None).status, 204);
    announce(&server, "b", 800_000);
    let server = server_with_recording(Server::with().env("PANOTTI_UPLOADS_SPARE_MIB", 1 << 30));
    let full = announce_to(&server, "a", 5).problem(507, "disk_full");
    assert!(full["detail"].as_str().unwrap().contains("uploads.spare_mib"), "{full}");
    // The disk is not full for that: a client that wants too much puts no server out of service.
    server.get("/readyz").expect(200);
    let samples = crate::metrics::metrics(&server);
    assert_eq!(
        (samples["panotti_store_disk_full"], samples["panotti_store_failed_changes_total"]),
        (0.0, 0.0)
    );
}

/// A connection that sends a piece and stays open.
fn begin(server: &Server, place: &str, offset: usize, length: usize, bytes: &[u8]) -> TcpStream {
    let info: Value =
        serde_json::from_slice(&std::fs::read(server.folder().join("data/server.json")).unwrap()).unwrap();
    let address = info["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let key = std::fs::read_to_string(server.folder().join("data/admin.token")).unwrap();
    let mut stream = TcpStream::connect(&address).unwrap();
    let head = format!(
        "PATCH {place} HTTP/1.1\r\nHost: {address}\r\nX-API-Key: {}\r\nTus-Resumable: 1.0.0\r\nContent-Type: {}\r\nUpload-Offset: {offset}\r\nContent-Length: {length}\r\n\r\n",
        key.trim(),
        PIECE.1
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// What has been written of an upload, if anything.
fn written(server: &Server, place: &str) -> Option<u64> {
    let part = format!("data/media/uploads/{}.part", place.rsplit('/').next().unwrap());
    let part = std::fs::metadata(server.folder().join(part));
    part.ok().map(|it| it.len()).filter(|it| *it > 0)
}

#[test]
fn two_who_send_at_once_do_not_mix() {
    let server = server_with_recording(Server::with());
    let place = announce(&server, "a", 2_000_000);
    let mut first = begin(&server, &place, 0, 2_000_000, &[1; 1_000_000]);
    // Not by sending: whoever asks so has the right to write for a moment himself.
    wait_for("the first one to begin", || written(&server, &place));
    let refused = send(&server, &place, 0, b"");
    refused.problem(423, "upload_locked");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(server.send("DELETE", &place, &[TUS], None).status, 423);
    first.write_all(&[1; 1_000_000]).unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 204");
    assert_eq!(server.get("/api/v1/recordings/r1/tracks/a").body, vec![1; 2_000_000]);
}

#[test]
fn what_came_before_a_cut_is_kept_and_the_rest_goes_on() {
    let server = server_with_recording(Server::with());
    let bytes: Vec<u8> = (0..2_000_000_u32).map(|it| (it % 251) as u8).collect();
    let place = announce(&server, "a", bytes.len());
    let cut = begin(&server, &place, 0, bytes.len(), &bytes[..700_000]);
    wait_for("it to be written", || written(&server, &place));
    cut.shutdown(Shutdown::Both).unwrap();
    drop(cut);
    let at = wait_for("what came to be kept", || Some(offset(&server, &place)).filter(|it| *it > 0));
    assert!(at <= 700_000, "{at}");
    wait_for("the upload to be free", || {
        (send(&server, &place, at, &bytes[at..]).status == 204).then_some(())
    });
    assert_eq!(server.get("/api/v1/recordings/r1/tracks/a").body, bytes);
}

#[test]
fn a_connection_that_is_silent_is_taken_over() {
    let server = server_with_recording(Server::with());
    let bytes = vec![3; 1_000_000];
    let place = announce(&server, "a", bytes.len());
    let _hangs = begin(&server, &place, 0, bytes.len(), &bytes[..600_000]);
    let at = wait_for("the silent one to be given up", || Some(offset(&server, &place)).filter(|it| *it > 0));
    let sent = send(&server, &place, at, &bytes[at..]);
    assert_eq!(sent.status, 204, "{sent:?}");
    assert_eq!(server.get("/api/v1/recordings/r1/tracks/a").body, bytes);
}

#[test]
fn ten_power_cuts_in_the_middle_of_an_upload_lose_nothing_that_was_acknowledged() {
    let mut server = server_with_recording(Server::with());
    let bytes: Vec<u8> = (0..4_000_000_u32).map(|it| (it % 253) as u8).collect();
    let place = announce(&server, "a", bytes.len());
    let mut acknowledged = 0;
    for round in 0..10_u64 {
        let (client, to, whole) = (server.client(), place.clone(), bytes.clone());
        let sender = std::thread::spawn(move || {
            let mut at = acknowledged;
            while at < whole.len() {
                let end = (at + 37_000).min(whole.len());
                let headers = [TUS, PIECE, ("Upload-Offset", &at.to_string())];
                match client.try_send("PATCH", &to, &headers, Some(&whole[at..end])) {
                    Ok(answer) if answer.status == 204 => at = end,
                    _ => break,
                }
            }
            at
        });
        std::thread::sleep(std::time::Duration::from_millis(30 + 17 * (round % 4)));
        server.kill();
        let told = sender.join().unwrap();
        server = server.kill_and_restart();
        acknowledged = offset(&server, &place);
        assert!(acknowledged >= told, "{told} bytes were acknowledged, {acknowledged} are there");
        if acknowledged == bytes.len() {
            break;
        }
        let there = written(&server, &place).unwrap_or_default();
        assert!(
            there >= acknowledged as u64,
            "the offset {acknowledged} is beyond the {there} bytes on disk"
        );
    }
    if acknowledged < bytes.len() {
        assert_eq!(send(&server, &place, acknowledged, &bytes[acknowledged..]).status, 204);
    }
    assert_eq!(server.get("/api/v1/recordings/r1/tracks/a").body, bytes);
    let lost = std::fs::read_dir(server.folder().join("data/media/lost+found")).map_or(0, Iterator::count);
    assert_eq!(lost, 0);
}

#[test]
fn pages_of_a_listed_origin_read_the_headers_of_uploads() {
    let app = ("Origin", "https://app.example");
    let server = server_with_recording(Server::with().env("PANOTTI_CORS_ORIGINS", app.1));
    let asked = [
        app,
        ("Access-Control-Request-Method", "PATCH"),
        ("Access-Control-Request-Headers", "tus-resumable,upload-offset,content-type,x-api-key"),
    ];
    let preflight = server.with_key(None).send("OPTIONS", UPLOADS, &asked, None);
    assert_eq!(preflight.status, 200, "{preflight:?}");
    assert!(preflight.header("access-control-allow-headers").unwrap().contains("upload-offset"));
    let said = metadata(&[("recording", "r1"), ("track", "a")]);
    let made =
        server.send("POST", UPLOADS, &[TUS, app, ("Upload-Length", "5"), ("Upload-Metadata", &said)], None);
    made.expect(201);
    let exposed = made.header("access-control-expose-headers").unwrap().to_lowercase();
    for name in ["location", "upload-offset", "upload-expires", "tus-resumable"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    let told = server.send("OPTIONS", UPLOADS, &[app], None);
    assert!(
        told.header("access-control-expose-headers").unwrap().to_lowercase().contains("tus-extension"),
        "{told:?}"
    );
}
