//! What is behind an actor's door: the VM, its live coroutines, and what is to be done with them now.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use mlua::{Function, MultiValue};

use crate::model::call::Outcome;

use super::actor::Actor;
use super::arguments::Arguments;
use super::budget::Kill;
use super::call::{Panicked, enter};
use super::context::{CallKind, CallState};
use super::strand::{End, Failed, Job, QueuedCall, SlotWaker, Strand};
use super::vm::Vm;
use super::waiting::Waiting;
use super::wants::{Wanted, Wants};
use super::{begin, finish};

/// The VM and its coroutines; only the thread that has the actor's turn looks in.
#[derive(Default)]
pub struct Room {
    pub(super) vm: Option<Vm>,
    pub(super) todo: Todo,
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// Coroutines that are parts of a call.
    parts: usize,
    /// Numbers of parts given so far.
    last_part: u64,
    wants: Wants,
    broken: bool,
}

/// What the next steps are.
#[derive(Default)]
pub struct Todo {
    ready: VecDeque<usize>,
    pub(super) jobs: VecDeque<Job>,
    pub(super) calls: VecDeque<QueuedCall>,
}

struct Slot {
    strand: Option<Strand>,
    waker: Arc<SlotWaker>,
    handle: Waker,
}

impl Todo {
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.jobs.is_empty() && self.calls.is_empty()
    }

    pub(super) fn take_ready(&mut self, ready: &mut Vec<usize>) {
        self.ready.extend(ready.drain(..));
    }
}

impl Room {
    /// Whether calls from outside can be begun.
    pub(super) fn takes_calls(&self) -> bool {
        !self.broken
    }

    /// Does one thing; false when there was nothing to do.
    pub(super) fn step(&mut self, actor: &Arc<Actor>) -> bool {
        if let Some(slot) = self.todo.ready.pop_front() {
            if let Some(strand) = self.slots.get_mut(slot).and_then(|it| it.strand.take()) {
                self.poll(actor, slot, strand, Instant::now());
            }
        } else if let Some(job) = self.todo.jobs.pop_front() {
            begin::job(self, actor, job);
        } else if let Some(call) = self.todo.calls.pop_front() {
            begin::call(self, actor, call);
        } else {
            return false;
        }
        true
    }

    /// Begins a coroutine and polls it at once.
    pub(super) fn begin(
        &mut self,
        actor: &Arc<Actor>,
        call: Arc<CallState>,
        function: &Function,
        arguments: Arguments,
        end: End,
        waiting: Option<Waiting>,
    ) {
        let slot = self.take_slot(actor);
        if let Some(waiting) = waiting {
            let mut all = actor.waiting.lock();
            if all.len() <= slot {
                all.resize_with(slot + 1, || None);
            }
            all[slot] = Some(waiting);
        }
        let mut part = 0;
        if matches!(end, End::Part(_)) {
            self.parts += 1;
            self.last_part += 1;
            part = self.last_part;
        }
        // What is no part begins with its call.
        let now = if part == 0 { call.began } else { Instant::now() };
        let future = arguments.call(function);
        self.poll(actor, slot, Strand { call, part, was_cut: false, future, end }, now);
    }

    fn take_slot(&mut self, actor: &Arc<Actor>) -> usize {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        let slot = self.slots.len();
        let waker = SlotWaker::new(actor, slot);
        let handle = Waker::from(Arc::clone(&waker));
        self.slots.push(Slot { strand: None, waker, handle });
        slot
    }

    fn poll(&mut self, actor: &Arc<Actor>, slot: usize, mut strand: Strand, now: Instant) {
        let Some(vm) = &self.vm else { return self.end(actor, slot, strand, None) };
        self.slots[slot].waker.rearm();
        let abandoned = match &strand.end {
            End::Part(waiting) => waiting.is_closed(),
            _ => {
                actor.waiting.lock().get(slot).is_some_and(|it| it.as_ref().is_some_and(|it| it.is_closed()))
            }
        };
        if abandoned && !matches!(strand.end, End::Part(_)) {
            strand.call.meter.kill(Kill::Cancelled);
        }
        if abandoned || strand.call.meter.check(now, std::time::Duration::ZERO).is_some() {
            return self.end(actor, slot, strand, None);
        }
        let future = Pin::new(&mut strand.future);
        let mut context = Context::from_waker(&self.slots[slot].handle);
        match enter(vm, &strand.call, strand.part, now, || future.poll(&mut context)) {
            Ok(Poll::Ready(result)) => self.end(actor, slot, strand, Some(result)),
            Ok(Poll::Pending) => {
                // A slice may end after the script has asked what it waits for and before it gives way. Then it gives
                // way in the next poll without asking again, and a wake in between has gone into that of the slice.
                let is_cut = self.slots[slot].waker.is_woken();
                if !is_cut {
                    strand.call.meter.forget_seen_at();
                }
                if is_cut && let Some(record) = &strand.call.record {
                    record.note_cut();
                }
                let asks_again = std::mem::replace(&mut strand.was_cut, is_cut) && !is_cut;
                self.keep(actor, slot, strand);
                if asks_again {
                    self.slots[slot].handle.wake_by_ref();
                }
            }
            Err(panicked) => {
                self.end(
                    actor,
                    slot,
                    strand,
                    Some(Err(mlua::Error::runtime("a function of the host failed"))),
                );
                self.break_down(actor, &panicked);
            }
        }
    }

    /// Puts a coroutine aside until it is woken, its caller goes away, or its time is over.
    fn keep(&mut self, actor: &Arc<Actor>, slot: usize, mut strand: Strand) {
        let mut context = Context::from_waker(&self.slots[slot].handle);
        let gone = match &mut strand.end {
            End::Part(waiting) => waiting.poll_closed(&mut context).is_ready(),
            _ => match actor.waiting.lock().get_mut(slot).and_then(Option::as_mut) {
                Some(waiting) => {
                    waiting.gave_way();
                    waiting.poll_closed(&mut context).is_ready()
                }
                None => false,
            },
        };
        if let Some(deadline) = strand.call.meter.deadline() {
            actor.note_deadline(deadline);
        }
        self.slots[slot].strand = Some(strand);
        if gone {
            actor.wake(slot);
        }
    }

    /// A coroutine has ended, or must: none is the result of one that was stopped while it waited.
    fn end(
        &mut self,
        actor: &Arc<Actor>,
        slot: usize,
        strand: Strand,
        result: Option<mlua::Result<MultiValue>>,
    ) {
        let Strand { call, part, future, end, .. } = strand;
        self.free.push(slot);
        let waiting = actor.waiting.lock().get_mut(slot).and_then(Option::take);
        let Some(vm) = &self.vm else {
            drop(future);
            return finish::without_vm(actor, end, waiting);
        };
        // Handlers of the script may see the end of their coroutine: the deadline stays armed for them.
        let dropped = match result.is_some() {
            true => {
                drop(future);
                Ok(())
            }
            false => enter(vm, &call, part, Instant::now(), || drop(future)),
        };
        let is_part = matches!(end, End::Part(_));
        let (ended, next) = finish::strand(actor, vm, &call, end, waiting, result);
        if is_part {
            self.parts -= 1;
            call.transactions.abandon(part);
        } else {
            call.meter.kill(Kill::Cancelled);
            call.drop_kept();
            if self.parts > 0 {
                actor.sweep();
            }
        }
        if let Err(panicked) = dropped {
            return self.break_down(actor, &panicked);
        }
        if ended == Outcome::Memory {
            self.after_memory_error(actor);
        } else if call.kind == CallKind::Load
            && let Some(vm) = &self.vm
        {
            // Most plugins do nothing most of the time: what loading left over is not held meanwhile.
            vm.collect();
        }
        if let Some(next) = next {
            // What the first has set off comes before it, as it would if both were asked one by one.
            actor.take_news(&mut self.todo);
            match self.todo.ready.is_empty() && self.todo.jobs.is_empty() {
                true => begin::call(self, actor, next),
                false => self.todo.calls.push_front(next),
            }
        }
    }

    /// The VM, and what the function in a slot is to be given.
    pub(super) fn wanted(
        &mut self,
        actor: &Actor,
        slot: u32,
        function: &Function,
    ) -> Option<(&Vm, Wanted<'_>)> {
        let vm = self.vm.as_ref()?;
        if self.wants.is_new(slot)
            && let Some(origin) = &vm.context.origin
        {
            origin.learn_target(&vm.context, slot);
        }
        Some((vm, self.wants.of(slot, function, actor.host.reading.as_ref(), &actor.modules)))
    }

    pub(super) fn after_memory_error(&mut self, actor: &Arc<Actor>) {
        let Some(vm) = &self.vm else { return };
        vm.collect();
        if vm.is_full() {
            self.replace_vm(actor, "its memory is full of what it keeps");
        }
    }

    /// Drops coroutines whose call is over, and all of them with the VM when the actor was closed.
    pub(super) fn sweep(&mut self, actor: &Arc<Actor>, now: Instant) {
        let closed = actor.is_closed();
        for slot in 0..self.slots.len() {
            let Some(strand) = &self.slots[slot].strand else { continue };
            if closed {
                strand.call.meter.kill(Kill::Cancelled);
            }
            if strand.call.meter.check(now, std::time::Duration::ZERO).is_some() {
                self.todo.ready.push_back(slot);
            } else if let Some(deadline) = strand.call.meter.deadline() {
                actor.note_deadline(deadline);
            }
        }
        if closed {
            for call in actor.take_queued() {
                call.waiting.send(Err(gone(actor)));
            }
        }
        if closed && self.slots.iter().all(|it| it.strand.is_none()) && self.todo.is_empty() {
            actor.parked.clear();
            self.vm = None;
            self.broken = true;
        } else if closed {
            actor.sweep();
        }
    }

    /// Rust panicked below a script: nothing of this VM is used again.
    fn break_down(&mut self, actor: &Arc<Actor>, panicked: &Panicked) {
        log::error!(plugin = &*actor.context.plugin, generation = actor.context.generation;
            "a function of the host panicked: {}", panicked.0);
        self.replace_vm(actor, "a function of the host panicked");
    }

    fn replace_vm(&mut self, actor: &Arc<Actor>, why: &str) {
        if std::mem::replace(&mut self.broken, true) {
            return;
        }
        let vm = self.vm.take();
        actor.parked.clear();
        for slot in 0..self.slots.len() {
            if let Some(strand) = self.slots[slot].strand.take() {
                self.end(actor, slot, strand, None);
            }
        }
        drop(vm);
        actor.requeue(std::mem::take(&mut self.todo.calls));
        actor.tell_supervisor(why);
    }
}

/// A failure because the VM is gone.
pub(super) fn gone(actor: &Actor) -> Failed {
    actor.failed(Outcome::Skipped, "the plugin was unloaded, or its VM had to be replaced")
}
