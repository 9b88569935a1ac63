//! `POST /api/v1/plugins/{id}/reload` and what an edit means to calls under way, state, dependents and grants.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::server::wait_for;

fn save(server: &Server, plugin: &str, file: &str, text: &str) {
    std::fs::write(server.folder().join("plugins").join(plugin).join(file), text).unwrap();
}

/// What a route answers as text.
fn text(server: &Server, path: &str) -> String {
    let answer = server.get(path);
    answer.expect_bytes(200);
    String::from_utf8(answer.body).unwrap()
}

fn reload(server: &Server, plugin: &str) -> Value {
    server.post(&format!("/api/v1/plugins/{plugin}/reload"), json!({})).expect(200)
}

const ROUTES: &str = "permissions: { routes: true }\n";

#[test]
fn a_call_under_way_ends_on_the_generation_it_began_on() {
    let slow = |name: &str| {
        format!(
            "panotti.route('GET', '/slow', function(r, ctx) panotti.sleep(1.5) return '{name}/' .. ctx.generation end)"
        )
    };
    let server = Server::with().plugin("p", &slow("old")).plugin_file("p", "plugin.yaml", ROUTES).start();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| text(&server, "/api/v1/plugins/p/x/slow"));
        wait_for("the call to be under way", || {
            let status = server.get("/api/v1/plugins/p/status").expect(200);
            (status["in_flight"] == 1).then_some(())
        });
        save(&server, "p", "init.lua", &slow("new"));
        let edited = reload(&server, "p");
        assert_eq!(
            (&edited["generation"], &edited["live"], &edited["version"]),
            (&json!(2), &json!(true), &json!(2))
        );
        assert_eq!(text(&server, "/api/v1/plugins/p/x/slow"), "new/2");
        assert_eq!(asked.join().unwrap(), "old/1");
    });
    let told = server.wait_for_log("the reload", |it| {
        it["message"].as_str().is_some_and(|it| it.starts_with("reload p g1 -> g2 ok"))
    });
    assert!(told["message"].as_str().unwrap().ends_with("1 call finishes on g1"), "{told}");
}

#[test]
fn a_hook_may_have_its_own_plugin_made_anew() {
    // The hook waits for the reload that a client asks for on its behalf.
    let source = "
        panotti.route('GET', '/again', function(r, ctx)
          panotti.kv.cas('asked', nil, true)
          for _ = 1, 100 do
            if panotti.kv.get('done') then return 'still ' .. ctx.generation end
            panotti.sleep(0.1)
          end
        end)
        panotti.on.on_unload(function() return { from = 'old' } end)
        panotti.on.on_load(function(state) if state then panotti.kv.set('done', state.from) end end)";
    let server = Server::with().plugin("p", source).plugin_file("p", "plugin.yaml", ROUTES).start();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| text(&server, "/api/v1/plugins/p/x/again"));
        wait_for("the call to be under way", || {
            let status = server.get("/api/v1/plugins/p/status").expect(200);
            (status["in_flight"] == 1).then_some(())
        });
        assert_eq!(reload(&server, "p")["generation"], 2);
        assert_eq!(asked.join().unwrap(), "still 1");
    });
}

#[test]
fn an_edit_that_fails_changes_nothing_and_is_told_everywhere() {
    let good = "panotti.route('GET', '/v', function() return 'good' end)";
    let server = Server::with().plugin("p", good).plugin_file("p", "plugin.yaml", ROUTES).start();
    let before = server.get("/api/v1/plugins/p").expect(200);
    for (source, outcome, line, part) in [
        ("local x = = 1\n", "syntax", json!(1), "= = 1"),
        ("local x = 1\nerror('no')\n", "runtime", json!(2), "error('no')"),
        ("while true do\nend\n", "deadline", json!(1), "while true do"),
        ("panotti.on.on_load(function()\n  error('not me')\nend)\n", "runtime", json!(2), "not me"),
        ("panotti.on.on_clip_capture(function() end)\n", "runtime", json!(1), "on_clip_capture"),
    ] {
        save(&server, "p", "init.lua", source);
        let problem = server.post("/api/v1/plugins/p/reload", json!({})).problem(422, "plugin_load_failed");
        let fault = &problem["errors"][0];
        assert_eq!((&fault["outcome"], &fault["line"]), (&json!(outcome), &line), "{source}: {problem}");
        assert!(fault["excerpt"].as_str().is_some_and(|it| it.contains(part)), "{problem}");
        assert_eq!(text(&server, "/api/v1/plugins/p/x/v"), "good");
        let now = server.get("/api/v1/plugins/p").expect(200);
        assert_eq!(
            (&now["state"], &now["generation"], &now["hash"]),
            (&json!("running"), &before["generation"], &before["hash"])
        );
        assert_eq!(now["last_error"]["line"], line);
        let told = server.get("/api/v1/events?type=plugin.reload_failed&limit=100").expect(200);
        let last = told["items"].as_array().unwrap().last().unwrap();
        assert_eq!(last["data"]["error"]["outcome"], outcome, "{last}");
    }
    save(&server, "p", "init.lua", good);
    assert_eq!(reload(&server, "p")["generation"].as_u64().unwrap(), 7);
    assert_eq!(server.get("/api/v1/plugins/p").expect(200)["last_error"], Value::Null);
}

#[test]
fn those_that_need_one_another_take_over_together() {
    let base = |n: u32| format!("panotti.export('number', function() return {n} end)");
    let user = "
        local loaded
        panotti.on.on_load(function() loaded = panotti.import('base').number() end)
        panotti.route('GET', '/v', function() return { loaded, (panotti.import('base').number()) } end)";
    let server = Server::with()
        .plugin("base", &base(1))
        .plugin("user", user)
        .plugin_file("user", "plugin.yaml", "dependencies: [base]\npermissions: { routes: true }\n")
        .start();
    let told = || server.get("/api/v1/plugins/user/x/v").json();
    assert_eq!(told(), json!([1, 1]));
    save(&server, "base", "init.lua", &base(2));
    let edited = reload(&server, "base");
    assert_eq!(
        (&edited["renewed"], told()),
        (&json!(["user"]), json!([2, 2])),
        "its on_load saw the new one"
    );
    // The dependent cannot live without what is taken away: neither changes.
    save(&server, "base", "init.lua", "panotti.export('other', function() end)");
    let problem = server.post("/api/v1/plugins/base/reload", json!({})).problem(422, "plugin_load_failed");
    assert!(
        problem["detail"].as_str().unwrap().contains("`user`, which depends on it, does not load with it"),
        "{problem}"
    );
    assert_eq!(told(), json!([2, 2]));
}

#[test]
fn a_version_that_asks_for_more_takes_over_when_it_is_granted() {
    let server = Server::with()
        .plugin("p", "panotti.route('GET', '/v', function() return 1 end)")
        .plugin_file("p", "plugin.yaml", ROUTES)
        .start();
    save(&server, "p", "plugin.yaml", "permissions: { routes: true, http: [api.example] }\n");
    save(&server, "p", "init.lua", "panotti.route('GET', '/v', function() return 2 end)");
    let problem = server.post("/api/v1/plugins/p/reload", json!({})).problem(422, "plugin_load_failed");
    assert_eq!(
        (&problem["errors"][0]["outcome"], &problem["errors"][0]["line"]),
        (&json!("denied"), &json!(1)),
        "{problem}"
    );
    assert_eq!(server.get("/api/v1/plugins/p/x/v").json(), 1);
    assert_eq!(
        server.get("/api/v1/plugins/p/grants").expect(200)["waiting"],
        json!({ "http": ["api.example"] })
    );
    server.post("/api/v1/plugins/p/grants", json!({ "all": true })).expect(200);
    assert_eq!(server.get("/api/v1/plugins/p/x/v").json(), 2);
}

#[test]
fn an_unloaded_plugin_stays_off_until_it_is_loaded_or_the_server_restarts() {
    let server = Server::with().plugin("p", "panotti.on.on_startup(function() end)").start();
    let state = |server: &Server| server.get("/api/v1/plugins/p").expect(200)["state"].clone();
    let unloaded = server.post("/api/v1/plugins/p/unload", json!({})).expect(200);
    assert_eq!((&unloaded["state"], &unloaded["enabled"]), (&json!("disabled"), &json!(true)));
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(state(&server), "disabled");
    let refused = server.post("/api/v1/plugins/p/reload", json!({})).problem(409, "plugin_not_running");
    assert!(refused["hint"].as_str().unwrap().contains("/plugins/p/load"), "{refused}");
    let status = server.get("/api/v1/plugins/p/status").expect(200);
    assert!(status["warnings"][0].as_str().unwrap().starts_with("unloaded: "), "{status}");
    assert_eq!(server.post("/api/v1/plugins/p/load", json!({})).expect(200)["state"], "running");
    server.post("/api/v1/plugins/p/unload", json!({})).expect(200);
    let server = server.restart();
    assert_eq!(state(&server), "running");
}

#[test]
fn generations_that_were_replaced_leave_nothing_behind() {
    let server = Server::with().plugin("p", "local kept = {} for n = 1, 20000 do kept[n] = tostring(n) end panotti.on.on_startup(function() return kept end)").start();
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap_or_default();
        let line = status.lines().find(|it| it.starts_with("VmRSS:")).map(str::to_owned);
        line.and_then(|it| it.split_whitespace().nth(1)?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    };
    (0..20).for_each(|_| _ = reload(&server, "p"));
    std::thread::sleep(Duration::from_millis(500));
    let before = resident();
    (0..100).for_each(|_| _ = reload(&server, "p"));
    // Each holds more than 1 MiB.
    let grown =
        wait_for("the former generations to go", || Some(resident() - before).filter(|it| *it < 40.0));
    assert!(grown < 40.0);
}

#[test]
fn a_plugin_that_loads_slowly_keeps_nobody_from_stopping_another_one() {
    let slow = |n: u32| format!("panotti.on.on_load(function() panotti.sleep({n}) end)");
    let harmful = "panotti.on.before_recording_start(function() return { metadata = { harm = true } } end)";
    let mut server = Server::with().plugin("harmful", harmful);
    for name in ["a", "b"] {
        server = server.plugin(name, "");
    }
    let server = server.start();
    let is_harmed =
        || server.post("/api/v1/recordings", json!({})).expect(201)["metadata"]["harm"] == json!(true);
    assert!(is_harmed());
    let ended = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for name in ["a", "b"] {
            let (server, ended, text) = (&server, &ended, slow(6));
            scope.spawn(move || {
                let path = format!("/api/v1/plugins/{name}/files/init.lua");
                server.send("PUT", &path, &[("If-Match", "*")], Some(text.as_bytes())).expect(200);
                ended.lock().unwrap().push("edit");
            });
        }
        // Both have come, and one of them is under way.
        std::thread::sleep(Duration::from_secs(1));
        let stopping = scope.spawn(|| {
            server.post("/api/v1/plugins/harmful/disable", json!({})).expect(200);
            ended.lock().unwrap().push("stopped");
        });
        wait_for("it is not called any more", || (!is_harmed()).then_some(()));
        assert_eq!(*ended.lock().unwrap(), [""; 0], "the first edit was not to be waited for");
        stopping.join().unwrap();
    });
    assert_eq!(ended.lock().unwrap().last(), Some(&"edit"), "the second edit was not to be waited for");
    assert_eq!(server.get("/api/v1/plugins/harmful/status").expect(200)["state"], "disabled");
    server.post("/api/v1/plugins/harmful/enable", json!({})).expect(200);
    assert!(is_harmed());
}

#[test]
fn a_version_that_never_ends_its_last_words_gives_way_to_a_mended_one() {
    let hangs = "panotti.on.on_unload(function() panotti.sleep(60) end)";
    let server = Server::with().env("PANOTTI_STARTUP_S", 4).plugin("stuck", hangs).start();
    let mended = "panotti.on.on_load(function(state) panotti.sleep(0.2) panotti.log.info('mended') end)";
    let path = "/api/v1/plugins/stuck/files/init.lua";
    server.send("PUT", path, &[("If-Match", "*")], Some(mended.as_bytes())).expect(200);
    wait_for("its on_load", || server.log_lines().iter().any(|it| it["message"] == "mended").then_some(()));
}
