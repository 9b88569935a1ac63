//! What one call may use: CPU time, wall time, and the memory of its VM.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use parking_lot::Mutex;

use crate::config::PluginLimits;

use super::context::CallKind;

/// CPU time after which the next coroutine of a plugin gets its turn.
pub const SLICE: Duration = Duration::from_millis(2);

/// The time one call may use, in all its slices together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// On the CPU.
    pub cpu: Duration,
    /// From beginning to end.
    pub wall: Duration,
    /// The key of the CPU limit, for messages.
    pub cpu_key: &'static str,
    /// The key of the wall limit, for messages.
    pub wall_key: &'static str,
}

impl Budget {
    /// What the plugin's limits give to a call of this kind.
    pub fn of(limits: &PluginLimits, kind: CallKind) -> Self {
        let (cpu, wall, cpu_key, wall_key) = match kind {
            CallKind::Question => (
                limits.question_cpu_ms,
                limits.question_wall_ms,
                "limits.question_cpu_ms",
                "limits.question_wall_ms",
            ),
            CallKind::Load => {
                (limits.load_cpu_ms, limits.load_wall_ms, "limits.load_cpu_ms", "limits.load_wall_ms")
            }
            CallKind::Fact | CallKind::Life | CallKind::Task => {
                (limits.cpu_ms, limits.wall_ms, "limits.cpu_ms", "limits.wall_ms")
            }
        };
        Budget { cpu: Duration::from_millis(cpu), wall: Duration::from_millis(wall), cpu_key, wall_key }
    }

    /// No longer than until `deadline`, which is somebody else's: `whose` names it in messages.
    pub fn until(self, deadline: Option<Instant>, since: Instant, whose: &'static str) -> Self {
        match deadline.map(|it| it.saturating_duration_since(since)) {
            Some(wall) if wall < self.wall => Budget { wall, wall_key: whose, ..self },
            _ => self,
        }
    }

    /// No longer than the handler asked for where it was registered.
    pub fn within(self, timeout: Option<Duration>) -> Self {
        match timeout {
            Some(wall) if wall < self.wall => {
                Budget { wall, wall_key: "the `timeout` of its handler", ..self }
            }
            _ => self,
        }
    }
}

/// Why a call was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kill {
    /// Its CPU time was used up.
    Cpu = 1,
    /// Its wall time was over.
    Wall = 2,
    /// Nobody waits for it any more.
    Cancelled = 3,
}

/// The time that a clock which is moved by hand has skipped: it counts as if it had been waited for.
#[derive(Debug, Clone, Default)]
pub struct Skipped(Arc<AtomicU64>);

impl Skipped {
    /// So much more.
    pub fn add(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::AcqRel);
    }

    fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Acquire))
    }
}

/// What one call has used of its budget, and whether it was ended.
#[derive(Debug)]
pub struct Meter {
    budget: Option<Budget>,
    deadline: Option<Instant>,
    /// What brings the deadline nearer beside the time itself, and how much it was when the call began.
    skipped: Option<(Skipped, Duration)>,
    cpu_used_ns: AtomicU64,
    killed: AtomicU8,
    /// Where the script was when it was stopped.
    stopped_at: Mutex<Option<String>>,
    is_noted: AtomicBool,
}

impl Meter {
    /// A call that ends at `deadline` at the latest.
    pub fn new(budget: Budget, deadline: Instant) -> Self {
        Meter { deadline: Some(deadline), budget: Some(budget), ..Meter::unlimited() }
    }

    /// For code of the host itself.
    pub fn unlimited() -> Self {
        Meter {
            budget: None,
            deadline: None,
            skipped: None,
            cpu_used_ns: AtomicU64::new(0),
            killed: AtomicU8::new(0),
            stopped_at: Mutex::new(None),
            is_noted: AtomicBool::new(false),
        }
    }

    /// The same, counting what is skipped from now on.
    pub fn with_skips(self, skipped: Option<Skipped>) -> Self {
        Meter { skipped: skipped.map(|it| (it.clone(), it.total())), ..self }
    }

    /// When the wall time is over.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.skipped {
            None => self.deadline,
            Some((skipped, before)) => {
                let since = skipped.total().saturating_sub(*before);
                self.deadline.map(|it| it.checked_sub(since).unwrap_or_else(Instant::now))
            }
        }
    }

    /// CPU time used by finished slices.
    pub fn cpu_used(&self) -> Duration {
        Duration::from_nanos(self.cpu_used_ns.load(Ordering::Relaxed))
    }

    /// CPU time that is left.
    pub fn cpu_left(&self) -> Duration {
        self.budget.map_or(Duration::MAX, |it| it.cpu.saturating_sub(self.cpu_used()))
    }

    /// Adds the CPU time of a slice.
    pub(super) fn charge(&self, cpu: Duration) {
        self.cpu_used_ns.fetch_add(cpu.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Ends the call, unless it was ended before; every further step of its script fails.
    pub fn kill(&self, why: Kill) {
        let _ = self.killed.compare_exchange(0, why as u8, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether and why the call was ended.
    pub fn killed(&self) -> Option<Kill> {
        match self.killed.load(Ordering::Acquire) {
            1 => Some(Kill::Cpu),
            2 => Some(Kill::Wall),
            3 => Some(Kill::Cancelled),
            _ => None,
        }
    }

    /// Ends the call when its time is over; `slice_cpu` comes on top of what was charged.
    pub(super) fn check(&self, now: Instant, slice_cpu: Duration) -> Option<Kill> {
        if let Some(why) = self.killed() {
            return Some(why);
        }
        if self.deadline().is_some_and(|it| now >= it) {
            self.kill(Kill::Wall);
        } else if self.budget.is_some_and(|it| self.cpu_used() + slice_cpu >= it.cpu) {
            self.kill(Kill::Cpu);
        }
        self.killed()
    }

    /// Keeps the first traceback of a script that was stopped; `make` is asked once.
    pub(super) fn note_stopped_at(&self, make: impl FnOnce() -> String) {
        let mut stopped_at = self.stopped_at.lock();
        if !self.is_noted.swap(true, Ordering::Relaxed) {
            *stopped_at = Some(make());
        }
    }

    /// Keeps where the script is, in case that it is stopped while it does not run.
    pub(super) fn note_seen_at(&self, place: String) {
        if self.killed().is_none() {
            *self.stopped_at.lock() = Some(place);
        }
    }

    /// The script waits now, somewhere else.
    pub(super) fn forget_seen_at(&self) {
        if self.killed().is_none() {
            self.stopped_at.lock().take();
        }
    }

    /// Where the script was when it was stopped.
    pub fn stopped_at(&self) -> Option<String> {
        self.stopped_at.lock().clone()
    }

    /// What the author of the script is told about the end.
    pub fn describe(&self, why: Kill) -> String {
        match (why, self.budget) {
            (Kill::Cpu, Some(it)) => {
                format!("the call used up its CPU time of {} ms ({})", it.cpu.as_millis(), it.cpu_key)
            }
            (Kill::Wall, Some(it)) => {
                format!("the call ran out of time (at most {} ms, {})", it.wall.as_millis(), it.wall_key)
            }
            (Kill::Cancelled, _) => "the call was cancelled".to_owned(),
            _ => "the call ran out of time".to_owned(),
        }
    }
}

/// Slices shorter than this are charged by the wall, which is never less than the CPU time and far
/// cheaper to read.
const SHORT: Duration = Duration::from_micros(100);

thread_local! {
    static MARK: Cell<Option<ThreadTime>> = const { Cell::new(None) };
}

/// Begins to count this thread's CPU time; done before each turn of a plugin.
pub(super) fn mark_cpu() -> Turn {
    let now = ThreadTime::try_now().ok();
    MARK.set(now);
    Turn(now)
}

/// What a thread computes for in one turn of a plugin.
pub(super) struct Turn(Option<ThreadTime>);

impl Turn {
    /// CPU time since the turn began, or since this was asked; `wall` has passed.
    pub(super) fn take(&mut self, wall: Duration) -> Duration {
        if wall < SHORT {
            return wall;
        }
        let now = ThreadTime::try_now().ok();
        let cpu = self.0.zip(now).map(|(began, now)| now.duration_since(began));
        self.0 = now;
        cpu.map_or(wall, |it| it.min(wall))
    }
}

/// CPU time of a slice that has lasted `wall` so far.
pub(super) fn slice_cpu(wall: Duration) -> Duration {
    match MARK.get().map(|mark| mark.try_elapsed()) {
        Some(Ok(cpu)) => cpu.min(wall),
        _ => wall,
    }
}

/// CPU time of a slice that has ended after `wall`.
pub(super) fn end_slice_cpu(wall: Duration) -> Duration {
    if wall < SHORT {
        return wall;
    }
    let cpu = slice_cpu(wall);
    mark_cpu();
    cpu
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(cpu_ms: u64) -> Meter {
        let limits = PluginLimits { cpu_ms, ..PluginLimits::default() };
        let budget = Budget::of(&limits, CallKind::Fact);
        Meter::new(budget, Instant::now() + budget.wall)
    }

    #[test]
    fn slices_add_up_and_the_first_cause_of_death_stays() {
        let meter = meter(10);
        meter.charge(Duration::from_millis(6));
        assert_eq!(meter.check(Instant::now(), Duration::from_millis(3)), None);
        assert_eq!(meter.check(Instant::now(), Duration::from_millis(4)), Some(Kill::Cpu));
        meter.kill(Kill::Cancelled);
        assert_eq!(meter.killed(), Some(Kill::Cpu));
        assert_eq!(meter.describe(Kill::Cpu), "the call used up its CPU time of 10 ms (limits.cpu_ms)");
    }

    #[test]
    fn a_deadline_that_has_passed_ends_the_call_without_any_cpu() {
        let meter = meter(10);
        let later = meter.deadline().unwrap();
        assert_eq!(meter.check(later, Duration::ZERO), Some(Kill::Wall));
    }
}
