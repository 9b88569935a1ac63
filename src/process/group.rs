//! A program with everything it started: one group that ends together, and what has left the group with it.

use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use super::strays::{self, Call};

/// A killed program is waited for so long.
const REAPED_WITHIN: Duration = Duration::from_secs(1);

/// A running group; killed when dropped before it has ended.
pub(super) struct Group {
    leader: Option<Pid>,
    child: Option<Child>,
    call: Option<Call>,
}

impl Group {
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        let (child, call) = strays::start(command)?;
        let leader = child.id().and_then(|it| i32::try_from(it).ok()).and_then(Pid::from_raw);
        Ok(Group { leader, child: Some(child), call: Some(call) })
    }

    pub(super) fn child(&mut self) -> Option<&mut Child> {
        self.child.as_mut()
    }

    /// Ends what still runs: the program, unless it has ended by itself, and all it left running.
    pub(super) async fn end(mut self) {
        // Its number is nobody else's while one of the group lives; when none does, this is an error, and fine.
        let _ = self.leader.map(|it| kill_process_group(it, Signal::KILL));
        if let Some(child) = self.child.as_mut()
            && tokio::time::timeout(REAPED_WITHIN, child.wait()).await.is_ok()
            && let Some(call) = &self.call
        {
            call.forget();
        }
        self.child = None;
        self.call = None;
        let _ = tokio::task::spawn_blocking(strays::sweep).await;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let (Some(leader), Some(_child)) = (self.leader, self.child.take()) else { return };
        // At once, not after a last chance: nobody waits for it any more, and the runtime that could give the chance
        // may be ending too. The number is still its own, because nobody has waited for it yet.
        let _ = kill_process_group(leader, Signal::KILL);
        self.call = None;
        let _ = std::thread::Builder::new().name("strays".to_owned()).spawn(strays::sweep);
    }
}
