//! Secret values of plugins' config: encrypted where they lie, shown nowhere.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::command_line::panotti;
use crate::common::Server;
use crate::common::server::{Builder, wait_for};

const SECRET: &str = "k-correct-horse-battery-staple";

const LUA: &str = r#"
panotti.on.on_config_changed(function(config)
  panotti.log.info("from now on " .. tostring(config.token), { token = config.token })
  panotti.events.publish("secrets.seen", { ok = true })
end)
panotti.route("GET", "/is", function(request)
  return { same = panotti.config.token == request.query.token }
end)
panotti.on.before_recording_start(function() error("cannot open with " .. panotti.config.token) end)
"#;

const YAML: &str = "permissions: { routes: true }\nconfig_schema:\n  properties:\n    token: { type: string, writeOnly: true }\n    level: { type: integer }\n";

const CONFIG: &str = "/api/v1/plugins/p/config";

fn with_plugin() -> Builder {
    Server::with().plugin("p", LUA).plugin_file("p", "plugin.yaml", YAML)
}

fn knows(server: &Server, token: &str) -> bool {
    server.get(&format!("/api/v1/plugins/p/x/is?token={token}")).expect(200)["same"] == true
}

/// Files below a folder whose bytes hold `text`.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if fs::read(&path).is_ok_and(|it| it.windows(text.len()).any(|it| it == text.as_bytes())) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn data(server: &Server) -> std::path::PathBuf {
    server.folder().join("data")
}

#[test]
fn a_secret_is_nowhere_on_disk_in_no_answer_and_in_no_log() {
    let mut server = with_plugin().start();
    let row = server.post(CONFIG, json!({ "key": "token", "value": SECRET })).expect(201);
    assert_eq!((&row["value"], &row["secret"]), (&json!(null), &json!(true)));
    assert!(knows(&server, SECRET), "the plugin has it");
    server.post("/api/v1/recordings", json!({})).expect(201);
    server.put(&format!("{CONFIG}/{}", row["id"]), json!({ "value": format!("{SECRET}-2") })).expect(200);
    server.patch(CONFIG, json!({ "token": format!("{SECRET}-3"), "level": 3 })).expect(200);
    for path in [
        CONFIG,
        "/api/v1/plugins/p/config/schema",
        "/api/v1/plugins/p/status",
        "/api/v1/events?limit=200",
        "/api/v1/audit",
        "/api/v1/traces?plugin=p",
        "/api/v1/plugins/p/traces",
    ] {
        let answer = server.get(path);
        assert!(!String::from_utf8_lossy(&answer.body).contains(SECRET), "{path}");
    }
    let check = server.post("/api/v1/plugins/p/config/validate", json!({ "token": SECRET })).expect(200);
    assert!(!check.to_string().contains(SECRET));
    wait_for("a trace of the failure", || {
        let traces = server.get("/api/v1/traces?plugin=p").expect(200);
        traces["items"].as_array().is_some_and(|it| !it.is_empty()).then_some(())
    });
    assert!(!format!("{:?}", server.log_lines()).contains(SECRET));
    assert_eq!(
        files_with(&data(&server), SECRET),
        Vec::<String>::new(),
        "while it runs, log of the database included"
    );
    assert!(server.stop().success());
    assert_eq!(files_with(&data(&server), SECRET), Vec::<String>::new(), "after the stop");
    let server = server.restart_stopped();
    assert!(knows(&server, &format!("{SECRET}-3")));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            fs::metadata(data(&server).join("secret.key")).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[test]
fn another_key_stops_that_plugin_alone_and_says_what_to_do() {
    let server = with_plugin().plugin("other", "panotti.on.on_startup(function() end)").start();
    server.patch(CONFIG, json!({ "token": SECRET })).expect(200);
    let key = data(&server).join("secret.key");
    let kept = fs::read(&key).unwrap();
    let mut server = server;
    assert!(server.stop().success());
    fs::remove_file(&key).unwrap();
    let doctor = panotti(server.folder(), &[], &["doctor", "--data-dir", data(&server).to_str().unwrap()]);
    let told = String::from_utf8(doctor.stdout).unwrap();
    assert!(told.contains("1 secret values of plugins' config are sealed, and there is no key"), "{told}");
    let server = server.restart_stopped();
    let state = |name: &str| server.get(&format!("/api/v1/plugins/{name}")).expect(200);
    assert_eq!(state("other")["state"], "running");
    let failed = state("p");
    let told = failed["last_error"]["message"].as_str().unwrap();
    assert_eq!(failed["state"], "failed");
    assert!(
        told.contains("config.token") && told.contains("sealed with the key") && told.contains("secret.key"),
        "{told}"
    );
    // What was sealed stays as it is: the key may come back.
    fs::write(&key, kept).unwrap();
    let mut server = server.restart();
    assert!(knows(&server, SECRET));
    assert!(server.stop().success());
    // Without the key, a new value heals it.
    fs::remove_file(&key).unwrap();
    let server = server.restart_stopped();
    server.patch(CONFIG, json!({ "token": "k-new" })).expect(200);
    wait_for("the plugin", || {
        (server.get("/api/v1/plugins/p").expect(200)["state"] == "running").then_some(())
    });
    assert!(knows(&server, "k-new") && key.exists());
}

#[test]
fn a_row_that_was_tampered_with_is_told_and_nothing_of_it_is_used() {
    let mut server = with_plugin().plugin("q", LUA).plugin_file("q", "plugin.yaml", YAML).start();
    server.patch(CONFIG, json!({ "token": SECRET })).expect(200);
    server.patch("/api/v1/plugins/q/config", json!({ "token": "k-other-secret" })).expect(200);
    assert!(server.stop().success());
    let database = rusqlite::Connection::open(data(&server).join("panotti.db")).unwrap();
    // The value of one plugin in the row of another: it opens there no more.
    database
        .execute_batch(
            "UPDATE plugin_configurations SET value = (SELECT value FROM plugin_configurations WHERE plugin_id = \
             (SELECT id FROM plugins WHERE name = 'q')) WHERE plugin_id = (SELECT id FROM plugins WHERE name = 'p')",
        )
        .unwrap();
    drop(database);
    let server = server.restart_stopped();
    let failed = server.get("/api/v1/plugins/p").expect(200);
    assert_eq!(failed["state"], "failed");
    assert!(failed["last_error"]["message"].as_str().unwrap().contains("damaged or was changed"), "{failed}");
    assert_eq!(server.get("/api/v1/plugins/q").expect(200)["state"], "running");
}

#[test]
fn what_was_stored_in_plain_is_sealed_at_the_next_start_and_leaves_the_file() {
    let open = YAML.replace(", writeOnly: true", "");
    let mut server = Server::with().plugin("p", LUA).plugin_file("p", "plugin.yaml", &open).start();
    server.patch(CONFIG, json!({ "token": SECRET })).expect(200);
    assert!(server.stop().success());
    assert!(!files_with(&data(&server), SECRET).is_empty(), "it was no secret then");
    fs::write(server.folder().join("plugins/p/plugin.yaml"), YAML).unwrap();
    let folder = server.folder().join("plugins/p/plugin.yaml");
    // The builder writes the files only when it is new; this is the newer version of the plugin.
    assert!(fs::read_to_string(folder).unwrap().contains("writeOnly"));
    let mut server = server.restart_stopped();
    assert!(knows(&server, SECRET));
    assert_eq!(server.get(CONFIG).expect(200)["items"][0]["value"], json!(null));
    server.wait_for_log("the news", |it| it.to_string().contains("lay in the database in plain"));
    let in_database = |server: &Server| -> Vec<String> {
        let names = files_with(&data(server), SECRET);
        names.into_iter().filter(|it| it.contains("panotti.db")).collect()
    };
    assert_eq!(in_database(&server), Vec::<String>::new());
    assert!(server.stop().success());
    assert_eq!(in_database(&server), Vec::<String>::new());
}

#[test]
fn a_secret_stays_one_when_the_plugin_forgets_it_and_is_not_taken_while_nobody_knows() {
    let server = with_plugin().start();
    server.patch(CONFIG, json!({ "token": SECRET })).expect(200);
    let manifest = server.folder().join("plugins/p/plugin.yaml");
    let rescan = |text: &str| {
        fs::write(&manifest, text).unwrap();
        server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    };
    rescan(&YAML.replace(", writeOnly: true", ""));
    let item = || server.get(CONFIG).expect(200)["items"][0].clone();
    assert_eq!((&item()["value"], &item()["secret"]), (&json!(null), &json!(true)));
    server.patch(CONFIG, json!({ "token": format!("{SECRET}-2") })).expect(200);
    assert_eq!((&item()["value"], &item()["secret"]), (&json!(null), &json!(true)));
    assert!(knows(&server, &format!("{SECRET}-2")));
    assert_eq!(files_with(&data(&server), SECRET), Vec::<String>::new());
    server.patch(CONFIG, json!({ "token": null })).expect(200);
    server.patch(CONFIG, json!({ "token": "open" })).expect(200);
    assert_eq!(item()["value"], "open");

    server.post("/api/v1/plugins/p/disable", json!({})).expect(200);
    rescan("config: [");
    let refused = server.patch(CONFIG, json!({ "token": SECRET })).problem(409, "conflict");
    assert!(refused["hint"].as_str().unwrap().contains("plugin.yaml"), "{refused}");
    server.patch(CONFIG, json!({ "token": null })).expect(200);
}

#[test]
fn a_key_of_the_environment_wins_and_a_new_one_before_it_takes_over() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let new_key = || {
        let out = panotti(folder.path(), &[], &["secrets", "key"]);
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    };
    let (one, two) = (new_key(), new_key());
    let start =
        |keys: &str| with_plugin().in_folder(Arc::clone(&folder)).env("PANOTTI_SECRET_KEY", keys).start();
    let server = start(&one);
    server.patch(CONFIG, json!({ "token": SECRET })).expect(200);
    assert!(!data(&server).join("secret.key").exists(), "no file is needed");
    drop(server);
    let server = start(&format!("{two},{one}"));
    assert!(knows(&server, SECRET));
    server.wait_for_log("the news", |it| it.to_string().contains("sealed anew"));
    drop(server);
    let server = start(&two);
    assert!(knows(&server, SECRET), "the former key is not needed any more");
    assert!(!format!("{:?}", server.log_lines()).contains(&two));
    drop(server);
    let wrong =
        with_plugin().in_folder(Arc::clone(&folder)).env("PANOTTI_SECRET_KEY", "hunter2hunter2").try_start();
    let log = wrong.err().unwrap();
    assert!(
        log.contains("PANOTTI_SECRET_KEY") && log.contains("panotti secrets key") && !log.contains("hunter2"),
        "{log}"
    );
    fs::write(folder.path().join("panotti.yaml"), format!("secret_key: {one}\n")).unwrap();
    let wrong = with_plugin().in_folder(Arc::clone(&folder)).try_start();
    let log = wrong.err().unwrap();
    assert!(log.contains("secret_key") && log.contains("backups") && !log.contains(&one), "{log}");
}

#[test]
fn the_key_file_is_rotated_while_no_server_runs() {
    let mut server = with_plugin().start();
    server.patch(CONFIG, json!({ "token": SECRET })).expect(200);
    let folder = data(&server);
    let rotate = || {
        panotti(folder.parent().unwrap(), &[], &["secrets", "rotate", "--data-dir", folder.to_str().unwrap()])
    };
    assert_eq!(rotate().status.code(), Some(1), "the server runs");
    assert!(server.stop().success());
    let old = fs::read_to_string(folder.join("secret.key")).unwrap();
    let out = rotate();
    let told = String::from_utf8(out.stdout).unwrap();
    assert!(told.starts_with("new key ") && told.contains("sealed with it: 1\n"), "{told}");
    let new = fs::read_to_string(folder.join("secret.key")).unwrap();
    assert_ne!(old, new);
    let aside: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .map(|it| it.file_name().to_string_lossy().into_owned())
        .filter(|it| it.starts_with("secret.key."))
        .collect();
    assert_eq!(aside.len(), 1);
    assert_eq!(fs::read_to_string(folder.join(&aside[0])).unwrap(), old);
    // Without its database nothing is sealed anew, and none is made.
    let (database, away) = (folder.join("panotti.db"), folder.join("away"));
    fs::rename(&database, &away).unwrap();
    fs::write(&database, "").unwrap();
    for verb in [&["secrets", "rotate"][..], &["backup"]] {
        let args: Vec<&str> = verb.iter().copied().chain(["--data-dir", folder.to_str().unwrap()]).collect();
        let out = panotti(folder.parent().unwrap(), &[], &args);
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(
            out.status.code() == Some(1) && told.contains("panotti.db is empty, but"),
            "{verb:?}: {told}"
        );
    }
    assert_eq!(fs::metadata(&database).unwrap().len(), 0);
    assert_eq!(fs::read_to_string(folder.join("secret.key")).unwrap(), new);
    fs::rename(&away, &database).unwrap();
    let server = server.restart_stopped();
    assert!(knows(&server, SECRET));
}

#[test]
fn a_backup_does_not_hold_the_key_and_a_restore_says_so() {
    let mut server = with_plugin().start();
    server.patch(CONFIG, json!({ "token": SECRET })).expect(200);
    let folder = data(&server);
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_panotti"));
        command.current_dir(folder.parent().unwrap()).args(args).output().unwrap()
    };
    let out = run(&["backup", "kept", "--data-dir", folder.to_str().unwrap()]);
    assert!(out.status.success(), "{out:?}");
    let key = fs::read_to_string(folder.join("secret.key")).unwrap();
    let key = key.lines().last().unwrap();
    let backup = folder.parent().unwrap().join("kept");
    assert_eq!(files_with(&backup, key), Vec::<String>::new());
    assert_eq!(files_with(&backup, SECRET), Vec::<String>::new());
    assert!(server.stop().success());
    let to = folder.parent().unwrap().join("data2");
    let plugins = folder.parent().unwrap().join("plugins2");
    let out = run(&[
        "restore",
        "kept",
        "--data-dir",
        to.to_str().unwrap(),
        "--plugin-dir",
        plugins.to_str().unwrap(),
    ]);
    let told = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
    assert!(told.contains("1 secret values") && told.contains("PANOTTI_SECRET_KEY"), "{told}");
    fs::rename(&folder, folder.with_file_name("former")).unwrap();
    fs::rename(&to, &folder).unwrap();
    fs::copy(folder.with_file_name("former").join("secret.key"), folder.join("secret.key")).unwrap();
    let server = server.restart_stopped();
    assert!(knows(&server, SECRET));
    assert_eq!(server.get(CONFIG).expect(200)["items"][0]["value"], Value::Null);
}
