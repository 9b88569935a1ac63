//! The audit log: each administrative act is there once, with who, what, when, for which request and how it ended.

use std::process::Command;

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::client::Answer;

const PLUGIN: &str = r#"
panotti.on.on_clip_captured(function() panotti.assets.save("a.txt", "x") end)
panotti.schedule.every(3600, "hourly", function() end)
panotti.route("POST", "/do", function() return { body = "done" } end)
"#;

const MANIFEST: &str = "\
permissions: { routes: true, assets: true, schedule: true, http: [api.example] }
config_schema:
  properties:
    level: { type: integer }
    password: { type: string, writeOnly: true }
";

fn furnished() -> Server {
    Server::with().plugin("busy", PLUGIN).plugin_file("busy", "plugin.yaml", MANIFEST).start()
}

/// The acts of one request.
fn acts(server: &Server, request_id: &str) -> Vec<Value> {
    let page = server.get(&format!("/api/v1/audit?request_id={request_id}")).expect(200);
    page["items"].as_array().unwrap().clone()
}

/// What clients keep, what plugins do themselves, and what is thrown away: no acts.
fn is_act(path: &str, operation: &str) -> bool {
    let is_content = ["recordings", "clips", "uploads", "libraries"]
        .iter()
        .any(|noun| path.starts_with(&format!("/api/v1/{noun}")));
    let thrown_away = [
        "publishEvent",
        "validatePluginConfig",
        "previewPlugin",
        "testPlugin",
        "checkPluginDraft",
        "validatePlugin",
        "replayCallTrace",
    ];
    path.starts_with("/api/v1/") && !is_content && !path.contains("/x/") && !thrown_away.contains(&operation)
}

#[test]
fn whatever_a_changing_route_comes_to_is_in_the_audit_log_once() {
    let server = furnished();
    let document = server.get("/api/openapi.json").expect(200);
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(method, _)| *method != "get") {
            let name = operation["operationId"].as_str().unwrap();
            let mut parts = path.split(['{', '}']);
            let mut filled = parts.next().unwrap().to_owned();
            while let (Some(_), Some(rest)) = (parts.next(), parts.next()) {
                filled.push_str("987654");
                filled.push_str(rest);
            }
            let id = format!("walk-{name}");
            let headers = [("X-Request-Id", id.as_str()), ("Content-Type", "application/json")];
            let status = server.send(&method.to_uppercase(), &filled, &headers, Some(b"{}")).status;
            let found = acts(&server, &id);
            let wanted = usize::from(is_act(path, name));
            assert_eq!(found.len(), wanted, "{method} {filled} answered {status}: {found:#?}");
            asked += wanted;
            for act in &found {
                let outcome = if status < 400 { "ok" } else { "failed" };
                assert_eq!(
                    (&act["outcome"], &act["actor_name"]),
                    (&json!(outcome), &json!("admin")),
                    "{act}"
                );
                assert!(act["actor"].as_str().unwrap().starts_with("key/"), "{act}");
                assert!(act["action"].as_str().unwrap().contains('.'), "no name for the act: {act}");
            }
        }
    }
    assert!(asked > 40, "{asked}");
}

#[test]
fn acts_that_are_done_are_noted_once_with_what_they_were_done_to_and_without_secrets() {
    let server = furnished();
    let mut number = 0;
    let mut done = |method: &str, path: &str, body: Value, action: &str, subject: &str| -> Answer {
        number += 1;
        let id = format!("act-{number}");
        let answer = server.json_with(method, path, &[("X-Request-Id", id.as_str())], body);
        assert!(answer.status < 300, "{method} {path}: {}", String::from_utf8_lossy(&answer.body));
        let found = acts(&server, &id);
        assert_eq!(found.len(), 1, "{method} {path}: {found:#?}");
        assert_eq!(found[0]["action"], action, "{method} {path}");
        assert!(found[0]["subject"].as_str().unwrap_or_default().starts_with(subject), "{}", found[0]);
        assert_eq!((&found[0]["outcome"], &found[0]["actor_name"]), (&json!("ok"), &json!("admin")));
        answer
    };
    let mut secrets = Vec::new();
    let token = json!({ "name": "phone", "scopes": ["clips:read"] });
    let made = done("POST", "/api/v1/tokens", token, "token.create", "token/").expect(201);
    secrets.push(made["token"].as_str().unwrap().rsplit('_').next().unwrap().to_owned());
    let token = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    let made = done("POST", &format!("{token}/rotate"), json!({}), "token.rotate", "token/").expect(200);
    secrets.push(made["token"].as_str().unwrap().rsplit('_').next().unwrap().to_owned());
    done("DELETE", &token, json!({}), "token.revoke", "token/");
    done("DELETE", &token, json!({}), "token.revoke", "token/");

    let plugin = "/api/v1/plugins/busy";
    done("POST", "/api/v1/plugins/rescan", json!({}), "plugins.rescan", "");
    done("POST", &format!("{plugin}/reload"), json!({}), "plugin.reload", "plugin/busy");
    done("POST", &format!("{plugin}/enable"), json!({}), "plugin.enable", "plugin/busy");
    done("POST", &format!("{plugin}/enable"), json!({}), "plugin.enable", "plugin/busy");
    done("POST", &format!("{plugin}/unload"), json!({}), "plugin.unload", "plugin/busy");
    done("POST", &format!("{plugin}/load"), json!({}), "plugin.load", "plugin/busy");
    done("PATCH", plugin, json!({ "description": "busy" }), "plugin.update", "plugin/busy");
    done("POST", &format!("{plugin}/grants"), json!({ "all": true }), "plugin.grant", "plugin/busy");
    done("POST", &format!("{plugin}/breaker/reset"), json!({}), "plugin.breaker_reset", "plugin/busy");
    let config = format!("{plugin}/config");
    let row =
        done("POST", &config, json!({ "key": "level", "value": 3 }), "plugin.config.create", "plugin/busy");
    let row = format!("{config}/{}", row.expect(201)["id"]);
    done("PUT", &row, json!({ "value": 4 }), "plugin.config.update", "plugin/busy");
    done("DELETE", &row, json!({}), "plugin.config.delete", "plugin/busy");
    let secret = json!({ "key": "password", "value": "hunter2-hunter2" });
    done("POST", &config, secret, "plugin.config.create", "plugin/busy");
    secrets.push("hunter2-hunter2".to_owned());
    let schedule = server.get("/api/v1/schedules").expect(200)["items"][0]["id"].to_string();
    let schedule = format!("/api/v1/schedules/{schedule}");
    done("PATCH", &schedule, json!({ "paused": true }), "schedule.pause", "plugin/busy");
    done("POST", &format!("{schedule}/run"), json!({}), "schedule.run", "schedule/");
    server.post("/api/v1/clips", json!({ "title": "a", "file_path": "/a" })).expect(201);
    done("DELETE", &format!("{plugin}/assets/a.txt"), json!({}), "plugin.asset.delete", "plugin/busy");

    let schema = json!({ "type": "object" });
    done("PUT", "/api/v1/events/types/door.opened/schema", schema, "event_schema.set", "event/door.opened");
    done("DELETE", "/api/v1/events/types/door.opened/schema", json!({}), "event_schema.delete", "event/");
    let hook = json!({ "name": "n", "url": "https://example.com/in", "events": ["**"] });
    let hook = done("POST", "/api/v1/webhooks", hook, "webhook.create", "webhook/").expect(201);
    secrets.push(hook["secret"].as_str().unwrap().to_owned());
    let hook = format!("/api/v1/webhooks/{}", hook["id"].as_str().unwrap());
    done("PATCH", &hook, json!({ "enabled": false }), "webhook.update", "webhook/");
    let turned =
        done("POST", &format!("{hook}/rotate-secret"), json!({}), "webhook.rotate_secret", "webhook/");
    secrets.push(turned.expect(200)["secret"].as_str().unwrap().to_owned());
    done("DELETE", &hook, json!({}), "webhook.delete", "webhook/");
    done("POST", "/api/v1/backups", json!({}), "backup.start", "backup/");
    done("DELETE", &format!("{plugin}?purge=true"), json!({}), "plugin.delete", "plugin/busy");

    let all = server.get("/api/v1/audit?limit=1000");
    let all = String::from_utf8(all.body).unwrap();
    for secret in secrets {
        assert!(!all.contains(&secret), "{secret} is in the audit log");
    }
}

#[test]
fn who_may_not_is_noted_once_in_a_while_and_who_has_no_key_is_not() {
    let server = Server::start();
    let made =
        server.post("/api/v1/tokens", json!({ "name": "phone", "scopes": ["clips:read"] })).expect(201);
    let phone = server.with_key(made["token"].as_str());
    for _ in 0..20 {
        phone
            .post("/api/v1/tokens", json!({ "name": "x", "scopes": ["admin"] }))
            .problem(403, "scope_missing");
    }
    phone.post("/api/v1/plugins/rescan", json!({})).problem(403, "scope_missing");
    server.with_key(None).post("/api/v1/tokens", json!({})).problem(401, "key_missing");
    let denied = server.get("/api/v1/audit?outcome=denied").expect(200);
    let denied: Vec<(&str, &str)> = denied["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["actor_name"].as_str().unwrap(), it["action"].as_str().unwrap()))
        .collect();
    assert_eq!(denied, [("phone", "plugins.rescan"), ("phone", "token.create")]);
}

#[test]
fn acts_are_found_over_http_and_on_the_command_line_and_the_oldest_go() {
    let server = Server::with().env("PANOTTI_RETENTION_AUDIT_MAX", 2).start();
    for name in ["a", "b", "c"] {
        server.post("/api/v1/tokens", json!({ "name": name, "scopes": ["clips:read"] })).expect(201);
    }
    let first = server.get("/api/v1/audit?action=token.&limit=2").expect(200);
    let names: Vec<_> = first["items"].as_array().unwrap().iter().map(|it| &it["detail"]["name"]).collect();
    assert_eq!(names, ["c", "b"]);
    let rest = server.get(&format!("/api/v1/audit?before={}", first["next"])).expect(200);
    assert_eq!(rest["items"][0]["detail"]["name"], "a", "{rest}");
    assert_eq!(server.get("/api/v1/audit?actor=admin").expect(200)["items"].as_array().unwrap().len(), 3);
    assert_eq!(server.get("/api/v1/audit?to=2020-01-01T00:00:00Z").expect(200)["items"], json!([]));
    server.get("/api/v1/audit?outcome=good").problem(400, "bad_query");

    let out = Command::new(env!("CARGO_BIN_EXE_panotti"))
        .current_dir(server.folder())
        .args(["audit", "--action", "token.create", "--limit", "1"])
        .output()
        .unwrap();
    let told = String::from_utf8(out.stdout).unwrap();
    assert!(
        out.status.success() && told.lines().count() == 2,
        "{told}{}",
        String::from_utf8_lossy(&out.stderr)
    );
    assert!(
        told.contains("(admin)") && told.contains("token.create") && told.contains("\"name\":\"c\""),
        "{told}"
    );

    // The first look after a start is at once.
    let server = server.restart();
    crate::common::server::wait_for("the oldest acts to go", || {
        let left = server.get("/api/v1/audit").expect(200);
        (left["items"].as_array().unwrap().len() == 2).then_some(())
    });
}
