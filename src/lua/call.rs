//! The one way into a script: arms time and memory, names the running call, reads how it went from the
//! host's own flags.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::model::call::Outcome;

use super::budget::{self, Kill};
use super::context::{CallState, Mark};
use super::fault;
use super::vm::Vm;

/// A Rust function panicked under a script; the VM is not to be used again.
#[derive(Debug)]
pub struct Panicked(pub String);

/// Runs `step` (a poll, a drop, a compile) of a part of `call` in `vm`, which begins at `began`. Nothing else runs scripts.
///
/// # Errors
/// When Rust panicked inside.
pub fn enter<T>(
    vm: &Vm,
    call: &Arc<CallState>,
    part: u64,
    began: Instant,
    step: impl FnOnce() -> T,
) -> Result<T, Panicked> {
    let before = vm.context.current.enter(Some(Arc::clone(call)));
    let part_before = vm.context.current.enter_part(part);
    let limit = began + call.meter.cpu_left().min(MAX_SLICE);
    let limit = call.meter.deadline().map_or(limit, |it| it.min(limit)).max(began);
    vm.chance.enter(&call.random);
    vm.limit_memory(true);
    vm.gate.begin(began, limit);
    if call.meter.check(began, std::time::Duration::ZERO).is_some() {
        vm.gate.arm();
    }
    let done = catch_unwind(AssertUnwindSafe(step));
    vm.gate.end();
    vm.limit_memory(false);
    vm.chance.leave(&call.random);
    vm.context.current.enter_part(part_before);
    vm.context.current.enter(before);
    let wall = began.elapsed();
    let left = began.saturating_duration_since(call.began) + wall;
    call.left_ns.store(left.as_nanos() as u64, Ordering::Relaxed);
    call.meter.charge(budget::end_slice_cpu(wall));
    vm.after_slice();
    if done.is_ok() && vm.context.current.has_panicked() {
        return Err(Panicked("a script caught it".to_owned()));
    }
    done.map_err(|payload| Panicked(panic_text(payload.as_ref())))
}

/// No slice is expected to last longer than this, whatever the budget.
const MAX_SLICE: std::time::Duration = std::time::Duration::from_secs(60);

/// How a call ended, from the marks of the doors and the kind of its error, never from a text.
pub fn outcome(call: &CallState, error: Option<&mlua::Error>) -> Outcome {
    if call.meter.killed().is_some_and(|it| it != Kill::Cancelled) {
        return Outcome::Deadline;
    }
    if error.is_some_and(fault::is_memory) {
        return Outcome::Memory;
    }
    if error.is_some_and(fault::is_stack) {
        return Outcome::Stack;
    }
    let marked =
        [(Mark::Denied, Outcome::Denied), (Mark::Limit, Outcome::Limit), (Mark::Convert, Outcome::Convert)];
    if let Some((_, outcome)) = marked.into_iter().find(|(mark, _)| call.is_marked(*mark)) {
        return outcome;
    }
    match (error, call.meter.killed()) {
        (Some(_), _) => Outcome::Runtime,
        (None, Some(_)) => Outcome::Skipped,
        (None, None) => Outcome::Ok,
    }
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|it| (*it).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
