//! Programs that leave their group, as a daemon does, end with the call that ran them all the same.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::server::Builder;

/// Beats for as long as it lives, and ends by itself when a test has gone wrong.
const BEAT: &str = "i=0; while [ $i -lt 900 ]; do date > $0; sleep 0.05; i=$((i+1)); done";

/// A plugin that runs in a shell what a clip's metadata says.
fn sheller() -> Builder {
    let source = r#"panotti.on.on_clip_captured(function(clip)
        local ended, err = panotti.process.run("sh", { "-c", clip.metadata.script }, { timeout = 3 })
        return { metadata = { ended = ended and (ended.code or -ended.signal) or err.code } }
      end, { timeout = 20 })"#;
    Server::with()
        .plugin("sheller", source)
        .plugin_file(
            "sheller",
            "plugin.yaml",
            "permissions: { process: [sh] }\nlimits: { question_wall_ms: 20000 }",
        )
        .env("PANOTTI_PROCESS_TOOLS", "sh=/bin/sh")
        .env("PANOTTI_CHAIN_WALL_MS", 20_000)
}

fn start(builder: Builder) -> Server {
    let server = builder.start();
    server.post("/api/v1/plugins/sheller/grants", json!({"all": true})).expect(200);
    server
}

#[expect(clippy::print_stderr, reason = "whoever reads the tests must see what was left out")]
fn has_setsid() -> bool {
    let found = Path::new("/usr/bin/setsid").exists() || Path::new("/bin/setsid").exists();
    if !found {
        eprintln!("skipped: there is no setsid here");
    }
    found
}

/// A clip whose script may say `BEAT name` for a process that beats until it is ended.
fn clip(script: &str) -> Value {
    let script = script.replace("BEAT", &format!("/bin/sh -c '{BEAT}'"));
    json!({"title": "c", "file_path": "c.mp4", "duration": 1.0, "metadata": {"script": script}})
}

fn run(server: &Server, script: &str) -> Value {
    server.post("/api/v1/clips", clip(script)).expect(201)["metadata"]["ended"].clone()
}

fn file(server: &Server, name: &str) -> PathBuf {
    server.folder().join("data/plugins/sheller/files").join(name)
}

/// Whether a heart beats: its file comes again when it is taken away.
fn beats(file: &Path) -> bool {
    let _ = std::fs::remove_file(file);
    let end = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < end {
        if file.exists() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Whether the server has a child that nobody waits for.
fn has_zombies(server: &Server) -> bool {
    let parent = format!(") Z {} ", server.pid());
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|it| std::fs::read_to_string(it.path().join("stat")).ok()).any(|it| it.contains(&parent))
}

#[test]
fn what_leaves_its_group_ends_with_its_call() {
    if !has_setsid() {
        return;
    }
    let server = start(sheller());
    // A session of its own, one behind a parent that is gone, and one that has shed its environment.
    let ways = [
        ("session", "setsid BEAT session"),
        ("twice", "(setsid setsid BEAT twice &)"),
        ("bare", "(env -i /usr/bin/setsid BEAT bare &)"),
    ];
    for (name, way) in ways {
        let script = format!("{way} >/dev/null 2>&1 </dev/null & while [ ! -e {name} ]; do sleep 0.02; done");
        assert_eq!(run(&server, &script), json!(0), "{way}");
        assert!(!beats(&file(&server, name)), "{way}");
        // Also when the call is ended before its program.
        let script = format!("{way} >/dev/null 2>&1 </dev/null & sleep 60");
        assert_eq!(run(&server, &script), json!("timeout"), "{way}");
        assert!(!beats(&file(&server, name)), "{way}");
    }
    assert!(!has_zombies(&server));
}

#[test]
fn the_end_of_one_call_spares_what_belongs_to_another() {
    if !has_setsid() {
        return;
    }
    let server = start(sheller());
    let client = server.client();
    let script = "(setsid BEAT other >/dev/null 2>&1 </dev/null &); while [ ! -e stop ]; do sleep 0.02; done";
    let long = std::thread::spawn(move || {
        client.post("/api/v1/clips", clip(script)).expect(201)["metadata"]["ended"].clone()
    });
    let other = file(&server, "other");
    let end = Instant::now() + Duration::from_secs(2);
    while !other.exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(run(&server, "true"), json!(0));
    let spared = beats(&other);
    std::fs::write(file(&server, "stop"), "").unwrap();
    assert_eq!(long.join().unwrap(), json!(0));
    assert!(spared, "it was not its call that ended");
    assert!(!beats(&other));
}

#[test]
fn what_a_killed_server_left_running_ends_at_the_next_start() {
    if !has_setsid() {
        return;
    }
    let server = start(sheller());
    let client = server.client();
    let script = "(setsid BEAT left >/dev/null 2>&1 </dev/null &); sleep 60";
    let asked = std::thread::spawn(move || {
        let headers = [("content-type", "application/json")];
        let _ = client.try_send("POST", "/api/v1/clips", &headers, Some(clip(script).to_string().as_bytes()));
    });
    let left = file(&server, "left");
    let end = Instant::now() + Duration::from_millis(2500);
    while !left.exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    let server = server.kill_and_restart();
    let _ = asked.join();
    assert!(!beats(&left));
    server.wait_for_log("it is told", |it| {
        it["message"].as_str().is_some_and(|it| it.starts_with("programs left running by a server"))
    });
}
