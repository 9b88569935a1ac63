//! A plugin that alone is asked before and after a request is asked both in one go where one clip is read. Nobody can
//! tell: whatever it does, all is as if each question had gone its own way, as it does when somebody else listens, too.

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::client::Answer;

/// Does what a header says, and tells how often it was asked.
const PLUGIN: &str = r#"
    local before, after = 0, 0
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
      task = function() panotti.task.spawn(function() panotti.kv.incr("tasks") end) end,
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
      local told = `{response.status} {headers["x-given"] or "-"} {before} {after} {response.duration < 1}`
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
    let alone = Server::with().plugin("both", PLUGIN).env(strict.0, strict.1).start();
    let beside =
        Server::with().plugin("both", PLUGIN).plugin("bystander", BYSTANDER).env(strict.0, strict.1).start();
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
