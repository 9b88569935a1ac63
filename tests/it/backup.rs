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
    command(server, args).output().unwrap()
}

fn command(server: &Server, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_panotti"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PANOTTI_")) {
        command.env_remove(name);
    }
    let plugins = server.folder().join("plugins");
    command.current_dir(server.folder()).env("PANOTTI_PLUGIN_DIRS", plugins).args(args);
    command
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

/// So much in a plugin's folder that a backup takes a while.
fn make_slow(server: &Server) {
    let folder = server.folder().join("data/plugins/keeper/files");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::File::create(folder.join("large")).unwrap().set_len(1 << 29).unwrap();
}

#[test]
fn there_is_one_backup_at_a_time_and_ctrl_c_leaves_nothing_of_it() {
    let server = furnished();
    make_slow(&server);
    let mut child = command(&server, &["backup"]);
    let child =
        child.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let running = wait_for("the backup to run", || {
        let listed = server.get("/api/v1/backups").expect(200);
        listed["items"].as_array().unwrap().iter().find(|it| it["state"] == "running").cloned()
    });
    let refused = server.post("/api/v1/backups", Value::Null).problem(409, "conflict");
    assert!(refused["detail"].as_str().unwrap().contains(running["id"].as_str().unwrap()), "{refused}");
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let out = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.code() == Some(1) && told.contains("nothing of the backup is kept"), "{told}");
    assert!(out.stdout.is_empty());
    let ended = wait_for("the act", || {
        let acts = server.get("/api/v1/audit?action=backup.end").expect(200);
        acts["items"].as_array().unwrap().first().cloned()
    });
    assert_eq!(ended["outcome"], "failed", "{ended}");
    let folder = server.folder().join("data/backups");
    wait_for("the end of it", || (std::fs::read_dir(&folder).unwrap().count() == 0).then_some(()));
    std::fs::remove_file(server.folder().join("data/plugins/keeper/files/large")).unwrap();
    wait_for("another one", || (server.post("/api/v1/backups", Value::Null).status == 202).then_some(()));
}

#[test]
fn damage_is_told_with_the_name_of_the_file_and_backups_are_listed() {
    let server = furnished();
    let place = done(&panotti(&server, &["backup"]));
    let place = Path::new(place.trim());
    let listed = done(&panotti(&server, &["backup", "list"]));
    let id = place.file_name().unwrap().to_str().unwrap();
    assert!(listed.lines().count() == 2 && listed.contains(id) && listed.contains("done"), "{listed}");
    for inside in [place.to_owned(), place.join("new"), place.join("media")] {
        let within = panotti(&server, &["backup", inside.to_str().unwrap(), "--archive"]);
        let told = String::from_utf8_lossy(&within.stderr).into_owned();
        assert_eq!(within.status.code(), Some(2));
        assert!(told.contains("is a backup, and another one in it would damage it"), "{told}");
    }

    let track = place.join("media/whole/system.wav");
    let track = if track.exists() { track } else { first_file(&place.join("media")) };
    let name = track.strip_prefix(place).unwrap().to_str().unwrap().to_owned();
    // A link shares its bytes with the server's own file.
    let mut bytes = std::fs::read(&track).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::remove_file(&track).unwrap();
    std::fs::write(&track, bytes).unwrap();
    let code = place.join("code/keeper/init.lua");
    std::fs::write(&code, std::fs::read_to_string(&code).unwrap().replace("Berlin", "Berlim")).unwrap();
    let out = panotti(&server, &["backup", "verify", place.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1));
    assert!(told.contains(&name) && told.contains("code/keeper/init.lua: its bytes are not those"), "{told}");
}

fn first_file(folder: &Path) -> std::path::PathBuf {
    let entry = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    if entry.is_dir() { first_file(&entry) } else { entry }
}

#[test]
fn a_backup_in_one_file_is_made_while_the_server_runs_and_restored_to_the_same_bytes() {
    let server = furnished();
    let paths = [
        "/api/v1/recordings",
        "/api/v1/recordings/whole?include=clips,events,tasks",
        "/api/v1/recordings/whole/tracks",
        "/api/v1/recordings/whole/tracks/system",
        "/api/v1/recordings/whole/tracks/system/waveform?points=50",
        "/api/v1/recordings/live/tracks/mic",
        "/api/v1/clips",
        "/api/v1/clips/1",
        "/api/v1/clips/1/content",
        "/api/v1/clips/stats",
        "/api/v1/plugins/keeper/files/init.lua",
        "/api/v1/plugins/keeper/config",
        "/api/v1/plugins/keeper/grants",
        "/api/v1/plugins/keeper/assets",
        "/api/v1/plugins/keeper/assets/cover.png",
        "/api/v1/recordings/whole/events",
    ];
    let before: Vec<Vec<u8>> = paths.iter().map(|path| server.get(path).body).collect();
    let told = done(&panotti(&server, &["backup", "all.tar", "--archive"]));
    let tar = Path::new(told.trim());
    assert_eq!(tar, server.folder().join("all.tar"));
    assert!(done(&panotti(&server, &["backup", "verify", "all.tar"])).starts_with("sound: "));
    assert_eq!(server.get("/api/v1/backups").expect(200)["total"], 0, "the folder goes");
    let other = restored(&server, tar);
    for (path, was) in paths.iter().zip(before) {
        let is = other.get(path).body;
        assert!(was == is, "{path}: {} is {}", String::from_utf8_lossy(&was), String::from_utf8_lossy(&is));
    }
    let acts = other.get("/api/v1/audit?action=backup.restored").expect(200);
    assert_eq!(acts["items"][0]["actor"], "server");
}
