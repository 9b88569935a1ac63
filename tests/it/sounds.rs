//! Which sounds a plugin may hear that has no permission `media`.

use serde_json::{Value, json};

use crate::common::{Server, audio};

/// Tells of every clip it is called with whether it may be heard, and touches clips when it is asked to.
const PEEPER: &str = r#"
local helper = panotti.import("tagger")
local function listen(call, clip)
  local ok, told = pcall(panotti.media.probe, clip.file_path)
  panotti.log.info("tried", { call = call, title = clip.title, heard = ok })
  if not ok then assert(string.find(told, "permission 'media'", 1, true), told) end
end
panotti.on.on_clip_captured(function(clip) pcall(listen, "on_clip_captured", clip) end)
panotti.on.on_clip_processed(function(clip) pcall(listen, "on_clip_processed", clip) end)
panotti.events.subscribe("clip.*", function(event) pcall(listen, event.type, event.data) end)
panotti.events.subscribe("peeper.nudge", function(event) panotti.clips.update(event.data.id, { title = "by event" }) end)
panotti.route("POST", "/do", function(request)
  local what, id = request.json.what, request.json.id
  if what == "update" then assert(panotti.clips.update(id, { title = "by itself" })) end
  if what == "task" then panotti.task.spawn(function() panotti.clips.update(id, { title = "by task" }) end) end
  if what == "process" then assert(panotti.clips.update(id, { title = "processed", processed = true })) end
  if what == "other" then
    local _, err = helper.tag(id)
    assert(not err, err and err.message)
  end
  if what == "event" then panotti.events.publish("peeper.nudge", { id = id }) end
  if what == "cut" then assert(panotti.clips.create({ recording_id = "r1", last = 0.5, title = "cut" })) end
end)"#;

const TAGGER: &str = r#"panotti.export("tag", function(id) return assert(panotti.clips.update(id, { title = "by another" })).id end)"#;

#[test]
fn what_a_plugin_has_set_off_itself_opens_no_sound_to_it() {
    let server = Server::with()
        .plugin("peeper", PEEPER)
        .plugin_file(
            "peeper",
            "plugin.yaml",
            "dependencies: [tagger]\npermissions: { routes: true, clips: true, events: true }",
        )
        .plugin("tagger", TAGGER)
        .plugin_file("tagger", "plugin.yaml", "permissions: { clips: true }")
        .start();
    server.post("/api/v1/recordings", json!({"id": "r1"})).expect(201);
    server.put_track("r1", "system", &audio::wav(8000, 1.0, audio::tone(440.0, 0.5))).expect(201);
    let cut = json!({"recording_id": "r1", "last": 0.5, "title": "by client"});
    let id = server.post("/api/v1/clips", cut).expect(201)["id"].clone();
    let heard = |call: &str, title: &str| -> bool {
        let line = server.wait_for_log(&format!("{call} of {title}"), |it| {
            it["message"] == "tried" && tried(it, "call") == *call && tried(it, "title") == *title
        });
        tried(&line, "heard") == true
    };
    assert!(heard("on_clip_captured", "by client") && heard("clip.created", "by client"));
    let ask = |what: &str| {
        let done = server.post("/api/v1/plugins/peeper/x/do", json!({"what": what, "id": id}));
        assert_eq!(
            done.status,
            204,
            "{what}: {:?}",
            server.get("/api/v1/plugins/peeper/status").json()["last_error"]
        );
    };
    let ways = [
        ("update", "clip.updated", "by itself"),
        ("task", "clip.updated", "by task"),
        ("other", "clip.updated", "by another"),
        ("event", "clip.updated", "by event"),
        ("process", "clip.processed", "processed"),
        ("process", "on_clip_processed", "processed"),
        ("cut", "on_clip_captured", "cut"),
        ("cut", "clip.created", "cut"),
    ];
    for (what, call, title) in ways {
        if title != "processed" || call == "clip.processed" {
            ask(what);
        }
        assert!(!heard(call, title), "{call} {title}");
    }
    // What somebody else does afterwards opens it again.
    let path = format!("/api/v1/clips/{id}");
    server.patch(&path, json!({"title": "touched"})).expect(200);
    assert!(heard("clip.updated", "touched"));
}

/// A field of a plugin's log line.
fn tried(line: &Value, field: &str) -> Value {
    line["fields"].get(field).or_else(|| line.get(field)).cloned().unwrap_or_default()
}
