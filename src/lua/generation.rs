//! One loaded version of a plugin: its VMs, seen from outside as one thing that can be called.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::config::PluginLimits;
use crate::hooks::{
    CallFailure, CallFuture, Hook, HookCall, HookHandler, HookKind, Offer, Registration, Reply, Subscription,
};

use super::LuaHost;
use super::actor::Actor;
use super::fresh::{reply_of, reply_once_known, start};
use super::permission::Permissions;
use super::strand::{Done, Failed, Job, QueuedCall};
use super::supervisor::{Run, Supervisor};
use super::waiting::Waiting;
use super::workers::Workers;

/// A plugin's files and what it may do: what a generation is made of.
#[derive(Clone)]
pub struct PluginSource {
    /// The plugin's name.
    pub name: Arc<str>,
    /// The version of its manifest.
    pub version: String,
    /// Counts up with every load.
    pub generation: u64,
    /// The hash of its files.
    pub hash: Arc<str>,
    /// The file that is run, below the plugin's folder.
    pub entry: String,
    /// One snapshot of its files by relative path.
    pub files: Arc<BTreeMap<String, Arc<[u8]>>>,
    /// Its checked config.
    pub config: Arc<Value>,
    /// The keys of its config whose values are secret.
    pub secret_keys: Arc<[String]>,
    /// What it may do.
    pub permissions: Permissions,
    /// The plugins it may call.
    pub dependencies: Arc<[String]>,
    /// What its manifest asks for, granted or not.
    pub requested: Permissions,
    /// Whether every door opens and what was needed is kept.
    pub learn: bool,
    /// What it may use.
    pub limits: PluginLimits,
}

/// What a generation uses at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct GenerationStats {
    /// Bytes of all its VMs.
    pub memory_bytes: usize,
    /// The most bytes of each VM so far, added up.
    pub memory_peak_bytes: usize,
    /// Calls that wait for their turn.
    pub queue_depth: usize,
    /// Calls under way.
    pub in_flight: usize,
    /// Calls that have ended.
    pub calls: u64,
    /// Microseconds of CPU of ended calls.
    pub cpu_us: u64,
    /// Tasks and timers that live.
    pub tasks: usize,
    /// VMs that had to be replaced.
    pub replaced: usize,
    /// Of these, VMs that a script held where nothing stopped it.
    pub stuck: usize,
    /// Whether a VM is out of order and none has taken over yet.
    pub broken: bool,
}

/// One loaded version of a plugin.
pub struct Generation {
    host: LuaHost,
    source: PluginSource,
    config: Mutex<Arc<Value>>,
    vms: Vec<ArcSwap<Actor>>,
    workers: Workers,
    next: AtomicUsize,
    replaced: AtomicUsize,
    stuck: AtomicUsize,
    broken: AtomicUsize,
    retired: AtomicBool,
    own: Weak<Generation>,
}

impl Generation {
    pub(super) async fn load(host: LuaHost, source: PluginSource) -> Result<Arc<Self>, CallFailure> {
        let mut vms = Vec::new();
        for _ in 0..source.limits.instances.max(1) {
            vms.push(ArcSwap::from(start(&host, &source, Arc::clone(&source.config), true).await?));
        }
        let generation = Arc::new_cyclic(|own: &Weak<Generation>| Generation {
            workers: Workers::new(own.clone(), source.limits.max_concurrent_tasks),
            config: Mutex::new(Arc::clone(&source.config)),
            host,
            source,
            vms,
            next: AtomicUsize::new(0),
            replaced: AtomicUsize::new(0),
            stuck: AtomicUsize::new(0),
            broken: AtomicUsize::new(0),
            retired: AtomicBool::new(false),
            own: own.clone(),
        });
        for vm in &generation.vms {
            generation.supervise(&vm.load());
        }
        Ok(generation)
    }

    /// The plugin's name.
    pub fn name(&self) -> &Arc<str> {
        &self.source.name
    }

    /// Counts up with every load.
    pub fn number(&self) -> u64 {
        self.source.generation
    }

    /// The handlers of hooks that the chunk registered.
    pub fn registrations(&self) -> Vec<Registration> {
        self.vms[0].load().context.registry.hooks()
    }

    /// The event subscriptions as they are now; see [`Generation::changed`].
    pub fn subscriptions(&self) -> Vec<Subscription> {
        self.vms[0].load().context.registry.subscriptions()
    }

    /// What it offers besides: routes, schedules, functions for other plugins.
    pub fn offers(&self) -> Vec<Offer> {
        self.vms[0].load().context.registry.offers()
    }

    /// The number of the last change of the subscriptions.
    pub fn change(&self) -> u64 {
        self.vms[0].load().context.registry.known.last()
    }

    /// Ends when the script added a subscription or took a handler back after `change`; the number of that change.
    pub fn changed(&self, change: u64) -> impl Future<Output = u64> + Send + use<> {
        self.vms[0].load().context.registry.known.other(change)
    }

    /// Whoever tells of events knows the subscriptions as they were after `change`; none = nobody looks any longer.
    pub fn know(&self, change: Option<u64>) {
        self.vms[0].load().context.registry.known.tell(change);
    }

    /// Calls one of its functions. Never blocks; dropping the future cancels the call.
    pub fn call(&self, call: HookCall) -> CallFuture<'_> {
        let hook = Hook::from_name(call.ctx.hook);
        let is_life = hook.is_some_and(|it| it.info().kind == HookKind::Life);
        let number = self.source.generation;
        if !is_life {
            let vm = self.choose();
            let answer = self.queue(&vm.load(), call);
            return Box::pin(reply_once_known(answer, vm, number));
        }
        // VMs share nothing: each is told of the plugin's life.
        let asked: Vec<_> = self.vms.iter().map(|it| (self.queue(&it.load(), call.clone()), it)).collect();
        Box::pin(async move {
            let mut asked = asked.into_iter();
            let Some((first, vm)) = asked.next() else { return Ok(Reply::default()) };
            let reply = reply_once_known(first, vm, number).await?;
            for (other, _) in asked {
                reply_of(other, number).await?;
            }
            Ok(reply)
        })
    }

    /// Shows the plugin its new config; `on_config_changed` is for the caller to call.
    pub fn set_config(&self, config: Arc<Value>) {
        *self.config.lock() = Arc::clone(&config);
        for vm in &self.vms {
            vm.load().start(Job::Config(Arc::clone(&config)));
        }
        self.workers.forget_idle();
    }

    /// What it uses.
    pub fn stats(&self) -> GenerationStats {
        let mut stats = GenerationStats {
            replaced: self.replaced.load(Ordering::Relaxed),
            stuck: self.stuck.load(Ordering::Relaxed),
            broken: self.broken.load(Ordering::Relaxed) > 0,
            ..GenerationStats::default()
        };
        let vms = self.vms.iter().map(|it| it.load_full()).chain(self.workers.all());
        for vm in vms {
            if let Some(memory) = vm.memory() {
                stats.memory_bytes += memory.used.load(Ordering::Relaxed);
                stats.memory_peak_bytes += memory.peak.load(Ordering::Relaxed);
            }
            stats.queue_depth += vm.queued();
            stats.in_flight += vm.counts.in_flight.load(Ordering::Relaxed);
            stats.calls += vm.counts.ended.load(Ordering::Relaxed);
            stats.cpu_us += vm.counts.cpu_ns.load(Ordering::Relaxed) / 1_000;
            stats.tasks += vm.tasks.load(Ordering::Relaxed) + vm.timers.load(Ordering::Relaxed);
        }
        stats
    }

    /// Takes no more calls, lets those under way finish for up to `drain`, then ends what is left and drops the VMs.
    pub async fn retire(&self, drain: Duration) {
        self.retired.store(true, Ordering::Release);
        let deadline = Instant::now() + drain;
        let mut pause = Duration::from_millis(1);
        loop {
            let stats = self.stats();
            if stats.in_flight == 0 && stats.queue_depth == 0 || Instant::now() >= deadline {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        for vm in &self.vms {
            vm.load().close();
        }
        self.workers.close();
    }

    /// Of the VMs, the one that waits least.
    fn choose(&self) -> &ArcSwap<Actor> {
        if self.vms.len() == 1 {
            return &self.vms[0];
        }
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let load = |vm: &&ArcSwap<Actor>| {
            let vm = vm.load();
            vm.queued() + vm.counts.in_flight.load(Ordering::Relaxed)
        };
        let from = (0..self.vms.len()).map(|it| &self.vms[(first + it) % self.vms.len()]);
        from.min_by_key(load).unwrap_or(&self.vms[0])
    }

    fn queue(&self, vm: &Arc<Actor>, mut call: HookCall) -> oneshot::Receiver<Result<Done, Failed>> {
        let (waiting, answer) = Waiting::of(call.then.take());
        if self.retired.load(Ordering::Acquire) {
            let failed = vm.failed(crate::model::call::Outcome::Skipped, "the plugin was unloaded");
            waiting.send(Err(failed));
        } else {
            let now = call.asked_at;
            let place = Some(vm.counts.enter());
            vm.call(QueuedCall::new(call, &self.source.limits, place, waiting, now));
        }
        answer
    }

    fn supervise(&self, vm: &Arc<Actor>) {
        let own: Weak<dyn Supervisor> = self.own.clone();
        let _ = vm.supervisor.set(own);
    }

    /// Puts a fresh VM in place of one that is out of order, and hands it the calls that wait.
    async fn replace(self: Arc<Self>, old: Arc<Actor>) {
        let config = Arc::clone(&*self.config.lock());
        let fresh = start(&self.host, &self.source, config, true).await;
        let place = self.vms.iter().find(|it| Arc::ptr_eq(&it.load(), &old));
        let (Some(place), false) = (place, self.retired.load(Ordering::Acquire)) else {
            return old.close();
        };
        match fresh {
            Ok(fresh) => {
                self.supervise(&fresh);
                fresh.share.take_over(&old.share, Instant::now());
                self.broken.fetch_sub(1, Ordering::Relaxed);
                self.replaced.fetch_add(1, Ordering::Relaxed);
                place.store(Arc::clone(&fresh));
                // Its subscriptions are those of the fresh VM now.
                old.context.registry.known.changed();
                for call in old.take_queued() {
                    fresh.call(call);
                }
            }
            Err(failure) => {
                log::error!(plugin = &*self.source.name, generation = self.source.generation;
                    "no fresh VM in place of the broken one: {}", failure.fault);
            }
        }
        old.close();
    }

    /// To see whether it is gone.
    #[cfg(test)]
    pub(super) fn weak_context(&self) -> Weak<super::context::ApiContext> {
        Arc::downgrade(&self.vms[0].load().context)
    }

    pub(super) fn source(&self) -> &PluginSource {
        &self.source
    }

    pub(super) fn host(&self) -> &LuaHost {
        &self.host
    }

    pub(super) fn workers(&self) -> &Workers {
        &self.workers
    }

    pub(super) fn config(&self) -> Arc<Value> {
        Arc::clone(&*self.config.lock())
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        for vm in &self.vms {
            vm.load().close();
        }
        self.workers.close();
    }
}

impl HookHandler for Generation {
    fn plugin(&self) -> &Arc<str> {
        &self.source.name
    }

    fn at_once(&self) -> Option<usize> {
        Some(self.source.limits.max_concurrent_tasks)
    }

    fn call(&self, call: HookCall) -> CallFuture<'_> {
        Generation::call(self, call)
    }

    fn is_crowded(&self) -> bool {
        self.vms.iter().all(|it| it.load().counts.is_crowded())
    }

    fn sent_away(&self) {
        self.vms.iter().for_each(|it| it.load().counts.sent_away());
    }
}

impl Supervisor for Generation {
    fn broke(&self, actor: &Arc<Actor>, why: &str) {
        let Some(own) = self.own.upgrade() else { return };
        if self.workers.drop_broken(actor) || !self.vms.iter().any(|it| Arc::ptr_eq(&it.load(), actor)) {
            return;
        }
        log::warn!(plugin = &*self.source.name, generation = self.source.generation;
            "a VM of the plugin is replaced by a fresh one: {why}");
        self.broken.fetch_add(1, Ordering::Relaxed);
        if actor.is_given_up() {
            self.stuck.fetch_add(1, Ordering::Relaxed);
        }
        self.host.runtime().spawn(own.replace(Arc::clone(actor)));
    }

    fn run(&self, run: Run) -> oneshot::Receiver<Result<Done, Failed>> {
        self.workers.run(run)
    }
}
