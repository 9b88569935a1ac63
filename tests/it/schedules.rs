//! Functions that plugins have called at their times.

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::server::wait_for;

const TICKER: &str = r#"panotti.schedule.every(1, "tick", function(run, ctx)
  panotti.kv.incr("ticks")
  panotti.kv.set("last", { name = run.name, cause = run.cause, hook = ctx.hook })
end)
panotti.schedule.cron("0 3 * * *", "nightly", function() error("at night") end, { tz = "Europe/Berlin" })
panotti.on.on_clip_captured(function() return { metadata = { ticks = panotti.kv.get("ticks"), last = panotti.kv.get("last") } } end)"#;

/// None while its plugin has not been loaded, or not told of it.
fn found(server: &Server, name: &str) -> Option<Value> {
    let all = server.get("/api/v1/schedules").expect(200);
    all["items"].as_array().unwrap().iter().find(|it| it["name"] == name).cloned()
}

fn named(server: &Server, name: &str) -> Value {
    found(server, name).unwrap_or_else(|| panic!("there is no schedule {name}"))
}

fn kept(server: &Server) -> Value {
    server.post("/api/v1/clips", json!({"title": "t", "file_path": "/x"})).expect(201)["metadata"].clone()
}

#[test]
fn a_schedule_runs_at_its_times_and_goes_on_after_a_reload_and_a_restart() {
    let server = Server::with().plugin("ticker", TICKER).start();
    wait_for("two ticks", || Some(kept(&server)).filter(|it| it["ticks"].as_f64() >= Some(2.0)));
    assert_eq!(kept(&server)["last"], json!({"name": "tick", "cause": "timer", "hook": "timer"}));
    let (tick, nightly) = (named(&server, "tick"), named(&server, "nightly"));
    assert_eq!(
        (&tick["state"], &tick["when"], &tick["kind"]),
        (&json!("active"), &json!("1"), &json!("every"))
    );
    assert_eq!((&nightly["tz"], &nightly["last_run"]), (&json!("Europe/Berlin"), &Value::Null));
    let whole = server.get(&format!("/api/v1/schedules/{}", tick["id"])).expect(200);
    let runs = whole["runs"].as_array().unwrap();
    assert!(runs.len() >= 2 && runs.last().unwrap()["outcome"] == "ok", "{whole}");

    let edited = server.folder().join("plugins/ticker/init.lua");
    std::fs::write(&edited, format!("{TICKER}\n-- edited")).unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(named(&server, "tick")["id"], tick["id"]);
    assert_eq!(named(&server, "nightly")["next_at"], nightly["next_at"], "an edit does not move it");

    let server = server.kill_and_restart();
    assert_eq!(named(&server, "nightly")["next_at"], nightly["next_at"], "nor does a restart");
    let before = kept(&server)["ticks"].as_f64();
    wait_for("more ticks", || Some(kept(&server)).filter(|it| it["ticks"].as_f64() > before));

    std::fs::write(&edited, "panotti.schedule.every(60, 'other', function() end)").unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    wait_for("the new one", || {
        let all = server.get("/api/v1/schedules?plugin=ticker&state=active").expect(200);
        (all["items"].as_array().unwrap().len() == 1).then_some(())
    });
    assert_eq!(named(&server, "tick")["state"], "resting");
}

#[test]
fn a_schedule_is_run_now_held_and_let_go() {
    let server = Server::with().plugin("ticker", TICKER).start();
    let nightly = wait_for("the schedule", || found(&server, "nightly"));
    let path = format!("/api/v1/schedules/{}", nightly["id"]);
    let run = server.post(&format!("{path}/run"), json!({})).expect(202);
    assert_eq!((&run["cause"], &run["outcome"]), (&json!("manual"), &json!("running")));
    let ended = wait_for("its end", || {
        let last = server.get(&path).expect(200)["last_run"].clone();
        (last["outcome"] != "running").then_some(last)
    });
    assert_eq!(ended["outcome"], "runtime");
    assert!(ended["error"].as_str().unwrap().contains("init.lua:5: at night"), "{ended}");
    assert_eq!(server.get(&path).expect(200)["next_at"], nightly["next_at"], "its time stays");
    let line = wait_for("its line", || {
        server.log_lines().into_iter().find(|it| it.to_string().contains("at night"))
    });
    assert_eq!((&line["hook"], &line["schedule"]), (&json!("timer"), &json!("nightly")), "{line}");

    let held = server.patch(&path, json!({"paused": true})).expect(200);
    assert_eq!((&held["state"], &held["next_at"]), (&json!("paused"), &Value::Null));
    assert_eq!(server.patch(&path, json!({"paused": false})).expect(200)["state"], "active");
    server.patch(&path, json!({"paused": 7})).problem(422, "invalid");
    server.get("/api/v1/schedules/4711").problem(404, "schedule_not_found");
    server.post("/api/v1/plugins/ticker/disable", json!({})).expect(200);
    server.post(&format!("{path}/run"), json!({})).problem(409, "plugin_not_running");
    server.delete("/api/v1/plugins/ticker?purge=true").expect(204);
    assert_eq!(server.get("/api/v1/schedules").expect(200)["total"], 0);
}

#[test]
fn a_run_that_goes_on_keeps_the_next_one_out_unless_the_plugin_wants_it() {
    let source = r#"local function slow() panotti.kv.incr("runs") panotti.sleep(2.5) end
      panotti.schedule.every(1, "alone", slow)
      panotti.on.on_clip_captured(function() return { metadata = { runs = panotti.kv.get("runs") } } end)"#;
    let server = Server::with().plugin("slow", source).start();
    let schedule = wait_for("runs that were left out", || {
        found(&server, "alone").filter(|it| it["skipped"].as_i64() >= Some(2))
    });
    let runs = server.get(&format!("/api/v1/schedules/{}", schedule["id"])).expect(200);
    let running = runs["runs"].as_array().unwrap().iter().filter(|it| it["outcome"] == "running").count();
    assert!(running <= 1, "{runs}");
}

#[test]
fn a_run_that_waited_for_the_one_before_it_knows_when_it_was_due() {
    let source = r#"panotti.schedule.every(1, "behind", function(run)
        if panotti.time.now() - run.scheduled_at > 1 then panotti.kv.set("late", run.cause) end
        panotti.sleep(2.5)
      end, { overlap = "queue" })
      panotti.on.on_clip_captured(function() return { metadata = { late = panotti.kv.get("late") } } end)"#;
    let server = Server::with().plugin("behind", source).start();
    wait_for("a run that began late", || Some(kept(&server)).filter(|it| it["late"] == "timer"));
}

#[test]
fn what_was_cut_off_by_the_end_of_the_server_is_marked_and_made_up_for_where_wanted() {
    let source = r#"panotti.schedule.cron("0 3 1 1 *", "yearly", function(run)
        if not panotti.kv.get("begun") then panotti.kv.cas("begun", nil, true) panotti.sleep(20) end
        panotti.kv.set("made_up", run.cause)
      end, { missed = "once" })
      panotti.on.on_clip_captured(function() return { metadata = { made_up = panotti.kv.get("made_up"), begun = panotti.kv.get("begun") } } end)"#;
    let server = Server::with().plugin("yearly", source).start();
    let id =
        wait_for("the schedule", || server.get("/api/v1/schedules").expect(200)["items"][0]["id"].as_i64());
    server.post(&format!("/api/v1/schedules/{id}/run"), json!({})).expect(202);
    wait_for("its beginning", || Some(kept(&server)).filter(|it| it["begun"] == true));
    let server = server.kill_and_restart();
    wait_for("the run that makes up for it", || Some(kept(&server)).filter(|it| it["made_up"] == "timer"));
    let outcomes: Vec<Value> = wait_for("both ends", || {
        let whole = server.get(&format!("/api/v1/schedules/{id}")).expect(200);
        let all: Vec<Value> =
            whole["runs"].as_array().unwrap().iter().map(|it| it["outcome"].clone()).collect();
        (!all.contains(&json!("running"))).then_some(all)
    });
    assert_eq!(outcomes, [json!("ok"), json!("interrupted")]);
}

#[test]
fn what_is_done_once_is_not_done_again_after_a_crash() {
    let source = r#"panotti.on.on_clip_captured(function(clip)
        local result = panotti.once("import/" .. clip.title, function(text)
          panotti.kv.incr("done")
          return { said = text }
        end, "hello")
        return { metadata = { said = result.said, done = panotti.kv.get("done") } }
      end)"#;
    let server = Server::with().plugin("importer", source).start();
    let clip = |server: &Server, title: &str| {
        server.post("/api/v1/clips", json!({"title": title, "file_path": "/x"})).expect(201)["metadata"]
            .clone()
    };
    assert_eq!(clip(&server, "a"), json!({"said": "hello", "done": 1}));
    assert_eq!(clip(&server, "a"), json!({"said": "hello", "done": 1}));
    let server = server.kill_and_restart();
    assert_eq!(clip(&server, "a"), json!({"said": "hello", "done": 1}));
    assert_eq!(clip(&server, "b"), json!({"said": "hello", "done": 2}));
}
