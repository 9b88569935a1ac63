//! What is counted, as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::command_line::panotti;
use crate::common::Server;
use crate::common::receiver::Receiver;
use crate::common::server::wait_for;

/// Every sample by its name and labels, read as strictly as the format is written.
pub fn metrics(server: &Server) -> BTreeMap<String, f64> {
    let answer = server.get("/metrics");
    answer.expect_bytes(200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    read(std::str::from_utf8(&answer.body).unwrap())
}

fn read(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'));
    let (mut samples, mut types, mut helps) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    let mut family = String::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(helps.insert(name.to_owned()) && !words.is_empty(), "HELP comes once: {line}");
            family = name.to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family, "TYPE follows HELP");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "TYPE comes once: {line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|it| name.strip_suffix(it));
            let is_histogram = types[&family] == "histogram";
            assert_eq!(if is_histogram { base } else { Some(name) }, Some(family.as_str()), "{line}");
            assert!(name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_'), "{line}");
            if let Some(labels) = series.strip_prefix(name).filter(|it| !it.is_empty()) {
                let inner = labels.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
                assert!(inner.split("\",").all(|it| it.contains("=\"")), "{line}");
            }
            let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(samples.insert(series.to_owned(), value).is_none(), "comes twice: {line}");
        }
    }
    let mut former: Option<(String, f64)> = None;
    let buckets = text.lines().filter(|it| it.contains("_bucket{"));
    for line in buckets {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (rest, bound) = series.trim_end_matches('}').split_once("le=\"").unwrap();
        let value: f64 = value.parse().unwrap();
        if let Some((same, below)) = &former {
            assert!(same != rest || *below <= value, "buckets are cumulative: {line}");
        }
        if bound.starts_with("+Inf") {
            let count = rest.replacen("_bucket{", "_count{", 1);
            let count = format!("{}}}", count.trim_end_matches(',')).replace("{}", "");
            assert_eq!(samples[&count], value, "the last bucket holds all: {line}");
        }
        former = Some((rest.to_owned(), value));
    }
    samples
}

const DELIVERED: &str = "panotti_deliveries_total{plugin=\"worker\",outcome=\"ok\"}";

fn calls(samples: &BTreeMap<String, f64>, plugin: &str, hook: &str, outcome: &str) -> f64 {
    let series =
        format!("panotti_hook_calls_total{{plugin=\"{plugin}\",hook=\"{hook}\",outcome=\"{outcome}\"}}");
    samples.get(&series).copied().unwrap_or_default()
}

#[test]
fn what_was_done_is_what_is_counted() {
    let server = Server::with()
        .plugin(
            "worker",
            r#"panotti.on.on_clip_captured(function(clip)
                 if clip.title == "bad" then error("no") end
                 panotti.task.spawn(function() end):join()
                 panotti.kv.set("k", 1)
               end)
               panotti.events.subscribe("clip.created", function() end)
               panotti.route("GET", "/r", function() return "r" end)"#,
        )
        .plugin_file("worker", "plugin.yaml", "permissions: { routes: true }")
        .plugin("broken", "error('at load')")
        .start();
    for title in ["a", "b", "bad"] {
        server.post("/api/v1/clips", json!({"title": title, "file_path": "/x"})).expect(201);
    }
    server.get("/api/v1/plugins/worker/x/r").expect_bytes(200);
    server.get("/nowhere").problem(404, "not_found");
    // The call is counted when it ends, its delivery when that is on disk.
    let samples = wait_for("the deliveries", || {
        let samples = metrics(&server);
        (samples.get(DELIVERED) == Some(&3.0)).then_some(samples)
    });
    assert_eq!(calls(&samples, "worker", "event", "ok"), 3.0);
    assert_eq!(calls(&samples, "worker", "on_clip_captured", "ok"), 2.0);
    assert_eq!(calls(&samples, "worker", "on_clip_captured", "runtime"), 1.0);
    assert_eq!(calls(&samples, "worker", "task", "ok"), 2.0);
    assert_eq!(calls(&samples, "worker", "route", "ok"), 1.0);
    assert_eq!(
        (calls(&samples, "worker", "load", "ok"), calls(&samples, "broken", "load", "runtime")),
        (1.0, 1.0)
    );
    assert_eq!(
        samples["panotti_hook_duration_seconds_count{plugin=\"worker\",hook=\"on_clip_captured\"}"],
        3.0
    );
    assert!(samples["panotti_hook_queue_seconds_count{plugin=\"worker\"}"] >= 7.0);
    assert_eq!(samples["panotti_plugin_state{plugin=\"worker\",state=\"running\"}"], 1.0);
    assert_eq!(samples["panotti_plugin_state{plugin=\"broken\",state=\"failed\"}"], 1.0);
    assert_eq!(samples["panotti_events_published_total{type=\"clip.created\"}"], 3.0);
    let clips =
        "panotti_http_request_duration_seconds_count{method=\"POST\",route=\"/api/v1/clips\",status=\"201\"}";
    assert_eq!(samples[clips], 3.0);
    assert_eq!(
        samples["panotti_http_request_duration_seconds_count{method=\"any\",route=\"none\",status=\"404\"}"],
        1.0
    );
    assert_eq!(samples["panotti_quota_limit{plugin=\"worker\",quota=\"http_requests\"}"], 8.0);
    assert!(samples["panotti_store_commits_total"] > 0.0 && samples["process_cpu_seconds_total"] > 0.0);
    server.client().with_key(None).get("/metrics").problem(401, "key_missing");
}

#[test]
fn an_open_breaker_and_a_reload_are_seen() {
    let server = Server::with()
        .plugin("spinner", "panotti.on.on_clip_captured(function() while true do end end)")
        .start();
    let open = "panotti_breaker_open{plugin=\"spinner\"}";
    assert_eq!(metrics(&server)[open], 0.0);
    for _ in 0..5 {
        server.post("/api/v1/clips", json!({"title": "t", "file_path": "/x"})).expect(201);
    }
    let samples = metrics(&server);
    assert_eq!((samples[open], calls(&samples, "spinner", "on_clip_captured", "deadline")), (1.0, 5.0));
    let data = server.folder().join("data");
    let told = |args: &[&str]| {
        let out = panotti(server.folder(), &[], &[args, &["--data-dir", data.to_str().unwrap()]].concat());
        String::from_utf8(out.stdout).unwrap()
    };
    assert!(told(&["list"]).contains("running, left alone"));
    assert!(
        told(&["plugins", "spinner"])
            .contains("more: it was killed too often (breaker.kills); `panotti reload")
    );
    assert!(told(&["doctor"]).contains("spinner was killed too often and is left alone for"));
    let line = server
        .wait_for_log("the breaker", |it| it["message"].as_str().unwrap().starts_with("killed too often"));
    assert!(line["message"].as_str().unwrap().contains("left alone for 30 s"), "{line}");
    server.post("/api/v1/plugins/spinner/reload", json!({})).expect(200);
    assert_eq!(metrics(&server)[open], 0.0, "who has it made anew wants it called");
    for _ in 0..5 {
        server.post("/api/v1/clips", json!({"title": "t", "file_path": "/x"})).expect(201);
    }
    assert_eq!(metrics(&server)[open], 1.0);
    server.post("/api/v1/plugins/spinner/unload", json!({})).expect(200);
    assert!(!told(&["list"]).contains("left alone"));
    server.post("/api/v1/plugins/spinner/load", json!({})).expect(200);
    assert_eq!(metrics(&server)[open], 0.0, "as does who loads it");
    let path = server.folder().join("plugins/spinner/init.lua");
    std::fs::write(&path, "-- nothing").unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    std::fs::write(&path, "nonsense(").unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    let samples = metrics(&server);
    assert_eq!(samples["panotti_reloads_total{plugin=\"spinner\",outcome=\"ok\"}"], 2.0);
    assert_eq!(samples["panotti_reloads_total{plugin=\"spinner\",outcome=\"syntax\"}"], 1.0);
}

#[test]
fn what_a_webhook_is_still_to_be_told_of_is_counted() {
    let receiver = Receiver::that(|_, _| (500, "not now"));
    let server = Server::with().env("PANOTTI_WEBHOOK_HOSTS", "127.0.0.1").start();
    let hook = json!({ "name": "away", "url": receiver.url(), "events": ["recording.*"] });
    let made = server.post("/api/v1/webhooks", hook).expect(201);
    let of = |name: &str, more: &str| {
        format!("panotti_deliveries_{name}{{plugin=\"webhook/{}\"{more}}}", made["id"].as_str().unwrap())
    };
    assert_eq!(metrics(&server).get(&of("open", "")), Some(&0.0));
    for id in ["a", "b"] {
        server.post("/api/v1/recordings", json!({ "id": id })).expect(201);
    }
    let retried = of("total", ",outcome=\"retry\"");
    let samples = wait_for("both to fail", || {
        Some(metrics(&server)).filter(|it| it.get(&retried).is_some_and(|it| *it >= 2.0))
    });
    assert_eq!((samples[&of("open", "")], samples[&of("given_up", "")]), (2.0, 0.0));
    assert!(samples[&of("oldest_seconds", "")] > 0.0);
    assert!(samples["panotti_disk_free_bytes"] > 0.0);
    assert_eq!(samples["panotti_store_disk_full"], 0.0);
}
