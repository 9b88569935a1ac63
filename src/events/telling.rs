//! What the log says of deliveries that fail: the first ones each, and then how many more. A receiver that is away fails
//! with every event.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::hooks::CallFailure;
use crate::model::rate::Rate;
use crate::model::time::Timestamp;
use crate::store::Claimed;

/// Lines of one subscriber a second, and at once.
const PER_S: f64 = 0.1;
const BURST: f64 = 10.0;

/// What was told of whom: one rate for those that are tried again, one for those that are not.
#[derive(Default)]
pub(super) struct Telling(Mutex<HashMap<Arc<str>, [Rate; 2]>>);

impl Telling {
    /// Tells that a delivery failed and is tried again at `next`, or never.
    pub(super) fn failed(&self, delivery: &Claimed, failure: &CallFailure, next: Option<Timestamp>) {
        let Some(untold) = self.take(&delivery.subscriber, next.is_none()) else { return };
        let (kind, outcome) = (&delivery.event.kind, failure.outcome.as_str());
        let fault = failure.fault.to_string();
        let why = fault.lines().next().unwrap_or_default();
        let more = match untold {
            0 => String::new(),
            untold => format!(" ({untold} more of this subscriber since it was told last)"),
        };
        match next {
            Some(at) => log::warn!(
                plugin = &*delivery.subscriber, event_id = &*delivery.event.id, attempt = delivery.attempts;
                "delivery of {kind} failed ({outcome}: {why}); tried again at {at}{more}"
            ),
            None => log::error!(
                plugin = &*delivery.subscriber, event_id = &*delivery.event.id, attempt = delivery.attempts;
                "delivery of {kind} failed for the last time ({outcome}: {why}); it is kept as dead{more}"
            ),
        }
    }

    /// Whether one more is told, and how many were not since the last.
    fn take(&self, subscriber: &Arc<str>, is_last: bool) -> Option<u64> {
        let mut rates = self.0.lock();
        let rates = rates
            .entry(Arc::clone(subscriber))
            .or_insert_with(|| std::array::from_fn(|_| Rate::with(PER_S, BURST)));
        rates[usize::from(is_last)].take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_that_is_away_fills_no_log_and_hides_no_other() {
        let telling = Telling::default();
        let (away, other) = ("webhook/a".into(), "plugin".into());
        let told = (0..7_000).filter(|_| telling.take(&away, false).is_some()).count();
        assert_eq!(told, 10);
        assert_eq!(telling.take(&other, false), Some(0));
        assert_eq!(telling.take(&away, true), Some(0), "the last attempt is told apart");
    }
}
