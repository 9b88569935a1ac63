//! `panotti test --watch` runs again when something was saved.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Ends the program with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn wait_for(lines: &Receiver<String>, part: &str) {
    let mut seen = String::new();
    loop {
        match lines.recv_timeout(Duration::from_secs(60)) {
            Ok(line) if line.contains(part) => return,
            Ok(line) => seen.push_str(&format!("{line}\n")),
            Err(_) => panic!("no {part:?} in\n{seen}"),
        }
    }
}

#[test]
fn a_save_runs_the_tests_again() {
    let folder = tempfile::tempdir().unwrap();
    let tests = folder.path().join("user_plugins/p/tests");
    fs::create_dir_all(&tests).unwrap();
    fs::write(folder.path().join("user_plugins/p/init.lua"), "return {}").unwrap();
    let test = |claim: &str| {
        let text = format!("local t = require('@panotti/test')\nt.case('it', function() {claim} end)\n");
        fs::write(tests.join("p_test.lua"), text).unwrap();
    };
    test("t.eq(1, 1)");
    let mut child = Command::new(env!("CARGO_BIN_EXE_panotti"))
        .current_dir(folder.path())
        .args(["test", "--watch"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let _running = Running(child);
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    wait_for(&lines, "1 ok, 0 failed");
    wait_for(&lines, "waiting for the next save");
    test("t.eq(1, 2)");
    wait_for(&lines, "p_test.lua:2: got 1, wanted 2");
    wait_for(&lines, "waiting for the next save");
    test("t.eq(2, 2)");
    wait_for(&lines, "1 ok, 0 failed");
}
