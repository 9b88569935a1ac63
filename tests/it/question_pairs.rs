//! A plugin that alone is asked before and after a request is asked both in one go where one clip is read. Nobody can
//! tell: whatever it does, all is as if each question had gone its own way, as it does when somebody else listens, too.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::client::Answer;

/// Does what a header says, and tells how often it was asked.
const PLUGIN: &str = r#"
    local before, after, spawned = 0, 0, 0
    local did = {
      pass = function() end,
      patch = function() return { headers = { ["x-given"] = "1" } } end,
      nothing = function() return {} end,
      deny = function() return panotti.deny("no", { status = 403 }) end,
      respond = function() return panotti.respond{ status = 203, headers = { ["x-own"] = "1" }, body = "own" } end,
      fail = function() error("broken") end,
      sleep = function() panotti.sleep(0.01) end,
      keep = function() panotti.kv.set("kept", "yes") end,
      publish = function() panotti.events.emit("asked", { before = before }) end,
      look = function() assert(panotti.kv.get("kept") == "yes") end,
      change = function() assert(panotti.clips.update(1, { description = `changed {before}` })) end,
      task = function() panotti.task.spawn(function() spawned += 1 end) end,
    }
    panotti.on.before_request(function(request)
      local what = did[request.headers["x-do"]]
      if what == nil then return end
      before += 1
      return what()
    end)
    panotti.on.after_request(function(response)
      local headers = response.request.headers
      if headers["x-do"] == nil then return end
      after += 1
      if headers["x-after"] == "fail" then error("broken afterwards") end
      if headers["x-after"] == "publish" then panotti.events.emit("answered", {}) end
      local told = `{response.status} {headers["x-given"] or "-"} {before} {after} {spawned} {response.duration < 1}`
      return { headers = { ["x-told"] = told } }
    end)
"#;

/// What listens to everything and is never asked.
const BYSTANDER: &str = "panotti.on.before_request(function() error('asked') end, { when = { method = 'PUT', path = '/never' } })";

#[derive(Debug, PartialEq)]
struct Seen {
    what: String,
    status: u16,
    told: Option<String>,
    own: Option<String>,
    body: Value,
}

fn seen(what: &str, answer: &Answer) -> Seen {
    let header = |name: &str| answer.header(name).map(str::to_owned);
    let mut body = serde_json::from_slice(&answer.body).unwrap_or_else(|_| json!(answer.body.len()));
    for moment in ["created_at", "updated_at", "started_at", "request_id", "instance", "trace_id"] {
        body.as_object_mut().map(|it| it.remove(moment));
    }
    Seen { what: what.to_owned(), status: answer.status, told: header("x-told"), own: header("x-own"), body }
}

/// All that is seen of requests for one clip and one recording, and what is left behind.
fn story(server: &Server) -> (Vec<Seen>, Value, Value) {
    server.post("/api/v1/clips", json!({ "title": "t", "file_path": "/x.mp4" })).expect(201);
    server.post("/api/v1/recordings", json!({ "id": "r" })).expect(201);
    let mut all = Vec::new();
    for path in ["/api/v1/clips/1", "/api/v1/recordings/r", "/api/v1/clips/999"] {
        for what in [
            "pass", "patch", "nothing", "deny", "respond", "fail", "sleep", "keep", "look", "publish",
            "change", "task", "pass",
        ] {
            for after in ["", "fail", "publish"] {
                let headers = [("x-do", what), ("x-after", after)];
                // After one that was asked in vain some are asked one by one.
                (0..16).for_each(|_| drop(server.get(path)));
                all.push(seen(&format!("{path} {what} {after}"), &server.get_with(path, &headers)));
                // Strangers are soon told to wait.
                if after.is_empty() && path.ends_with("/1") {
                    let nobody = server.with_key(None).get_with(path, &headers);
                    all.push(seen(&format!("{path} {what}, without a key"), &nobody));
                }
            }
        }
    }
    let kept = server.get("/api/v1/plugins/both/status").expect(200);
    let calls = json!([kept["calls"], kept["outcomes"], kept["hooks"]["before_request"]["calls"]]);
    let events = server.get("/api/v1/events?type=plugin.both.*&limit=200").expect(200);
    let types: Value = events["items"].as_array().unwrap().iter().map(|it| it["type"].clone()).collect();
    (all, calls, types)
}

#[test]
fn nobody_can_tell_that_both_questions_were_asked_in_one_go() {
    let strict = ("PANOTTI_BREAKER_KILLS", "10000");
    let rights = "permissions: { clips: [write] }";
    let both = || {
        Server::with()
            .plugin("both", PLUGIN)
            .plugin_file("both", "plugin.yaml", rights)
            .env(strict.0, strict.1)
    };
    let alone = both().start();
    let beside = both().plugin("bystander", BYSTANDER).start();
    let (alone, beside) = (story(&alone), story(&beside));
    for (one, other) in alone.0.iter().zip(&beside.0) {
        assert_eq!(one, other);
    }
    assert_eq!((&alone.1, &alone.2), (&beside.1, &beside.2));
    assert!(
        alone.0.iter().any(|it| it.told.as_deref().is_some_and(|it| it.starts_with("200 "))),
        "{alone:#?}"
    );
}

/// Lets nobody read what is secret.
const GATE: &str = r#"
    panotti.on.before_request(function(request)
      local id = tonumber(request.path:match("^/api/v1/clips/(%d+)$"))
      local clip = if request.method == "GET" and id then panotti.clips.get(id) else nil
      if clip and clip.description == "secret" then return panotti.deny("not yet", { status = 403 }) end
    end)
    panotti.on.after_request(function() return { headers = { ["x-gate"] = "open" } } end)
"#;

#[test]
fn what_a_gate_lets_pass_is_never_older_than_what_it_has_looked_at() {
    let rights = "permissions: { clips: [read] }";
    let server = Server::with().plugin("gate", GATE).plugin_file("gate", "plugin.yaml", rights).start();
    let newest = AtomicU64::new(0);
    let opened = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while opened.load(Ordering::Relaxed) < 400 {
                    let id = newest.load(Ordering::Relaxed);
                    let answer = server.get(&format!("/api/v1/clips/{id}"));
                    let is_secret = answer.status == 200 && answer.json()["description"] == "secret";
                    assert!(!is_secret, "the gate let a secret out: {}", answer.json());
                }
            });
        }
        for _ in 0..400 {
            let clip = json!({ "title": "t", "file_path": "/x.mp4", "description": "secret" });
            let id = server.post("/api/v1/clips", clip).expect(201)["id"].as_u64().unwrap();
            newest.store(id, Ordering::Relaxed);
            server.patch(&format!("/api/v1/clips/{id}"), json!({ "description": "open" })).expect(200);
            opened.fetch_add(1, Ordering::Relaxed);
        }
    });
    let last = server.get(&format!("/api/v1/clips/{}", newest.into_inner()));
    assert_eq!(
        (last.expect(200)["description"].as_str(), last.header("x-gate")),
        (Some("open"), Some("open"))
    );
}

#[test]
fn how_long_a_request_took_is_the_same_for_all_who_are_told() {
    let told = |name: &str, before: &str| {
        format!(
            "panotti.on.after_request(function(response)
               local took = tostring(response.duration); {before}
               return {{ headers = {{ ['x-{name}'] = took }} }}
             end)"
        )
    };
    let first = told("first", "panotti.sleep(0.05)");
    let server = Server::with().plugin("a", &first).plugin("b", &told("second", "")).start();
    let answer = server.get("/api/v1/clips");
    assert_eq!(answer.header("x-first").unwrap(), answer.header("x-second").unwrap());
}
