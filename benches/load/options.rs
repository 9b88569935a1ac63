//! What the command line asks for.

use std::path::PathBuf;
use std::time::Duration;

use crate::rig::is_long;

/// All that can be measured.
pub const WORKLOADS: &[&str] = &["W1", "W2", "W3", "W4", "W5", "W6", "W7", "overload"];

/// What is measured, and for how long.
#[derive(Debug)]
pub struct Options {
    pub workloads: Vec<&'static str>,
    pub rounds: usize,
    /// Each measurement lasts so long.
    pub each: Duration,
    /// Before it, so long does not count.
    pub warm: Duration,
    pub connections: usize,
    /// Only these peers; all that are found without.
    pub peers: Option<Vec<String>>,
    /// The page whose block is replaced.
    pub write: Option<PathBuf>,
}

impl Options {
    /// Reads the arguments; ends the program with a sentence when they make no sense.
    pub fn of(arguments: impl Iterator<Item = String>) -> Self {
        let mut it = match is_long() {
            true => Options::long(),
            false => Options::once(),
        };
        let mut arguments = arguments.filter(|it| it != "--bench" && it != "--test");
        let mut named = Vec::new();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().unwrap_or_else(|| stop(&format!("{argument} wants a value")));
            match argument.as_str() {
                "--rounds" => it.rounds = number(&value()) as usize,
                "--seconds" => it.each = Duration::from_secs_f64(number(&value())),
                "--connections" => it.connections = number(&value()) as usize,
                "--peers" => it.peers = Some(value().split(',').map(str::to_owned).collect()),
                "--write" => it.write = Some(value().into()),
                name => match WORKLOADS.iter().find(|it| it.eq_ignore_ascii_case(name)) {
                    Some(workload) => named.push(*workload),
                    None => stop(&format!("`{name}` is no workload: {}", WORKLOADS.join(", "))),
                },
            }
        }
        if !named.is_empty() {
            it.workloads = named;
        }
        it
    }

    fn long() -> Self {
        Options {
            workloads: WORKLOADS.to_vec(),
            rounds: 3,
            each: Duration::from_secs(3),
            warm: Duration::from_secs(1),
            connections: 32,
            peers: None,
            write: None,
        }
    }

    /// To see that it works.
    fn once() -> Self {
        let short = Duration::from_millis(50);
        Options {
            rounds: 1,
            each: short,
            warm: short,
            connections: 4,
            peers: Some(Vec::new()),
            ..Options::long()
        }
    }

    /// Whether a target is measured.
    pub fn wants(&self, target: &str) -> bool {
        target == "panotti" || self.peers.as_ref().is_none_or(|peers| peers.iter().any(|it| it == target))
    }
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| stop(&format!("`{text}` is no number")))
}

fn stop(why: &str) -> ! {
    println!("{why}");
    std::process::exit(2);
}
