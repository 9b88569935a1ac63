//! What plugins say and what the server says of them: over HTTP, as a stream, on the command line.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::command_line::panotti;
use crate::common::Server;
use crate::common::server::wait_for;
use crate::common::sse::Sse;

/// Says the title of each recording at the level that its id begins with.
const TALKS: &str = r#"
    panotti.on.before_recording_start(function(recording)
      local level = string.match(recording.id, "^%a+")
      if level == "fail" then error("cannot: " .. recording.title) end
      panotti.log[level](recording.title, { id = recording.id })
    end)
"#;

fn say(server: &Server, id: &str, title: &str) {
    server.post("/api/v1/recordings", json!({ "id": id, "title": title })).expect(201);
}

fn lines(server: &Server, query: &str) -> Vec<Value> {
    let page = server.get(&format!("/api/v1/plugins/talks/logs?limit=1000&{query}")).expect(200);
    page["items"].as_array().unwrap().clone()
}

fn messages(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|it| it["message"].as_str().unwrap()).collect()
}

#[test]
fn the_lines_of_a_plugin_are_its_own_and_those_of_the_server_about_it() {
    let server = Server::with().plugin("talks", TALKS).plugin("other", "print('hello')").start();
    say(&server, "debug1", "quiet");
    say(&server, "info1", "Loud");
    say(&server, "fail1", "me");
    let all = lines(&server, "");
    let told = messages(&all);
    assert!(told[0].starts_with("loaded in"), "{all:?}");
    assert_eq!(
        told[1..3],
        ["quiet", "Loud"],
        "a debug line is kept though the server's log does not show it"
    );
    assert!(told[3].contains("init.lua:4: cannot: me"), "{all:?}");
    let own = &all[2];
    assert_eq!(own["fields"], json!({ "id": "info1" }), "{own}");
    assert_eq!(
        (&own["source"], &own["hook"], &own["generation"]),
        (&json!("plugin"), &json!("before_recording_start"), &json!(1))
    );
    assert!(own["request_id"].is_string() && all[3]["source"] == "server", "{all:?}");
    assert!(!server.log_lines().iter().any(|it| it["message"] == "quiet"));

    assert_eq!(messages(&lines(&server, "level=info&q=LOUD")), ["Loud"]);
    assert_eq!(lines(&server, "level=warn").len(), 1);
    assert_eq!(messages(&lines(&server, &format!("after={}&level=info", all[1]["id"]))).len(), 2);
    let page = server.get("/api/v1/plugins/talks/logs?limit=1&after=0").expect(200);
    assert_eq!((&page["more"], &page["next"]), (&json!(true), &page["items"][0]["id"]), "{page}");

    let everybody = server.get("/api/v1/logs?limit=1000").expect(200);
    let of =
        |name: &str| everybody["items"].as_array().unwrap().iter().filter(|it| it["plugin"] == name).count();
    assert_eq!((of("talks"), of("other")), (4, 2), "{everybody}");
    let other = server.get("/api/v1/logs?plugin=other&q=hello").expect(200);
    assert_eq!(other["items"].as_array().unwrap().len(), 1, "{other}");

    server.get("/api/v1/plugins/talks/logs?level=loud").problem(400, "bad_query");
    server.get("/api/v1/plugins/nobody/logs").problem(404, "plugin_not_found");
    server.get("/api/v1/plugins/nobody/logs/stream").problem(404, "plugin_not_found");
    server.get("/api/v1/logs?plugin=nobody").problem(404, "plugin_not_found");
}

#[test]
fn secrets_do_not_stand_in_the_lines() {
    let lua = "print('the key is ' .. panotti.config.key)\nerror('no ' .. panotti.config.key)";
    let server = Server::with()
        .plugin("talks", lua)
        .plugin_file("talks", "plugin.yaml", "config: { key: s3cret-value }\nconfig_schema:\n  properties: { key: { type: string, writeOnly: true } }\n")
        .start();
    let all = lines(&server, "");
    assert!(messages(&all).contains(&"the key is ***") && all.len() >= 2, "{all:?}");
    assert!(!json!(all).to_string().contains("s3cret"), "{all:?}");
}

#[test]
fn a_stream_gives_lines_as_they_come_goes_on_after_a_loss_and_says_why_it_ends() {
    let mut server = Server::with().plugin("talks", TALKS).env("PANOTTI_LOGS_LINES", 10).start();
    say(&server, "info0", "before");
    let mut stream = Sse::at(&server, "/api/v1/plugins/talks/logs/stream?tail=1&level=info", &[]);
    assert!(stream.head.contains("text/event-stream"), "{}", stream.head);
    assert_eq!(stream.block().unwrap().event.as_deref(), Some("start"));
    let first = stream.event();
    assert_eq!(first.data.as_ref().unwrap()["message"], "before");
    say(&server, "debug1", "not this one");
    say(&server, "info1", "live");
    let live = stream.event();
    assert_eq!(live.data.as_ref().unwrap()["message"], "live");
    assert_eq!(live.id, live.data.as_ref().unwrap()["id"].as_i64());
    drop(stream);

    say(&server, "info2", "missed");
    let resume = |server: &Server, id: i64| {
        Sse::at(server, "/api/v1/plugins/talks/logs/stream", &[("Last-Event-ID", &id.to_string())])
    };
    let mut again = resume(&server, live.id.unwrap());
    assert_eq!(again.event().data.unwrap()["message"], "missed");
    for n in 0..30 {
        say(&server, &format!("info3{n}"), &n.to_string());
    }
    let mut late = resume(&server, first.id.unwrap());
    let gap = late.event();
    assert_eq!(gap.event.as_deref(), Some("gap"));
    assert_eq!(late.event().id, gap.data.unwrap()["first"].as_i64(), "then what is kept");
    server
        .get_with("/api/v1/plugins/talks/logs/stream", &[("Last-Event-ID", "x")])
        .problem(400, "bad_header");

    assert_eq!(server.delete("/api/v1/plugins/talks").status, 204);
    let end = last_block(&mut again);
    assert_eq!(end, (Some("end".to_owned()), json!({ "reason": "plugin_deleted" })));
    let mut all = Sse::at(&server, "/api/v1/logs/stream", &[]);
    all.block();
    assert!(server.stop().success());
    assert_eq!(last_block(&mut all), (Some("end".to_owned()), json!({ "reason": "server_stopping" })));
}

fn last_block(stream: &mut Sse) -> (Option<String>, Value) {
    let mut last = None;
    while let Some(block) = stream.block() {
        last = Some((block.event, block.data.unwrap_or_default()));
    }
    last.expect("a block")
}

#[test]
fn ten_thousand_lines_a_second_cost_neighbours_nothing_and_are_cut_with_a_word_about_it() {
    let flood = r#"
        local n = 0
        panotti.on.on_startup(function()
          panotti.task.spawn(function()
            for _ = 1, 40 do
              for _ = 1, 500 do
                n = n + 1
                panotti.log.info("line " .. n .. string.rep("x", 100))
              end
              panotti.sleep(0.05)
            end
            panotti.kv.set("done", n)
            panotti.log.error("over")
          end)
        end)
        panotti.route("GET", "/done", function() return { done = panotti.kv.get("done") } end)
    "#;
    let server = Server::with()
        .plugin("talks", flood)
        .plugin_file("talks", "plugin.yaml", "permissions: { routes: true }\n")
        .plugin(
            "neighbour",
            "panotti.on.before_recording_start(function(r) panotti.log.info('here ' .. r.id) end)",
        )
        .start();
    let mut slowest = Duration::ZERO;
    for n in 0..50 {
        let begin = Instant::now();
        say(&server, &format!("n{n}"), "t");
        slowest = slowest.max(begin.elapsed());
    }
    assert!(slowest < Duration::from_secs(3), "a neighbour waited {slowest:?}");
    let done = wait_for("the flood", || {
        let done = server.get("/api/v1/plugins/talks/x/done").expect(200)["done"].as_u64();
        done.filter(|it| *it > 0)
    });
    assert_eq!(done, 20_000);
    let dropped = |line: &Value| -> Option<u64> {
        let (count, rest) = line["message"].as_str()?.split_once(' ')?;
        rest.contains("dropped: a plugin may log 50 a second (limits.log_per_s)")
            .then(|| count.parse().ok())?
    };
    let told = wait_for("all to be told of", || {
        let all = lines(&server, "");
        let kept = server.get("/api/v1/plugins/talks/metrics").expect(200)["log"].clone();
        let told: u64 = all.iter().filter_map(dropped).sum();
        (told > 0 && kept["dropped"] == told).then_some((told, kept))
    });
    let (told, kept) = told;
    let said = kept["lines"]["info"].as_u64().unwrap();
    assert!(told > 15_000 && said < 4_000, "{told} dropped, {kept}");
    // As much reaches the server's own log, and no more.
    let in_log = server.log_lines().iter().filter(|it| it["plugin"] == "talks").count();
    assert!(in_log < 4_100, "{in_log} lines in the server's log");
    let here = server.get("/api/v1/plugins/neighbour/logs?q=here&limit=1000").expect(200);
    assert_eq!(here["items"].as_array().unwrap().len(), 50, "none of its lines was lost");
    let kept = lines(&server, "");
    assert!(kept.len() <= 1000, "{}", kept.len());
}

/// Follows something on the command line.
struct Following {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Following {
    fn start(server: &Server, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_panotti"));
        let data = server.folder().join("data");
        command.args(args).arg("--data-dir").arg(data).current_dir(server.folder());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Following { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    /// How it ended, and what it said beside its results.
    fn end(mut self) -> (Option<i32>, String) {
        let status = wait_for("its end", || self.child.try_wait().unwrap());
        let said = std::io::read_to_string(self.child.stderr.take().unwrap()).unwrap();
        (status.code(), said)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn lines_and_events_are_shown_and_followed_on_the_command_line() {
    let server = Server::with().plugin("talks", TALKS).start();
    say(&server, "info1", "first");
    let data = server.folder().join("data");
    let run = |args: &[&str]| {
        let out = panotti(server.folder(), &[], &[args, &["--data-dir", data.to_str().unwrap()]].concat());
        (out.status.code(), String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    let (code, shown, said) = run(&["logs", "talks", "-q", "first"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(shown.contains("INFO  talks g1 before_recording_start first"), "{shown}");
    assert!(shown.trim_end().ends_with("id=info1"), "{shown}");
    let (_, shown, _) = run(&["logs", "--json", "-n", "1"]);
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["plugin"], "talks", "{shown}");
    let (code, _, said) = run(&["logs", "nobody"]);
    assert!(code == Some(1) && said.contains("plugin_not_found"), "{said}");
    assert_eq!(run(&["logs", "--level", "loud"]).0, Some(2));
    assert_eq!(run(&["logs", "../x"]).0, Some(2));

    let mut following = Following::start(&server, &["logs", "talks", "-f", "-n", "0", "--level", "info"]);
    let mut events =
        Following::start(&server, &["events", "-f", "-n", "1", "--type", "recording.*", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&events.line()).unwrap()["subject"], "recording/info1");
    // The first look of the one that shows nothing at first is not to be seen from outside.
    std::thread::sleep(Duration::from_secs(1));
    say(&server, "debug2", "not this one");
    say(&server, "warn2", "second");
    assert!(following.line().contains("WARN  talks g1 before_recording_start second"));
    assert_eq!(serde_json::from_str::<Value>(&events.line()).unwrap()["subject"], "recording/debug2");
    assert_eq!(serde_json::from_str::<Value>(&events.line()).unwrap()["subject"], "recording/warn2");
    // It goes on where it was when the server comes back, and ends when the plugin is gone for good.
    let server = server.restart();
    assert!(following.line().contains("loaded in"));
    say(&server, "info3", "third");
    assert!(following.line().contains("third"));
    std::fs::remove_dir_all(server.folder().join("plugins/talks")).unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(server.delete("/api/v1/plugins/talks").status, 204);
    let (code, said) = following.end();
    assert!(
        code == Some(1) && said.contains("waiting for it") && said.contains("plugin_not_found"),
        "{said}"
    );
}

#[test]
fn plugins_are_listed_loaded_and_unloaded_on_the_command_line() {
    let server = Server::with()
        .plugin("talks", TALKS)
        .plugin_file("talks", "plugin.yaml", "version: 1.2.0\n")
        .plugin("broken", "\nlocal = 1")
        .start();
    let data = server.folder().join("data");
    let run = |args: &[&str]| {
        let out = panotti(server.folder(), &[], &[args, &["--data-dir", data.to_str().unwrap()]].concat());
        (out.status.code(), String::from_utf8([out.stdout, out.stderr].concat()).unwrap())
    };
    let (code, shown) = run(&["list"]);
    let rows: Vec<Vec<&str>> = shown.lines().map(|it| it.split_whitespace().collect()).collect();
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(rows[0][..5], ["PLUGIN", "STATE", "WANTED", "GENERATION", "VERSION"], "{shown}");
    assert_eq!(rows[1][..5], ["broken", "failed", "on", "1", "-"], "{shown}");
    assert!(rows[1][5].starts_with("init.lua:2:"), "{shown}");
    assert_eq!(rows[2], ["talks", "running", "on", "1", "1.2.0", "-"], "{shown}");
    let (_, shown) = run(&["list", "--state", "failed", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["total"], 1, "{shown}");
    let (code, shown) = run(&["list", "--state", "asleep"]);
    assert!(code == Some(1) && shown.contains("quarantined"), "{shown}");
    assert_eq!(run(&["unload", "talks"]), (Some(0), "talks: disabled\n".to_owned()));
    let (_, shown) = run(&["plugins", "talks"]);
    assert!(shown.contains("unloaded"), "{shown}");
    assert_eq!(run(&["load", "talks"]), (Some(0), "talks: running\n".to_owned()));
    let (_, shown) = run(&["plugins", "talks"]);
    assert!(shown.starts_with("talks: running, generation 2, version 1\n"), "{shown}");
    let (code, shown) = run(&["load", "broken"]);
    assert!(code == Some(1) && shown.contains("init.lua:2:"), "{shown}");
    assert_eq!(run(&["events", "dead", "-f"]).0, Some(2));
}
