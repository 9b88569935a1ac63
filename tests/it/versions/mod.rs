//! Versions of a plugin's files: kept, compared, gone back to, by hand and by the server (`automatic`).

mod automatic;

use std::fs;

use serde_json::{Value, json};

use crate::common::Server;

/// A plugin that answers which one it is, or fails.
fn says(text: &str) -> String {
    format!("panotti.route('GET', '/go', function(req)\n  return {{ says = '{text}' }}\nend)\n")
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
    let acts = server.get("/api/v1/audit?action=plugin.rollback&outcome=ok").expect(200);
    let done: Vec<&Value> =
        acts["items"].as_array().unwrap().iter().filter(|it| it["detail"]["changed"] != false).collect();
    assert_eq!(done.len(), 2, "{acts}");
    assert_eq!((&done[1]["detail"]["to"], &done[1]["subject"]), (&json!(1), &json!("plugin/p")));
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
