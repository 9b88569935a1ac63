//! Servers that break a promise on purpose: an audit that finds nothing there proves nothing anywhere.

use std::time::Duration;

use super::audit::Promise;
use super::drive::Way;
use super::{listed, prove};

/// The audit must name the promise.
fn is_noticed(sabotage: &'static str, promise: Promise) {
    let way = Way { patience: Duration::from_secs(6), sabotage: Some(sabotage), ..Way::default() };
    let broken = prove(300, 6, &way);
    let of_this = broken.iter().filter(|it| it.promise == promise).count();
    assert!(of_this > 0, "{promise:?} was broken, and this alone was noticed: {}", listed(&broken));
}

#[test]
fn it_is_noticed_when_acknowledgements_are_lost() {
    is_noticed("acknowledgement", Promise::Delivered);
}

#[test]
fn it_is_noticed_when_the_order_of_a_subject_is_lost() {
    is_noticed("order", Promise::Order);
}

#[test]
fn it_is_noticed_when_attempts_are_not_counted() {
    is_noticed("attempts", Promise::Attempts);
}

#[test]
fn it_is_noticed_when_effects_are_committed_without_their_acknowledgement() {
    is_noticed("effects", Promise::Effects);
}
