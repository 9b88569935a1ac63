//! Processes that have left the group of the program that started them (`setsid`, a double fork): they end with the call, too.
//!
//! The server takes in orphans (`PR_SET_CHILD_SUBREAPER`, Linux), so whatever outlives its parent becomes a child of the
//! server, where it is told by what it cannot shed: the call in its environment or, when it has cleared that, the limits
//! that every program gets. Killing a child is safe, since its number is nobody else's until the server has waited for it;
//! what that child had started becomes a child of the server in turn.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::process::{Child, Command};

/// The variable that names the data folder and the call a process belongs to.
const VARIABLE: &str = "PANOTTI_CALL";

/// How often strays are looked for before those that come faster than they can be ended are left, and the pause between.
const ROUNDS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// Open files that a program may have; with its other limits it marks all that the program starts.
pub(super) const MAX_OPEN_FILES: u64 = 256;

/// Bytes that most environments fit into. The system does not tell how large one is: without room, reading it begins with
/// the smallest pieces.
#[cfg(target_os = "linux")]
const ENVIRONMENT: usize = 16 << 10;

/// Data folder of this server, once it takes in orphans.
static OWNER: OnceLock<String> = OnceLock::new();

/// The programs that this process has started, by their numbers.
static LEADERS: Mutex<BTreeMap<i32, Leader>> = Mutex::new(BTreeMap::new());

struct Leader {
    call: String,
    is_running: bool,
}

/// From now on orphans come to this server and end with their calls; what an earlier server of the same data folder, ended
/// by force, has left running ends now. Call it once, while nobody else uses the folder.
pub fn take_in_orphans(data_dir: &Path) {
    let folder = data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_owned());
    let owner = OWNER.get_or_init(|| folder.to_string_lossy().into_owned());
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        log::warn!("programs of plugins that leave their group may outlive their call: {error}");
    }
    let ended = end_marked(&format!("{VARIABLE}={owner}#"));
    if ended > 0 {
        log::warn!("programs left running by a server that was ended by force: {ended}; they are ended now");
    }
}

/// Ends all programs there are with all they started; the server is about to end.
pub fn end_all() {
    LEADERS.lock().values_mut().for_each(|it| it.is_running = false);
    sweep();
}

/// One started program; what belongs to it is spared until this is dropped.
pub(super) struct Call {
    leader: i32,
    name: String,
}

/// Starts a program and notes whose it is.
pub(super) fn start(command: &mut Command) -> io::Result<(Child, Call)> {
    let call = format!("{}#{}", OWNER.get().map_or("", String::as_str), uuid::Uuid::new_v4().simple());
    // Nobody may find it before it is noted.
    let mut leaders = LEADERS.lock();
    let child = command.env(VARIABLE, &call).spawn()?;
    let leader = child.id().and_then(|it| i32::try_from(it).ok()).unwrap_or_default();
    leaders.insert(leader, Leader { call: call.clone(), is_running: true });
    Ok((child, Call { leader, name: call }))
}

impl Call {
    /// The program has ended and been waited for: its number may be another's.
    pub(super) fn forget(&self) {
        let mut leaders = LEADERS.lock();
        if leaders.get(&self.leader).is_some_and(|it| it.call == self.name) {
            leaders.remove(&self.leader);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(leader) = LEADERS.lock().get_mut(&self.leader).filter(|it| it.call == self.name) {
            leader.is_running = false;
        }
    }
}

/// Ends whatever belongs to no running call. Takes milliseconds: not for a thread that others wait for.
pub(super) fn sweep() {
    if OWNER.get().is_none() {
        return;
    }
    for _ in 0..ROUNDS {
        if round() == 0 {
            return;
        }
        std::thread::sleep(PAUSE);
    }
    log::warn!("programs of plugins start new ones faster than they can be ended: some are left running");
}

/// Kills all strays among the children once; how many there were.
fn round() -> usize {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let mut leaders = LEADERS.lock();
    let children: Vec<Process> = numbers().filter_map(Process::read).filter(|it| it.parent == own).collect();
    // Others wait for the programs themselves; those that are gone have been waited for.
    leaders.retain(|number, it| it.is_running || children.iter().any(|child| child.number == *number));
    let is_running = |call: &str| leaders.values().any(|it| it.is_running && it.call == call);
    let mut killed = 0;
    for child in children {
        let Some(pid) = Pid::from_raw(child.number) else { continue };
        let leader = leaders.get(&child.number);
        if child.is_dead {
            if leader.is_none() {
                let _ = waitpid(Some(pid), WaitOptions::NOHANG);
            }
            continue;
        }
        let is_stray = match leader {
            Some(leader) => !leader.is_running,
            None => match call_of(child.number) {
                Some(call) => !is_running(&call),
                None => has_the_limits(child.number),
            },
        };
        // One that has become another user's cannot be ended: asking again would not help.
        if is_stray && kill_process(pid, Signal::KILL).is_ok() {
            killed += 1;
        }
    }
    killed
}

/// A process as `/proc` tells it.
struct Process {
    number: i32,
    parent: i32,
    is_dead: bool,
}

impl Process {
    fn read(number: i32) -> Option<Process> {
        Process::parse(number, &fs::read_to_string(format!("/proc/{number}/stat")).ok()?)
    }

    /// `12 (name) S 1 …`: the name may be anything, a bracket too.
    fn parse(number: i32, stat: &str) -> Option<Process> {
        let mut words = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = words.next()?;
        Some(Process { number, parent: words.next()?.parse().ok()?, is_dead: matches!(state, "Z" | "X") })
    }
}

/// The numbers of all processes; none where there is no `/proc`.
fn numbers() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|it| it.file_name().to_str()?.parse().ok())
}

/// The call in the environment of a process.
fn call_of(number: i32) -> Option<String> {
    let environment = fs::read(format!("/proc/{number}/environ")).ok()?;
    environment.split(|it| *it == 0).find_map(|it| {
        let (name, value) = std::str::from_utf8(it).ok()?.split_once('=')?;
        (name == VARIABLE).then(|| value.to_owned())
    })
}

/// Whether a process lives under the limits that programs get: what is not root cannot raise them again.
fn has_the_limits(number: i32) -> bool {
    fs::read_to_string(format!("/proc/{number}/limits")).is_ok_and(|it| are_the_limits(&it))
}

/// `Max open files   256   256   files`: the second figure cannot be raised.
fn are_the_limits(table: &str) -> bool {
    let hard = |name: &str| -> Option<u64> {
        let line = table.lines().find_map(|it| it.strip_prefix(name))?;
        line.split_ascii_whitespace().nth(1)?.parse().ok()
    };
    hard("Max core file size") == Some(0)
        && hard("Max open files").is_some_and(|it| it <= MAX_OPEN_FILES)
        && ["Max cpu time", "Max file size", "Max address space"].iter().all(|it| hard(it).is_some())
}

/// Kills every process whose environment begins a variable with `marker`; how many.
#[cfg(target_os = "linux")]
fn end_marked(marker: &str) -> usize {
    use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
    let mut environment = Vec::with_capacity(ENVIRONMENT);
    let mut is_marked = |number: i32| {
        environment.clear();
        let read =
            File::open(format!("/proc/{number}/environ")).and_then(|mut it| it.read_to_end(&mut environment));
        read.is_ok() && environment.split(|it| *it == 0).any(|it| it.starts_with(marker.as_bytes()))
    };
    let mut killed = 0;
    for _ in 0..ROUNDS {
        let before = killed;
        for number in numbers() {
            // Held before it is looked at: its number may become another's meanwhile.
            let held = Pid::from_raw(number).and_then(|it| pidfd_open(it, PidfdFlags::empty()).ok());
            if let Some(held) = held.filter(|_| is_marked(number))
                && pidfd_send_signal(held, Signal::KILL).is_ok()
            {
                killed += 1;
            }
        }
        if killed == before {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    killed
}

#[cfg(not(target_os = "linux"))]
fn end_marked(_marker: &str) -> usize {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let read = |stat| Process::parse(12, stat).map(|it| (it.parent, it.is_dead));
        assert_eq!(read("12 (a) Z 7 (b)) S 1 12 12 0"), Some((1, false)));
        assert_eq!(read("12 (sh) Z 34 12"), Some((34, true)));
        assert_eq!(read("12 sh"), None);
    }

    #[test]
    fn only_the_limits_of_programs_mark_a_process() {
        let table = |files: &str, core: &str, cpu: &str| {
            format!(
                "Limit  Soft Limit  Hard Limit  Units\nMax cpu time  {cpu}  {cpu}  seconds\nMax file size  9  9  bytes\n\
                 Max core file size  {core}  {core}  bytes\nMax open files  12  {files}  files\nMax address space  8  8  bytes\n"
            )
        };
        assert!(are_the_limits(&table("256", "0", "31")));
        assert!(are_the_limits(&table("64", "0", "31")), "lowered further");
        for other in
            [table("1024", "0", "31"), table("256", "unlimited", "31"), table("256", "0", "unlimited")]
        {
            assert!(!are_the_limits(&other), "{other}");
        }
    }
}
