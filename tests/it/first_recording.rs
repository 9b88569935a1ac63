//! The main job, end to end: record, clip while it runs, end, listen, and see what scripts made of it.

use serde_json::json;

use crate::common::Server;
use crate::common::audio::{header, samples, tone, wav};
use crate::common::server::wait_for;

#[test]
fn a_recording_goes_from_start_to_a_clip_that_can_be_heard() {
    let server = Server::with()
        .plugin(
            "labeller",
            r#"
            panotti.on.before_recording_start(function(recording)
              return { title = "Meeting: " .. recording.title, metadata = { asked = true } }
            end)
            panotti.on.on_clip_captured(function(clip)
              local loud = panotti.media.loudness(clip.file_path)
              return { tags = { "from-lua" }, metadata = { loud = loud ~= nil } }
            end)
            panotti.on.after_recording_end(function(recording, ctx)
              panotti.kv.set("ended", recording.id)
              panotti.log.info("it is over", { recording = recording.id, attempt = ctx.attempt })
            end)
            "#,
        )
        .start();

    let started = server
        .post("/api/v1/recordings", json!({"id": "standup", "title": "Monday", "metadata": {"room": 4}}));
    let started = started.expect(201);
    assert_eq!(started["title"], "Meeting: Monday");
    assert_eq!(started["metadata"], json!({"room": 4, "asked": true}));
    assert_eq!(started["status"], "active");

    // A live track: a header of unknown length, then parts.
    let whole = wav(16_000, 6.0, tone(440.0, 0.5));
    let mut live = header(16_000, u32::MAX);
    live.extend(&whole[44..]);
    let half = live.len() / 2;
    server.append_track("standup", "system", 0, &live[..half]).expect(200);
    let told = server.append_track("standup", "system", 7, b"x").problem(409, "offset_mismatch");
    assert_eq!(told["expected_offset"], half);
    server.append_track("standup", "system", half, &live[half..]).expect(200);

    let clip = server.post("/api/v1/clips", json!({"recording_id": "standup", "last": 2})).expect(201);
    assert_eq!(clip["tags"], json!(["from-lua"]));
    assert_eq!(clip["metadata"]["loud"], true);
    assert_eq!(clip["duration"], 2.0);
    assert_eq!(clip["processed"], false);
    let content = format!("/api/v1/clips/{}/content", clip["id"]);
    let heard = server.get(&content);
    heard.expect_bytes(200);
    assert_eq!(samples(&heard.body), samples(&whole)[64_000..].to_vec());

    let part = server.send("GET", &content, &[("Range", "bytes=44-143")], None);
    assert_eq!((part.status, part.body.len()), (206, 100));
    assert_eq!(part.body, heard.body[44..144]);

    let ended = server.post("/api/v1/recordings/standup/end", json!({})).expect(200);
    assert_eq!(ended["status"], "completed");
    assert!(ended["duration"].as_f64().unwrap() > 0.0);
    let track = &ended["tracks"]["system"];
    assert_eq!((&track["state"], &track["duration"]), (&json!("stored"), &json!(6.0)));
    let line = server.wait_for_log("the script's line", |line| line["message"] == "it is over");
    assert_eq!(line["plugin"], "labeller");

    let server = server.restart();
    let again = server.get(&format!("/api/v1/clips/{}", clip["id"])).expect(200);
    assert_eq!(again["tags"], json!(["from-lua"]));
    assert_eq!(server.get("/api/v1/recordings/standup").expect(200)["metadata"]["asked"], true);
}

#[test]
fn a_plugin_that_denies_a_recording_is_heard_and_nothing_is_stored() {
    let server = Server::with()
        .plugin(
            "quiet_hours",
            r#"panotti.on.before_recording_start(function(recording)
                 if recording.metadata.eventTitle == "Private" then
                   return panotti.deny("private meetings are not recorded")
                 end
               end)"#,
        )
        .start();
    let refused =
        server.post("/api/v1/recordings", json!({"id": "secret", "metadata": {"eventTitle": "Private"}}));
    let problem = refused.problem(422, "hook_denied");
    assert!(problem["detail"].as_str().unwrap().contains("private meetings are not recorded"), "{problem}");
    server.get("/api/v1/recordings/secret").problem(404, "recording_not_found");
    server.post("/api/v1/recordings", json!({"id": "open"})).expect(201);
}

#[test]
fn an_event_between_commit_and_hook_survives_a_power_cut() {
    // The first run of the hook never ends, as if the machine died while it ran.
    let server = Server::with()
        .plugin(
            "careful",
            r#"panotti.on.after_recording_end(function(recording, ctx)
                 if ctx.attempt == 1 then panotti.log.info("begun") panotti.sleep(25) end
                 panotti.kv.set("seen", { id = recording.id, attempt = ctx.attempt })
                 panotti.log.info("done", { attempt = ctx.attempt })
               end)"#,
        )
        .start();
    server.post("/api/v1/recordings", json!({"id": "r"})).expect(201);
    server.post("/api/v1/recordings/r/end", json!({})).expect(200);
    server.wait_for_log("the first run", |line| line["message"] == "begun");
    let server = server.kill_and_restart();
    let line = server.wait_for_log("the second run", |line| line["message"] == "done");
    assert_eq!(line["fields"]["attempt"], 2, "{line}");
}

#[test]
fn a_plugin_dropped_while_the_server_runs_works_after_a_rescan() {
    let server = Server::start();
    std::fs::create_dir_all(server.folder().join("plugins/late")).unwrap();
    std::fs::write(
        server.folder().join("plugins/late/init.lua"),
        "panotti.on.before_recording_start(function() return { title = 'from late' } end)",
    )
    .unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    let state = wait_for("it to run", || {
        Some(server.get("/api/v1/plugins/late").json()).filter(|it| it["state"] == "running")
    });
    assert_eq!(state["name"], "late");
    assert_eq!(server.post("/api/v1/recordings", json!({"id": "r"})).expect(201)["title"], "from late");
}
