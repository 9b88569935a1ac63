//! Taking up what somebody else has seen to be complete: files that are being written again meanwhile are left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::Result;

use super::scan::Rescan;
use super::{Manager, Slot};

/// The hash of what a folder was seen to hold; none where it held nothing that can be read.
pub type Seen = BTreeMap<Arc<str>, Option<Arc<str>>>;

impl Manager {
    /// As [`Manager::take_up`], for files as they were seen: a running plugin whose folder holds something else by now
    /// is left as it is, for whoever has seen them looks again.
    ///
    /// # Errors
    /// As [`Manager::rescan`].
    pub async fn take_up_seen(&self, seen: Seen) -> Result<Rescan> {
        self.alone(move |manager| async move {
            let names: BTreeSet<Arc<str>> = seen.keys().cloned().collect();
            let expect = |seen: &Seen| {
                for name in &names {
                    if let Some(slot) = manager.named(name) {
                        slot.change(|it| it.seen = seen.get(name).cloned().flatten());
                    }
                }
            };
            expect(&seen);
            let done = manager.look_again(Some(&names)).await;
            expect(&Seen::new());
            done
        })
        .await
    }
}

impl Slot {
    /// Whether files of this hash are not those that were seen to be complete.
    pub(super) fn is_being_edited(&self, hash: &Arc<str>) -> bool {
        self.read(|it| it.seen.as_ref().is_some_and(|seen| seen != hash))
    }
}
