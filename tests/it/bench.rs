//! `panotti bench`: the hooks of a plugin are measured beside one that does nothing.

use std::fs;

use serde_json::{Value, json};

use crate::command_line::panotti;
use crate::common::Server;

const PLUGIN: &str = "panotti.on.on_clip_captured(function(clip)
    local n = 0
    for i = 1, 20000 do n += i % 7 end
    panotti.kv.incr('seen')
    return { tags = { clip.title } }
end)
panotti.on.after_recording_end(function(recording) panotti.http.get('https://api.example/') end)";

#[test]
fn hooks_are_measured_on_made_up_and_recorded_calls_and_nothing_reaches_the_world() {
    let server = Server::with()
        .plugin("busy", PLUGIN)
        .plugin_file("busy", "plugin.yaml", "permissions: { kv: true, http: [api.example] }")
        .start();
    let data = server.folder().join("data");
    let run = |args: &[&str]| {
        let plugin = server.folder().join("plugins/busy");
        let args = [&["bench", plugin.to_str().unwrap(), "--seconds", "1"], args].concat();
        let out = panotti(server.folder(), &[], &args);
        (out.status.code(), String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    let (code, out, told) = run(&["--hook", "on_clip_captured", "--json", "--data-dir", "nowhere"]);
    assert_eq!(code, Some(0), "{told}");
    let measured: Value = serde_json::from_str(&out).unwrap();
    let it = &measured[0];
    assert_eq!(
        (&it["plugin"], &it["hook"], &it["given"]),
        (&json!("busy"), &json!("on_clip_captured"), &json!("made up"))
    );
    let number = |key: &str| it[key].as_f64().unwrap_or_else(|| panic!("{key}: {it:#}"));
    assert!(
        number("calls") >= 1.0 && number("calls_per_s") > 0.0 && number("p99_us") >= number("p50_us"),
        "{it:#}"
    );
    assert!(number("ratio") > 1.0 && number("memory_bytes") > 1000.0, "{it:#}");
    assert_eq!(it["outcomes"].as_object().unwrap().keys().collect::<Vec<_>>(), ["ok"]);

    server.post("/api/v1/clips", json!({ "title": "recorded", "file_path": "a.mp4" })).expect(201);
    let (code, out, told) = run(&["--data-dir", data.to_str().unwrap()]);
    assert!(out.contains("1 recorded") && out.contains("after_recording_end"), "{out}{told}");
    assert!(
        out.contains("denied") && code == Some(1),
        "no grant opens a host to what is measured: {out}{told}"
    );
    assert!(told.contains("every call of busy after_recording_end fails"), "{told}");
    let left: Vec<_> = fs::read_dir(std::env::temp_dir())
        .unwrap()
        .flatten()
        .filter(|it| it.file_name().to_string_lossy().starts_with("panotti-bench-"))
        .collect();
    assert!(left.len() < 3, "what was measured in goes: {left:?}");
}

#[test]
fn what_cannot_be_measured_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let out = panotti(folder.path(), &[], &[&["bench"], args].concat());
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    let write = |name: &str, text: &str| {
        fs::create_dir_all(folder.path().join("user_plugins").join(name)).unwrap();
        fs::write(folder.path().join("user_plugins").join(name).join("init.lua"), text).unwrap();
    };
    write("idle", "panotti.log.info('hello')");
    let (code, told) = run(&["idle"]);
    assert!(code == Some(1) && told.contains("nothing to measure"), "{told}");
    let (code, told) = run(&["idle", "--hook", "on_clip_capturd"]);
    assert!(code == Some(2) && told.contains("did you mean 'on_clip_captured'?"), "{told}");
    assert_eq!(run(&["idle", "--hook", "on_load"]).0, Some(2));
    assert_eq!(run(&["nobody"]).0, Some(2));
    assert_eq!(run(&["idle", "--seconds", "0"]).0, Some(2));
    write("broken", "return (");
    let (code, told) = run(&["broken"]);
    assert!(code == Some(1) && told.contains("broken does not load: init.lua:1"), "{told}");
}
