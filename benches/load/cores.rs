//! Which cores the server and the generator run on, and what processes have used of them.

use std::collections::HashMap;
use std::process::{Child, Command};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Who runs where.
#[derive(Debug, Clone)]
pub struct Cores {
    /// The server's; empty when nobody is pinned.
    pub server: Vec<usize>,
    /// One generator's thread on each.
    pub generator: Vec<Option<usize>>,
}

impl Cores {
    /// Two for the server and the next two for the generator, where there are as many.
    pub fn split() -> Self {
        let allowed = sched_getaffinity(None).unwrap_or_default();
        let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|it| allowed.is_set(*it)).collect();
        match cores[..] {
            [a, b, c, d, ..] => Cores { server: vec![a, b], generator: vec![Some(c), Some(d)] },
            _ => Cores { server: Vec::new(), generator: vec![None, None] },
        }
    }

    /// Whether server and generator have cores of their own.
    pub fn are_pinned(&self) -> bool {
        !self.server.is_empty()
    }

    /// Starts a program on the server's cores.
    pub fn start(&self, command: &mut Command) -> Child {
        let here = sched_getaffinity(None).unwrap();
        pin(&self.server);
        let child = command.spawn();
        sched_setaffinity(None, &here).unwrap();
        child.unwrap_or_else(|fault| panic!("{:?}: {fault}", command.get_program()))
    }
}

/// This thread runs on these cores alone; on all when there are none.
pub fn pin(cores: &[usize]) {
    if cores.is_empty() {
        return;
    }
    let mut set = CpuSet::new();
    cores.iter().for_each(|it| set.set(*it));
    sched_setaffinity(None, &set).unwrap();
}

/// A process and all below it.
fn tree(root: u32) -> Vec<u32> {
    let mut below: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|it| it.parse().ok()) else { continue };
        if let Some(parent) = stat(id).and_then(|it| it.get(1)?.parse().ok()) {
            below.entry(parent).or_default().push(id);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(id) = found.get(next) {
        found.extend(below.get(id).into_iter().flatten().copied().collect::<Vec<u32>>());
        next += 1;
    }
    found
}

/// What `/proc/<id>/stat` tells behind the name: state, parent, ...
fn stat(id: u32) -> Option<Vec<String>> {
    let told = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    Some(told.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

/// Seconds of CPU that a process and all below it have used.
pub fn cpu_s(root: u32) -> f64 {
    let ticks_per_s = rustix::param::clock_ticks_per_second() as f64;
    let ticks = |id| -> Option<f64> {
        let stat = stat(id)?;
        Some(stat.get(11)?.parse::<f64>().ok()? + stat.get(12)?.parse::<f64>().ok()?)
    };
    tree(root).into_iter().filter_map(ticks).sum::<f64>() / ticks_per_s
}

/// MiB of memory that a process and all below it hold: resident, and with shared pages counted in parts.
pub fn memory_mib(root: u32) -> (f64, f64) {
    let (mut resident, mut proportional) = (0.0, 0.0);
    for id in tree(root) {
        let told = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
        let of = |name: &str| -> f64 {
            let line = told.lines().find_map(|it| it.strip_prefix(name));
            line.and_then(|it| it.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0) / 1024.0
        };
        resident += of("Rss:");
        proportional += of("Pss:");
    }
    (resident, proportional)
}

/// Ends a process and all below it.
pub fn end(child: &mut Child) {
    let ids = tree(child.id());
    signal(&ids[..1], rustix::process::Signal::TERM);
    for _ in 0..100 {
        if matches!(child.try_wait(), Ok(Some(_))) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    // Those that are left have a parent no more.
    let left: Vec<u32> = ids.into_iter().filter(|it| stat(*it).is_some_and(|it| it[0] != "Z")).collect();
    signal(&left, rustix::process::Signal::KILL);
    let _ = child.wait();
}

fn signal(ids: &[u32], signal: rustix::process::Signal) {
    for id in ids {
        if let Some(id) = rustix::process::Pid::from_raw(*id as i32) {
            let _ = rustix::process::kill_process(id, signal);
        }
    }
}
