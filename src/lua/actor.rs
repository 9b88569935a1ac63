//! One VM of a plugin as an actor: a bounded queue, a set of live coroutines, polled by one thread at a time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::model::call::Outcome;

use super::Shared;
use super::budget;
use super::context::ApiContext;
use super::counts::Counts;
use super::fault;
use super::parked::Parked;
use super::pool::Pool;
use super::replay;
use super::require::Modules;
use super::room::{Room, Todo};
use super::share::Share;
use super::strand::{Failed, Job, QueuedCall};
use super::supervisor::Supervisor;
use super::vm::Memory;
use super::waiting::Waiting;
use super::watchdog::Gate;

/// How long a plugin holds its thread while others wait.
const TURN: Duration = Duration::from_millis(4);

/// Calls taken from the queue at once.
const BATCH: usize = 64;

/// Nothing to do; in the pool's queue; on a thread; on a thread, with news since it looked.
const IDLE: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
const NEWS: u8 = 3;

/// One VM, its queue and its coroutines.
pub struct Actor {
    pub(super) context: Arc<ApiContext>,
    pub(super) pool: Arc<Pool>,
    pub(super) host: Arc<Shared>,
    pub(super) modules: Arc<Modules>,
    /// Tasks and timers that live.
    pub(super) tasks: Arc<AtomicUsize>,
    pub(super) timers: Arc<AtomicUsize>,
    pub(super) supervisor: OnceLock<std::sync::Weak<dyn Supervisor>>,
    state: AtomicU8,
    inbox: Mutex<Inbox>,
    room: Mutex<Room>,
    /// Who waits for the call in each slot of the room; outside of it, so that they can be told when the room
    /// is held by a script that nothing stops.
    pub(super) waiting: Mutex<Vec<Option<Waiting>>>,
    pub(super) counts: Arc<Counts>,
    /// Functions of delayed tasks.
    pub(super) parked: Parked,
    gate: OnceLock<Arc<Gate>>,
    memory: OnceLock<Arc<Memory>>,
    epoch: Instant,
    next_deadline_ns: AtomicU64,
    pub(super) share: Share,
    given_up: AtomicBool,
    closed: AtomicBool,
}

#[derive(Default)]
struct Inbox {
    calls: VecDeque<QueuedCall>,
    jobs: VecDeque<Job>,
    ready: Vec<usize>,
    sweep: bool,
}

impl Inbox {
    /// Hands over what is to be done beside calls from outside.
    fn give_news(&mut self, todo: &mut Todo) {
        if !self.ready.is_empty() {
            todo.take_ready(&mut self.ready);
        }
        if !self.jobs.is_empty() {
            todo.jobs.append(&mut self.jobs);
        }
    }
}

impl Actor {
    pub(super) fn new(
        context: Arc<ApiContext>,
        pool: Arc<Pool>,
        host: Arc<Shared>,
        modules: Arc<Modules>,
    ) -> Arc<Self> {
        let actor = Arc::new(Actor {
            context,
            pool,
            host,
            modules,
            tasks: Arc::default(),
            timers: Arc::default(),
            supervisor: OnceLock::new(),
            state: AtomicU8::new(IDLE),
            inbox: Mutex::default(),
            room: Mutex::default(),
            waiting: Mutex::default(),
            counts: Arc::default(),
            parked: Parked::default(),
            gate: OnceLock::new(),
            memory: OnceLock::new(),
            epoch: Instant::now(),
            next_deadline_ns: AtomicU64::new(u64::MAX),
            share: Share::new(Instant::now()),
            given_up: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        actor.pool.watch_over(&actor);
        actor
    }

    /// Takes over what is to be done beside calls from outside.
    pub(super) fn take_news(&self, todo: &mut Todo) {
        self.inbox.lock().give_news(todo);
    }

    /// Queues a call; the one who waits is told at once when the queue is full.
    pub(super) fn call(self: &Arc<Self>, call: QueuedCall) {
        let mut inbox = self.inbox.lock();
        let full = inbox.calls.len() >= self.context.limits.queue;
        if full || self.closed.load(Ordering::Acquire) {
            drop(inbox);
            let failed = if full {
                self.queue_full()
            } else {
                self.failed(Outcome::Skipped, "the plugin was unloaded")
            };
            call.waiting.send(Err(failed));
            return;
        }
        self.pool.begin_call();
        inbox.calls.push_back(call);
        drop(inbox);
        self.schedule();
    }

    /// Does something other than a call from outside: loading, tasks, parts of a running call.
    pub(super) fn start(self: &Arc<Self>, job: Job) {
        if job.is_call() {
            self.pool.begin_call();
        }
        self.inbox.lock().jobs.push_back(job);
        self.schedule();
    }

    /// Calls that wait for their turn.
    pub(super) fn queued(&self) -> usize {
        self.inbox.lock().calls.len()
    }

    /// All queued calls, for the VM that takes over.
    pub(super) fn take_queued(&self) -> Vec<QueuedCall> {
        let calls: Vec<QueuedCall> = self.inbox.lock().calls.drain(..).collect();
        calls.iter().for_each(|_| self.pool.end_call());
        calls
    }

    /// The coroutine in `slot` can go on.
    pub(super) fn wake(self: &Arc<Self>, slot: usize) {
        self.inbox.lock().ready.push(slot);
        self.schedule();
    }

    /// Some call was ended from outside: its coroutines are to be dropped.
    pub(super) fn sweep(self: &Arc<Self>) {
        self.inbox.lock().sweep = true;
        self.schedule();
    }

    /// Ends all calls and drops the VM, on the pool.
    pub(super) fn close(self: &Arc<Self>) {
        self.closed.store(true, Ordering::Release);
        self.sweep();
    }

    /// Whether it neither runs nor waits for a thread.
    pub(super) fn is_idle(&self) -> bool {
        self.state.load(Ordering::Acquire) == IDLE
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn gate(&self) -> Option<&Arc<Gate>> {
        self.gate.get()
    }

    pub(super) fn memory(&self) -> Option<&Arc<Memory>> {
        self.memory.get()
    }

    pub(super) fn has_vm(&self, gate: &Arc<Gate>, memory: Arc<Memory>) {
        let _ = self.gate.set(Arc::clone(gate));
        let _ = self.memory.set(memory);
    }

    /// Whether a script took the VM where nothing reaches it.
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    /// A script holds this VM and nothing stops it: everybody who waits is told, another VM takes over.
    pub(super) fn give_up(self: &Arc<Self>) -> bool {
        if self.given_up.swap(true, Ordering::AcqRel) {
            return false;
        }
        log::error!(plugin = &*self.context.plugin, generation = self.context.generation;
            "a call does not stop after its deadline; its VM and thread are left alone until it does");
        for waiting in self.waiting.lock().iter_mut().filter_map(Option::take) {
            waiting.send(Err(self.failed(Outcome::Deadline, "a call of the plugin could not be stopped")));
        }
        self.tell_supervisor("it could not be stopped");
        true
    }

    pub(super) fn tell_supervisor(self: &Arc<Self>, why: &str) {
        if let Some(supervisor) = self.supervisor.get().and_then(std::sync::Weak::upgrade) {
            supervisor.broke(self, why);
        }
    }

    /// A call waits until `deadline` at most.
    pub(super) fn note_deadline(&self, deadline: Instant) {
        let at = deadline.saturating_duration_since(self.epoch).as_nanos() as u64;
        self.next_deadline_ns.fetch_min(at, Ordering::AcqRel);
    }

    /// Looks after calls that wait: in the queue past their deadline, in the room past theirs.
    pub(super) fn tick(self: &Arc<Self>, now: Instant) {
        let mut late = Vec::new();
        if let Some(mut inbox) = self.inbox.try_lock()
            && inbox.calls.front().is_some()
        {
            let mut index = 0;
            while index < inbox.calls.len() {
                if inbox.calls[index].is_over(now) {
                    late.extend(inbox.calls.remove(index));
                } else {
                    index += 1;
                }
            }
        }
        for call in late {
            self.pool.end_call();
            let failed = self
                .failed(Outcome::Deadline, "the call waited in the plugin's queue until its time was over");
            call.waiting.send(Err(failed));
        }
        if self.next_deadline_ns.load(Ordering::Acquire) <= self.since_epoch_ns(now) {
            self.next_deadline_ns.store(u64::MAX, Ordering::Release);
            self.sweep();
        }
    }

    /// Makes sure that a thread comes by.
    pub(super) fn schedule(self: &Arc<Self>) {
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            let next = match state {
                IDLE => QUEUED,
                RUNNING => NEWS,
                _ => return,
            };
            match self.state.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(IDLE) => {
                    let now = Instant::now();
                    return self.pool.push(Arc::clone(self), now);
                }
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
    }

    /// One turn on a thread: what is ready, then what is queued, for a few milliseconds. True when nothing was left to do:
    /// the one who serves it lets it rest then.
    pub(super) fn turn(self: &Arc<Self>) -> bool {
        let mut room = self.room.lock();
        let mut computed = budget::mark_cpu();
        let began = Instant::now();
        self.share.end_wait(began);
        let mut counted = began;
        loop {
            self.state.store(RUNNING, Ordering::Release);
            let mut sweep = false;
            if room.todo.is_empty() {
                let mut inbox = self.inbox.lock();
                sweep = std::mem::take(&mut inbox.sweep);
                inbox.give_news(&mut room.todo);
                while room.todo.calls.len() < BATCH
                    && !inbox.calls.is_empty()
                    && room.takes_calls()
                    && self.take_slot()
                {
                    room.todo.calls.extend(inbox.calls.pop_front());
                }
            }
            if sweep {
                room.sweep(self, Instant::now());
            }
            if room.todo.is_empty() && !sweep && !replay::goes_on(self) {
                self.count(&mut counted, &mut computed);
                if self.state.load(Ordering::Acquire) == RUNNING {
                    return true;
                }
                continue;
            }
            while room.step(self) {
                if began.elapsed() >= TURN {
                    drop(room);
                    self.count(&mut counted, &mut computed);
                    self.share.wait(counted);
                    self.pool.put_back(Arc::clone(self));
                    return false;
                }
            }
        }
    }

    /// Counts the turn up to now.
    fn count(&self, counted: &mut Instant, computed: &mut budget::Turn) {
        let now = Instant::now();
        let cpu = computed.take(now.saturating_duration_since(*counted));
        self.share.add(counted, now, cpu);
    }

    /// Ends a turn; false when there is news since.
    pub(super) fn rest(&self) -> bool {
        self.state.compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether it took much of a thread lately.
    pub(super) fn is_heavy(&self, now: Instant) -> bool {
        self.share.is_heavy(TURN, now)
    }

    /// It waits in the pool's queue.
    pub(super) fn queue_up(&self) {
        self.state.store(QUEUED, Ordering::Release);
    }

    fn since_epoch_ns(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_nanos() as u64
    }

    /// Calls that were not begun go back to the head of the queue, for the VM that takes over.
    pub(super) fn requeue(&self, calls: VecDeque<QueuedCall>) {
        for call in calls.into_iter().rev() {
            self.counts.in_flight.fetch_sub(1, Ordering::AcqRel);
            self.counts.from_outside.fetch_sub(1, Ordering::AcqRel);
            self.pool.free_slot();
            match call.waiting.let_go() {
                Some(waiting) => self.inbox.lock().calls.push_front(QueuedCall { waiting, ..call }),
                None => self.pool.end_call(),
            }
        }
    }

    /// A failure of the host's making.
    pub(super) fn failed(&self, outcome: Outcome, why: &str) -> Failed {
        Box::new(fault::plain(&self.context, outcome, None, why))
    }

    fn queue_full(&self) -> Failed {
        let queue = self.context.limits.queue;
        self.failed(
            Outcome::Limit,
            &format!("{queue} calls of the plugin wait already (limits.queue = {queue})"),
        )
    }
}
