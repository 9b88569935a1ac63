//! Events that are worth telling for a while only.

use crate::model::time::Timestamp;
use crate::store::Claimed;

/// Whether a claimed delivery is not to be run any more: its event is no longer worth telling. What is told again on
/// purpose is told whatever its age.
pub(super) fn is_over(delivery: &Claimed, now: Timestamp) -> bool {
    !delivery.replay && delivery.event.is_expired(now)
}
