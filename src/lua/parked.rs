//! Functions of delayed tasks, kept with their VM until they are due.

use std::collections::BTreeMap;
use std::sync::Arc;

use mlua::Function;
use parking_lot::Mutex;

use super::task::Task;

/// Delayed tasks by number. Only numbers leave the pool: nothing of a VM may be dropped elsewhere.
#[derive(Default)]
pub struct Parked(Mutex<Tasks>);

#[derive(Default)]
struct Tasks {
    next: u64,
    waiting: BTreeMap<u64, (Function, Arc<Task>)>,
}

impl Parked {
    /// Keeps the function of a delayed task until it is due.
    pub(super) fn put(&self, function: Function, task: Arc<Task>) -> u64 {
        let mut tasks = self.0.lock();
        tasks.next += 1;
        let number = tasks.next;
        tasks.waiting.insert(number, (function, task));
        number
    }

    /// Takes the function of a delayed task.
    pub(super) fn take(&self, number: u64) -> Option<(Function, Arc<Task>)> {
        self.0.lock().waiting.remove(&number)
    }

    /// Forgets all of them.
    pub(super) fn clear(&self) {
        let waiting = std::mem::take(&mut self.0.lock().waiting);
        for (_, task) in waiting.into_values() {
            task.cancel();
        }
    }
}
