//! Requests and events without a pause while a plugin is saved every second, one save in five broken: none of them
//! may notice. `HOT_EDIT_SECONDS` changes how long.

mod load;
mod verdict;

use std::time::Duration;

use load::{Load, run};

fn seconds(otherwise: u64) -> Duration {
    let told = std::env::var("HOT_EDIT_SECONDS").ok();
    Duration::from_secs(told.map_or(otherwise, |it| it.parse().unwrap()))
}

#[track_caller]
fn assert_unnoticed(load: &Load) {
    let broken = run(load).broken();
    assert!(broken.is_empty(), "{} violations:\n{}", broken.len(), broken[..broken.len().min(30)].join("\n"));
}

#[test]
fn no_request_and_no_event_notices_a_save() {
    assert_unnoticed(&Load { time: seconds(20), sabotage: None });
}

#[test]
#[ignore = "ten minutes"]
fn no_request_and_no_event_notices_six_hundred_saves() {
    assert_unnoticed(&Load { time: seconds(600), sabotage: None });
}

#[cfg(debug_assertions)]
#[test]
fn it_is_noticed_when_a_new_version_takes_over_with_a_gap() {
    let broken = run(&Load { time: Duration::from_secs(6), sabotage: Some("swap") }).broken();
    assert!(broken.iter().any(|it| it.contains("no hook was asked")), "{broken:?}");
}
