//! Puts one hostile script into a running server as a plugin, sets it off and reads what came of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::Server;

use super::script::Script;

/// What came of a script.
pub struct Outcome {
    /// Its outcome, as the status counts it.
    pub outcome: String,
    /// From setting it off to its end.
    pub took: Duration,
    /// The most its VM used.
    pub mib: f64,
}

/// A script that does not end by then never does.
const LONGEST: Duration = Duration::from_secs(90);

/// Runs `script`, and takes its plugin away again.
pub fn run(server: &Server, script: &Script, memory_mib: u64) -> Result<Outcome, String> {
    let folder = server.folder().join("plugins").join(&script.name);
    std::fs::create_dir_all(&folder).unwrap();
    for (path, text) in script.files(memory_mib) {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    furnish(server, script);
    let known = server.log_length();
    let begun = Instant::now();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    let name = &script.name;
    if ["http", "exec"].contains(&script.api()) && script.name != "ev_019_exec_shell" {
        server.post(&format!("/api/v1/plugins/{name}/grants"), json!({"all": true})).expect(200);
    }
    let loaded = server.get(&format!("/api/v1/plugins/{name}")).expect(200);
    let result = match (script.is_load(), loaded["state"].as_str()) {
        (true, _) => {
            let outcome = loaded["last_error"]["outcome"].as_str().unwrap_or("ok").to_owned();
            Ok((outcome, begun.elapsed()))
        }
        (false, Some("running")) => set_off(server, script),
        (false, _) => {
            Ok((loaded["last_error"]["outcome"].as_str().unwrap_or("ok").to_owned(), begun.elapsed()))
        }
    };
    let status = server.get(&format!("/api/v1/plugins/{name}/status")).expect(200);
    let bytes = status["usage"]["memory_peak_bytes"].as_f64().unwrap_or_default();
    let result = result.and_then(|(outcome, took)| {
        if outcome != "ok" {
            told(server, known, name, &outcome)?;
            counted(server, name, &outcome)?;
        }
        Ok(Outcome { outcome, took, mib: bytes / f64::from(1 << 20) })
    });
    std::fs::remove_dir_all(&folder).unwrap();
    server.delete(&format!("/api/v1/plugins/{name}?purge=true")).expect(204);
    result
}

/// What a script finds in place that it cannot make itself.
fn furnish(server: &Server, script: &Script) {
    if script.name != "fs_006_symlink_write" {
        return;
    }
    let files: PathBuf = server.folder().join("data/plugins").join(&script.name).join("files");
    std::fs::create_dir_all(&files).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(server.folder(), files.join("link_to_outside")).unwrap();
}

/// Publishes the event it waits for, and waits until it has ended.
fn set_off(server: &Server, script: &Script) -> Result<(String, Duration), String> {
    let before = counts(server, &script.name)?;
    let begun = Instant::now();
    if script.is_about_answers() {
        server
            .post("/api/v1/clips", json!({"title": "t", "file_path": "/x", "game_name": "zoo"}))
            .expect(201);
    } else {
        let body = json!({"title": script.name, "metadata": {"zoo": script.name}});
        server.post("/api/v1/recordings", body).expect(201);
    }
    while begun.elapsed() < LONGEST {
        let now = counts(server, &script.name)?;
        let grown = now.iter().find(|(outcome, count)| before.get(*outcome).unwrap_or(&0) < count);
        if let Some((outcome, _)) = grown {
            return Ok((outcome.clone(), begun.elapsed()));
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    Err("it never ended".to_owned())
}

/// The calls of the plugin by outcome.
fn counts(server: &Server, name: &str) -> Result<BTreeMap<String, u64>, String> {
    let answer = server
        .try_send("GET", &format!("/api/v1/plugins/{name}/status"), &[], None)
        .map_err(|error| format!("the server does not answer: {error}"))?;
    let counts: &Value = &answer.expect(200)["counts"];
    let pairs = counts.as_object().into_iter().flatten();
    Ok(pairs.map(|(outcome, count)| (outcome.clone(), count.as_u64().unwrap_or_default())).collect())
}

/// Whether the metrics tell of it.
fn counted(server: &Server, name: &str, outcome: &str) -> Result<(), String> {
    let text = String::from_utf8(server.get("/metrics").body).unwrap();
    let (whose, how) = (format!("plugin=\"{name}\""), format!("outcome=\"{outcome}\""));
    let is_it =
        |it: &str| it.starts_with("panotti_hook_calls_total") && it.contains(&whose) && it.contains(&how);
    match text.lines().any(is_it) {
        true => Ok(()),
        false => Err(format!("no metric tells of the {outcome}")),
    }
}

/// Whether the log tells of it.
fn told(server: &Server, known: usize, name: &str, outcome: &str) -> Result<(), String> {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let lines = server.log_since(known);
        if lines.iter().any(|it| it["plugin"] == name && it["outcome"] == outcome) {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(format!("no log line tells of the {outcome}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
