//! Versions of a plugin's files: kept, compared, gone back to, by hand and by the server.

use std::fs;

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::server::wait_for;

/// A plugin that answers which one it is, or fails.
fn says(text: &str) -> String {
    format!("panotti.route('GET', '/go', function(req)\n  return {{ says = '{text}' }}\nend)\n")
}

/// One whose calls fail when they are asked to.
fn fails(text: &str) -> String {
    format!(
        "panotti.route('GET', '/go', function(req)\n  if req.query.bad then error('{text}') end\n  return {{ says = '{text}' }}\nend)\n"
    )
}

/// What `p` declares.
const MANIFEST: &str = "name: p\npermissions: { routes: true }\n";

/// A server with `p`.
fn with(source: &str) -> crate::common::server::Builder {
    Server::with().plugin("p", source).plugin_file("p", "plugin.yaml", MANIFEST)
}

fn write(server: &Server, path: &str, text: &str) {
    let path = server.folder().join("plugins").join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Edits the file that starts `p` and waits until that is taken up.
#[track_caller]
fn edit(server: &Server, text: &str) {
    write(server, "p/init.lua", text);
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
}

fn on_disk(server: &Server) -> String {
    fs::read_to_string(server.folder().join("plugins/p/init.lua")).unwrap()
}

#[track_caller]
fn said(server: &Server) -> String {
    server.get("/api/v1/plugins/p/x/go").expect(200)["says"].as_str().unwrap().to_owned()
}

/// Number, origin, live, restores of each version, newest first.
#[track_caller]
fn history(server: &Server) -> Value {
    let page = server.get("/api/v1/plugins/p/versions").expect(200);
    let items = page["items"].as_array().unwrap().iter();
    items.map(|it| json!([it["number"], it["origin"], it["live"], it["restores"]])).collect()
}

fn roll_back(server: &Server, body: Value) -> crate::common::client::Answer {
    server.post("/api/v1/plugins/p/rollback", body)
}

#[test]
fn every_version_that_goes_live_is_kept_and_read_byte_by_byte() {
    let server = with(&says("one")).start();
    assert_eq!(history(&server), json!([[1, "disk", true, null]]));
    edit(&server, &says("two"));
    edit(&server, "this is no lua");
    assert_eq!(history(&server), json!([[2, "disk", true, null], [1, "disk", false, null]]));
    assert_eq!(said(&server), "two");
    let server = server.restart();
    // What does not load is no version, and what is as it was makes none.
    assert_eq!(history(&server)[0][0], 2);
    edit(&server, &says("two"));
    assert_eq!(history(&server), json!([[2, "disk", true, null], [1, "disk", false, null]]));

    let version = server.get("/api/v1/plugins/p/versions/1").expect(200);
    assert_eq!(
        (&version["files"], &version["contents"][0]["path"], &version["author"]),
        (&json!(2), &json!("init.lua"), &json!("server"))
    );
    let file = server.get("/api/v1/plugins/p/versions/1/files/init.lua");
    assert_eq!((file.status, String::from_utf8(file.body.clone()).unwrap()), (200, says("one")));
    let tag = file.header("etag").unwrap().to_owned();
    assert_eq!(tag.trim_matches('"'), version["contents"][0]["hash"]);
    let path = "/api/v1/plugins/p/versions/1/files/init.lua";
    assert_eq!(server.send("GET", path, &[("If-None-Match", &tag)], None).status, 304);
    server.get("/api/v1/plugins/p/versions/1/files/other.lua").problem(404, "not_found");
    server.get("/api/v1/plugins/p/versions/9").problem(404, "version_not_found");
    server.get("/api/v1/plugins/p/versions/x").problem(400, "bad_path");
    server.get("/api/v1/plugins/nobody/versions").problem(404, "plugin_not_found");
    let page = server.get("/api/v1/plugins/p/versions?page_size=1&page=2").expect(200);
    assert_eq!((&page["items"][0]["number"], &page["total"]), (&json!(1), &json!(2)));
}

#[test]
fn what_the_code_says_is_for_keys_that_may_read_code() {
    let server = with(&says("one")).start();
    let reader = json!({ "name": "reader", "scopes": ["plugins:read", "plugins:manage"] });
    let key = server.post("/api/v1/tokens", reader).expect(201)["token"].clone();
    let reader = server.client().with_key(key.as_str());
    reader.get("/api/v1/plugins/p/versions").expect(200);
    reader.get("/api/v1/plugins/p/versions/1").expect(200);
    for path in ["versions/1/files/init.lua", "diff"] {
        reader.get(&format!("/api/v1/plugins/p/{path}")).problem(403, "scope_missing");
    }
    reader.post("/api/v1/plugins/p/rollback", json!({})).problem(403, "scope_missing");
}

#[test]
fn two_versions_are_compared_as_json_and_as_a_diff() {
    let server = with(&says("one")).start();
    let first = server.get("/api/v1/plugins/p/diff").expect(200);
    assert_eq!(
        (&first["from"], &first["to"], &first["files"][0]["status"]),
        (&json!("none"), &json!("1"), &json!("added"))
    );
    write(&server, "p/lib.lua", "return 1\n");
    edit(&server, &says("two"));
    let diff = server.get("/api/v1/plugins/p/diff").expect(200);
    assert_eq!((&diff["from"], &diff["to"]), (&json!("1"), &json!("2")));
    let told: Value = diff["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| json!([it["path"], it["status"], it["lines_added"], it["lines_removed"]]))
        .collect();
    assert_eq!(told, json!([["init.lua", "changed", 1, 1], ["lib.lua", "added", 1, 0]]));
    let text = server.send("GET", "/api/v1/plugins/p/diff", &[("Accept", "text/x-diff")], None);
    assert_eq!(text.header("content-type"), Some("text/x-diff; charset=utf-8"));
    let text = String::from_utf8(text.body.clone()).unwrap();
    assert!(text.contains("--- a/init.lua\n+++ b/init.lua\n@@"), "{text}");
    assert!(text.contains("-  return { says = 'one' }\n+  return { says = 'two' }\n"), "{text}");
    assert!(text.contains("--- /dev/null\n+++ b/lib.lua\n"), "{text}");

    fs::rename(server.folder().join("plugins/p/lib.lua"), server.folder().join("plugins/p/moved.lua"))
        .unwrap();
    write(&server, "p/init.lua", "this is no lua");
    let disk = server.get("/api/v1/plugins/p/diff?from=live&to=disk").expect(200);
    assert_eq!((&disk["from"], &disk["to"]), (&json!("2"), &json!("disk")));
    assert_eq!(
        (&disk["files"][1]["status"], &disk["files"][1]["former_path"]),
        (&json!("renamed"), &json!("lib.lua"))
    );
    assert_eq!(server.get("/api/v1/plugins/p/diff?from=2&to=2").expect(200)["files"], json!([]));
    server.get("/api/v1/plugins/p/diff?from=7").problem(404, "version_not_found");
    server.get("/api/v1/plugins/p/diff?from=yesterday").problem(400, "bad_query");
}

#[test]
fn a_rollback_puts_the_files_back_and_can_itself_be_rolled_back() {
    let server = with(&says("one")).start();
    roll_back(&server, json!({})).problem(409, "conflict");
    write(&server, "p/extra.lua", "return 2\n");
    edit(&server, &says("two"));
    let done = roll_back(&server, json!({ "note": "two is too much" })).expect(200);
    assert_eq!(
        (&done["restored"], &done["from"], &done["version"], &done["live"]),
        (&json!(1), &json!(2), &json!(3), &json!(true))
    );
    assert_eq!((said(&server), on_disk(&server)), ("one".to_owned(), says("one")));
    assert!(!server.folder().join("plugins/p/extra.lua").exists(), "it was not there in version 1");
    let all = server.get("/api/v1/plugins/p/versions").expect(200);
    assert_eq!(
        (&all["items"][0]["note"], &all["items"][0]["restores"]),
        (&json!("two is too much"), &json!(1))
    );
    assert_eq!(all["items"][1]["rolled_back"]["why"], "two is too much");

    roll_back(&server, json!({})).expect(200);
    assert_eq!((said(&server), on_disk(&server)), ("two".to_owned(), says("two")));
    assert!(server.folder().join("plugins/p/extra.lua").exists());
    assert_eq!(
        history(&server),
        json!([
            [4, "rollback", true, 2],
            [3, "rollback", false, 1],
            [2, "disk", false, null],
            [1, "disk", false, null]
        ])
    );
    // What runs already and lies in the folder is left alone.
    let same = roll_back(&server, json!({ "version": 2 })).expect(200);
    assert_eq!((&same["version"], &same["live"]), (&Value::Null, &json!(true)));
    assert_eq!(history(&server)[0][0], 4);
    let acts = server.get("/api/v1/audit?action=plugin.rollback").expect(200);
    assert_eq!(acts["items"].as_array().unwrap().len(), 2, "{acts}");
    assert_eq!(
        (&acts["items"][1]["detail"]["to"], &acts["items"][1]["subject"]),
        (&json!(1), &json!("plugin/p"))
    );
    let events = server.get("/api/v1/events?type=plugin.rolled_back").expect(200);
    assert_eq!(events["items"][0]["data"]["automatic"], false, "{events}");

    roll_back(&server, json!({ "version": 17 })).problem(404, "version_not_found");
    roll_back(&server, json!({ "version": "one" })).problem(422, "invalid");
    roll_back(&server, json!({ "versoin": 1 })).problem(422, "invalid");
}

#[test]
fn a_version_that_does_not_load_any_more_is_not_gone_back_to() {
    let manifest = |kind: &str| {
        format!(
            "{MANIFEST}config_schema:\n  properties:\n    size: {{ type: {kind}, default: {} }}\n",
            match kind {
                "integer" => "1",
                _ => "big",
            }
        )
    };
    let server = Server::with()
        .plugin("p", &says("one"))
        .plugin_file("p", "plugin.yaml", &manifest("integer"))
        .start();
    write(&server, "p/plugin.yaml", &manifest("string"));
    edit(&server, &says("two"));
    server.post("/api/v1/plugins/p/config", json!({ "key": "size", "value": "huge" })).expect(201);
    let problem = roll_back(&server, json!({})).problem(422, "plugin_load_failed");
    assert!(problem["detail"].as_str().unwrap().contains("size"), "{problem}");
    assert_eq!((said(&server), on_disk(&server)), ("two".to_owned(), says("two")));
    assert_eq!(
        fs::read_to_string(server.folder().join("plugins/p/plugin.yaml")).unwrap(),
        manifest("string")
    );
    assert_eq!(history(&server)[0][0], 2);
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

#[test]
fn old_versions_go_and_a_purge_takes_all_of_them() {
    let server = with(&says("0")).env("PANOTTI_PLUGIN_VERSIONS_KEEP", 3).start();
    for n in 1..=6 {
        edit(&server, &says(&n.to_string()));
    }
    let numbers: Vec<Value> = history(&server).as_array().unwrap().iter().map(|it| it[0].clone()).collect();
    assert_eq!(numbers, [7, 6, 5]);
    assert_eq!(server.delete("/api/v1/plugins/p").status, 204);
    server.post("/api/v1/plugins", json!({ "name": "p" })).expect(201);
    assert_eq!(history(&server)[0][0], 7, "deleting a plugin keeps its versions");
    assert_eq!(server.delete("/api/v1/plugins/p?purge=true").status, 204);
    assert_eq!(history(&server), json!([]));
    server.get("/api/v1/plugins/p/diff").problem(404, "version_not_found");
    server.post("/api/v1/plugins", json!({ "name": "p" })).expect(201);
    assert_eq!(history(&server)[0], json!([1, "disk", true, null]));
}

#[test]
fn a_thousand_versions_are_listed_page_by_page_and_none_is_lost() {
    let server = with(&says("0")).env("PANOTTI_PLUGIN_VERSIONS_KEEP", 2000).start();
    edit(&server, &says("1"));
    // Back and forth makes versions as fast as any edit, and each shares its bytes with one of the first two.
    for _ in 0..998 {
        roll_back(&server, json!({})).expect(200);
    }
    let page = server.get("/api/v1/plugins/p/versions?page_size=1000").expect(200);
    assert_eq!(page["total"], 1000);
    let numbers: Vec<i64> =
        page["items"].as_array().unwrap().iter().map(|it| it["number"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=1000).rev().collect::<Vec<_>>());
    assert_eq!(server.get("/api/v1/plugins/p/versions/500").expect(200)["contents"][0]["path"], "init.lua");
    let diff = server.get("/api/v1/plugins/p/diff?from=1&to=1000").expect(200);
    assert_eq!(diff["lines_added"], 1);
}
