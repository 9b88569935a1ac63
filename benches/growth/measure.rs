//! What one request costs: the server's time on a processor, and the time until the answer.

use std::time::{Duration, Instant};

use super::GROUPS;
use super::asked::{Group, Route};
use super::rig::percentile;
use super::rig::server::{Client, Server};
use super::words::Chance;

/// Of one kind of request over one size.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Of the server, all threads, mean.
    pub cpu_us: f64,
    /// Median.
    pub latency_us: f64,
}

/// One kind of request over all sizes.
pub struct Series {
    pub group: Group,
    pub name: String,
    pub points: Vec<(usize, Cost)>,
}

impl Series {
    pub fn new(group: Group, name: impl Into<String>) -> Self {
        Series { group, name: name.into(), points: Vec::new() }
    }

    pub fn add(&mut self, size: usize, cost: Cost) {
        self.points.push((size, cost));
    }

    /// Cost at the largest size over that at the smallest.
    pub fn ratio(&self) -> f64 {
        match (self.points.first(), self.points.last()) {
            (Some((_, first)), Some((_, last))) => last.cpu_us / first.cpu_us,
            _ => 1.0,
        }
    }
}

/// The least number of requests that a cost is taken from, and the most.
const LEAST: usize = 5;
const MOST: usize = 400;

/// Asks one thing again and again, on one connection, for about `time`.
pub fn ask(server: &Server, route: &Route, size: usize, time: Duration) -> Cost {
    let mut client = server.client();
    let mut chance = Chance::of(7);
    let mut prepared = (route.prepare)(&mut client, size);
    let mut one = |client: &mut Client| {
        let (method, path, body) = (route.request)(&mut chance, size, &mut prepared);
        let (status, answer) = client.send(method, &path, &body);
        assert!(status < 300, "{method} {path}: {status} {}", String::from_utf8_lossy(&answer));
    };
    let warm = Instant::now();
    while warm.elapsed() < time / 8 {
        one(&mut client);
    }
    let (before, began, mut took) = (cpu_ns(server), Instant::now(), Vec::new());
    while took.len() < LEAST || (began.elapsed() < time && took.len() < MOST) {
        let asked = Instant::now();
        one(&mut client);
        took.push(asked.elapsed().as_secs_f64() * 1e6);
    }
    let cpu_us = (cpu_ns(server) - before) / 1e3 / took.len() as f64;
    Cost { cpu_us, latency_us: percentile(&mut took, 0.5) }
}

/// What all threads of the server have run, in nanoseconds.
fn cpu_ns(server: &Server) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.process())).unwrap();
    let of = |task: std::fs::DirEntry| {
        let told = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        told.split(' ').next()?.parse::<f64>().ok()
    };
    tasks.flatten().filter_map(of).sum()
}

/// Prints one table: CPU of the server (and median latency) in microseconds, and the ratio of the ends.
pub fn told(of_what: &str, sizes: &[usize], all: &[Series]) {
    println!("\nus of CPU (us until the answer) by {of_what}");
    for group in GROUPS {
        for series in all.iter().filter(|it| it.group == *group) {
            let columns: Vec<String> = sizes
                .iter()
                .filter_map(|size| series.points.iter().find(|(at, _)| at == size))
                .map(|(_, it)| format!("{:>8.0} ({:>8.0})", it.cpu_us, it.latency_us))
                .collect();
            println!("{:<8} {:<42} {}  x{:.1}", group.name(), series.name, columns.join(" "), series.ratio());
        }
    }
}
