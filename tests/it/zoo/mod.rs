//! Hostile scripts against the real server, with healthy plugins and a client beside them.
//!
//! Each script's header says what it is to come to. Whatever it does, the process lives, the neighbours miss no
//! hook, every request is answered, and the log tells of it.

#![allow(clippy::print_stdout)] // the table is for whoever runs it

mod cage;
mod neighbours;
mod script;
mod world;

use std::time::Duration;

use crate::common::Server;

use neighbours::Probe;
use script::{SECRET, Script};

/// One or two of each class, for the default tests; all of them run by the command in CONTRIBUTING.
const SHORT: &[&str] = &[
    "box_017_api_table_poison",
    "box_019_userdata_metamethods",
    "db_002_pragma_schema",
    "db_006_core_table",
    "db_008_cte_bomb",
    "db_018_fill_disk",
    "ev_002_emit_flood",
    "ev_003_huge_payload",
    "ev_011_log_secret",
    "ev_017_unicode_plugin_text",
];

/// How a walk through the zoo is made.
struct Walk {
    scripts: Vec<Script>,
    memory_mib: u64,
    /// Whether the outcomes and sizes in the headers must be met; at other memory limits they need not.
    strict: bool,
    /// Whether the times in the headers must be met, four times over.
    timed: bool,
}

impl Walk {
    fn go(self) {
        let server = neighbours::furnish(Server::with())
            .env("PANOTTI_LOG", "info")
            .env("PANOTTI_HTTP_HOSTS", format!("allowed.test={}", world::start()))
            .start();
        let probe = Probe::start(server.client());
        let (mut wrong, mut clips) = (Vec::new(), 0);
        println!(
            "\n{:<36} {:<10} {:>8} {:>7} {:>7} {:>9}",
            "script", "outcome", "ms", "MiB", "beside", "worst ms"
        );
        for script in &self.scripts {
            let ended = cage::run(&server, script, self.memory_mib);
            let seen = probe.take();
            clips += seen.clips + u64::from(script.is_about_answers());
            wrong.extend(seen.faults.iter().map(|it| format!("{}: beside it: {it}", script.name)));
            let (outcome, took, mib) = match ended {
                Ok(it) => (it.outcome, it.took, it.mib),
                Err(why) => {
                    wrong.push(format!("{}: {why}", script.name));
                    continue;
                }
            };
            println!(
                "{:<36} {:<10} {:>8.1} {:>7.1} {:>7} {:>9.1}",
                script.name,
                outcome,
                took.as_secs_f64() * 1e3,
                mib,
                seen.requests,
                seen.slowest.as_secs_f64() * 1e3
            );
            if !self.strict {
                continue;
            }
            if !script.expected().contains(&outcome.as_str()) {
                wrong.push(format!("{}: {outcome} instead of {}", script.name, script.expected().join("|")));
            }
            if mib > script.most_mib() * 1.05 {
                wrong.push(format!("{}: {mib:.1} MiB instead of {}", script.name, script.most_mib()));
            }
            if self.timed && took > script.longest() * 4 {
                wrong.push(format!("{}: {took:?} instead of {:?}", script.name, script.longest()));
            }
        }
        let secret = server.log_lines().iter().any(|it| it.to_string().contains(SECRET));
        probe.end(clips);
        assert!(!secret, "the log tells a secret");
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), self.scripts.len(), wrong.join("\n"));
    }
}

#[test]
fn hostile_plugins_come_to_what_they_should_and_nobody_else_notices() {
    let scripts =
        Script::all().into_iter().filter(|it| SHORT.contains(&it.name.as_str())).collect::<Vec<_>>();
    assert_eq!(scripts.len(), SHORT.len());
    Walk { scripts, memory_mib: 64, strict: true, timed: false }.go();
}

#[test]
#[ignore = "minutes long; CONTRIBUTING tells the command"]
fn the_whole_zoo_comes_to_what_it_should() {
    Walk { scripts: Script::all(), memory_mib: 64, strict: true, timed: !cfg!(debug_assertions) }.go();
}

#[test]
#[ignore = "minutes long; CONTRIBUTING tells the command"]
fn no_memory_limit_lets_a_script_end_the_server() {
    for memory_mib in [1, 2, 4, 8, 16, 32] {
        println!("\nat {memory_mib} MiB");
        let slow = Duration::from_secs(10);
        let scripts = Script::all().into_iter().filter(|it| it.longest() < slow).collect();
        Walk { scripts, memory_mib, strict: false, timed: false }.go();
    }
}
