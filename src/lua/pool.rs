//! The Lua pool: named threads of its own, and the queue of plugins that have something to do.
//!
//! A plugin that took much of a thread lately waits among the heavy ones. Those have as many threads
//! of their own, of a lower priority: whoever has little to do finds a thread however many others compute, and the
//! system gives that thread, and those that serve requests, a core first.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::actor::Actor;
use super::budget::SLICE;
use super::seat::Seat;

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

/// How nice the threads of the heavy plugins are to all others: where everyone wants a core, they get a third of a share.
const NICE: i32 = 5;

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
    light: Lane,
    heavy: Lane,
    stopped: bool,
}

impl Queue {
    fn lane(&mut self, is_heavy: bool) -> &mut Lane {
        if is_heavy { &mut self.heavy } else { &mut self.light }
    }

    fn put_back(&mut self, actor: Arc<Actor>) {
        actor.queue_up();
        self.lane(actor.is_heavy(Instant::now())).runnable.push_back(actor);
    }
}

/// Plugins of one kind, and the threads that serve them.
#[derive(Default)]
struct Lane {
    runnable: VecDeque<Arc<Actor>>,
    /// Threads that wait for work, in the order in which they came.
    idle: Vec<Arc<Seat>>,
}

impl Lane {
    fn is_short_of_threads(&self) -> bool {
        self.idle.is_empty() && !self.runnable.is_empty()
    }
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
        for _ in 0..pool.threads {
            pool.add_thread(false)?;
            pool.add_thread(true)?;
        }
        let watched = Arc::clone(&pool);
        thread::Builder::new().name("lua-watchdog".to_owned()).spawn(move || watched.watch())?;
        Ok(pool)
    }

    /// Ends all threads once the queue is empty.
    pub fn stop(&self) {
        let mut queue = self.queue.lock();
        queue.stopped = true;
        let idle = [std::mem::take(&mut queue.light.idle), std::mem::take(&mut queue.heavy.idle)];
        drop(queue);
        idle.iter().flatten().for_each(|it| _ = it.bell.notify_one());
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
    pub(super) fn push(&self, actor: Arc<Actor>, now: Instant) {
        let is_heavy = actor.is_heavy(now);
        let mut queue = self.queue.lock();
        let lane = queue.lane(is_heavy);
        if lane.idle.is_empty() {
            // Until a thread that is there gets a core, nobody else is kept from anything.
            actor.share.wait(now);
        }
        lane.runnable.push_back(actor);
        ring(queue, is_heavy);
    }

    /// Puts a plugin back that used up its turn. The thread that does so looks for work next, and wakes another one if
    /// it is not for this plugin.
    pub(super) fn put_back(&self, actor: Arc<Actor>) {
        self.queue.lock().put_back(actor);
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

    fn add_thread(self: &Arc<Self>, is_heavy: bool) -> std::io::Result<()> {
        let seat = Arc::new(Seat::new(is_heavy));
        let (pool, taken) = (Arc::clone(self), Arc::clone(&seat));
        let mut seats = self.seats.lock();
        let kind = if is_heavy { "lua-heavy" } else { "lua" };
        thread::Builder::new().name(format!("{kind}-{}", seats.len())).spawn(move || pool.work(&taken))?;
        seats.push(seat);
        Ok(())
    }

    fn work(&self, seat: &Arc<Seat>) {
        let _entered = self.runtime.enter();
        seat.sit_down(if seat.is_heavy { NICE } else { 0 });
        let mut served = None;
        while let Some(actor) = self.next(seat, served.take()) {
            *seat.serves.lock() = Some(Arc::clone(&actor));
            let has_ended = actor.turn();
            seat.serves.lock().take();
            served = has_ended.then_some(actor);
            if seat.replaced.load(Ordering::Acquire) {
                if let Some(actor) = served.filter(|it| !it.rest()) {
                    self.put_back(actor);
                }
                // What it may have put back is for another thread.
                [false, true].into_iter().for_each(|it| ring(self.queue.lock(), it));
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

    /// What a thread serves next; it has `served` another one until now, which rests only when the thread can be woken
    /// again: nobody else is woken for it in between. A heavy plugin stays with its thread where it can: threads that
    /// compute by turns end up where the system lets those that should answer wait for them.
    fn next(&self, seat: &Arc<Seat>, mut served: Option<Arc<Actor>>) -> Option<Arc<Actor>> {
        let mut queue = self.queue.lock();
        if let Some(actor) = served.take_if(|it| !it.rest()) {
            queue.put_back(actor);
        }
        let other = !seat.is_heavy;
        if !queue.lane(other).runnable.is_empty() {
            // Perhaps the one it put back.
            ring(queue, other);
            queue = self.queue.lock();
        }
        loop {
            let stopped = queue.stopped;
            let lane = queue.lane(seat.is_heavy);
            if let Some(actor) = lane.runnable.pop_front() {
                drop(queue);
                return Some(actor);
            }
            if stopped {
                drop(queue);
                return None;
            }
            // Whoever rings takes it off the list.
            lane.idle.push(Arc::clone(seat));
            if served.is_some() {
                // It may be the last to know a VM, whose end is not for the time of the lock.
                MutexGuard::unlocked(&mut queue, || drop(served.take()));
                if !queue.lane(seat.is_heavy).idle.iter().any(|it| Arc::ptr_eq(it, seat)) {
                    continue;
                }
            }
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
            let is_replaced = seat.replaced.load(Ordering::Acquire);
            if age >= HOGGED && !is_replaced && self.queue.lock().lane(seat.is_heavy).is_short_of_threads() {
                self.replace(seat, seats.len());
            }
            let lost =
                seat.held_for(gate.out_of_reach(now), STUCK / 10) >= STUCK || gate.overdue(now) >= STUCK * 10;
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

    /// Another thread takes the seat's work; the held one ends when it comes back.
    fn replace(self: &Arc<Self>, seat: &Seat, seats: usize) {
        if seats >= 2 * self.threads + MAX_EXTRA || seat.replaced.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Err(error) = self.add_thread(seat.is_heavy) {
            log::error!("no thread in place of one that a script holds: {error}");
            seat.replaced.store(false, Ordering::Release);
        }
    }
}

/// Wakes a thread that waits for work, if there is one: the one that came last, whose core still knows what it did.
fn ring(mut queue: MutexGuard<'_, Queue>, for_heavy: bool) {
    let idle = &mut queue.lane(for_heavy).idle;
    let seat = idle.pop();
    drop(queue);
    if let Some(seat) = seat {
        seat.bell.notify_one();
    }
}
