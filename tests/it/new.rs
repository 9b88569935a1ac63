//! `panotti new`: every template runs as it is written, in the real server.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::command_line::panotti;
use crate::common::Server;
use crate::common::server::wait_for;

/// Runs the command: the exit code, stdout, stderr.
fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let out = panotti(folder, &[], args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

/// A server with one plugin, made of `template`; `edit` changes its manifest first.
#[track_caller]
fn server_with(template: &str, edit: impl Fn(String) -> String) -> Server {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let (code, _, told) = run(folder.path(), &["new", "mine", "--template", template, "--dir", "plugins"]);
    assert_eq!(code, Some(0), "{told}");
    let manifest = folder.path().join("plugins/mine/plugin.yaml");
    fs::write(&manifest, edit(fs::read_to_string(&manifest).unwrap())).unwrap();
    let server = Server::with().in_folder(folder).start();
    let status = server.get("/api/v1/plugins/mine/status").expect(200);
    assert_eq!((&status["state"], &status["last_error"]), (&json!("running"), &Value::Null), "{status:#}");
    server
}

#[test]
fn a_new_plugin_is_in_the_first_plugin_folder_and_three_lines_say_what_is_next() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("panotti.yaml"), "plugin_dirs: [mine, others]\n").unwrap();
    let (code, out, told) = run(folder.path(), &["new", "goal_tagger"]);
    assert_eq!((code, told.as_str(), out.lines().count()), (Some(0), "", 3), "{out}");
    assert!(
        out.contains("goal_tagger") && out.contains("init.lua") && out.contains("panotti serve"),
        "{out}"
    );
    let made = folder.path().join("mine/goal_tagger");
    for file in ["init.lua", "plugin.yaml", "README.md"] {
        let text = fs::read_to_string(made.join(file)).unwrap();
        assert!(!text.contains("{{"), "{file}: {text}");
    }
    assert!(fs::read_to_string(made.join("plugin.yaml")).unwrap().starts_with("name: goal_tagger "));

    fs::write(made.join("init.lua"), "-- my own").unwrap();
    let (code, out, told) = run(folder.path(), &["new", "goal_tagger", "--template", "scheduled"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(told.contains("mine/goal_tagger already") && told.contains("another name"), "{told}");
    assert_eq!(fs::read_to_string(made.join("init.lua")).unwrap(), "-- my own", "it is left as it was");

    // A plugin of this name in another folder would be put into the shade.
    fs::create_dir_all(folder.path().join("others/elsewhere")).unwrap();
    let (code, _, told) = run(folder.path(), &["new", "elsewhere"]);
    assert!(code == Some(1) && told.contains("others/elsewhere"), "{told}");
    assert!(!folder.path().join("mine/elsewhere").exists());
}

#[test]
fn a_wrong_name_and_an_unknown_template_are_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["../evil", "My Plugin", "", ".hidden", "a/b"] {
        let (code, out, told) = run(folder.path(), &["new", name]);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{name}: {told}");
    }
    let (_, _, told) = run(folder.path(), &["new", "My Plugin"]);
    assert!(told.contains("`my_plugin` would do"), "{told}");
    let (code, _, told) = run(folder.path(), &["new", "x", "--template", "clip-taggr"]);
    assert!(code == Some(2) && told.contains("clip-tagger"), "{told}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_clip_tagger_tags_a_clip() {
    let server = server_with("clip-tagger", |it| it);
    let clip = json!({"title": "Late GOAL", "file_path": "goal.mp4", "duration": 41, "tags": ["mine"]});
    let clip = server.post("/api/v1/clips", clip).expect(201);
    assert_eq!(clip["tags"], json!(["mine", "highlight", "long"]));
    let stored = server.get(&format!("/api/v1/clips/{}", clip["id"])).expect(200);
    assert_eq!(stored["tags"], clip["tags"]);
    let plain = json!({"title": "Menu", "file_path": "menu.mp4", "duration": 2});
    assert_eq!(server.post("/api/v1/clips", plain).expect(201)["tags"], json!([]));
}

#[test]
fn the_recording_guard_refuses_a_recording() {
    let server = server_with("recording-guard", |it| it);
    let refused = json!({"metadata": {"eventTitle": "Private talk"}});
    let problem = server.post("/api/v1/recordings", refused).problem(422, "hook_denied");
    assert!(problem["detail"].as_str().unwrap().contains("'private'"), "{problem}");
    server.post("/api/v1/recordings", json!({"title": "Standup"})).expect(201);
    assert_eq!(server.get("/api/v1/recordings").expect(200)["total"], 1);
}

#[test]
fn the_http_route_keeps_a_note_and_answers_it() {
    let server = server_with("http-route", |it| it);
    let at = |path: &str| format!("/api/v1/plugins/mine/x/notes{path}");
    assert_eq!(server.get(&at("")).expect(200), json!({"names": []}));
    server.put(&at("/tuesday"), json!({"text": "call back"})).expect(200);
    assert_eq!(server.get(&at("/tuesday")).expect(200)["text"], "call back");
    assert_eq!(server.get(&at("")).expect(200), json!({"names": ["tuesday"]}));
    server.get(&at("/monday")).expect(404);
    server.put(&at("/monday"), json!({"txt": 1})).expect(400);
}

#[test]
fn the_schedule_counts_the_clips() {
    let server = server_with("scheduled", |it| it + "config: { every_seconds: 1 }\n");
    server.post("/api/v1/clips", json!({"title": "t", "file_path": "/x"})).expect(201);
    let counted = |it: &Value| it["plugin"] == "mine" && it["message"] == "counted the clips";
    server.wait_for_log("a count of one clip", |it| {
        counted(it) && it["fields"]["total"] == 1 || counted(it) && it["total"] == 1
    });
    let night = || {
        let all = server.get("/api/v1/schedules?plugin=mine").expect(200);
        all["items"].as_array().unwrap().iter().find(|it| it["name"] == "night").cloned()
    };
    let id = night().unwrap()["id"].clone();
    let begun = server.post(&format!("/api/v1/schedules/{id}/run"), json!({}));
    assert!(begun.status < 300, "{}", begun.json());
    wait_for("the nightly run", || night().filter(|it| it["last_run"]["outcome"] == "ok"));
}
