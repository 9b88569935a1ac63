//! One VM: its libraries, guards, modules and limits, put together in the order that keeps it closed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use mlua::chunk::Compiler;
use mlua::state::{GcIncParams, GcMode};
use mlua::{Function, Lua, LuaOptions, VmState};

use super::actor::Actor;
use super::api;
use super::begin;
use super::budget::{self, SLICE};
use super::chance::{self, Chance};
use super::context::ApiContext;
use super::convert::{Shapes, Words};
use super::coroutines;
use super::guards;
use super::pointless::Pointless;
use super::require::Modules;
#[cfg(debug_assertions)]
use super::surface;
use super::watchdog::Gate;

/// Coroutines that are kept for the next call.
const KEPT_COROUTINES: usize = 64;

/// KiB of work of the collector at a time.
const GC_STEP_KIB: i32 = 256;

/// Per cent of work for each byte that is allocated.
const GC_STEP_MULTIPLIER: i32 = 400;

/// The actor that a VM belongs to, among the VM's own data.
pub struct Home(Weak<Actor>);

impl Home {
    /// The actor of `lua`.
    ///
    /// # Errors
    /// The plugin was unloaded.
    pub fn of(lua: &Lua) -> mlua::Result<Arc<Actor>> {
        let home = lua.app_data_ref::<Home>().and_then(|it| it.0.upgrade());
        home.ok_or_else(|| mlua::Error::runtime("the plugin was unloaded"))
    }
}

/// A VM and what the host needs to run it.
pub struct Vm {
    /// The VM itself; the only strong handle.
    pub lua: Lua,
    /// What its modules are given.
    pub context: Arc<ApiContext>,
    /// Names of fields and headers that it was given before.
    pub words: Words,
    /// JSON's null and arrays.
    pub shapes: Arc<Shapes>,
    /// The way to its interrupt.
    pub gate: Arc<Gate>,
    /// The plugin's files.
    pub modules: Arc<Modules>,
    /// Calls a function of a module, for `task.run`.
    pub runner: Function,
    /// Its random numbers.
    pub(super) chance: Arc<Chance>,
    /// What its hooks returned in vain.
    pub(super) pointless: Pointless,
    memory: Arc<Memory>,
}

impl Vm {
    /// Builds a VM for one generation: libraries, guards, modules, sandbox.
    ///
    /// # Errors
    /// The VM has no memory, or a part of the host's own Lua does not run.
    pub fn build(actor: &Arc<Actor>) -> mlua::Result<Vm> {
        let (context, modules) = (Arc::clone(&actor.context), Arc::clone(&actor.modules));
        // mlua's own guard against caught panics would replace `pcall` by one in which nothing can wait; the
        // modules note their panics themselves.
        let options = LuaOptions::new().catch_rust_panics(true).thread_pool_size(KEPT_COROUTINES);
        let lua = Lua::new_with(guards::libraries(), options)?;
        // Nearly all that is made now stays: it is looked through once, when the most is there.
        lua.gc_stop();
        lua.set_app_data(Arc::clone(&context));
        lua.set_app_data(Home(Arc::downgrade(actor)));
        let shapes = Arc::new(Shapes::install(&lua)?);
        guards::install(&lua)?;
        let chance = chance::install(&lua, &context, &actor.host.door)?;
        modules.install(&lua)?;
        api::install(&lua, &context, &shapes)?;
        // What is left over makes room for the script: a VM holds fewer pages then, for as long as it lives.
        lua.gc_collect()?;
        if !lua.gc_is_running() {
            lua.gc_restart();
        }
        // After the modules, whose functions that wait use the plain ones.
        coroutines::install(&lua)?;
        let runner = begin::runner(&lua)?;
        // `panotti` is not to be resolved when a chunk is compiled: its config changes while the plugin runs.
        let compiler = Compiler::new().set_optimization_level(1).set_debug_level(1);
        lua.set_compiler(compiler.set_mutable_globals(["panotti"]));
        // Steps as small as Luau's own would let large strings run into the limit before a cycle is done.
        let collector = GcIncParams::default().step_size(GC_STEP_KIB).step_multiplier(GC_STEP_MULTIPLIER);
        lua.gc_set_mode(GcMode::Incremental(collector));
        lua.sandbox(true)?;
        #[cfg(debug_assertions)]
        surface::check(&lua)?;
        let memory = Arc::new(Memory::new(context.limits.memory_mib));
        let gate = install_gate(&lua, &context, &memory)?;
        let (words, pointless) = (Words::default(), Pointless::default());
        Ok(Vm { lua, context, words, shapes, gate, modules, runner, chance, pointless, memory })
    }

    /// Sets or lifts the limit: it costs each host-side push while it is set.
    pub(super) fn limit_memory(&self, on: bool) {
        let limit = if on { self.memory.hard } else { 0 };
        if let Err(error) = self.lua.set_memory_limit(limit) {
            log::error!(plugin = &*self.context.plugin; "the memory limit cannot be set: {error}");
        }
    }

    /// Collects when the soft limit was passed; Luau does not when an allocation fails.
    pub(super) fn after_slice(&self) {
        let used = self.lua.used_memory();
        // Most slices are not those that take the most: they only read.
        if used > self.memory.peak.load(Ordering::Relaxed) {
            self.memory.peak.fetch_max(used, Ordering::Relaxed);
        }
        self.memory.used.store(used, Ordering::Relaxed);
        if used > self.memory.collect_above.load(Ordering::Relaxed) {
            self.collect();
        }
    }

    /// Collects all garbage.
    pub(super) fn collect(&self) {
        self.memory.collect(&self.lua);
    }

    /// Whether what is left after a collection leaves no room for the next call.
    pub(super) fn is_full(&self) -> bool {
        self.lua.used_memory() > self.memory.hard / 8 * 7
    }

    /// Bytes in use and at most so far.
    pub(super) fn memory(&self) -> Arc<Memory> {
        Arc::clone(&self.memory)
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.gate.close();
    }
}

/// What a VM uses of its memory.
pub struct Memory {
    hard: usize,
    soft: usize,
    collect_above: Arc<AtomicUsize>,
    /// Bytes after the last slice.
    pub used: AtomicUsize,
    /// The most bytes after any slice.
    pub peak: AtomicUsize,
}

impl Memory {
    fn new(limit_mib: u64) -> Self {
        let hard = usize::try_from(limit_mib).unwrap_or(usize::MAX).saturating_mul(1 << 20);
        let soft = hard / 2;
        Memory {
            hard,
            soft,
            collect_above: Arc::new(AtomicUsize::new(soft)),
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        }
    }

    fn collect(&self, lua: &Lua) {
        if let Err(error) = lua.gc_collect() {
            log::debug!("a collection failed: {error}");
        }
        let left = lua.used_memory();
        self.used.store(left, Ordering::Relaxed);
        // A plugin that lives above the soft limit shall not collect all the time.
        let next = (left + left / 4).clamp(self.soft, self.hard - self.hard / 16);
        self.collect_above.store(next.max(left + self.hard / 64), Ordering::Relaxed);
    }
}

/// What happens when the watchdog has armed the VM: the call goes on, gives way, or dies.
fn install_gate(lua: &Lua, context: &Arc<ApiContext>, memory: &Arc<Memory>) -> mlua::Result<Arc<Gate>> {
    let (context, memory) = (Arc::clone(context), Arc::clone(memory));
    let collect_above = Arc::clone(&memory.collect_above);
    let root = lua.current_thread().to_pointer() as usize;
    let own: Arc<OnceLock<Weak<Gate>>> = Arc::default();
    let handed = Arc::clone(&own);
    let gate = Gate::install(lua, collect_above, move |lua| {
        let Some(gate) = handed.get().and_then(Weak::upgrade) else { return Ok(VmState::Continue) };
        let Some(call) = context.current.get() else {
            gate.disarm();
            return Ok(VmState::Continue);
        };
        let now = Instant::now();
        gate.note_hit(now);
        let age = gate.slice_age(now).unwrap_or(Duration::ZERO);
        if let Some(why) = call.meter.check(now, budget::slice_cpu(age)) {
            call.meter.note_stopped_at(|| match lua.traceback(None, 0) {
                Ok(text) => text.to_string_lossy(),
                Err(_) => String::new(),
            });
            return Err(mlua::Error::runtime(call.meter.describe(why)));
        }
        // A yield inside a coroutine of the script's own would come out of its `resume`.
        let is_root = || lua.current_thread().to_pointer() as usize == root;
        let gives_way = age >= SLICE && is_root();
        // Its time may be over before its next slice begins: it is told where it was, then.
        if gives_way && let Ok(place) = lua.traceback(None, 0) {
            call.meter.note_seen_at(place.to_string_lossy());
        }
        if lua.used_memory() > memory.collect_above.load(Ordering::Relaxed) {
            memory.collect(lua);
        }
        gate.disarm();
        Ok(if gives_way { VmState::Yield } else { VmState::Continue })
    })?;
    let _ = own.set(Arc::downgrade(&gate));
    Ok(gate)
}
