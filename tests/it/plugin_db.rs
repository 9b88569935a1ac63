//! A plugin's own database, from its first table to its removal.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::server::{Builder, wait_for};

const YAML: &str = "permissions: { db: true }";

/// Counts recordings in a table of its own; the title of a new one says how many there were.
const COUNTER: &str = r#"
    panotti.on.before_recording_start(function(recording)
        return { title = tostring(panotti.db.query("SELECT count(*) AS n FROM seen")[1].n) }
    end)
    panotti.on.after_recording_end(function(recording)
        assert(panotti.db.execute("INSERT INTO seen (id) VALUES (?)", { recording.id }))
    end)
"#;

fn counter() -> Builder {
    Server::with()
        .plugin_file("counter", "plugin.yaml", YAML)
        .plugin_file("counter", "init.lua", COUNTER)
        .plugin_file("counter", "migrations/0001_seen/up.sql", "CREATE TABLE seen (id TEXT PRIMARY KEY);\n")
        .plugin_file("counter", "migrations/0001_seen/down.sql", "DROP TABLE seen;\n")
}

fn file(server: &Server, plugin: &str) -> PathBuf {
    server.folder().join("data/plugins").join(plugin).join("plugin.db")
}

#[track_caller]
fn counted(server: &Server, id: &str) -> Value {
    let started = server.post("/api/v1/recordings", json!({ "id": id })).expect(201)["title"].clone();
    server.post(&format!("/api/v1/recordings/{id}/end"), json!({})).expect(200);
    started
}

#[track_caller]
fn states(server: &Server, plugin: &str) -> Vec<(i64, String)> {
    let listed = server.get(&format!("/api/v1/plugins/{plugin}/migrations")).expect(200);
    let items = listed["items"].as_array().unwrap().iter();
    items.map(|it| (it["number"].as_i64().unwrap(), it["state"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn tables_of_a_plugin_survive_a_restart_and_go_with_a_purge() {
    let server = counter().plugin("idle", "panotti.on.on_startup(function() end)").start();
    assert_eq!(counted(&server, "a"), "0");
    wait_for("the row", || Some(counted(&server, &format!("x{}", rand()))).filter(|it| it != "0"));
    let server = server.kill_and_restart();
    assert_ne!(server.post("/api/v1/recordings", json!({ "id": "z" })).expect(201)["title"], "0");
    assert!(file(&server, "counter").exists() && !file(&server, "idle").parent().unwrap().exists());
    server.delete("/api/v1/plugins/counter").expect(204);
    assert!(file(&server, "counter").exists(), "a plugin that comes back finds its rows");
    server.post("/api/v1/plugins", json!({ "name": "counter" })).expect(201);
    server.delete("/api/v1/plugins/counter?purge=true").expect(204);
    assert!(!file(&server, "counter").parent().unwrap().exists());
    server.post("/api/v1/plugins", json!({ "name": "counter" })).expect(201);
    assert_eq!(counted(&server, "again"), "0");
}

fn rand() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()
}

#[test]
fn migrations_run_before_the_plugin_and_are_taken_back_on_request() {
    let more = "ALTER TABLE seen ADD COLUMN note TEXT;\nCREATE TRIGGER t AFTER INSERT ON seen BEGIN\n  UPDATE seen SET note = 'new;' WHERE id = NEW.id;\nEND;\n";
    let server = counter()
        .plugin_file("counter", "migrations/0002_note/up.sql", more)
        .plugin_file(
            "counter",
            "migrations/0002_note/down.sql",
            "DROP TRIGGER t; ALTER TABLE seen DROP COLUMN note;",
        )
        .start();
    let applied = |numbers: &[i64]| numbers.iter().map(|it| (*it, "applied".to_owned())).collect::<Vec<_>>();
    assert_eq!(states(&server, "counter"), applied(&[1, 2]));
    let back = "/api/v1/plugins/counter/migrations/rollback";
    server.post(back, json!({ "to": 1 })).problem(409, "conflict");
    server.post(back, json!({ "to": -1, "x": 1 })).problem(422, "invalid");
    server.post("/api/v1/plugins/counter/disable", json!({})).expect(200);
    // The folder of the newer version is gone; what takes it back was kept.
    fs::remove_dir_all(server.folder().join("plugins/counter/migrations/0002_note")).unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(states(&server, "counter")[1], (2, "missing".to_owned()));
    let left = server.post(back, json!({ "to": 1 })).expect(200);
    assert_eq!((&left["total"], &left["items"][0]["state"]), (&json!(1), &json!("applied")));
    server.post("/api/v1/plugins/counter/enable", json!({})).expect(200);
    assert_eq!(counted(&server, "a"), "0");
    server.get("/api/v1/plugins/nobody/migrations").problem(404, "plugin_not_found");
}

#[test]
fn a_migration_that_fails_names_its_line_and_leaves_nothing_behind() {
    let wrong = "CREATE TABLE one (a);\n\n-- The next one is wrong.\nCREATE TABLE two (\n  b INTEGR,,\n);\n";
    let server = counter().plugin_file("counter", "migrations/0002_wrong/up.sql", wrong).start();
    let plugin = server.get("/api/v1/plugins/counter").expect(200);
    let error = &plugin["last_error"];
    assert_eq!((&plugin["state"], &error["hook"]), (&json!("failed"), &json!("load")));
    assert_eq!(
        (&error["file"], &error["line"]),
        (&json!("migrations/0002_wrong/up.sql"), &json!(5)),
        "{error}"
    );
    assert!(error["message"].as_str().unwrap().contains("syntax error"), "{error}");
    assert!(error["excerpt"].as_str().unwrap().contains(">    5 |   b INTEGR,,"), "{error}");
    assert_eq!(states(&server, "counter"), [(1, "applied".to_owned()), (2, "pending".to_owned())]);

    let path = server.folder().join("plugins/counter/migrations/0002_wrong/up.sql");
    for (text, line, message) in [
        ("CREATE TABLE one (a);\nATTACH 'x' AS y;", 2, "ATTACH is not allowed"),
        ("BEGIN;", 1, "use panotti.db.transaction"),
        ("\nDELETE FROM _panotti_migrations;", 2, "are the server's"),
        ("SELECT 1;\nINSERT INTO seen VALUES (?);", 2, "parameters"),
    ] {
        fs::write(&path, text).unwrap();
        let problem =
            server.post("/api/v1/plugins/counter/enable", json!({})).problem(422, "plugin_load_failed");
        let fault = &problem["errors"][0];
        assert_eq!(fault["line"], line, "{problem}");
        assert!(fault["message"].as_str().unwrap().contains(message), "{problem}");
    }
    // Nothing of the first try was kept.
    fs::write(&path, "CREATE TABLE one (a);").unwrap();
    server.post("/api/v1/plugins/counter/enable", json!({})).expect(200);
}

#[test]
fn a_migration_that_was_changed_after_it_ran_keeps_the_running_version() {
    let server = counter().start();
    let path = server.folder().join("plugins/counter/migrations/0001_seen/up.sql");
    fs::write(&path, "CREATE TABLE seen (id TEXT PRIMARY KEY);\r\n").unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(server.get("/api/v1/plugins/counter").expect(200)["last_error"], Value::Null);
    fs::write(&path, "CREATE TABLE seen (id INTEGER);\n").unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    let plugin = server.get("/api/v1/plugins/counter").expect(200);
    assert_eq!(plugin["state"], "running");
    let told = plugin["last_error"]["message"].as_str().unwrap();
    assert!(told.contains("was changed after it had been applied"), "{plugin}");
    assert_eq!(states(&server, "counter"), [(1, "applied".to_owned())], "of the running version");
    assert_eq!(counted(&server, "a"), "0");
}

#[test]
fn migrations_need_the_permission_and_their_places() {
    let server = Server::with()
        .plugin("shy", "")
        .plugin_file("shy", "migrations/0001_a/up.sql", "CREATE TABLE a (b);")
        .plugin("lost", "")
        .plugin_file("lost", "plugin.yaml", YAML)
        .plugin_file("lost", "migrations/first/up.sql", "CREATE TABLE a (b);")
        .start();
    let error = |name: &str| server.get(&format!("/api/v1/plugins/{name}")).expect(200)["last_error"].clone();
    assert_eq!((&error("shy")["outcome"], &error("shy")["file"]), (&json!("denied"), &json!("migrations")));
    assert!(
        error("lost")["hint"].as_str().unwrap().contains("migrations/NNNN_name/up.sql"),
        "{}",
        error("lost")
    );
}

#[test]
fn a_damaged_file_stops_its_plugin_alone_and_is_never_deleted() {
    let server = counter()
        .plugin("fine", "panotti.on.on_clip_captured(function() return { tags = { 'fine' } } end)")
        .start();
    assert_eq!(counted(&server, "a"), "0");
    let mut server = server;
    assert!(server.stop().success());
    let path = file(&server, "counter");
    let (good, rubbish) =
        (fs::read(&path).unwrap(), b"this is not a database, whatever it was before".repeat(100));
    fs::write(&path, &rubbish).unwrap();
    for ending in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{ending}", path.display()));
    }
    let server = server.restart_stopped();
    let plugin = wait_for("the quarantine", || {
        Some(server.get("/api/v1/plugins/counter").expect(200)).filter(|it| it["state"] == "quarantined")
    });
    let told = &plugin["last_error"];
    assert!(told["message"].as_str().unwrap().contains(&path.display().to_string()), "{told}");
    assert!(told["hint"].as_str().unwrap().contains("move it away"), "{told}");
    assert_eq!(fs::read(&path).unwrap(), rubbish);
    let clip = server.post("/api/v1/clips", json!({ "title": "t", "file_path": "/x" })).expect(201);
    assert_eq!(clip["tags"], json!(["fine"]));
    fs::write(&path, good).unwrap();
    let server = server.restart();
    assert_eq!(server.get("/api/v1/plugins/counter").expect(200)["state"], "running");
}

#[test]
fn a_file_that_is_damaged_while_it_is_used_answers_so_and_a_new_one_is_taken_up() {
    let source = r#"
        panotti.db.execute("CREATE TABLE IF NOT EXISTS t (a)")
        panotti.on.on_clip_captured(function(clip)
            local rows, err = panotti.db.query("SELECT count(*) AS n FROM t WHERE length(a) > 1")
            return { title = rows and "fine" or err.code }
        end)
        panotti.on.on_startup(function()
            panotti.db.execute("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 2000) INSERT INTO t SELECT hex(randomblob(1000)) FROM c")
        end)"#;
    let server = Server::with().plugin_file("user", "plugin.yaml", YAML).plugin("user", source).start();
    let mut server = server;
    assert!(server.stop().success());
    let path = file(&server, "user");
    let mut bytes = fs::read(&path).unwrap();
    let from = bytes.len() / 4;
    bytes[from..].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let server = server.restart_stopped();
    let title = || {
        server.post("/api/v1/clips", json!({ "title": "t", "file_path": "/x" })).expect(201)["title"].clone()
    };
    let first = title();
    assert!(["database_corrupt", "t"].contains(&first.as_str().unwrap()), "{first}");
    wait_for("the quarantine", || {
        Some(server.get("/api/v1/plugins/user").expect(200)).filter(|it| it["state"] == "quarantined")
    });
    fs::rename(&path, path.with_extension("broken")).unwrap();
    server.post("/api/v1/plugins/user/enable", json!({})).expect(200);
    assert_eq!(title(), "fine");
}

#[test]
fn what_a_plugin_inserts_into_events_reaches_the_journal_and_others() {
    let teller = r#"
        local db, json = panotti.db, panotti.json
        panotti.on.after_recording_end(function(recording)
            assert(db.execute("INSERT INTO events (type, timestamp, data) VALUES (?, ?, ?)",
                { "plugin_event", panotti.time.format(), json.encode({ plugin = "teller", recording_id = recording.id }) }))
        end)
        panotti.on.before_recording_start(function()
            local events = assert(db.query("SELECT * FROM events WHERE type = ?", { "Recording Started" }))
            local own = assert(db.query("SELECT data FROM events WHERE type = 'plugin_event'"))
            return { title = #events .. " " .. (own[1] and json.decode(own[1].data).recording_id or "none") }
        end)"#;
    let hearer = "panotti.events.subscribe('plugin_event', function(event) panotti.log.info('heard ' .. event.data.recording_id .. ' of ' .. event.source) end)";
    let server = Server::with()
        .plugin_file("teller", "plugin.yaml", YAML)
        .plugin("teller", teller)
        .plugin("hearer", hearer)
        .start();
    assert_eq!(counted(&server, "first"), "0 none");
    server.wait_for_log("the event", |line| line["message"] == "heard first of plugin/teller");
    assert_eq!(counted(&server, "second"), "1 first");
}

#[test]
fn the_space_of_a_database_is_bounded_and_the_limit_is_named() {
    let source = r#"
        panotti.db.execute("CREATE TABLE IF NOT EXISTS t (a)")
        panotti.on.on_clip_captured(function(clip)
            for i = 1, 100 do
                local done, err = panotti.db.execute("INSERT INTO t VALUES (randomblob(100000))")
                if not done then return { title = err.code .. ": " .. err.message } end
            end
        end)"#;
    let yaml = "permissions: { db: true }\nlimits: { db_mib: 2, question_wall_ms: 20000 }";
    let server = Server::with().plugin_file("hungry", "plugin.yaml", yaml).plugin("hungry", source).start();
    let clip = server.post("/api/v1/clips", json!({ "title": "t", "file_path": "/x" })).expect(201);
    let told = clip["title"].as_str().unwrap();
    assert!(told.starts_with("limit: ") && told.contains("(limits.db_mib = 2)"), "{told}");
    assert!(fs::metadata(file(&server, "hungry")).unwrap().len() <= 2 << 20);
}
