//! How often keys may be used.

use serde_json::{Value, json};

use crate::command_line::panotti;
use crate::common::Server;
use crate::common::client::{Answer, Client};

fn key(server: &Server, scopes: &[&str], limit: Value) -> (String, Client) {
    let body = json!({ "name": "k", "scopes": scopes, "rate_limit": limit });
    let made = server.post("/api/v1/tokens", body).expect(201);
    assert_eq!(made["rate_limit"], limit);
    (made["id"].as_str().unwrap().to_owned(), server.with_key(made["token"].as_str()))
}

/// How many of so many requests pass.
fn passing(client: &Client, requests: usize) -> usize {
    (0..requests).filter(|_| client.get("/api/v1/clips").status == 200).count()
}

fn told(answer: &Answer) -> [Option<&str>; 2] {
    ["ratelimit-policy", "ratelimit"].map(|it| answer.header(it))
}

#[test]
fn a_key_has_its_limit_from_the_first_request_and_others_have_none() {
    let server = Server::start();
    assert_eq!(told(&server.get("/api/v1/clips")), [None, None]);
    let (id, limited) = key(&server, &["clips:read"], json!({ "requests": 3, "per_seconds": 3600 }));
    let (_, free) = key(&server, &["clips:read"], Value::Null);
    let first = limited.get("/api/v1/clips");
    assert_eq!(told(&first), [Some("\"key\";q=3;w=3600"), Some("\"key\";r=2;t=1200")]);
    // Also what is refused or leads nowhere counts.
    limited.get("/api/v1/recordings").problem(403, "scope_missing");
    limited.get("/api/v1/nowhere").problem(404, "not_found");
    let over = limited.get("/api/v1/clips");
    let problem = over.problem(429, "too_many_requests");
    assert!(problem["detail"].as_str().unwrap().contains(&id), "{problem}");
    assert_eq!((&problem["requests"], &problem["per_seconds"]), (&json!(3), &json!(3600)));
    let wait: u32 = over.header("retry-after").unwrap().parse().unwrap();
    assert!((1190..=1200).contains(&wait), "{wait}");
    assert_eq!(told(&over)[1].map(|it| it.starts_with("\"key\";r=0;")), Some(true));
    assert_eq!(passing(&free, 20), 20);
    assert_eq!(told(&free.get("/api/v1/clips")), [None, None]);
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn a_refused_request_asks_no_plugin() {
    let counter = r#"
        panotti.on.before_request(function(request)
          if request.path == "/count" then return panotti.respond{ status = 200, json = { seen = panotti.kv.get("seen") or 0 } } end
          if request.path == "/api/v1/clips" then panotti.kv.incr("seen") end
        end)"#;
    let server = Server::with().plugin("counter", counter).start();
    let (_, limited) = key(&server, &["clips:read"], json!({ "requests": 2, "per_seconds": 3600 }));
    assert_eq!(passing(&limited, 5), 2);
    assert_eq!(server.get("/count").expect(200)["seen"], 2);
}

#[test]
fn a_changed_limit_counts_at_once_and_gives_nothing_back() {
    let server = Server::start();
    let (id, client) = key(&server, &["clips:read"], json!({ "requests": 2, "per_seconds": 3600 }));
    let place = format!("/api/v1/tokens/{id}");
    assert_eq!(passing(&client, 4), 2);
    let more = json!({ "rate_limit": { "requests": 4, "per_seconds": 3600 }, "name": "renamed" });
    let changed = server.patch(&place, more).expect(200);
    assert_eq!((&changed["name"], &changed["rate_limit"]["requests"]), (&json!("renamed"), &json!(4)));
    // All of the hour is used up: a larger limit shortens the wait, it does not forget.
    client.get("/api/v1/clips").problem(429, "too_many_requests");
    server.patch(&place, json!({ "rate_limit": null })).expect(200);
    assert_eq!(passing(&client, 20), 20);
    server.patch(&place, json!({ "rate_limit": { "requests": 1, "per_seconds": 3600 } })).expect(200);
    client.get("/api/v1/clips").problem(429, "too_many_requests");
    for wrong in [
        json!(5),
        json!({ "requests": 0, "per_seconds": 1 }),
        json!({ "requests": 1 }),
        json!({ "requests": 1, "per_seconds": 1, "x": 1 }),
    ] {
        server.patch(&place, json!({ "rate_limit": wrong })).problem(422, "invalid");
    }
    server.patch("/api/v1/tokens/nobody", json!({})).problem(404, "token_not_found");
    let acts = server.get("/api/v1/audit?action=token.update&outcome=ok").expect(200);
    assert_eq!(acts["items"].as_array().unwrap().len(), 3);
    assert_eq!(acts["items"][0]["subject"], format!("token/{id}"));
}

#[test]
fn the_default_leaves_admins_alone_and_an_own_limit_locks_none_out() {
    let server = Server::with()
        .env("PANOTTI_RATE_LIMIT_REQUESTS", 2)
        .env("PANOTTI_RATE_LIMIT_PER_SECONDS", 3600)
        .start();
    assert_eq!(passing(&server, 10), 10);
    let (_, client) = key(&server, &["clips:read"], Value::Null);
    assert_eq!(passing(&client, 5), 2);
    let (id, admin) = key(&server, &["admin"], json!({ "requests": 1, "per_seconds": 3600 }));
    assert_eq!(passing(&admin, 5), 1);
    admin.get("/api/v1/tokens").expect(200);
    admin.patch(&format!("/api/v1/tokens/{id}"), json!({ "rate_limit": null })).expect(200);
    assert_eq!(passing(&admin, 5), 5);
}

#[test]
fn a_limited_key_does_not_free_itself() {
    let server = Server::start();
    let limit = json!({ "requests": 50, "per_seconds": 3600 });
    let (own, manager) = key(&server, &["tokens:manage", "clips:read"], limit);
    let (other, _) = key(&server, &["clips:read"], Value::Null);
    let (more, _) = key(&server, &["recordings:read"], Value::Null);
    let lift = json!({ "rate_limit": null });
    manager.patch(&format!("/api/v1/tokens/{own}"), lift.clone()).problem(403, "scope_missing");
    manager.patch(&format!("/api/v1/tokens/{more}"), lift.clone()).problem(403, "scope_missing");
    manager.patch(&format!("/api/v1/tokens/{other}"), lift).expect(200);
}

#[test]
fn limits_are_set_on_the_command_line_and_are_there_after_a_restart() {
    let server = Server::start();
    let data = server.folder().join("data");
    let run = |args: &[&str]| {
        let out = panotti(server.folder(), &[], &[args, &["--data-dir", data.to_str().unwrap()]].concat());
        (out.status.code(), String::from_utf8([out.stdout, out.stderr].concat()).unwrap())
    };
    let (code, told) = run(&["token", "create", "--name", "k", "--scope", "clips:read", "--rate", "2/h"]);
    assert_eq!(code, Some(0), "{told}");
    let key = told.lines().find(|it| it.starts_with("pnt_")).unwrap().to_owned();
    let id = key.split('_').nth(1).unwrap().to_owned();
    let (code, told) = run(&["token", "create", "--name", "k", "--scope", "clips:read", "--rate", "2/week"]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("100/min"), "{told}");
    assert!(run(&["token", "list"]).1.contains("2/h"));
    assert_eq!(run(&["token", "limit", &id, "--rate", "3/h"]), (Some(0), format!("{id} 3/h\n")));
    let server = server.restart();
    assert_eq!(passing(&server.with_key(Some(&key)), 5), 3);
}
