//! Ten times as many requests as the server can work on: what becomes of those that are taken, of those that are
//! refused, of an admin meanwhile, and of everybody five seconds later.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::drive::{Drove, Pace, Sample};
use super::figures::{self, Figures};
use super::targets::{Plugins, Running, Target};
use super::workloads::Bench;
use crate::rig::{is_long, percentile};

/// How many times the capacity is offered.
const TIMES: f64 = 10.0;
/// Connections that may be open for it.
const CONNECTIONS: usize = 4_000;
/// What an admin looks at meanwhile.
const ADMIN: &[&str] = &["/api/v1/plugins", "/healthz", "/metrics"];

/// POSTs whose hook computes for a millisecond: closed loop, ten times that in an open one, and after it.
pub fn measure(bench: &Bench<'_>, target: &dyn Target) -> Vec<(&'static str, Figures)> {
    let server = bench.start(target, Plugins::Set("w5"));
    let closed = |lasts| bench.drive(&server, server.post(), Pace::Closed, bench.options.connections, lasts);
    closed(bench.options.warm);
    let before = figures::of(&closed(bench.options.each));
    let rate = before["rps"] * TIMES;
    let (lasts, connections) =
        if is_long() { (Duration::from_secs(10), CONNECTIONS) } else { (Duration::from_millis(200), 100) };
    let stop = AtomicBool::new(false);
    let (drove, admin) = std::thread::scope(|scope| {
        let admin = scope.spawn(|| look(&server, &stop));
        let drove = bench.drive(&server, server.post(), Pace::Rate(rate), connections, lasts);
        stop.store(true, Ordering::Relaxed);
        (drove, admin.join().unwrap())
    });
    let mut during = told(&drove);
    during.insert("offered", rate);
    during.extend(admin);
    std::thread::sleep(if is_long() { Duration::from_secs(5) } else { Duration::ZERO });
    let after = figures::of(&closed(bench.options.each));
    vec![("at capacity", before), ("at ten times it", during), ("5 s later", after)]
}

/// What became of the requests.
fn told(drove: &Drove) -> Figures {
    let is_admitted = |it: &Sample| it.status / 100 == 2;
    let is_refused = |it: &Sample| it.status == 503 && it.retry_after;
    let ms = |which: &dyn Fn(&Sample) -> bool| -> Vec<f64> {
        let found = drove.samples.iter().filter(|it| which(it));
        found.map(|it| f64::from(it.took_us) / 1e3).collect()
    };
    let (mut admitted, mut refused) = (ms(&is_admitted), ms(&is_refused));
    let wrong = drove.samples.len() - admitted.len() - refused.len();
    let mut figures = Figures::from([
        ("rps", admitted.len() as f64 / drove.secs),
        ("refused", refused.len() as f64 / drove.secs),
        ("wrong", wrong as f64 + drove.broken as f64),
        ("refused_max_ms", 0.0),
    ]);
    if !admitted.is_empty() {
        figures.insert("p50_us", percentile(&mut admitted, 0.5) * 1e3);
        figures.insert("p99_us", percentile(&mut admitted, 0.99) * 1e3);
    }
    if !refused.is_empty() {
        figures.insert("refused_p99_ms", percentile(&mut refused, 0.99));
        figures.insert("refused_max_ms", percentile(&mut refused, 1.0));
    }
    figures
}

/// An admin's requests, one after another: the longest took so many milliseconds, so many were not answered 200.
fn look(server: &Running, stop: &AtomicBool) -> Figures {
    let (mut slowest, mut failed) = (0.0_f64, 0.0);
    while !stop.load(Ordering::Relaxed) {
        for path in ADMIN {
            // A new connection each time, as somebody who comes to see what is the matter.
            let began = Instant::now();
            let status = server.client().try_send("GET", path, "").map(|it| it.0);
            slowest = slowest.max(began.elapsed().as_secs_f64() * 1e3);
            if !matches!(status, Ok(200)) {
                failed += 1.0;
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Figures::from([("admin_max_ms", slowest), ("admin_failed", failed)])
}
