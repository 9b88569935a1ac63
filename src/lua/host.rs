//! The Lua host as the rest of the server has it: loads plugins, owns the pool, ends with the server.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::SharedClock;
use crate::hooks::CallFailure;
use crate::model::call::{Caller, PluginEffects};
use crate::model::rate::Rate;
use crate::model::tally::HostTallies;
use crate::net::{Resolver, SystemResolver};
use crate::services::Services;

use super::effects::{Door, LiveDoor};
use super::examiner::Examiner;
use super::exports::{Exports, NoExports};
use super::generation::{Generation, PluginSource};
use super::learned::Learned;
use super::migrate::{self, Migrations};
use super::permission::DeniedSink;
use super::pool::Pool;
use super::quota::Quotas;
use super::require::Library;
use super::stand_in::StandIn;
use super::wants::{FieldReader, Reading};

/// Takes the effects of tasks that have ended, to commit them.
pub type EffectSink = Arc<dyn Fn(PluginEffects, Caller) + Send + Sync>;

/// What the host is made with.
#[derive(Clone)]
pub struct HostOptions {
    /// Threads of the Lua pool.
    pub threads: usize,
    /// Calls under way in all plugins together.
    pub in_flight_total: usize,
    /// Where waiting happens.
    pub runtime: tokio::runtime::Handle,
    /// What scripts can do with the product.
    pub services: Services,
    /// The wall clock.
    pub clock: SharedClock,
    /// The shared modules, required as `@panotti/<name>`.
    pub library: Arc<Library>,
    /// Takes the effects of tasks.
    pub sink: EffectSink,
    /// Finds the addresses of other servers.
    pub resolver: Arc<dyn Resolver>,
    /// The plugins' way to each other.
    pub exports: Arc<dyn Exports>,
    /// Is told of every door that was shut to a plugin.
    pub denied: DeniedSink,
    /// Where time, chance and the world come in; the live one without it.
    pub door: Option<Arc<dyn Door>>,
    /// What stands in for the world while a plugin is tested; it is the door, too.
    pub stand_in: Option<StandIn>,
    /// Reads which fields functions of scripts look at; without it they are given all of them.
    pub reader: Option<FieldReader>,
    /// Whoever runs tests, when this host runs their scripts.
    pub examiner: Option<Arc<dyn Examiner>>,
}

impl HostOptions {
    /// The usual number of threads, 10 000 calls at once, the product's clock, the library of `scripts/lib`; effects of tasks are dropped.
    pub fn new(runtime: tokio::runtime::Handle, services: Services) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        HostOptions {
            threads: (cores - 1).max(2),
            in_flight_total: 10_000,
            runtime,
            clock: services.clock.clone(),
            services,
            library: Arc::new(super::library::library()),
            sink: Arc::new(|_, _| {}),
            resolver: Arc::new(SystemResolver),
            exports: Arc::new(NoExports),
            denied: Arc::new(|_| {}),
            door: None,
            stand_in: None,
            reader: None,
            examiner: None,
        }
    }

    /// The same, but that effects of tasks are committed.
    pub fn committing(self) -> Self {
        let (services, background) = (self.services.clone(), self.runtime.clone());
        let told = Arc::new(Rate::with(0.1, 1.0));
        let sink = move |effects, caller| {
            let (services, told) = (services.clone(), Arc::clone(&told));
            background.spawn(async move {
                // A full disk refuses all of them.
                if let Err(error) = services.commit_effects(vec![effects], &caller).await
                    && let Some(untold) = told.take()
                {
                    let tasks =
                        if untold == 0 { "a task".to_owned() } else { format!("{} tasks", untold + 1) };
                    log::error!("what {tasks} left behind is lost: {error}");
                }
            });
        };
        HostOptions { sink: Arc::new(sink), ..self }
    }
}

/// Recorded calls that are run again at once in the whole server: each has a VM of its own.
const REPLAYS: usize = 4;

/// What all VMs of the host share.
pub struct Shared {
    /// Where time, chance and the world come in.
    pub door: Arc<dyn Door>,
    /// Takes the effects of tasks.
    pub sink: EffectSink,
    /// Reads which fields functions look at.
    pub reading: Option<Reading>,
}

/// The Lua host. Cheap to clone.
#[derive(Clone)]
pub struct LuaHost {
    pool: Arc<Pool>,
    shared: Arc<Shared>,
    options: Arc<HostOptions>,
    /// What each plugin has of what is counted, by its name.
    quotas: Arc<Mutex<BTreeMap<Arc<str>, Arc<Quotas>>>>,
    /// What is counted of each plugin, by its name.
    tallies: Arc<Mutex<BTreeMap<Arc<str>, Arc<HostTallies>>>>,
    /// What plugins were seen to need, by name.
    learned: Arc<Mutex<BTreeMap<Arc<str>, Arc<Learned>>>>,
    /// The places of recorded calls that are run again.
    replays: Arc<Semaphore>,
}

impl LuaHost {
    /// Starts the pool's threads and the watchdog.
    ///
    /// # Errors
    /// The machine gives no thread.
    pub fn new(options: HostOptions) -> std::io::Result<Self> {
        let pool = Pool::start(options.threads, options.in_flight_total, options.runtime.clone())?;
        let stands_in = || options.stand_in.clone().map(|it| Arc::new(it) as Arc<dyn Door>);
        let door = options
            .door
            .clone()
            .or_else(stands_in)
            .unwrap_or_else(|| Arc::new(LiveDoor::new(options.clock.clone(), options.runtime.clone())));
        let reading = options.reader.map(|read| Reading { read, runtime: options.runtime.clone() });
        let shared = Arc::new(Shared { door, sink: Arc::clone(&options.sink), reading });
        Ok(LuaHost {
            pool,
            shared,
            options: Arc::new(options),
            quotas: Arc::default(),
            tallies: Arc::default(),
            learned: Arc::default(),
            replays: Arc::new(Semaphore::new(REPLAYS)),
        })
    }

    /// Brings a plugin's database up to date, builds its VMs and runs its chunk under the load budget.
    ///
    /// # Errors
    /// A migration fails; the chunk does not compile, fails, declares something wrong, or takes too long.
    pub async fn load(&self, source: PluginSource) -> Result<Arc<Generation>, CallFailure> {
        let learned = self.learned(&source.name);
        migrate::bring_up(&self.services(), &source, &learned, Migrations::Apply).await?;
        Generation::load(self.clone(), source).await
    }

    /// Ends the pool's threads; generations are to be retired before.
    pub async fn shutdown(&self) {
        for _ in 0..200 {
            if self.pool.in_flight() == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        self.pool.stop();
    }

    /// Ends the pool's threads as soon as they have nothing to do; calls that wait are not waited for.
    pub fn stop(&self) {
        self.pool.stop();
    }

    /// Whether no script runs and none is about to: what is under way waits for something.
    pub fn is_quiet(&self) -> bool {
        self.pool.is_quiet()
    }

    /// Has all VMs look whether the time of their calls is over.
    pub fn look_at_the_clock(&self) {
        self.pool.sweep();
    }

    /// Calls under way in all plugins.
    pub fn in_flight(&self) -> usize {
        self.pool.in_flight()
    }

    /// VMs that were given up because nothing stopped their script, since the start.
    pub fn stuck(&self) -> usize {
        self.pool.stuck()
    }

    /// Of those, the ones that still hold a thread.
    pub fn still_stuck(&self) -> usize {
        self.pool.still_stuck()
    }

    /// What a plugin has of what is counted, all its VMs and generations together.
    pub fn quotas(&self, plugin: &Arc<str>) -> Arc<Quotas> {
        Arc::clone(self.quotas.lock().entry(Arc::clone(plugin)).or_default())
    }

    /// What is counted of a plugin.
    pub fn tallies(&self, plugin: &Arc<str>) -> Arc<HostTallies> {
        Arc::clone(self.tallies.lock().entry(Arc::clone(plugin)).or_default())
    }

    /// What a plugin was seen to need while it learned its permissions.
    pub fn learned(&self, plugin: &Arc<str>) -> Arc<Learned> {
        Arc::clone(self.learned.lock().entry(Arc::clone(plugin)).or_default())
    }

    pub(super) fn exports(&self) -> Arc<dyn Exports> {
        Arc::clone(&self.options.exports)
    }

    pub(super) fn stand_in(&self) -> Option<StandIn> {
        self.options.stand_in.clone()
    }

    pub(super) fn examiner(&self) -> Option<Arc<dyn Examiner>> {
        self.options.examiner.clone()
    }

    pub(super) fn resolver(&self) -> Arc<dyn Resolver> {
        Arc::clone(&self.options.resolver)
    }

    pub(super) fn denied(&self) -> DeniedSink {
        Arc::clone(&self.options.denied)
    }

    /// A place for a recorded call that is run again; waits until one is free.
    pub(super) async fn replay_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.replays).acquire_owned().await.ok()
    }

    pub(super) fn pool(&self) -> Arc<Pool> {
        Arc::clone(&self.pool)
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    pub(super) fn library(&self) -> Arc<Library> {
        Arc::clone(&self.options.library)
    }

    pub(super) fn services(&self) -> Services {
        self.options.services.clone()
    }

    pub(super) fn clock(&self) -> SharedClock {
        self.options.clock.clone()
    }

    pub(super) fn runtime(&self) -> &tokio::runtime::Handle {
        &self.options.runtime
    }
}
