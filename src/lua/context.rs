//! What every Lua module is given: the plugin it serves, and the call it serves at this moment.
//!
//! One [`ApiContext`] lives as long as a generation. It is shared by the functions of `panotti.*`, so it
//! must never hold a strong `Lua`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use mlua::Lua;
use parking_lot::Mutex;
use serde_json::Value;

use super::permission::Permissions;

/// One generation of one plugin, as its modules see it.
pub struct ApiContext {
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// Counts up with every load.
    pub generation: u64,
    /// The version of the manifest.
    pub version: String,
    /// The plugin's validated configuration.
    pub config: Arc<Value>,
    /// What the plugin may do.
    pub permissions: Permissions,
    /// Where heavy work goes (`spawn_blocking`), off the Lua pool.
    pub runtime: tokio::runtime::Handle,
    /// The call that runs now.
    pub current: CurrentCall,
}

impl ApiContext {
    /// The call that is running, or an error outside of any.
    pub fn call(&self) -> mlua::Result<Arc<CallState>> {
        self.current
            .get()
            .ok_or_else(|| mlua::Error::runtime("this works only while the host is calling the plugin"))
    }
}

/// The running call of a VM. A VM runs one root coroutine at a time: whoever polls it enters its call
/// first, so that coroutines the script itself made belong to the call that resumes them.
#[derive(Default)]
pub struct CurrentCall(Mutex<Option<Arc<CallState>>>);

impl CurrentCall {
    /// Makes `call` the running one and answers which was before.
    pub fn enter(&self, call: Option<Arc<CallState>>) -> Option<Arc<CallState>> {
        std::mem::replace(&mut *self.0.lock(), call)
    }

    /// The running call.
    pub fn get(&self) -> Option<Arc<CallState>> {
        self.0.lock().clone()
    }
}

/// The running call of the VM `lua`, for code that has no [`ApiContext`] at hand.
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

/// One call into a plugin: who asks, and what it has done so far.
pub struct CallState {
    /// The hook, or `load`, `task`, or the pattern of a subscription.
    pub hook: Arc<str>,
    /// What kind of call it is.
    pub kind: CallKind,
    /// The request that led here.
    pub request_id: Option<String>,
    /// The event that is handled.
    pub event_id: Option<String>,
    /// The chain of events and operations this belongs to.
    pub correlation_id: Option<String>,
    /// How many operations deep this call is, started by hooks of hooks.
    pub depth: u8,
    /// The recording the call is about: its files may be read.
    pub recording_id: Option<String>,
    /// The clip the call is about: its file may be read.
    pub clip_id: Option<i64>,
    /// What commits when the call has ended well.
    pub effects: Mutex<Effects>,
    marks: AtomicU8,
}

impl CallState {
    /// A call of `hook` that nobody else asked for.
    pub fn new(hook: impl Into<Arc<str>>, kind: CallKind) -> Self {
        CallState {
            hook: hook.into(),
            kind,
            request_id: None,
            event_id: None,
            correlation_id: None,
            depth: 0,
            recording_id: None,
            clip_id: None,
            effects: Mutex::default(),
            marks: AtomicU8::new(0),
        }
    }

    /// Notes what a door did, whatever the script makes of it afterwards.
    pub fn mark(&self, mark: Mark) {
        self.marks.fetch_or(mark as u8, Ordering::Relaxed);
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

/// Buffered writes of a call, in the order they were made.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Effects {
    /// Changes of the plugin's key-value pairs.
    pub kv: Vec<KvWrite>,
    /// Events to publish.
    pub events: Vec<Emitted>,
}

/// One buffered change of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum KvWrite {
    /// Put `value` under `key`, for ever or until `expires_at_us`.
    Set {
        /// The key.
        key: String,
        /// What to keep.
        value: Value,
        /// When it goes away by itself, in microseconds since 1970.
        expires_at_us: Option<i64>,
    },
    /// Take the key away.
    Delete {
        /// The key.
        key: String,
    },
    /// Add `by`; deltas of parallel calls add up.
    Incr {
        /// The key.
        key: String,
        /// What to add.
        by: i64,
    },
}

/// One buffered event.
#[derive(Debug, Clone, PartialEq)]
pub struct Emitted {
    /// The dotted type.
    pub kind: String,
    /// The payload.
    pub data: Value,
    /// `low`, `normal`, `high` or `critical`.
    pub priority: String,
    /// What it is about; events of one subject stay in order.
    pub subject: Option<String>,
}
