//! A program with everything it started: one group that ends together.

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

/// A running group; killed when dropped before it has ended.
pub(super) struct Group {
    leader: Option<Pid>,
    child: Option<Child>,
}

impl Group {
    pub(super) fn new(child: Child) -> Self {
        let leader = child.id().and_then(|it| i32::try_from(it).ok()).and_then(Pid::from_raw);
        Group { leader, child: Some(child) }
    }

    pub(super) fn child(&mut self) -> Option<&mut Child> {
        self.child.as_mut()
    }

    /// The program itself has ended; what it left running ends now.
    pub(super) fn ended(mut self) {
        self.child = None;
        if let Some(leader) = self.leader.take() {
            // Its number is nobody else's while one of the group lives; when none does, this is an error, and fine.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let (Some(leader), Some(_child)) = (self.leader, self.child.take()) else { return };
        // At once, not after a last chance: nobody waits for it any more, and the runtime that could give the chance
        // may be ending too. The number is still its own, because nobody has waited for it yet.
        let _ = kill_process_group(leader, Signal::KILL);
    }
}
