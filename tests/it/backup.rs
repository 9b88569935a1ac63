//! A server is backed up while it is written to; one that starts on the restored folder answers as it did.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::audio::{header, tone, wav};
use crate::common::server::{Builder, wait_for};

const KEEPER: &str = r#"panotti.schedule.cron("0 3 * * *", "nightly", function() end, { tz = "Europe/Berlin" })
panotti.on.on_clip_captured(function(clip)
  panotti.db.execute("CREATE TABLE IF NOT EXISTS seen (title TEXT)")
  if clip.title == "look" then
    local rows = panotti.db.query("SELECT count(*) AS n FROM seen")
    return { metadata = { rows = rows[1].n, kv = panotti.kv.get("title"), file = panotti.fs.read("note.txt") } }
  end
  panotti.db.execute("INSERT INTO seen (title) VALUES (?)", { clip.title })
  if clip.title ~= "meanwhile" then
    panotti.kv.set("title", clip.title)
    panotti.assets.save("cover.png", "of " .. clip.title)
    panotti.fs.write("note.txt", "note of " .. clip.title)
  end
end)"#;

fn furnished() -> Server {
    let yaml = "permissions: { db: true, assets: true, fs: true, schedule: true, http: [api.example] }\nconfig: { volume: { type: integer, default: 3 } }";
    let server = Server::with().plugin("keeper", KEEPER).plugin_file("keeper", "plugin.yaml", yaml).start();
    let sound = wav(16_000, 2.0, tone(440.0, 0.5));
    server.post("/api/v1/recordings", json!({"id": "whole", "title": "Stand-up"})).expect(201);
    server.put_track("whole", "system", &sound).expect(201);
    server.post("/api/v1/clips", json!({"recording_id": "whole", "last": 1})).expect(201);
    server.post("/api/v1/recordings/whole/end", json!({})).expect(200);
    server.post("/api/v1/recordings", json!({"id": "live"})).expect(201);
    server.append_track("live", "mic", 0, &[header(16_000, u32::MAX), vec![1; 32_000]].concat()).expect(200);
    server
        .put("/api/v1/plugins/keeper/grants", json!({"permissions": {"http": ["api.example"]}}))
        .expect(200);
    server.post("/api/v1/plugins/keeper/config", json!({"key": "volume", "value": 7})).expect(201);
    server
}

/// What clients and the admin see.
fn seen(server: &Server) -> Vec<(&'static str, Value)> {
    let told = |path: &'static str| (path, server.get(path).expect(200));
    let mut seen: Vec<_> = [
        "/api/v1/recordings/whole",
        "/api/v1/recordings/live",
        "/api/v1/recordings",
        "/api/v1/clips/1",
        "/api/v1/plugins/keeper/config",
        "/api/v1/plugins/keeper/grants",
    ]
    .map(told)
    .into();
    let schedules = server.get("/api/v1/schedules").expect(200);
    seen.push(("schedule", schedules["items"][0]["next_run"].clone()));
    let events = server.get("/api/v1/events?after=0&limit=6").expect(200);
    seen.push(("events", events["items"].clone()));
    for path in [
        "/api/v1/recordings/whole/tracks/system",
        "/api/v1/recordings/live/tracks/mic",
        "/api/v1/clips/1/content",
        "/api/v1/plugins/keeper/assets/cover.png",
        "/api/v1/plugins/keeper/files/init.lua",
    ] {
        let answer = server.get(path);
        answer.expect_bytes(200);
        seen.push((path, json!(answer.body)));
    }
    seen
}

fn panotti(server: &Server, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_panotti"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PANOTTI_")) {
        command.env_remove(name);
    }
    let plugins = server.folder().join("plugins");
    command.current_dir(server.folder()).env("PANOTTI_PLUGIN_DIRS", plugins).args(args).output().unwrap()
}

#[track_caller]
fn done(out: &Output) -> String {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout.clone()).unwrap()
}

/// A server on what was restored from a backup, in a folder of its own.
fn restored(from: &Server, backup: &Path) -> Server {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (data, plugins, backup) = (place("data"), place("plugins"), backup.display().to_string());
    done(&panotti(from, &["restore", &backup, "--data-dir", &data, "--plugin-dir", &plugins]));
    Builder::default().in_folder(folder).start()
}

#[test]
fn a_server_on_a_restored_backup_answers_as_the_one_that_was_backed_up_while_it_was_written_to() {
    let server = furnished();
    let before = seen(&server);
    let stop = Arc::new(AtomicBool::new(false));
    let (client, told) = (server.client(), Arc::clone(&stop));
    let writer = std::thread::spawn(move || {
        let mut stored = 0;
        while !told.load(Ordering::Relaxed) {
            client.post("/api/v1/clips", json!({"title": "meanwhile", "file_path": "/x"})).expect(201);
            stored += 1;
        }
        stored
    });
    let first =
        wait_for("a clip", || server.get("/api/v1/clips").expect(200)["total"].as_u64().filter(|it| *it > 3));
    // What was answered before it began is in it.
    let dest = server.folder().join("backup");
    let told = done(&panotti(&server, &["backup", dest.to_str().unwrap()]));
    stop.store(true, Ordering::Relaxed);
    assert!(writer.join().unwrap() > 3);
    assert_eq!(Path::new(told.trim()), dest);
    assert!(done(&panotti(&server, &["backup", "verify", "backup"])).starts_with("sound: "));
    assert!(!dest.join("admin.token").exists());
    let listed = server.get("/api/v1/backups").expect(200);
    assert_eq!(listed["total"], 0, "it was moved: {listed}");

    let other = restored(&server, &dest);
    for ((what, was), (_, is)) in before.iter().zip(seen(&other)) {
        assert!(*was == is, "{what}: {was} is {is} now");
    }
    assert!(!other.folder().join("data/admin.token.wanted").exists());
    let former = std::fs::read_to_string(server.folder().join("data/admin.token")).unwrap();
    other.with_key(Some(former.trim())).get("/api/v1/tokens").expect(200);
    let total = other.get("/api/v1/clips").expect(200)["total"].as_u64().unwrap();
    assert!(total >= first, "{total} of {first}");
    let look = other.post("/api/v1/clips", json!({"title": "look", "file_path": "/x"})).expect(201);
    let metadata = &look["metadata"];
    assert!(metadata["rows"].as_u64() >= Some(first), "{metadata} {first}");
    assert_eq!(metadata["file"], format!("note of {}", metadata["kv"].as_str().unwrap()));
    // The live track goes on where it was.
    other.append_track("live", "mic", 32_044, &[2; 3_200]).expect(200);
    other.post("/api/v1/recordings/live/end", json!({})).expect(200);
}

#[test]
fn a_backup_is_made_listed_and_removed_over_http_and_by_admins_alone() {
    let server = furnished();
    let begun = server.post("/api/v1/backups", Value::Null);
    let path = begun.header("location").unwrap().to_owned();
    assert_eq!(begun.expect(202)["id"].as_str().unwrap(), path.rsplit('/').next().unwrap());
    let ended =
        wait_for("the end", || Some(server.get(&path).expect(200)).filter(|it| it["state"] != "running"));
    assert_eq!((&ended["state"], &ended["counts"]["recordings"]), (&json!("done"), &json!(2)), "{ended}");
    assert_eq!(server.get("/api/v1/backups").expect(200)["items"], json!([ended]));
    let offline = panotti(&server, &["restore", ended["path"].as_str().unwrap(), "--data-dir", "data"]);
    let told = String::from_utf8_lossy(&offline.stderr).into_owned();
    assert!(!offline.status.success() && told.contains("another panotti uses"), "{told}");

    let reader =
        server.post("/api/v1/tokens", json!({"name": "r", "scopes": ["plugins:manage"]})).expect(201);
    let reader = server.with_key(reader["token"].as_str());
    reader.get("/api/v1/backups").problem(403, "scope_missing");
    reader.post("/api/v1/backups", Value::Null).problem(403, "scope_missing");
    server.delete(&path).expect(204);
    server.get(&path).problem(404, "backup_not_found");
    server.delete("/api/v1/backups/..%2f..%2fplugins").problem(404, "backup_not_found");
    assert_eq!(server.get("/api/v1/backups").expect(200)["total"], 0);
    let acts = server.get("/api/v1/audit").expect(200);
    let acts: Vec<&str> =
        acts["items"].as_array().unwrap().iter().filter_map(|it| it["action"].as_str()).collect();
    for act in ["backup.start", "backup.end", "backup.delete"] {
        assert!(acts.contains(&act), "{act}: {acts:?}");
    }
}

#[test]
fn a_backup_without_a_server_is_the_same_and_is_restored() {
    let mut server = furnished();
    let before = seen(&server);
    server.kill();
    let place = done(&panotti(&server, &["backup"]));
    done(&panotti(&server, &["backup", "verify", place.trim()]));
    let other = restored(&server, Path::new(place.trim()));
    for ((what, was), (_, is)) in before.iter().zip(seen(&other)) {
        assert!(*was == is, "{what}: {was} is {is} now");
    }
    let used = panotti(&server, &["restore", place.trim(), "--data-dir", "data"]);
    let told = String::from_utf8_lossy(&used.stderr).into_owned();
    assert!(!used.status.success() && told.contains("is in use: it has"), "{told}");
}
