//! The table of the Lua API over HTTP, and the document of the HTTP API without a server.

use serde_json::{Value, json};

use crate::command_line::panotti;
use crate::common::Server;

#[test]
fn the_table_tells_every_function_with_what_an_editor_wants() {
    let server = Server::start();
    let answer = server.get("/api/v1/lua-api");
    let api = answer.expect(200);
    assert_eq!(api["version"], env!("CARGO_PKG_VERSION"));
    let functions = api["functions"].as_array().unwrap();
    assert!(functions.len() > 70, "{}", functions.len());
    for it in functions {
        for key in ["path", "module", "signature", "description", "since", "example"] {
            assert!(it[key].as_str().is_some_and(|it| !it.is_empty()), "{key}: {it}");
        }
        assert!(it["waits"].is_boolean(), "{it}");
    }
    let get = functions.iter().find(|it| it["path"] == "panotti.clips.get").unwrap();
    assert_eq!((&get["permission"], &get["waits"]), (&json!("clips:read"), &json!(true)));
    assert_eq!(get["signature"], "(id: number) -> (Clip?, Failure?)");
    let clip = api["types"].as_array().unwrap().iter().find(|it| it["name"] == "Clip").unwrap();
    assert!(
        clip["fields"].as_array().unwrap().iter().any(|it| it["name"] == "title" && it["type"] == "string")
    );
    let hook =
        api["hooks"].as_array().unwrap().iter().find(|it| it["name"] == "before_recording_start").unwrap();
    assert_eq!((&hook["payload"], &hook["may_deny"]), (&json!("Recording"), &json!(true)));
    let tag = answer.header("etag").unwrap().to_owned();
    let key = server.post("/api/v1/tokens", json!({ "name": "r", "scopes": ["plugins:read"] })).expect(201);
    let reader = server.client().with_key(key["token"].as_str());
    assert_eq!(reader.send("GET", "/api/v1/lua-api", &[("If-None-Match", &tag)], None).status, 304);
    let other = server.post("/api/v1/tokens", json!({ "name": "c", "scopes": ["clips:read"] })).expect(201);
    server.client().with_key(other["token"].as_str()).get("/api/v1/lua-api").problem(403, "scope_missing");
    server.client().with_key(None).get("/api/v1/lua-api").problem(401, "key_missing");
}

#[test]
fn the_document_needs_no_server_and_is_that_of_a_server_without_plugins() {
    let server = Server::start();
    let served = server.get("/api/openapi.json").expect(200);
    let folder = tempfile::tempdir().unwrap();
    let out = panotti(folder.path(), &[], &["openapi"]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let printed: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(printed == served, "the document on stdout is not that of the server");
    let out = panotti(folder.path(), &[], &["openapi", "--out", "api.json"]);
    assert!(out.status.success() && out.stdout.is_empty());
    let written = std::fs::read_to_string(folder.path().join("api.json")).unwrap();
    assert!(serde_json::from_str::<Value>(&written).unwrap() == served);
    assert_eq!(panotti(folder.path(), &[], &["openapi", "--out", "no/such/folder"]).status.code(), Some(1));
}
