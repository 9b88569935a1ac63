//! Histories of the journal: events from several clients while handlers fail, outlast their deadline, are replaced, and
//! the server is killed; then every run is held against what was promised.
//!
//! A history is made again from its seed: `HISTORY_SEED=7`. `HISTORY_EVENTS` and `HISTORY_KILLS` change its size,
//! `HISTORY_DIR` where it lies.

mod audit;
mod drive;
mod plan;
mod prng;
mod record;
#[cfg(debug_assertions)]
mod sabotage;
mod shown;

use std::time::Instant;

use audit::{Violation, audit};
use drive::{Way, make};
use plan::Plan;

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|it| it.parse().unwrap())
}

#[expect(clippy::print_stdout, reason = "the seed is what makes a history again")]
/// Makes the history and holds it against the promises; prints what is needed to make it again.
fn prove(count: usize, kills: usize, way: &Way) -> Vec<Violation> {
    let count = from_env("HISTORY_EVENTS").map_or(count, |it| it as usize);
    let kills = from_env("HISTORY_KILLS").map_or(kills, |it| it as usize);
    let seed = from_env("HISTORY_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let began = Instant::now();
    let plan = Plan::of(seed, count, kills);
    let history = make(&plan, way);
    let broken = audit(&plan, &history);
    let by_state = |state: &str| history.record.deliveries.iter().filter(|it| it.state == state).count();
    println!(
        "HISTORY_SEED={seed} HISTORY_EVENTS={count} HISTORY_KILLS={kills}: {} acknowledged, {} done, {} dead, {} \
         quarantined, {} run again after a crash, {} violations, {:.1} s",
        history.acknowledged.len(),
        by_state("done"),
        by_state("dead"),
        by_state("quarantined"),
        history.record.deliveries.iter().filter(|it| it.crashes > 0).count(),
        broken.len(),
        began.elapsed().as_secs_f64(),
    );
    broken
}

#[track_caller]
fn assert_none(broken: &[Violation]) {
    assert!(broken.is_empty(), "{}", listed(broken));
}

fn listed(broken: &[Violation]) -> String {
    let told: Vec<String> = broken.iter().take(30).map(ToString::to_string).collect();
    format!("{} violations:\n{}", broken.len(), told.join("\n"))
}

#[test]
fn five_thousand_events_reach_everybody_once_acknowledged_and_in_order_whatever_dies() {
    assert_none(&prove(5_000, 6, &Way::default()));
}

#[test]
#[ignore = "takes minutes: cargo test --release --test it history -- --ignored --nocapture"]
fn a_hundred_thousand_events_reach_everybody_once_acknowledged_and_in_order_whatever_dies() {
    assert_none(&prove(100_000, 20, &Way { clients: 8, ..Way::default() }));
}
