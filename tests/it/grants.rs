//! What plugins may do: asked in the manifest, granted by the admin, refused until then.

use std::process::Command;

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::server::wait_for;

const LISTENER: &str = r#"panotti.on.on_clip_captured(function(clip)
  local ok, err = pcall(panotti.events.publish, "recording.tagged", { id = clip.id })
  return { metadata = { published = ok, why = not ok and err or nil } }
end)"#;

fn clip(server: &Server) -> Value {
    server.post("/api/v1/clips", json!({"title": "t", "file_path": "/x"})).expect(201)["metadata"].clone()
}

fn start(manifest: &str) -> Server {
    Server::with().plugin_file("tagger", "plugin.yaml", manifest).plugin("tagger", LISTENER).start()
}

#[test]
fn a_plugin_is_refused_until_it_is_granted_what_it_asks_for_and_again_after_that_is_taken_back() {
    let server = start("permissions: { events: [recording] }");
    let refused = clip(&server);
    let why = refused["why"].as_str().unwrap();
    assert!(why.contains("init.lua:") || why.contains("needs the permission 'events:recording'"), "{why}");
    assert!(why.contains("waits for the admin's grant: `panotti grants allow tagger`"), "{why}");
    let grants = server.get("/api/v1/plugins/tagger/grants").expect(200);
    assert_eq!(grants["waiting"], json!({"events": ["recording"]}));
    assert_eq!(grants["in_force"], json!({}));

    let granted = server.post("/api/v1/plugins/tagger/grants", json!({"all": true})).expect(200);
    assert_eq!((&granted["waiting"], &granted["in_force"]), (&json!({}), &json!({"events": ["recording"]})));
    assert_eq!(clip(&server), json!({"published": true}), "in force when it is answered");

    let server = server.restart();
    assert_eq!(clip(&server), json!({"published": true}), "also after a restart");
    let status = server.get("/api/v1/plugins/tagger/status").expect(200);
    assert_eq!(status["permissions_granted"], json!({"events": ["recording"]}));

    server.delete("/api/v1/plugins/tagger/grants").expect(200);
    assert_eq!(clip(&server)["published"], false, "shut at once");
}

#[test]
fn a_manifest_that_asks_for_more_keeps_what_it_has_and_the_rest_waits() {
    let server = start("permissions: { events: [recording] }");
    server
        .put("/api/v1/plugins/tagger/grants", json!({"permissions": {"events": ["recording"]}}))
        .expect(200);
    let manifest = server.folder().join("plugins/tagger/plugin.yaml");
    std::fs::write(manifest, "permissions: { events: [recording, clip], http: [api.example] }").unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(clip(&server), json!({"published": true}));
    let grants = server.get("/api/v1/plugins/tagger/grants").expect(200);
    assert_eq!(grants["waiting"], json!({"events": ["clip"], "http": ["api.example"]}));
    assert_ne!(grants["manifest_hash"], grants["granted_hash"]);
    let status = server.get("/api/v1/plugins/tagger/status").expect(200);
    assert!(status["warnings"].to_string().contains("wait for the admin's grant: events, http"), "{status}");
}

#[test]
fn more_than_is_asked_for_is_never_in_force() {
    let server = start("permissions: {}");
    let body = json!({"permissions": {"events": true, "http": true}});
    let grants = server.put("/api/v1/plugins/tagger/grants", body).expect(200);
    assert_eq!(grants["in_force"], json!({}));
    let refused = clip(&server);
    assert!(
        refused["why"].as_str().unwrap().contains("add `permissions: { events: [recording] }`"),
        "{refused}"
    );
    let wrong = server.put("/api/v1/plugins/tagger/grants", json!({"permissions": {"evnts": true}}));
    assert_eq!(wrong.problem(422, "invalid")["errors"][0]["pointer"], "/permissions/evnts");
    server.put("/api/v1/plugins/tagger/grants", json!({"everything": 1})).problem(422, "invalid");
    server.get("/api/v1/plugins/nobody/grants").problem(404, "plugin_not_found");
}

#[test]
fn a_shut_door_is_told_with_file_and_line_but_not_again_and_again() {
    let server = start("permissions: { events: [recording] }");
    (0..20).for_each(|_| drop(clip(&server)));
    let line = server.wait_for_log("the denial", |it| it["permission"] == "events:recording");
    assert_eq!((&line["plugin"], &line["place"]), (&json!("tagger"), &json!("init.lua:2")));
    assert_eq!(server.log_lines().iter().filter(|it| it["permission"] == "events:recording").count(), 1);
    let entry = wait_for("the row of the audit log", || {
        let audit = server.get("/api/v1/audit").expect(200);
        let items = audit["items"].as_array().unwrap().clone();
        items.into_iter().find(|it| it["action"] == "plugin.denied")
    });
    assert_eq!((&entry["detail"]["file"], &entry["detail"]["line"]), (&json!("init.lua"), &json!(2)));
    assert_eq!(entry["subject"], "plugin/tagger");
}

#[test]
fn the_settings_file_grants_too_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("panotti.yaml");
    std::fs::write(&file, "grants: { tagger: { events: [recording] }, nobody: { http: true } }").unwrap();
    let server = Server::with()
        .plugin_file("tagger", "plugin.yaml", "permissions: { events: [recording] }")
        .plugin("tagger", LISTENER)
        .env("PANOTTI_CONFIG", file.display())
        .start();
    assert_eq!(clip(&server), json!({"published": true}));
    let grants = server.delete("/api/v1/plugins/tagger/grants").expect(200);
    assert_eq!(grants["granted_by_settings"], json!({"events": ["recording"]}));
    assert_eq!(grants["in_force"], json!({"events": ["recording"]}));
    server.wait_for_log("a grant for nobody", |it| {
        it["message"].as_str().unwrap_or("").contains("grants.nobody")
    });
}

#[test]
fn the_command_line_shows_gives_and_takes_back() {
    let server = start("permissions: { events: [recording], clips: [read] }");
    let run = |args: &[&str]| {
        let data = server.folder().join("data");
        let output = Command::new(env!("CARGO_BIN_EXE_panotti"))
            .arg("grants")
            .args(args)
            .args(["--data-dir", data.to_str().unwrap()])
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(run(&["list"]), "PLUGIN  MAY          WAITS FOR\ntagger  clips(read)  events(recording)\n");
    assert_eq!(run(&["allow", "tagger"]), "tagger may: clips(read) events(recording)\n");
    assert_eq!(clip(&server), json!({"published": true}));
    assert_eq!(
        run(&["allow", "tagger", "--only", "events=clip"]),
        "tagger may: clips(read); events(recording) waits\n"
    );
    assert_eq!(run(&["revoke", "tagger"]), "tagger may: clips(read); events(recording) waits\n");
}

#[test]
fn a_plugin_that_learns_runs_and_its_manifest_lines_are_told() {
    let learner = r#"panotti.on.on_clip_captured(function(clip)
      panotti.clips.list{ page_size = 1 }
      panotti.events.publish("recording.tagged", { id = clip.id })
      return { metadata = { done = true } }
    end)"#;
    let start = |allowed: bool| {
        Server::with()
            .plugin_file("tagger", "plugin.yaml", "permissions: learn")
            .plugin("tagger", learner)
            .env("PANOTTI_LEARN_PERMISSIONS", allowed)
            .start()
    };
    let server = start(true);
    assert_eq!(clip(&server), json!({"done": true}));
    let lines = "permissions:\n  clips: [\"read\"]\n  events: [\"recording\"]";
    assert_eq!(server.get("/api/v1/plugins/tagger/grants").expect(200)["learned"], lines);
    server.wait_for_log("the lines", |it| it["message"].as_str().unwrap_or("").contains(lines));
    let server = start(false);
    assert_eq!(clip(&server), json!({}), "the admin has not allowed it");
    let status = server.get("/api/v1/plugins/tagger/status").expect(200);
    assert!(status["warnings"].to_string().contains("learn_permissions"), "{status}");
}
