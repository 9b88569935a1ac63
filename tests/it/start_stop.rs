//! Starting and stopping: in order, within a deadline, and never two on one folder.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::Server;
use crate::common::server::wait_for;

#[test]
fn a_second_server_on_the_same_data_folder_is_refused() {
    let server = Server::start();
    let second = Command::new(env!("CARGO_BIN_EXE_panotti"))
        .current_dir(server.folder())
        .env("PANOTTI_PORT", "0")
        .env("PANOTTI_DATA_DIR", server.folder().join("data"))
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let told = String::from_utf8_lossy(&second.stderr);
    assert!(told.contains("another panotti uses the data folder"), "{told}");
    server.get("/api/v1/recordings").expect(200);
}

#[test]
fn a_port_in_use_is_told_and_the_server_ends() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let log = Server::with().env("PANOTTI_PORT", port).try_start().err().unwrap();
    assert!(log.contains(&format!("127.0.0.1:{port}")), "{log}");
}

#[test]
fn a_stop_lets_the_request_under_way_finish_and_asks_the_plugins_in_reverse_order() {
    let first = r#"panotti.on.on_shutdown(function() panotti.log.info("bye from first") panotti.kv.set("bye", true) end)
                   panotti.on.before_recording_start(function()
                     panotti.log.info("asked")
                     panotti.sleep(0.5)
                     return { title = "finished" }
                   end)
                   panotti.on.on_startup(function() panotti.log.info("bye was " .. tostring(panotti.kv.get("bye"))) end)"#;
    let mut server = Server::with()
        .plugin("first", first)
        .plugin("second", "panotti.on.on_shutdown(function() panotti.log.info('bye from second') end)")
        .plugin_file("second", "plugin.yaml", "dependencies: [first]")
        .start();
    let client = server.client();
    let under_way = std::thread::spawn(move || client.post("/api/v1/recordings", json!({"id": "r"})));
    server.wait_for_log("the hook", |line| line["message"] == "asked");
    assert!(server.stop().success());
    assert_eq!(under_way.join().unwrap().expect(201)["title"], "finished");
    let said: Vec<String> = server
        .log_lines()
        .iter()
        .filter_map(|line| {
            line["message"].as_str().filter(|it| it.starts_with("bye from")).map(str::to_owned)
        })
        .collect();
    assert_eq!(said, ["bye from second", "bye from first"]);
    let server = server.restart_stopped();
    assert_eq!(server.get("/api/v1/recordings/r").expect(200)["title"], "finished");
    server.wait_for_log("what was kept at the stop", |line| line["message"] == "bye was true");
}

#[test]
fn a_stop_does_not_wait_for_a_hook_that_sleeps_for_minutes() {
    let mut server = Server::with()
        .plugin(
            "sleeper",
            r#"panotti.on.after_recording_end(function() panotti.log.info("sleeps") panotti.sleep(25) end)"#,
        )
        .env("PANOTTI_SHUTDOWN_S", 2)
        .start();
    server.post("/api/v1/recordings", json!({"id": "r"})).expect(201);
    server.post("/api/v1/recordings/r/end", json!({})).expect(200);
    server.wait_for_log("the hook", |line| line["message"] == "sleeps");
    let begun = Instant::now();
    assert!(server.stop().success());
    // The deadline is 2 s; 25 s would be the hook's own time.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    let mut server = Server::with()
        .plugin("stays", "panotti.on.on_shutdown(function() panotti.log.info('stays') panotti.sleep(20) end)")
        .start();
    let signal = |pid: u32| Command::new("kill").args(["-TERM", &pid.to_string()]).status().unwrap();
    signal(server.pid());
    server.wait_for_log("the stop", |line| line["message"] == "stays");
    signal(server.pid());
    let status = wait_for("the end", || server.ended());
    assert_eq!(status.code(), Some(130));
}

#[test]
fn a_reader_of_the_log_that_stalls_and_a_stdout_that_cannot_be_written_hold_up_nothing() {
    // Read by nobody, and too small for what is said.
    for stdout in ["log", "/dev/full"] {
        stops_although_nobody_reads(stdout);
    }
}

fn stops_although_nobody_reads(stdout: &str) {
    // The shell fills the pipe to the last byte before the server is there.
    let stalled =
        format!("mkfifo log && exec 3<>log && (timeout 1 yes >log; true) && exec \"$0\" 2>log >{stdout}");
    let mut server = Server::with()
        .under(&["sh".to_owned(), "-c".to_owned(), stalled])
        .env("PANOTTI_LOG", "trace")
        .env("PANOTTI_LOGS_BUFFER_KIB", 64)
        .start();
    for _ in 0..1_000 {
        server.get("/api/v1/recordings?q=a-long-line-of-the-log").expect(200);
    }
    let begun = Instant::now();
    assert!(server.stop().success());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_start_that_fails_ends_although_nobody_reads_why() {
    let other = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let port = other.client().base().rsplit(':').next().unwrap().to_owned();
    let script =
        "mkfifo log && exec 3<>log && (timeout 1 yes >log; true) && exec \"$0\" --data-dir data 2>log";
    let mut start = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_panotti")])
        .current_dir(folder.path())
        .env("PANOTTI_PORT", port)
        .env("PANOTTI_LOG", "trace")
        .env("PANOTTI_WATCH", "off")
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    let ended = loop {
        if let Some(ended) = start.try_wait().unwrap() {
            break ended;
        }
        if Instant::now() > end {
            start.kill().unwrap();
            panic!("it waits for who reads its log");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(ended.code(), Some(1));
}

#[test]
fn a_data_folder_that_has_lost_its_database_is_left_as_it_is_and_goes_on_when_it_is_back() {
    let mut server = Server::start();
    server.post("/api/v1/recordings", json!({ "id": "r" })).expect(201);
    assert!(server.stop().success());
    let at = |path: &str| server.folder().join("data").join(path);
    let key = std::fs::read(at("admin.token")).unwrap();
    std::fs::rename(at("panotti.db"), at("elsewhere")).unwrap();
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_panotti"));
        command.current_dir(server.folder()).env("PANOTTI_PORT", "0").env("PANOTTI_DATA_DIR", at(""));
        command.output().unwrap()
    };
    for state in ["missing", "empty"] {
        let refused = start();
        let told = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{told}");
        assert!(
            told.contains(&format!("panotti.db is {state}, but")) && told.contains("panotti restore"),
            "{told}"
        );
        assert_eq!(std::fs::read(at("admin.token")).unwrap(), key);
        std::fs::write(at("panotti.db"), "").unwrap();
    }
    std::fs::write(at("panotti.db"), "this was a database once").unwrap();
    let damaged = start();
    let told = String::from_utf8_lossy(&damaged.stderr);
    assert!(told.contains("panotti.db cannot be used: file is not a database; `panotti doctor`"), "{told}");
    std::fs::rename(at("elsewhere"), at("panotti.db")).unwrap();
    let server = server.restart_stopped();
    server.get("/api/v1/recordings/r").expect(200);
}
