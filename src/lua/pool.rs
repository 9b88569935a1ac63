//! The Lua pool: named threads of its own, and the queue of plugins that have something to do.
//!
//! A plugin that used up its turn, or took much of a thread lately, waits among the heavy ones. One thread more than the
//! usual number never takes those, so whoever has little to do finds a thread however many others compute.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::actor::Actor;
use super::budget::SLICE;

/// How often the watchdog looks while scripts run; a slice is at most this much longer than it should be.
const TICK: Duration = Duration::from_millis(1);

/// How often it looks while calls only wait.
const SLOW_TICK: Duration = Duration::from_millis(10);

/// How long a VM may be out of reach past its deadline before it counts as stuck.
const STUCK: Duration = Duration::from_secs(1);

/// How long one slice may hold a thread while others wait before another thread takes over.
const HOGGED: Duration = Duration::from_millis(20);

/// Threads beyond the usual number, while others are held by single slices.
const MAX_EXTRA: usize = 32;

/// Threads that run plugins.
pub struct Pool {
    queue: Mutex<Queue>,
    watchdog: (Mutex<bool>, Condvar),
    threads: usize,
    seats: Mutex<Vec<Arc<Seat>>>,
    actors: Mutex<Vec<Weak<Actor>>>,
    runtime: tokio::runtime::Handle,
    /// Calls queued or under way, in all plugins.
    outstanding: AtomicUsize,
    in_flight: AtomicUsize,
    in_flight_total: usize,
    starved: AtomicBool,
    stuck: AtomicUsize,
    /// Threads that a VM which was given up still holds.
    lost: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    runnable: VecDeque<Arc<Actor>>,
    /// Those that take much.
    heavy: VecDeque<Arc<Actor>>,
    /// Threads that serve one of these.
    heavy_at_work: usize,
    /// Threads that wait for work, in the order in which they came.
    idle: VecDeque<Arc<Seat>>,
    stopped: bool,
}

impl Queue {
    /// Whether a heavy plugin waits that may be served now.
    fn has_work_for_another(&self, threads: usize) -> bool {
        self.heavy_at_work < threads && !self.heavy.is_empty()
    }

    /// The seat serves a heavy plugin no more, or another one takes its place while it still does.
    fn done_with_heavy(&mut self, seat: &Seat) {
        if seat.heavy.swap(false, Ordering::Relaxed) {
            self.heavy_at_work -= 1;
        }
    }
}

/// One thread's place: whom it serves at the moment.
#[derive(Default)]
struct Seat {
    /// Rung when there is something to do.
    bell: Condvar,
    serves: Mutex<Option<Arc<Actor>>>,
    /// It serves a heavy plugin.
    heavy: AtomicBool,
    /// The VM it serves was given up.
    lost: AtomicBool,
    /// The thread is held by one long slice; another one works in its place.
    replaced: AtomicBool,
}

impl Pool {
    /// Starts `threads` threads and the watchdog.
    ///
    /// # Errors
    /// The machine gives no thread.
    pub fn start(
        threads: usize,
        in_flight_total: usize,
        runtime: tokio::runtime::Handle,
    ) -> std::io::Result<Arc<Pool>> {
        let pool = Arc::new(Pool {
            queue: Mutex::default(),
            watchdog: (Mutex::new(false), Condvar::new()),
            threads: threads.max(1),
            seats: Mutex::default(),
            actors: Mutex::default(),
            runtime,
            outstanding: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            in_flight_total: in_flight_total.max(1),
            starved: AtomicBool::new(false),
            stuck: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
        });
        for _ in 0..=pool.threads {
            pool.add_thread()?;
        }
        let watched = Arc::clone(&pool);
        thread::Builder::new().name("lua-watchdog".to_owned()).spawn(move || watched.watch())?;
        Ok(pool)
    }

    /// Ends all threads once the queue is empty.
    pub fn stop(&self) {
        let mut queue = self.queue.lock();
        queue.stopped = true;
        let idle = std::mem::take(&mut queue.idle);
        drop(queue);
        idle.iter().for_each(|it| _ = it.bell.notify_one());
        self.wake_watchdog();
    }

    /// Whether no VM runs or is about to.
    pub fn is_quiet(&self) -> bool {
        self.watched().iter().all(|it| it.is_idle())
    }

    /// Has all VMs look after their calls.
    pub(super) fn sweep(&self) {
        for actor in self.watched() {
            actor.sweep();
        }
    }

    /// Calls of all plugins under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// VMs that were given up because nothing stopped them, since the start.
    pub fn stuck(&self) -> usize {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Of those, the ones that still hold a thread.
    pub fn still_stuck(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }

    /// Lets the watchdog look after `actor`.
    pub(super) fn watch_over(&self, actor: &Arc<Actor>) {
        let mut actors = self.actors.lock();
        actors.retain(|it| it.strong_count() > 0);
        actors.push(Arc::downgrade(actor));
    }

    /// Puts a plugin with something to do at the end of the queue, or of the one of those that took much lately.
    pub(super) fn push(&self, actor: Arc<Actor>, is_heavy: bool) {
        let mut queue = self.queue.lock();
        let wake = if is_heavy {
            queue.heavy.push_back(actor);
            queue.has_work_for_another(self.threads)
        } else {
            queue.runnable.push_back(actor);
            true
        };
        if wake {
            ring(queue, is_heavy);
        }
    }

    /// Puts a plugin back that used up its turn. The thread that does so looks for work next, so nobody is woken.
    pub(super) fn put_back(&self, actor: Arc<Actor>) {
        self.queue.lock().heavy.push_back(actor);
    }

    /// A call was queued.
    pub(super) fn begin_call(&self) {
        if self.outstanding.fetch_add(1, Ordering::AcqRel) == 0 {
            self.wake_watchdog();
        }
    }

    /// A queued call was answered.
    pub(super) fn end_call(&self) {
        self.outstanding.fetch_sub(1, Ordering::AcqRel);
    }

    /// Takes one of the slots for calls under way; none left: the plugin is woken when there is one.
    pub(super) fn take_slot(&self) -> bool {
        if self.try_take_slot() {
            return true;
        }
        self.starved.store(true, Ordering::Release);
        // The last one may have been given back before the flag could be seen.
        self.try_take_slot()
    }

    fn try_take_slot(&self) -> bool {
        let free = |it: usize| (it < self.in_flight_total).then_some(it + 1);
        self.in_flight.fetch_update(Ordering::AcqRel, Ordering::Acquire, free).is_ok()
    }

    /// Takes a slot even when there is none.
    pub(super) fn count_in(&self) {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
    }

    /// Gives a slot back.
    pub(super) fn free_slot(&self) {
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
        if self.starved.swap(false, Ordering::AcqRel) {
            for actor in self.watched() {
                actor.schedule();
            }
        }
    }

    fn watched(&self) -> Vec<Arc<Actor>> {
        self.actors.lock().iter().filter_map(Weak::upgrade).collect()
    }

    fn add_thread(self: &Arc<Self>) -> std::io::Result<()> {
        let seat = Arc::new(Seat::default());
        let (pool, taken) = (Arc::clone(self), Arc::clone(&seat));
        let mut seats = self.seats.lock();
        thread::Builder::new().name(format!("lua-{}", seats.len())).spawn(move || pool.work(&taken))?;
        seats.push(seat);
        Ok(())
    }

    fn work(&self, seat: &Arc<Seat>) {
        let _entered = self.runtime.enter();
        while let Some(actor) = self.next(seat) {
            *seat.serves.lock() = Some(Arc::clone(&actor));
            actor.turn();
            seat.serves.lock().take();
            if seat.replaced.load(Ordering::Acquire) {
                // What it may have put back is for another thread.
                ring(self.queue.lock(), true);
                break;
            }
        }
        self.seats.lock().retain(|it| !Arc::ptr_eq(it, seat));
        self.found(seat);
    }

    /// A thread that was lost has come back.
    fn found(&self, seat: &Seat) {
        if seat.lost.swap(false, Ordering::AcqRel) {
            self.lost.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// What a thread serves next: whoever has little to do, then the heavy ones. A heavy plugin stays with its thread
    /// where it can: threads that compute by turns end up where the system lets those that should answer wait for them.
    fn next(&self, seat: &Arc<Seat>) -> Option<Arc<Actor>> {
        let mut queue = self.queue.lock();
        queue.done_with_heavy(seat);
        loop {
            if let Some(actor) = queue.runnable.pop_front() {
                if queue.has_work_for_another(self.threads) {
                    ring(queue, true);
                }
                return Some(actor);
            }
            if queue.heavy_at_work < self.threads
                && let Some(actor) = queue.heavy.pop_front()
            {
                queue.heavy_at_work += 1;
                seat.heavy.store(true, Ordering::Relaxed);
                return Some(actor);
            }
            if queue.stopped {
                return None;
            }
            // Whoever rings takes it off the list.
            queue.idle.push_back(Arc::clone(seat));
            seat.bell.wait(&mut queue);
        }
    }

    fn wake_watchdog(&self) {
        let (asleep, signal) = &self.watchdog;
        let mut asleep = asleep.lock();
        if std::mem::take(&mut *asleep) {
            signal.notify_one();
        }
    }

    /// The watchdog: ends slices and deadlines, replaces threads that are held.
    fn watch(self: Arc<Self>) {
        let mut idle_since = Instant::now();
        let mut looked_at = Instant::now();
        while !self.queue.lock().stopped {
            let now = Instant::now();
            let busy = self.watch_slices(now);
            if now.duration_since(looked_at) >= SLOW_TICK {
                looked_at = now;
                for actor in self.watched() {
                    actor.tick(now);
                }
            }
            let outstanding = self.outstanding.load(Ordering::Acquire) > 0;
            if busy || outstanding {
                idle_since = now;
            }
            let (asleep, signal) = &self.watchdog;
            let mut asleep = asleep.lock();
            if now.duration_since(idle_since) > Duration::from_secs(1) {
                // Set under the lock that `begin_call` takes after counting: one of the two sees the other.
                *asleep = true;
                if self.outstanding.load(Ordering::Acquire) == 0 {
                    signal.wait(&mut asleep);
                }
                *asleep = false;
                idle_since = Instant::now();
            } else {
                signal.wait_for(&mut asleep, if busy { TICK } else { SLOW_TICK });
            }
        }
    }

    fn watch_slices(self: &Arc<Self>, now: Instant) -> bool {
        let seats = self.seats.lock().clone();
        let mut busy = false;
        for seat in &seats {
            let Some(actor) = seat.serves.lock().clone() else { continue };
            busy = true;
            let Some(gate) = actor.gate() else { continue };
            let Some(age) = gate.slice_age(now) else { continue };
            if age >= SLICE {
                gate.arm();
            }
            if age >= HOGGED && !seat.replaced.load(Ordering::Acquire) && self.has_waiting() {
                self.replace(seat, seats.len());
            }
            let lost = gate.out_of_reach(now) >= STUCK || gate.overdue(now) >= STUCK * 10;
            if lost && actor.give_up() {
                if !seat.lost.swap(true, Ordering::AcqRel) {
                    self.lost.fetch_add(1, Ordering::Relaxed);
                }
                self.stuck.fetch_add(1, Ordering::Relaxed);
                // The thread may have come back and gone at this moment.
                if !self.seats.lock().iter().any(|it| Arc::ptr_eq(it, seat)) {
                    self.found(seat);
                }
                self.replace(seat, 0);
            }
        }
        busy
    }

    fn has_waiting(&self) -> bool {
        let queue = self.queue.lock();
        let light = queue.idle.is_empty() && !queue.runnable.is_empty();
        light || queue.heavy_at_work >= self.threads && !queue.heavy.is_empty()
    }

    /// Another thread takes the seat's work; the held one ends when it comes back.
    fn replace(self: &Arc<Self>, seat: &Seat, seats: usize) {
        if seats >= self.threads + MAX_EXTRA || seat.replaced.swap(true, Ordering::AcqRel) {
            return;
        }
        self.queue.lock().done_with_heavy(seat);
        if let Err(error) = self.add_thread() {
            log::error!("no thread in place of one that a script holds: {error}");
            seat.replaced.store(false, Ordering::Release);
        }
    }
}

/// Wakes a thread that waits for work, if there is one. What is heavy goes to the one that came last, whose core still
/// knows it, and leaves the cores of the others alone; what is light goes to the one that has slept longest.
fn ring(mut queue: MutexGuard<'_, Queue>, for_heavy: bool) {
    let seat = if for_heavy { queue.idle.pop_back() } else { queue.idle.pop_front() };
    drop(queue);
    if let Some(seat) = seat {
        seat.bell.notify_one();
    }
}
