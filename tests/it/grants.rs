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
    for told in
        ["plugin.yaml:1: permissions.events: waits for the admin's grant", "permissions.http: waits for"]
    {
        assert!(status["warnings"].to_string().contains(told), "{status}");
    }
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
        "tagger may: clips(read); events(recording) waits; events(clip) is granted and not asked for\n"
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
    let line = "permissions: { clips: [\"read\"], events: [\"recording\"] }";
    server.wait_for_log("the line", |it| it["message"].as_str().unwrap_or("").contains(line));
    let status = server.get("/api/v1/plugins/tagger/status").expect(200);
    assert!(status["warnings"].to_string().contains("every door is open"), "{status}");
    let server = start(false);
    assert_eq!(clip(&server), json!({}), "the admin has not allowed it");
    let status = server.get("/api/v1/plugins/tagger/status").expect(200);
    assert!(status["warnings"].to_string().contains("learn_permissions"), "{status}");
}

#[test]
fn what_runs_when_a_grant_is_taken_back_ends_with_it() {
    let source = r#"panotti.route("GET", "/late", function()
      panotti.sleep(3)
      return { code = panotti.process.run("true").code }
    end)
    panotti.on.on_startup(function()
      panotti.task.spawn(function()
        while true do panotti.kv.set("beat", panotti.time.now()) panotti.sleep(0.05) end
      end)
    end)"#;
    let server = Server::with()
        .plugin("runner", source)
        .plugin_file("runner", "plugin.yaml", "permissions: { routes: true, process: ['true'] }")
        .env("PANOTTI_PROCESS_TOOLS", "true=/bin/true")
        .start();
    server.post("/api/v1/plugins/runner/grants", json!({"all": true})).expect(200);
    let client = server.client();
    let late = std::thread::spawn(move || client.get("/api/v1/plugins/runner/x/late"));
    wait_for("the call", || {
        (server.get("/api/v1/plugins/runner/status").expect(200)["in_flight"].as_u64() > Some(0))
            .then_some(())
    });
    server.delete("/api/v1/plugins/runner/grants").expect(200);
    let answer = late.join().unwrap();
    assert_ne!(answer.status, 200, "it did not get through after the grant was gone");
    let audit = server.get("/api/v1/audit").expect(200);
    assert_eq!(audit["items"][0]["action"], "plugin.revoke");
    // Nothing was granted, nothing is taken back.
    server.delete("/api/v1/plugins/runner/grants").expect(200);
    let after = server.get("/api/v1/audit").expect(200);
    let done = after["items"].as_array().unwrap().iter().find(|it| it["detail"]["changed"] != false);
    assert_eq!(done.unwrap()["id"], audit["items"][0]["id"]);
}

#[test]
fn granting_all_grants_what_is_asked_for_and_nothing_that_was_granted_before() {
    let server = Server::with()
        .plugin("asker", "panotti.on.on_startup(function() end)")
        .plugin_file("asker", "plugin.yaml", "permissions: { http: [api.example] }")
        .start();
    let early = json!({"permissions": {"http": ["evil.example"], "media": true}});
    let told = server.put("/api/v1/plugins/asker/grants", early).expect(200);
    assert_eq!(
        (&told["in_force"], &told["unused"]),
        (&json!({}), &json!({"http": ["evil.example"], "media": true}))
    );
    let told = server.post("/api/v1/plugins/asker/grants", json!({"all": true})).expect(200);
    assert_eq!((&told["granted"], &told["unused"]), (&json!({"http": ["api.example"]}), &json!({})));
    let wrong = json!({"permissions": {"http": ["http://api.example/x"], "db": "no"}});
    let problem = server.put("/api/v1/plugins/asker/grants", wrong).problem(422, "invalid");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2, "{problem}");
}

#[test]
fn a_plugin_that_learns_may_migrate_and_ask_the_local_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let source = format!(
        "panotti.on.on_clip_captured(function()
           local res = assert(panotti.http.get('http://127.0.0.1:{port}/'))
           return {{ metadata = {{ body = res.body, rows = panotti.db.query('SELECT count(*) AS n FROM t')[1].n }} }}
         end)"
    );
    let server = Server::with()
        .plugin("tagger", &source)
        .plugin_file("tagger", "plugin.yaml", "permissions: learn")
        .plugin_file("tagger", "migrations/0001_t/up.sql", "CREATE TABLE t (a);")
        .env("PANOTTI_LEARN_PERMISSIONS", true)
        .start();
    assert_eq!(clip(&server), json!({"body": "ok", "rows": 0}));
    let learned = server.get("/api/v1/plugins/tagger/grants").expect(200)["learned"].clone();
    assert_eq!(learned, format!("permissions:\n  db: true\n  http: [\"127.0.0.1:{port}\"]"));
}
