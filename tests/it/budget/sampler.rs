//! The same requests on the real processor, sampled by perf: for `scripts/profile`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::workloads::Workload;

/// How long requests are sent while perf looks.
const SAMPLED: Duration = Duration::from_secs(5);

/// Writes `<workload>.perf` below `folder`.
pub fn sample(workload: &Workload, folder: &Path) {
    let server = workload.server().start();
    let mut connection = Connection::open(&server);
    workload.prepare(&mut connection);
    workload.run(&mut connection, 10 * workload.warm_up);
    std::fs::create_dir_all(folder).unwrap();
    let mut perf = Command::new("perf")
        .args(["record", "--quiet", "--freq=4999", "--pid", &server.pid().to_string(), "--output"])
        .arg(folder.join(format!("{}.perf", workload.name)))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (began, mut requests) = (Instant::now(), 0);
    while began.elapsed() < SAMPLED {
        workload.run(&mut connection, workload.warm_up);
        requests += workload.warm_up;
    }
    let us = began.elapsed().as_micros() as f64 / requests as f64;
    println!("{}: {requests} requests one after another, {us:.0} us each", workload.name);
    Command::new("kill").args(["-INT", &perf.id().to_string()]).status().unwrap();
    perf.wait().unwrap();
}
