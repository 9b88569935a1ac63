//! What the server goes back from by itself.

use serde_json::{Value, json};

use super::{edit, history, on_disk, roll_back, said, says, with};
use crate::common::Server;
use crate::common::server::wait_for;

/// One whose calls fail when they are asked to.
fn fails(text: &str) -> String {
    format!(
        "panotti.route('GET', '/go', function(req)\n  if req.query.bad then error('{text}') end\n  return {{ says = '{text}' }}\nend)\n"
    )
}

/// Calls `p` so often, of these so often that it fails.
fn call(server: &Server, good: usize, bad: usize) {
    for n in 0..good + bad {
        let query = if n < good { "" } else { "?bad=1" };
        server.get(&format!("/api/v1/plugins/p/x/go{query}"));
    }
}

/// Waits until the server has gone back from a version of `p`; the status says it.
fn rolled_back(server: &Server) -> Value {
    wait_for("an automatic rollback", || {
        let status = server.get("/api/v1/plugins/p/status").expect(200);
        (!status["held_back"].is_null()).then_some(status)
    })
}

#[test]
fn an_edit_that_fails_too_often_is_rolled_back_and_told() {
    let server = with(&says("one")).start();
    call(&server, 100, 0);
    edit(&server, &fails("two"));
    call(&server, 20, 4);
    assert_eq!(history(&server)[0][0], 2, "four failed calls say nothing");
    call(&server, 0, 1);
    let status = rolled_back(&server);
    assert_eq!((said(&server), on_disk(&server)), ("one".to_owned(), fails("two")));
    let why = "5 of 25 calls failed (20 %), 0.0 % before";
    assert_eq!(
        (
            &status["held_back"]["version"],
            &status["held_back"]["running_version"],
            &status["held_back"]["why"]
        ),
        (&json!(2), &json!(3), &json!(why))
    );
    assert_eq!(status["state"], "running");
    let last = &status["last_error"];
    let told = last["message"].as_str().unwrap();
    assert!(told.starts_with(&format!("version 2 was rolled back: {why}; the last of them: two")), "{last}");
    assert_eq!(
        (&last["outcome"], &last["file"], &last["line"]),
        (&json!("rolled_back"), &json!("init.lua"), &json!(2))
    );
    assert!(
        status["warnings"][0].as_str().unwrap().starts_with("its folder differs from what runs"),
        "{status}"
    );
    server.wait_for_log("the rollback", |it| {
        it["level"] == "error"
            && it["msg"].as_str().or(it["message"].as_str()).is_some_and(|it| it.contains(why))
    });
    assert_eq!(
        history(&server),
        json!([[3, "automatic_rollback", true, 1], [2, "disk", false, null], [1, "disk", false, null]])
    );
    let bad = server.get("/api/v1/plugins/p/versions/2").expect(200);
    assert_eq!(bad["rolled_back"]["why"], why);
    let event = &server.get("/api/v1/events?type=plugin.rolled_back").expect(200)["items"][0]["data"];
    assert_eq!(
        (&event["automatic"], &event["version"], &event["to"], &event["failed"]),
        (&json!(true), &json!(2), &json!(1), &json!(5)),
        "{event}"
    );
    assert_eq!(
        server.get("/api/v1/audit?action=plugin.rolled_back").expect(200)["items"][0]["actor"],
        "server"
    );

    // Nobody looks at the folder and takes the same files up again, not even after a restart.
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(said(&server), "one");
    let server = server.kill_and_restart();
    assert_eq!((said(&server), on_disk(&server)), ("one".to_owned(), fails("two")));
    assert_eq!(rolled_back(&server)["held_back"]["version"], 2);
    assert_eq!(history(&server)[0], json!([3, "automatic_rollback", true, 1]));
    server.post("/api/v1/plugins/p/disable", json!({})).expect(200);
    server.post("/api/v1/plugins/p/enable", json!({})).expect(200);
    assert_eq!(said(&server), "one");

    // The next edit runs.
    edit(&server, &says("three"));
    assert_eq!(said(&server), "three");
    let status = server.get("/api/v1/plugins/p/status").expect(200);
    assert_eq!((&status["held_back"], &status["last_error"]), (&Value::Null, &Value::Null), "{status}");
    // It has a former version: the one that was gone back to, not the one that failed.
    roll_back(&server, json!({})).expect(200);
    assert_eq!(said(&server), "one");
}

#[test]
fn an_edit_over_http_is_a_version_of_its_key_and_is_rolled_back_like_any_other() {
    let server = with(&says("one")).start();
    call(&server, 30, 0);
    let path = "/api/v1/plugins/p/files/init.lua";
    let tag = server.get(path).header("etag").unwrap().to_owned();
    let edited = server.send("PUT", path, &[("If-Match", &tag)], Some(fails("two").as_bytes()));
    assert_eq!(edited.expect(200)["version"], 2, "{}", edited.json());
    let version = &server.get("/api/v1/plugins/p/versions").expect(200)["items"][0];
    assert_eq!((&version["origin"], &version["live"]), (&json!("api"), &json!(true)));
    assert!(version["author"].as_str().unwrap().starts_with("key/"), "{version}");
    call(&server, 0, 5);
    assert_eq!(rolled_back(&server)["held_back"]["version"], 2);
    assert_eq!((said(&server), on_disk(&server)), ("one".to_owned(), fails("two")));
    // What is sent next is held against what lies in the folder, and runs.
    let tag = server.get(path).header("etag").unwrap().to_owned();
    let mended = server.send("PUT", path, &[("If-Match", &tag)], Some(says("three").as_bytes()));
    assert_eq!(mended.expect(200)["version"], 4);
    assert_eq!(said(&server), "three");
}

#[test]
fn what_was_rolled_back_runs_again_when_somebody_says_so_and_is_left_alone_then() {
    let server = with(&says("one")).start();
    edit(&server, &fails("two"));
    call(&server, 0, 6);
    rolled_back(&server);
    // The folder can be made to hold what runs.
    roll_back(&server, json!({ "version": 3 })).expect(200);
    assert_eq!((said(&server), on_disk(&server)), ("one".to_owned(), says("one")));
    assert_eq!(server.get("/api/v1/plugins/p/status").expect(200)["held_back"], Value::Null);
    roll_back(&server, json!({ "version": 2 })).expect(200);
    assert_eq!((said(&server), on_disk(&server)), ("two".to_owned(), fails("two")));
    call(&server, 0, 20);
    let server = server.restart();
    assert_eq!(said(&server), "two", "a rollback is not rolled back");
    assert_eq!(history(&server)[0], json!([4, "rollback", true, 2]));
}

#[test]
fn a_plugin_that_always_failed_is_not_rolled_back_nor_one_when_that_is_off() {
    let server = with(&fails("one")).start();
    call(&server, 10, 10);
    edit(&server, &fails("two"));
    call(&server, 5, 20);
    edit(&server, &fails("three"));
    call(&server, 5, 20);
    assert_eq!((said(&server), history(&server).as_array().unwrap().len()), ("three".to_owned(), 3));

    let server = with(&says("one")).env("PANOTTI_ROLLBACK_ENABLED", false).start();
    call(&server, 20, 0);
    edit(&server, &fails("two"));
    call(&server, 0, 20);
    assert_eq!((said(&server), history(&server).as_array().unwrap().len()), ("two".to_owned(), 2));
}
