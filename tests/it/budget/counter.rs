//! The server under callgrind: warmed up first, then counted over a fixed number of requests.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::Server;

use super::connection::Connection;
use super::profile::Profile;
use super::workloads::Workload;

/// The least of so many counts is taken: what the server does by the clock can only add to one.
const ROUNDS: usize = 3;

/// Copies and fills without `rep`, of which callgrind counts each byte as an instruction.
const PLAIN_COPIES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS,-FSRM");

/// Whether there is valgrind, and its hand on a running process.
pub fn is_installed() -> bool {
    let runs = |it: &&str| {
        Command::new(it).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    ["valgrind", "vgdb"].iter().all(runs)
}

/// Instructions of one request; the whole profile goes to `keep`, with those of all counted requests.
pub fn count(workload: &Workload, keep: Option<&Path>) -> Profile {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("profile");
    let log = folder.path().join("valgrind");
    let command = [
        "valgrind".to_owned(),
        "--tool=callgrind".to_owned(),
        "--instr-atstart=no".to_owned(),
        format!("--callgrind-out-file={}", out.display()),
        format!("--log-file={}", log.display()),
    ];
    let server = workload.server().env(PLAIN_COPIES.0, PLAIN_COPIES.1).under(&command).start();
    let mut connection = Connection::open(&server);
    workload.prepare(&mut connection);
    order(&server, &["instrumentation", "on"]);
    workload.run(&mut connection, workload.warm_up);
    settle(server.pid());
    let rounds = (1..=ROUNDS).map(|round| {
        order(&server, &["zero"]);
        workload.run(&mut connection, workload.requests);
        settle(server.pid());
        order(&server, &["dump"]);
        let file = folder.path().join(format!("profile.{round}"));
        let text =
            std::fs::read_to_string(&file).unwrap_or_else(|fault| panic!("{}: {fault}", file.display()));
        (Profile::read(&text, workload.requests), text)
    });
    let rounds: Vec<(Profile, String)> = rounds.collect();
    let totals: Vec<u64> = rounds.iter().map(|it| it.0.total()).collect();
    println!("{}: {totals:?}", workload.name);
    let (least, text) = rounds.into_iter().min_by_key(|it| it.0.total()).unwrap();
    if let Some(folder) = keep {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(format!("{}.callgrind", workload.name)), text).unwrap();
        std::fs::write(folder.join(format!("{}.requests", workload.name)), workload.requests.to_string())
            .unwrap();
    }
    least
}

/// Gives callgrind an order while the server runs.
fn order(server: &Server, words: &[&str]) {
    let done = Command::new("vgdb").arg(format!("--pid={}", server.pid())).args(words).output().unwrap();
    assert!(done.status.success(), "vgdb {words:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Waits until no thread of a process has anything to do.
fn settle(pid: u32) {
    let end = Instant::now() + Duration::from_secs(20);
    let mut quiet = 0;
    while quiet < 10 && Instant::now() < end {
        quiet = if is_quiet(pid) { quiet + 1 } else { 0 };
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn is_quiet(pid: u32) -> bool {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    tasks.flatten().all(|it| {
        let stat = std::fs::read_to_string(it.path().join("stat")).unwrap_or_default();
        // The name of a thread, in brackets, may hold anything.
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('S'))
    })
}
