//! The VMs of a plugin in which `task.run` works, beside those that answer hooks.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use super::actor::Actor;
use super::fresh::start;
use super::generation::Generation;
use super::strand::{Done, Failed, Job};
use super::supervisor::{Run, Supervisor};
use super::waiting::Waiting;

/// VMs without the plugin's hooks: made when needed, kept for the next one.
pub struct Workers {
    of: Weak<Generation>,
    allowed: Arc<Semaphore>,
    vms: Mutex<Vms>,
}

#[derive(Default)]
struct Vms {
    idle: Vec<Arc<Actor>>,
    busy: Vec<Arc<Actor>>,
    closed: bool,
}

impl Workers {
    pub(super) fn new(of: Weak<Generation>, max: usize) -> Self {
        Workers { of, allowed: Arc::new(Semaphore::new(max.max(1))), vms: Mutex::default() }
    }

    /// Runs a module's function in one of the VMs as soon as one is free.
    pub(super) fn run(&self, run: Run) -> oneshot::Receiver<Result<Done, Failed>> {
        let (mut waiting, answer) = oneshot::channel();
        let Some(generation) = self.of.upgrade() else { return answer };
        let allowed = Arc::clone(&self.allowed);
        generation.host().runtime().clone().spawn(async move {
            let permit = tokio::select! {
                permit = allowed.acquire_owned() => permit,
                () = waiting.closed() => return,
            };
            let Ok(_permit) = permit else { return };
            let vm = match generation.workers().take(&generation).await {
                Ok(vm) => vm,
                Err(failed) => {
                    let _ = waiting.send(Err(failed));
                    return;
                }
            };
            let (inner, done) = Waiting::of(None);
            vm.start(Job::Run { run: Box::new(run), waiting: inner });
            // When the asker goes away, dropping `done` cancels the call.
            tokio::select! {
                done = done => {
                    if let Ok(done) = done {
                        let _ = waiting.send(done);
                    }
                }
                () = waiting.closed() => {}
            }
            generation.workers().give_back(&vm);
        });
        answer
    }

    async fn take(&self, generation: &Arc<Generation>) -> Result<Arc<Actor>, Failed> {
        let idle = self.vms.lock().idle.pop();
        let vm = match idle {
            Some(vm) => vm,
            None => {
                let vm = start(generation.host(), generation.source(), generation.config(), false);
                let vm = vm.await.map_err(Box::new)?;
                let own: Weak<dyn Supervisor> = self.of.clone();
                let _ = vm.supervisor.set(own);
                vm
            }
        };
        self.vms.lock().busy.push(Arc::clone(&vm));
        Ok(vm)
    }

    fn give_back(&self, vm: &Arc<Actor>) {
        let mut vms = self.vms.lock();
        let known = vms.busy.iter().position(|it| Arc::ptr_eq(it, vm)).map(|at| vms.busy.swap_remove(at));
        match known {
            Some(vm) if !vms.closed => vms.idle.push(vm),
            Some(vm) => vm.close(),
            None => {}
        }
    }

    /// A VM cannot go on: it is not kept. False when it is none of these.
    pub(super) fn drop_broken(&self, vm: &Arc<Actor>) -> bool {
        let mut vms = self.vms.lock();
        let before = vms.idle.len() + vms.busy.len();
        vms.idle.retain(|it| !Arc::ptr_eq(it, vm));
        vms.busy.retain(|it| !Arc::ptr_eq(it, vm));
        let known = vms.idle.len() + vms.busy.len() < before;
        if known {
            vm.close();
        }
        known
    }

    /// All VMs, for counting.
    pub(super) fn all(&self) -> Vec<Arc<Actor>> {
        let vms = self.vms.lock();
        vms.idle.iter().chain(&vms.busy).cloned().collect()
    }

    /// VMs that are made from now on see what has changed.
    pub(super) fn forget_idle(&self) {
        self.vms.lock().idle.drain(..).for_each(|it| it.close());
    }

    /// Ends all of them.
    pub(super) fn close(&self) {
        let mut vms = self.vms.lock();
        vms.closed = true;
        vms.idle.drain(..).for_each(|it| it.close());
        vms.busy.iter().for_each(|it| it.close());
    }
}
