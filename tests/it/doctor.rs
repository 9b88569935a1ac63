//! `panotti doctor`: finds what is wrong, says what to do, with the server running and not.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;

use crate::command_line::panotti;
use crate::common::Server;

/// Runs it: the exit code and the answer.
fn doctor(folder: &Path, args: &[&str]) -> (Option<i32>, Value) {
    let out = panotti(folder, &[], &[&["doctor", "--json"], args].concat());
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    (out.status.code(), serde_json::from_slice(&out.stdout).unwrap_or_else(|it| panic!("{it}: {told}")))
}

/// The findings of a check that are not fine, as `level: message`.
fn of(told: &Value, check: &str) -> Vec<String> {
    let all = told["findings"].as_array().unwrap().iter();
    let wanted = all.filter(|it| it["check"] == check && it["level"] != "ok");
    wanted
        .map(|it| {
            assert!(it["remedy"].as_str().is_some_and(|it| it.len() > 10), "{it}");
            format!("{}: {}", it["level"].as_str().unwrap(), it["message"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn an_empty_folder_is_healthy_and_nothing_is_made_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let (code, told) = doctor(folder.path(), &["--port", "0"]);
    assert_eq!((code, told["healthy"].as_bool()), (Some(0), Some(true)), "{told:#}");
    for check in ["settings", "data-folder", "database", "plugins", "port", "leftovers", "clock", "versions"]
    {
        assert!(of(&told, check).is_empty(), "{check}: {told:#}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "it changes nothing");
    let out = panotti(folder.path(), &[], &["doctor", "--port", "0"]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("ok       settings: ") && text.contains("\n0 problems and "), "{text}");
}

#[test]
fn what_is_wrong_is_told_with_a_remedy_and_costs_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (path, text) in [
        ("user_plugins/good/init.lua", "panotti.on.on_load(function() end)"),
        ("user_plugins/broken/init.lua", "return ("),
        ("user_plugins/Ill Named/init.lua", ""),
        (
            "data/panotti.db",
            "this was a database once, before somebody wrote another text over it from the start on",
        ),
        ("data/media/half.wav.part", ""),
        ("data/starting.json", r#"{"good": {"hash": "x", "deaths": 1, "is_under_way": true}}"#),
        ("panotti.yaml", "process_tools: [ffmpeg=/nowhere/ffmpeg]\n"),
    ] {
        fs::create_dir_all(at(path).parent().unwrap()).unwrap();
        fs::write(at(path), text).unwrap();
    }
    let (code, told) = doctor(folder.path(), &["--port", &port]);
    assert_eq!((code, told["healthy"].as_bool()), (Some(1), Some(false)), "{told:#}");
    let plugins = of(&told, "plugins");
    assert!(plugins.iter().any(|it| it.starts_with("problem: broken: init.lua:1: ")), "{plugins:?}");
    assert!(plugins.iter().any(|it| it.starts_with("warning: ") && it.contains("Ill Named")), "{plugins:?}");
    assert!(of(&told, "database")[0].starts_with("problem: "), "{told:#}");
    let port_taken = of(&told, "port");
    assert!(port_taken[0].ends_with("another program listens there"), "{port_taken:?}");
    let leftovers = of(&told, "leftovers");
    assert!(leftovers.iter().any(|it| it.contains("1 files were not written")), "{leftovers:?}");
    assert!(leftovers.iter().any(|it| it.contains("died 2 times") && it.contains("good")), "{leftovers:?}");
    assert!(of(&told, "tools")[0].contains("/nowhere/ffmpeg"), "{told:#}");

    fs::write(at("panotti.yaml"), "prot: 1\nlimits: { cpu_ms: 0 }\n").unwrap();
    let (code, told) = doctor(folder.path(), &[]);
    assert_eq!((code, of(&told, "settings").len()), (Some(1), 2), "{told:#}");
    assert_eq!(panotti(folder.path(), &[], &["doctor", "--nothing"]).status.code(), Some(2));
}

#[test]
fn a_server_that_runs_is_asked_and_left_alone() {
    let server = Server::with().plugin("one", "panotti.on.on_load(function() end)").start();
    let data = server.folder().join("data");
    let plugins = server.folder().join("plugins");
    let args = ["--data-dir", data.to_str().unwrap(), "--plugin-dir", plugins.to_str().unwrap()];
    let (code, told) = doctor(server.folder(), &args);
    assert_eq!(code, Some(0), "{told:#}");
    let all = told["findings"].as_array().unwrap();
    assert!(
        all.iter().any(|it| it["check"] == "server" && it["message"] == "it runs and answers"),
        "{told:#}"
    );
    for check in ["server", "port", "database", "plugins", "leftovers"] {
        assert!(of(&told, check).is_empty(), "{check}: {told:#}");
    }
    server.get("/api/v1/plugins").expect(200);
}
