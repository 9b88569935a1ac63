//! Slots for calls under way: a plugin's own, and the server's that all plugins share.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::actor::Actor;

/// Calls under way that a plugin may have even when others have taken all of the server's slots.
const OWN_SLOTS: usize = 16;

impl Actor {
    /// A slot for one more call under way, of the plugin's and of the server's.
    pub(super) fn take_slot(&self) -> bool {
        let under_way = self.counts.from_outside.load(Ordering::Acquire);
        if under_way >= self.context.limits.in_flight {
            return false;
        }
        if under_way < OWN_SLOTS {
            self.pool.count_in();
        } else if !self.pool.take_slot() {
            return false;
        }
        self.counts.from_outside.fetch_add(1, Ordering::AcqRel);
        self.counts.in_flight.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// Something begins that is not a call from outside; it counts, but is not held back.
    pub(super) fn count_in(&self) {
        self.pool.count_in();
        self.counts.in_flight.fetch_add(1, Ordering::AcqRel);
    }

    /// A call from outside has ended, and another one begins in its place; `cpu` is what it used.
    pub(super) fn passes_on(&self, cpu: Duration) {
        self.counts.ended(cpu);
        self.count_ended(cpu);
    }

    /// A call has ended; `cpu` is what it used.
    pub(super) fn end_call(&self, cpu: Duration) {
        self.count_ended(cpu);
        self.counts.in_flight.fetch_sub(1, Ordering::AcqRel);
        self.pool.free_slot();
        self.pool.end_call();
    }

    /// A call from outside has ended, or could not begin.
    pub(super) fn end_hook(&self, cpu: Duration) {
        self.counts.from_outside.fetch_sub(1, Ordering::AcqRel);
        self.counts.ended(cpu);
        self.end_call(cpu);
    }

    fn count_ended(&self, cpu: Duration) {
        self.counts.ended.fetch_add(1, Ordering::Relaxed);
        self.counts.cpu_ns.fetch_add(cpu.as_nanos() as u64, Ordering::Relaxed);
    }
}
