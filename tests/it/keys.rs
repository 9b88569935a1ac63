//! Keys: what opens which door.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::common::Server;

#[test]
fn a_key_opens_only_the_doors_of_its_scopes() {
    let server = Server::start();
    let made = server.post("/api/v1/tokens", json!({ "name": "reader", "scopes": ["clips:read"] }));
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let made = made.expect(201);
    let reader = server.with_key(made["token"].as_str());
    reader.get("/api/v1/clips").expect(200);
    let refused = reader.get("/api/v1/recordings").problem(403, "scope_missing");
    assert_eq!(refused["scope"], "recordings:read");
    reader.post("/api/v1/clips", json!({ "title": "a", "file_path": "b" })).problem(403, "scope_missing");
    reader.get("/api/v1/tokens").problem(403, "scope_missing");
}

#[test]
fn a_revoked_or_wrong_key_opens_nothing() {
    let server = Server::start();
    let made = server.post("/api/v1/tokens", json!({ "name": "x", "scopes": ["clips:read"] })).expect(201);
    let key = made["token"].as_str().unwrap();
    let client = server.with_key(Some(key));
    client.get("/api/v1/clips").expect(200);
    let flipped = key.to_ascii_uppercase();
    server.with_key(Some(&flipped)).get("/api/v1/clips").problem(401, "key_invalid");
    let id = made["id"].as_str().unwrap();
    assert_eq!(server.delete(&format!("/api/v1/tokens/{id}")).status, 204);
    let refused = client.get("/api/v1/clips");
    refused.problem(401, "key_invalid");
    assert!(refused.header("www-authenticate").unwrap().starts_with("Bearer"));
    server.with_key(None).get("/api/v1/clips").problem(401, "key_missing");
    server.delete("/api/v1/tokens/nobody").problem(404, "token_not_found");
}

#[test]
fn a_key_comes_as_a_bearer_token_too() {
    let server = Server::start();
    let key = std::fs::read_to_string(server.folder().join("data/admin.token")).unwrap();
    let bearer = format!("Bearer {}", key.trim());
    let nobody = server.with_key(None);
    nobody.send("GET", "/api/v1/clips", &[("Authorization", &bearer)], None).expect(200);
}

#[test]
fn keys_are_listed_without_their_secrets() {
    let server = Server::start();
    let made = server.post("/api/v1/tokens", json!({ "name": "x", "scopes": ["clips:read"] })).expect(201);
    let secret = made["token"].as_str().unwrap().rsplit('_').next().unwrap().to_owned();
    let listed = server.get("/api/v1/tokens");
    assert_eq!(listed.expect(200)["items"].as_array().unwrap().len(), 2);
    assert!(!String::from_utf8(listed.body).unwrap().contains(&secret));
}

#[test]
fn a_key_that_may_make_keys_makes_none_that_may_do_more() {
    let server = Server::start();
    let scopes = json!({ "name": "m", "scopes": ["tokens:manage", "clips:read"] });
    let made = server.post("/api/v1/tokens", scopes).expect(201);
    let manager = server.with_key(made["token"].as_str());
    manager.post("/api/v1/tokens", json!({ "name": "a", "scopes": ["admin"] })).problem(403, "scope_missing");
    manager.post("/api/v1/tokens", json!({ "name": "b", "scopes": ["clips:read"] })).expect(201);
}

#[test]
fn a_key_that_would_expire_in_the_past_is_refused() {
    let server = Server::start();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let body = json!({ "name": "x", "scopes": ["clips:read"], "expires_at": now - 60 });
    server.post("/api/v1/tokens", body).problem(422, "invalid");
}

#[test]
fn a_key_gets_another_secret_and_the_former_one_opens_nothing() {
    let server = Server::start();
    let made = server.post("/api/v1/tokens", json!({ "name": "x", "scopes": ["clips:read"] })).expect(201);
    let path = format!("/api/v1/tokens/{}/rotate", made["id"].as_str().unwrap());
    let turned = server.post(&path, json!({ "expires_at": "2099-01-01T00:00:00Z" }));
    assert_eq!(turned.header("cache-control"), Some("no-store"));
    let turned = turned.expect(200);
    assert_eq!((&turned["id"], &turned["expires_at"]), (&made["id"], &json!("2099-01-01T00:00:00Z")));
    server.with_key(made["token"].as_str()).get("/api/v1/clips").problem(401, "key_invalid");
    server.with_key(turned["token"].as_str()).get("/api/v1/clips").expect(200);
    server.post(&path, json!({ "expires_at": "2001-01-01T00:00:00Z" })).problem(422, "invalid");
    server.delete(path.trim_end_matches("/rotate")).expect(204);
    server.post(&path, json!({})).problem(409, "conflict");
    server.post("/api/v1/tokens/nobody/rotate", json!({})).problem(404, "token_not_found");
}

#[test]
fn a_key_that_may_make_keys_gets_no_secret_of_one_that_may_do_more() {
    let server = Server::start();
    let scopes = json!({ "name": "m", "scopes": ["tokens:manage", "clips:read"] });
    let made = server.post("/api/v1/tokens", scopes).expect(201);
    let manager = server.with_key(made["token"].as_str());
    let listed = server.get("/api/v1/tokens").expect(200);
    let admin = listed["items"].as_array().unwrap().iter().find(|it| it["name"] == "admin").unwrap();
    let path = format!("/api/v1/tokens/{}/rotate", admin["id"].as_str().unwrap());
    manager.post(&path, json!({})).problem(403, "scope_missing");
    let own = format!("/api/v1/tokens/{}/rotate", made["id"].as_str().unwrap());
    manager.post(&own, json!({})).expect(200);
}

#[test]
fn the_key_in_the_key_file_is_written_there_anew() {
    let server = Server::start();
    let file = server.folder().join("data/admin.token");
    let kept = std::fs::read_to_string(&file).unwrap();
    let id = kept.split('_').nth(1).unwrap().to_owned();
    let turned = server.post(&format!("/api/v1/tokens/{id}/rotate"), json!({})).expect(200);
    let now = std::fs::read_to_string(&file).unwrap();
    assert_eq!(now.trim(), turned["token"].as_str().unwrap());
    assert_ne!(now, kept);
    server.get("/api/v1/clips").problem(401, "key_invalid");
    server.with_key(Some(now.trim())).get("/api/v1/clips").expect(200);
    assert!(!file.with_extension("token.wanted").exists());
}

#[test]
fn the_last_key_that_may_do_everything_is_not_revoked_by_accident() {
    let server = Server::start();
    let id = server.get("/api/v1/tokens").expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/tokens/{id}");
    server.delete(&path).problem(409, "conflict");
    let other = server.post("/api/v1/tokens", json!({ "name": "second", "scopes": ["admin"] })).expect(201);
    let other = server.with_key(other["token"].as_str());
    other.delete(&path).expect(204);
    let own = other.get("/api/v1/tokens").expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    other.delete(&format!("/api/v1/tokens/{own}")).problem(409, "conflict");
    other.delete(&format!("/api/v1/tokens/{own}?force=true")).expect(204);
    other.get("/api/v1/clips").problem(401, "key_invalid");
    // The next start sees to a new one.
    let server = server.restart();
    server.get("/api/v1/tokens").expect(200);
}

#[test]
fn a_misspelt_scope_is_told_with_the_one_that_is_meant() {
    let server = Server::start();
    let wrong = json!({ "name": "x", "scopes": ["clip:read", 7] });
    let refused = server.post("/api/v1/tokens", wrong).problem(422, "invalid");
    assert_eq!(refused["errors"][0]["pointer"], "/scopes/0");
    let told = refused["errors"][0]["message"].as_str().unwrap();
    assert!(told.ends_with("did you mean \"clips:read\"?"), "{told}");
}
