//! The workloads, each as what is done to one server in one round.

use std::path::Path;
use std::time::Duration;

use super::cores::Cores;
use super::drive::{Drove, Load, Pace, Work, drive};
use super::figures::{self, Figures, Results, Row};
use super::options::Options;
use super::overload;
use super::targets::{Plugins, Running, Target};
use crate::rig::is_long;

/// GETs a second beside the work of W5.
const BESIDE_RATE: f64 = 500.0;
/// Connections that keep W5's hooks busy.
const BESIDE_CONNECTIONS: usize = 8;

/// What all measurements share.
pub struct Bench<'a> {
    pub options: &'a Options,
    pub cores: &'a Cores,
    pub folder: &'a Path,
    pub results: Results,
}

impl Bench<'_> {
    /// One round of one workload on one target.
    pub fn measure(&mut self, workload: &'static str, round: usize, target: &dyn Target) {
        let (mut found, name) = (Vec::new(), target.name());
        match workload {
            "W1" => found.push(("all", self.closed(target, Plugins::None, Running::get))),
            "W2" => found.push(("all", self.closed(target, Plugins::Set("w2"), Running::get))),
            "W3" => found.push(("all", self.closed(target, Plugins::Set("w3"), Running::post))),
            "W4" => found.push(("all", self.closed(target, Plugins::Set("w4"), Running::start_end))),
            "W5" => found.extend(self.beside(target)),
            "W6" => found.extend(self.waiting(target)),
            "W7" => found.extend(self.started(target)),
            _ if name == "panotti" => found.extend(overload::measure(self, target)),
            _ => {}
        }
        for (part, figures) in found {
            self.results.add(Row { workload, part, target: name, round, figures });
        }
    }

    /// A server with these plugins.
    pub fn start(&self, target: &dyn Target, plugins: Plugins) -> Running {
        Running::start(target, self.cores, self.folder, plugins)
    }

    /// Drives `work` for so long from all cores of the generator.
    pub fn drive(
        &self,
        server: &Running,
        work: Work,
        pace: Pace,
        connections: usize,
        lasts: Duration,
    ) -> Drove {
        drive(&self.cores.generator, &Load { address: server.address(), connections, work, pace, lasts })
    }

    /// The same request on all connections, each again when it is answered.
    fn closed(&self, target: &dyn Target, plugins: Plugins, work: fn(&Running) -> Work) -> Figures {
        let server = self.start(target, plugins);
        let run = |lasts| self.drive(&server, work(&server), Pace::Closed, self.options.connections, lasts);
        run(self.options.warm);
        let before = server.cpu_s();
        let drove = run(self.options.each);
        let cpu_s = server.cpu_s() - before;
        let mut figures = figures::of(&drove);
        figures.insert("cpu_us", cpu_s * 1e6 / drove.samples.len().max(1) as f64);
        figures
    }

    /// GETs at a fixed rate: alone, and beside POSTs whose hook computes for a millisecond.
    fn beside(&self, target: &dyn Target) -> Vec<(&'static str, Figures)> {
        let server = self.start(target, Plugins::Set("w5"));
        let [first, .., last] = self.cores.generator[..] else { return Vec::new() };
        let gets = |lasts| {
            let pace = Pace::Rate(BESIDE_RATE);
            let load = Load { address: server.address(), connections: 8, work: server.get(), pace, lasts };
            drive(&[first], &load)
        };
        let posts = |lasts| {
            let connections = BESIDE_CONNECTIONS;
            let work = server.post();
            drive(&[last], &Load { address: server.address(), connections, work, pace: Pace::Closed, lasts })
        };
        posts(self.options.warm);
        gets(self.options.warm);
        let idle = figures::of(&gets(self.options.each));
        let (mut beside, heavy) = std::thread::scope(|scope| {
            let heavy = scope.spawn(|| posts(self.options.each + Duration::from_secs(1)));
            std::thread::sleep(Duration::from_millis(500));
            (figures::of(&gets(self.options.each)), figures::of(&heavy.join().unwrap()))
        });
        beside.insert("posts", heavy["rps"]);
        *beside.entry("failed").or_default() += heavy["failed"];
        vec![("idle", idle), ("beside", beside)]
    }

    /// Requests that all wait for a second in a hook, at the same time.
    fn waiting(&self, target: &dyn Target) -> Vec<(&'static str, Figures)> {
        let counts: &[(&str, usize)] =
            if is_long() { &[("200", 200), ("2 000", 2_000)] } else { &[("200", 200)] };
        let run = |(part, count): &(&'static str, usize)| {
            // Peers that give each waiting hook a thread or a VM are asked the smaller number alone.
            let is_too_many = *count > 200 && !matches!(target.name(), "panotti" | "nginx" | "prototype");
            (!is_too_many).then(|| {
                // A server of its own: one that has seen slow hooks leaves them out for a while.
                let server = self.start(target, Plugins::Set("w6"));
                let drove = self.drive(&server, server.get(), Pace::Once, *count, Duration::ZERO);
                (*part, figures::of(&drove))
            })
        };
        counts.iter().filter_map(run).collect()
    }

    /// From the command to the first answer, and the memory two seconds later.
    fn started(&self, target: &dyn Target) -> Vec<(&'static str, Figures)> {
        let counts: &[(&str, usize)] =
            if is_long() { &[("0", 0), ("10", 10), ("100", 100)] } else { &[("10", 10)] };
        let run = |(part, count): &(&'static str, usize)| {
            let server = self.start(target, Plugins::Trivial(*count));
            std::thread::sleep(if is_long() { Duration::from_secs(2) } else { Duration::ZERO });
            let (resident, proportional) = server.memory_mib();
            let first_ms = server.first_answer.as_secs_f64() * 1e3;
            (*part, Figures::from([("first_ms", first_ms), ("rss_mib", resident), ("pss_mib", proportional)]))
        };
        counts.iter().map(run).collect()
    }
}
