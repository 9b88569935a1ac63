//! What every Lua module is given: the plugin it serves, and the call it serves at this moment.
//!
//! One [`ApiContext`] lives as long as a VM. It is shared by the functions of `panotti.*`, so it must
//! never hold a strong `Lua`.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use mlua::Lua;
use parking_lot::Mutex;
use serde_json::Value;

use crate::clock::SharedClock;
use crate::config::PluginLimits;
use crate::hooks::Given;
use crate::model::call::{CallContext, Caller, Effects, Emitted, KvOp};
use crate::model::rate::Rate;
use crate::model::tally::HostTallies;
use crate::net::Resolver;
use crate::services::Services;
use crate::services::plugin_logs::PluginLog;

use super::budget::Meter;
use super::budget::Skipped;
use super::examiner::Examiner;
use super::exports::Exports;
use super::learned::Learned;
use super::permission::{DeniedSink, Permissions};
use super::quota::Quotas;
use super::recorder::{Origin, Record};
use super::registry::Registry;
use super::replay::Replay;
use super::secrets::Secrets;
use super::stand_in::StandIn;
use super::transactions::Transactions;
use super::under_way::UnderWay;

/// One VM of one generation of one plugin, as its modules see it.
pub struct ApiContext {
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// Counts up with every load.
    pub generation: u64,
    /// The version of the manifest.
    pub version: String,
    /// The plugin's validated configuration.
    pub config: Arc<Value>,
    /// The values of its configuration that nobody is told.
    pub secrets: Arc<Secrets>,
    /// What the plugin may do.
    pub permissions: Permissions,
    /// What its manifest asks for, granted or not.
    pub requested: Permissions,
    /// What the plugin may use.
    pub limits: PluginLimits,
    /// What the product can do.
    pub services: Services,
    /// The wall clock.
    pub clock: SharedClock,
    /// Where heavy work goes (`spawn_blocking`), off the Lua pool.
    pub runtime: tokio::runtime::Handle,
    /// What the plugin has registered.
    pub registry: Registry,
    /// Where its lines go.
    pub log: Arc<PluginLog>,
    /// How many more events it may publish.
    pub emit_rate: Arc<Rate>,
    /// How many more bytes these may have.
    pub emit_bytes: Arc<Rate>,
    /// What the plugin has of what is counted, all its VMs and generations together.
    pub quotas: Arc<Quotas>,
    /// Finds the addresses of other servers.
    pub resolver: Arc<dyn Resolver>,
    /// Keeps what the plugin needs while it does not know its permissions; none once it does.
    pub learning: Option<Arc<Learned>>,
    /// What is counted of it.
    pub tallies: Arc<HostTallies>,
    /// The plugins it may call.
    pub dependencies: Arc<[String]>,
    /// The way to them.
    pub exports: Arc<dyn Exports>,
    /// Is told of every door that was shut.
    pub denied: DeniedSink,
    /// What its recorded calls have in common; none when nothing is recorded.
    pub origin: Option<Arc<Origin>>,
    /// What answers it in a replay; none in life.
    pub replay: Option<Arc<Replay>>,
    /// What stands in for the world while the plugin is tested; none in life.
    pub stand_in: Option<StandIn>,
    /// Whoever runs the tests, when the VM is that of a test; none in life.
    pub examiner: Option<Arc<dyn Examiner>>,
    /// The call that runs now.
    pub current: CurrentCall,
}

impl ApiContext {
    /// The call that is running, or an error outside of any.
    ///
    /// # Errors
    /// No call is running.
    pub fn call(&self) -> mlua::Result<Arc<CallState>> {
        let missing = || mlua::Error::runtime("this works only while the host is calling the plugin");
        self.current.get().ok_or_else(missing)
    }

    /// The call that is running, for what commits with it: not the chunk, which may be thrown away again.
    ///
    /// # Errors
    /// What to tell the script outside of any call, and while its files load.
    pub fn writing_call(&self) -> mlua::Result<Arc<CallState>> {
        let call = self.call()?;
        match call.kind {
            CallKind::Load => Err(mlua::Error::runtime(
                "keys and events are written from hooks, not while the plugin's files load; use panotti.on.on_load",
            )),
            _ => Ok(call),
        }
    }

    /// What brings the deadlines of its calls nearer beside the time.
    pub(super) fn skipped(&self) -> Option<Skipped> {
        self.stand_in.as_ref().map(StandIn::skipped)
    }

    /// Who sets off what the running call starts: the plugin, one step deeper.
    ///
    /// # Errors
    /// No call is running.
    pub fn caller(&self) -> mlua::Result<Caller> {
        let call = self.call()?;
        let mut caller = call.ctx.caller.through(&self.plugin);
        // What the call itself starts shares its deadline.
        caller.deadline = call.meter.deadline().or(caller.deadline);
        caller.causation_id = call.ctx.event_id.clone().or(caller.causation_id);
        caller.depth = caller.depth.saturating_add(1);
        caller.unrefusable = false;
        Ok(caller)
    }

    /// Notes `mark` on the running call, if there is one.
    pub fn mark(&self, mark: Mark) {
        if let Some(call) = self.current.get() {
            call.mark(mark);
        }
    }
}

/// The running call of a VM. A VM runs one root coroutine at a time: whoever polls it enters its call
/// first, so that coroutines the script itself made belong to the call that resumes them.
#[derive(Default)]
pub struct CurrentCall {
    call: Mutex<Option<Arc<CallState>>>,
    part: AtomicU64,
    panicked: AtomicBool,
}

impl CurrentCall {
    /// Makes `call` the running one and answers which was before.
    pub fn enter(&self, call: Option<Arc<CallState>>) -> Option<Arc<CallState>> {
        std::mem::replace(&mut *self.call.lock(), call)
    }

    /// Makes `part` the running part of the call and answers which was before; 0 is the call's own coroutine.
    pub fn enter_part(&self, part: u64) -> u64 {
        self.part.swap(part, Ordering::Relaxed)
    }

    /// The running part of the call.
    pub fn part(&self) -> u64 {
        self.part.load(Ordering::Relaxed)
    }

    /// A function of the host panicked: the VM is not to be used again, whatever the script makes of it.
    pub fn note_panic(&self) {
        self.panicked.store(true, Ordering::Relaxed);
    }

    /// Whether a function of the host panicked.
    pub fn has_panicked(&self) -> bool {
        self.panicked.load(Ordering::Relaxed)
    }

    /// The running call.
    pub fn get(&self) -> Option<Arc<CallState>> {
        self.call.lock().clone()
    }
}

/// The running call of the VM `lua`, whose app data is its `Arc<ApiContext>`, for code that has none at hand.
pub fn current_call(lua: &Lua) -> Option<Arc<CallState>> {
    let context = lua.app_data_ref::<Arc<ApiContext>>()?;
    context.current.get()
}

/// What kind of entry into the plugin a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// The chunk itself: hooks may be registered.
    Load,
    /// A hook asked in the caller's time; its writes commit with the change asked about.
    Question,
    /// A delivery of the journal; its writes commit with the acknowledgement.
    Fact,
    /// Called once by the host (`on_load`, `on_startup`, `health`, …).
    Life,
    /// A spawned or delayed task; its writes commit when it ends.
    Task,
}

/// What a call may keep back until it ends, in bytes.
const MAX_BUFFERED_BYTES: usize = 16 << 20;

fn size_of_json(value: &Value) -> usize {
    const SLOT: usize = 32;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => SLOT,
        Value::String(it) => SLOT + it.len(),
        Value::Array(items) => SLOT + items.iter().map(size_of_json).sum::<usize>(),
        Value::Object(map) => {
            SLOT + map.iter().map(|(key, it)| SLOT + key.len() + size_of_json(it)).sum::<usize>()
        }
    }
}

/// Something that a call holds, and the number by which it is taken back.
type Kept = (u64, Box<dyn Any + Send>);

/// One call into a plugin: who asks, and what it has done so far.
pub struct CallState {
    /// What kind of call it is.
    pub kind: CallKind,
    /// The hook (`load`, `task`, `event`), the event, and who set it off.
    pub ctx: Arc<CallContext>,
    /// When it began.
    pub began: Instant,
    /// What the host itself told the call of, such as a recording: its files may be heard.
    pub payload: Option<Given>,
    /// What the flight recorder keeps of it; none when it is not recorded.
    pub record: Option<Record>,
    /// The state of its random numbers while it does not run.
    pub random: AtomicU64,
    /// When it was last left, in nanoseconds since it began.
    pub left_ns: AtomicU64,
    /// What commits when the call has ended well.
    pub effects: Mutex<Effects>,
    buffered_bytes: AtomicUsize,
    /// What it has used of its time.
    pub meter: Meter,
    /// What it holds until it ends, such as its place behind a lock.
    kept: OnceLock<Mutex<Vec<Kept>>>,
    /// Its transactions on the plugin's own database.
    pub transactions: Transactions,
    marks: AtomicU8,
    noted: Mutex<Option<String>>,
}

impl CallState {
    /// A call that has done nothing yet and is about no recording or clip.
    pub fn new(kind: CallKind, ctx: impl Into<Arc<CallContext>>) -> Self {
        Self::with_meter(kind, ctx, Meter::unlimited(), Instant::now())
    }

    /// The same with a budget, and when it began: before its arguments are made, which takes of its time.
    pub fn with_meter(
        kind: CallKind,
        ctx: impl Into<Arc<CallContext>>,
        meter: Meter,
        began: Instant,
    ) -> Self {
        CallState {
            kind,
            ctx: ctx.into(),
            began,
            payload: None,
            record: None,
            random: AtomicU64::new(0),
            left_ns: AtomicU64::new(0),
            effects: Mutex::default(),
            buffered_bytes: AtomicUsize::new(0),
            meter,
            kept: OnceLock::new(),
            transactions: Transactions::default(),
            marks: AtomicU8::new(0),
            noted: Mutex::default(),
        }
    }

    /// Keeps an event until the call has ended well.
    ///
    /// # Errors
    /// What to tell the script when the call has written too much.
    pub fn emit(&self, event: Emitted) -> Result<(), String> {
        self.make_room(event.kind.len() + size_of_json(&event.data))?;
        self.effects.lock().events.push(event);
        Ok(())
    }

    /// What it has written under keys, as the plugin's other calls see it; counted until it is committed.
    pub fn under_way(&self, quotas: &Arc<Quotas>) -> Arc<UnderWay> {
        self.effects.lock().hold.get_or_insert(|| UnderWay::new(quotas))
    }

    /// Keeps a write until the call has ended well.
    ///
    /// # Errors
    /// What to tell the script when the call has written too much.
    pub fn write(&self, op: KvOp) -> Result<(), String> {
        let bytes = match &op {
            KvOp::Set { key, value, .. } => key.len() + size_of_json(value),
            KvOp::Delete { key } | KvOp::Incr { key, .. } => key.len(),
        };
        self.make_room(bytes)?;
        self.effects.lock().kv.push(op);
        Ok(())
    }

    fn make_room(&self, bytes: usize) -> Result<(), String> {
        // Each entry costs its place too.
        let bytes = bytes + 64;
        let before = self.buffered_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > MAX_BUFFERED_BYTES {
            return Err(format!(
                "one call may write {} MiB of keys and events (a fixed limit); with this it would be {} bytes",
                MAX_BUFFERED_BYTES >> 20,
                before + bytes
            ));
        }
        Ok(())
    }

    /// Holds `it` until the call ends or it is taken back by its number.
    pub fn keep(&self, number: u64, it: Box<dyn Any + Send>) {
        self.kept.get_or_init(Mutex::default).lock().push((number, it));
    }

    /// Takes back what was kept under a number.
    pub fn take_kept(&self, number: u64) -> Option<Box<dyn Any + Send>> {
        let mut kept = self.kept.get()?.lock();
        let at = kept.iter().position(|(it, _)| *it == number)?;
        Some(kept.swap_remove(at).1)
    }

    /// Lets go of all that was kept.
    pub(super) fn drop_kept(&self) {
        self.transactions.abandon_all();
        let kept = self.kept.get().map(|it| std::mem::take(&mut *it.lock()));
        drop(kept);
    }

    /// Notes what a door did, whatever the script makes of it afterwards.
    pub fn mark(&self, mark: Mark) {
        self.marks.fetch_or(mark as u8, Ordering::Relaxed);
    }

    /// What doors have noted, as bits.
    pub(super) fn marks(&self) -> u8 {
        self.marks.load(Ordering::Relaxed)
    }

    /// Notes what doors noted in another run of the call.
    pub(super) fn mark_all(&self, marks: u8) {
        self.marks.fetch_or(marks, Ordering::Relaxed);
    }

    /// The same with what the door said; the first one's words are kept.
    pub fn mark_because(&self, mark: Mark, why: &str) {
        self.mark(mark);
        self.noted.lock().get_or_insert_with(|| why.to_owned());
    }

    /// What the first door said that noted anything.
    pub fn noted(&self) -> Option<String> {
        if self.marks() == 0 {
            return None;
        }
        self.noted.lock().clone()
    }

    /// Whether a door has noted `mark`.
    pub fn is_marked(&self, mark: Mark) -> bool {
        self.marks.load(Ordering::Relaxed) & mark as u8 != 0
    }
}

/// What a door notes on the call; the outcome comes from here, never from an error's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mark {
    /// A permission was missing.
    Denied = 1,
    /// A quota or a size limit was met.
    Limit = 2,
    /// A value could not cross between Lua and the host.
    Convert = 4,
}
