//! A program with everything it started: one group that ends together.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

/// How long a program may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(2);

/// A running group; asked to end, then killed, when dropped before it has ended.
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
        let (Some(leader), Some(mut child)) = (self.leader, self.child.take()) else { return };
        let _ = kill_process_group(leader, Signal::TERM);
        let end = async move {
            // Not waited for before the second signal: until then the number cannot be given to another program.
            let _ = tokio::time::timeout(GRACE, child.wait()).await;
            let _ = kill_process_group(leader, Signal::KILL);
            let _ = child.wait().await;
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(end)),
            Err(_) => drop(kill_process_group(leader, Signal::KILL)),
        }
    }
}
