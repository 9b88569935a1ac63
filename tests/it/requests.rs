//! What plugins can do around a request, and what they cannot.

use serde_json::{Value, json};

use crate::common::Server;

#[test]
fn a_plugin_refuses_answers_and_dresses_requests() {
    let server = Server::with()
        .plugin(
            "gate",
            r#"
            panotti.on.before_request(function(request)
              if request.path == "/api/v1/clips/13" then return panotti.deny("unlucky", { status = 403 }) end
              if request.path == "/teapot" then
                return panotti.respond{ status = 203, headers = { ["x-tea"] = "hot" }, body = "tea" }
              end
              return { headers = { ["x-seen"] = "yes" } }
            end)
            panotti.on.after_request(function(response)
              return { headers = { ["x-after"] = response.request.headers["x-seen"] .. response.status } }
            end)
            "#,
        )
        .start();
    let refused = server.get("/api/v1/clips/13").problem(403, "hook_denied");
    assert_eq!(refused["reason"], "unlucky");
    let tea = server.get("/teapot");
    assert_eq!((tea.status, tea.header("x-tea"), tea.body.as_slice()), (203, Some("hot"), &b"tea"[..]));
    assert_eq!(server.get("/api/v1/clips").header("x-after"), Some("yes200"));
    // Also for those that are turned away for want of a key, and those that lead nowhere.
    assert_eq!(server.with_key(None).get("/api/v1/clips").header("x-after"), Some("yes401"));
    assert_eq!(server.get("/nothing").header("x-after"), Some("yes404"));
    // Never for probes and static files.
    assert_eq!(server.get("/healthz").header("x-after"), None);
    assert_eq!(server.get("/api/docs/index.css").header("x-after"), None);
}

#[test]
fn each_plugin_is_shown_what_those_before_it_left_of_a_request() {
    let first = "panotti.on.before_request(function(request)
          request.path = '/changed in place'
          return { headers = { ['x-a'] = '1', ['x-b'] = '1' } }
        end, { priority = 2 })
        panotti.on.before_request(function(request) return request end, { priority = 1 })";
    let second = "panotti.on.before_request(function(request)
          return { headers = { ['x-a'] = request.headers['x-a'] .. '2', ['x-b'] = panotti.json.null, accept = request.method } }
        end, { when = { method = 'GET', ['headers.x-a'] = '1' } })
        panotti.on.before_request(function() error('a filter let it pass') end, { when = { method = 'PUT' }, on_error = 'deny' })";
    let last = "panotti.on.after_request(function(response)
          local names = {}
          for name in pairs(response.request) do table.insert(names, name) end
          table.sort(names)
          local headers = response.request.headers
          local told = table.concat(names, ' ') .. ' | ' .. headers['x-a'] .. ' ' .. tostring(headers['x-b']) .. ' '
            .. headers.accept .. ' ' .. response.request.path .. ' ' .. typeof(response.duration)
          return { headers = { ['x-told'] = told, ['x-gone'] = 'a' } }
        end, { priority = 1 })
        panotti.on.after_request(function(response)
          return { headers = { ['x-told'] = response.headers['x-told'] .. '!', ['x-gone'] = panotti.json.null } }
        end)";
    let server = Server::with().plugin("a", first).plugin("b", second).plugin("c", last).start();
    let answer = server.get("/api/v1/clips");
    let told = "headers id method path query remote | 12 nil GET /api/v1/clips number!";
    assert_eq!((answer.status, answer.header("x-told"), answer.header("x-gone")), (200, Some(told), None));
}

#[test]
fn no_plugin_sees_a_secret_or_lends_a_key() {
    let source = r#"
        panotti.on.before_request(function(request)
          for _, name in { "authorization", "cookie", "x-api-key" } do
            if request.headers[name] then return panotti.deny("saw " .. name) end
          end
          return { headers = { authorization = "Bearer " .. KEY, ["x-api-key"] = KEY, host = "evil.example" } }
        end)
    "#;
    let server = Server::start();
    let key = std::fs::read_to_string(server.folder().join("data/admin.token")).unwrap();
    let plugin = server.folder().join("plugins/lender");
    std::fs::create_dir_all(&plugin).unwrap();
    let source = format!("local KEY = {:?}\n{source}", key.trim());
    std::fs::write(plugin.join("init.lua"), source).unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    let bearer = format!("Bearer {}", key.trim());
    let headers = [("Authorization", bearer.as_str()), ("Cookie", "a=b")];
    server.send("GET", "/api/v1/clips", &headers, None).expect(200);
    server.with_key(None).get("/api/v1/clips").problem(401, "key_missing");
}

#[test]
fn a_gate_that_refuses_everything_locks_no_admin_out() {
    let gate = "panotti.on.before_request(function() return panotti.deny('closed') end)";
    let broken = "panotti.on.before_request(function() error('broken') end, { on_error = 'deny' })";
    let server = Server::with().plugin("gate", gate).plugin("later", broken).start();
    server.get("/api/v1/clips").problem(422, "hook_denied");
    server.get("/api/v1/pluginsx").problem(422, "hook_denied");
    server.get("/api/v1/plugins").expect(200);
    server.post("/api/v1/plugins/gate/disable", json!({})).expect(200);
    server.get("/api/v1/clips").problem(422, "hook_denied");
    server.post("/api/v1/plugins/later/disable", json!({})).expect(200);
    server.get("/api/v1/clips").expect(200);
}

#[test]
fn what_a_request_hook_keeps_is_kept() {
    let counter = r#"
        panotti.on.before_request(function(request)
          if request.path == "/count" then
            return panotti.respond{ status = 200, json = { seen = panotti.kv.get("seen") or 0 } }
          end
          panotti.kv.incr("seen")
        end)
    "#;
    let server = Server::with().plugin("counter", counter).start();
    for _ in 0..3 {
        server.get("/api/v1/clips").expect(200);
    }
    assert_eq!(server.get("/count").expect(200)["seen"], 3);
}

#[test]
fn strangers_cannot_keep_the_plugins_busy() {
    let slow = "panotti.on.before_request(function() end)";
    let server = Server::with().plugin("busy", slow).start();
    let stranger = server.with_key(None);
    let answers: Vec<u16> = (0..60).map(|_| stranger.get("/api/v1/clips").status).collect();
    assert!(answers.contains(&401) && answers.contains(&429), "{answers:?}");
    server.get("/api/v1/clips").expect(200);
}

#[test]
fn a_gate_that_fails_closed_shows_its_source_to_nobody_who_may_not_read_it() {
    let gate = "local SECRET_RULE = 'internal threshold 42'\n\
        panotti.on.before_request(function(r) if r.path == '/api/v1/clips' then error('broke') end end, { on_error = 'deny' })";
    let server = Server::with().plugin("gate", gate).start();
    let refused = server.with_key(None).get("/api/v1/clips").problem(422, "hook_denied");
    assert!(refused["reason"].as_str().unwrap().contains("it failed (runtime) and denies then"), "{refused}");
    assert!(!refused.to_string().contains("SECRET_RULE") && refused["errors"] == Value::Null, "{refused}");
    // Who may read it finds it by its trace.
    let trace = server.get(&format!("/api/v1/traces/{}", refused["trace_id"].as_str().unwrap())).expect(200);
    assert!(trace.to_string().contains("broke"), "{trace}");
}
