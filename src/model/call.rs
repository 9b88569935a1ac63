//! A call into a plugin, seen from outside the script: who asks, how it ended, what it left behind.

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::event::{Event, Priority};
use super::timing::{Span, Timing};
use super::trace_context::TraceContext;

/// What calls are named that no hook stands behind: requests to a plugin's own routes.
pub const ROUTE: &str = "route";
/// Runs of a schedule.
pub const TIMER: &str = "timer";
/// Deliveries to event handlers.
pub const EVENT: &str = "event";
/// Functions that other plugins call.
pub const EXPORT: &str = "export";

/// How deep operations started by hooks may nest.
pub const MAX_CALL_DEPTH: u8 = 8;

/// Who sets an operation off: carried from a request, through hooks, to what hooks start.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// `http`, `plugin/<name>`, `journal`, `server`.
    pub source: Cow<'static, str>,
    /// The HTTP request, if one began it.
    pub request_id: Option<Arc<str>>,
    /// Shared by all that one request set off.
    pub correlation_id: Option<Arc<str>>,
    /// The event or request right before this operation.
    pub causation_id: Option<Arc<str>>,
    /// How many hooks stand between the first request and this operation.
    pub depth: u8,
    /// How many events led here, one after another.
    pub event_depth: i16,
    /// The plugins among those who led here, each once: what one of them has set off itself opens no sound to it.
    pub plugins: Vec<Arc<str>>,
    /// When the whole operation must be over (shared by what a hook itself starts).
    pub deadline: Option<Instant>,
    /// Effects of this operation's own plugin call are not its caller's: set for an admin key under
    /// `/api/v1/plugins`, whose requests no plugin may refuse.
    pub unrefusable: bool,
    /// The distributed trace that the request belongs to, if its client told one.
    pub trace: Option<Arc<TraceContext>>,
    /// Where the time that plugins take is noted, if the client asked for it.
    pub timing: Option<Arc<Timing>>,
}

impl From<&Caller> for Arc<Caller> {
    fn from(caller: &Caller) -> Self {
        Arc::new(caller.clone())
    }
}

impl Caller {
    /// The host itself.
    pub fn server() -> Self {
        Caller { source: "server".into(), ..Caller::default() }
    }

    /// Whoever is told of `event`: what it does is caused by the event and belongs to its correlation.
    pub fn of_event(event: &Event) -> Self {
        Caller {
            source: event.source.clone().into(),
            correlation_id: Some(event.correlation_id.as_str().into()),
            causation_id: Some(event.id.as_str().into()),
            event_depth: event.depth,
            plugins: event.plugins.to_vec(),
            trace: event.traceparent.as_deref().and_then(|it| TraceContext::parse(it, None)).map(Arc::new),
            ..Caller::default()
        }
    }

    /// The id of the HTTP request that this goes back to, also by way of events; of what no request set off, the id of
    /// the first event.
    pub fn set_off_by(&self) -> Option<&str> {
        self.request_id.as_deref().or(self.correlation_id.as_deref())
    }

    /// Measures a call of a plugin until the span is dropped, if the client asked for it.
    pub fn time(&self, plugin: &Arc<str>, hook: &'static str) -> Option<Span> {
        self.timing.as_ref().map(|it| it.begin(plugin, hook))
    }

    /// The same, set off by `plugin`.
    pub fn through(&self, plugin: &Arc<str>) -> Self {
        let mut caller = self.clone();
        caller.source = format!("plugin/{plugin}").into();
        // What a plugin sets off is part of its own time.
        caller.timing = None;
        if !self.plugins.contains(plugin) {
            caller.plugins.push(Arc::clone(plugin));
        }
        caller
    }
}

/// How a call ended, decided by the host's own flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It returned.
    #[default]
    Ok,
    /// It said no.
    Refused,
    /// It raised, or used the API wrongly.
    Runtime,
    /// Its value could not cross.
    Convert,
    /// It met a quota.
    Limit,
    /// It lacked a permission.
    Denied,
    /// It ran out of stack.
    Stack,
    /// It ran out of memory.
    Memory,
    /// It ran out of CPU or wall time.
    Deadline,
    /// It does not compile.
    Syntax,
    /// It was not run: breaker open, queue full, plugin gone.
    Skipped,
}

impl Outcome {
    /// All of them, in their order.
    pub const ALL: [Outcome; 11] = [
        Outcome::Ok,
        Outcome::Refused,
        Outcome::Runtime,
        Outcome::Convert,
        Outcome::Limit,
        Outcome::Denied,
        Outcome::Stack,
        Outcome::Memory,
        Outcome::Deadline,
        Outcome::Syntax,
        Outcome::Skipped,
    ];

    /// The name in logs, metrics and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Refused => "refused",
            Outcome::Runtime => "runtime",
            Outcome::Convert => "convert",
            Outcome::Limit => "limit",
            Outcome::Denied => "denied",
            Outcome::Stack => "stack",
            Outcome::Memory => "memory",
            Outcome::Deadline => "deadline",
            Outcome::Syntax => "syntax",
            Outcome::Skipped => "skipped",
        }
    }
}

/// What a hook is told beside its payload (`ctx`).
#[derive(Debug, Clone)]
pub struct CallContext {
    /// The hook's name, or `event`.
    pub hook: &'static str,
    /// The event that is delivered, if one is.
    pub event_id: Option<Arc<str>>,
    /// Which try this is, from 1.
    pub attempt: i32,
    /// A past event is played again.
    pub replay: bool,
    /// The schedule whose run it is, or belongs to.
    pub schedule: Option<Arc<str>>,
    /// The keys of the config whose values have changed, for those who are told of that.
    pub changed: Option<Arc<[String]>>,
    /// Who set it off.
    pub caller: Arc<Caller>,
}

impl CallContext {
    /// A first call of `hook` for `caller`.
    pub fn new(hook: &'static str, caller: impl Into<Arc<Caller>>) -> Self {
        let caller = caller.into();
        CallContext { hook, event_id: None, attempt: 1, replay: false, schedule: None, changed: None, caller }
    }

    /// The table scripts see, less `plugin`, `generation` and `deadline`, which the VM adds.
    pub fn to_json(&self) -> Value {
        let mut table = json!({
            "hook": self.hook,
            "event_id": self.event_id,
            "correlation_id": self.caller.correlation_id,
            "causation_id": self.caller.causation_id,
            "source": &*self.caller.source,
            "attempt": self.attempt,
            "replay": self.replay,
            "request_id": self.caller.request_id,
        });
        if let Some(changed) = &self.changed {
            table["changed"] = json!(changed[..]);
        }
        table
    }
}

/// One write to a plugin's key-value store, buffered until the call's outcome is committed.
#[derive(Debug, Clone, PartialEq)]
pub enum KvOp {
    /// The last commit wins.
    Set {
        /// The key.
        key: String,
        /// Any JSON.
        value: Value,
        /// When it disappears, in microseconds since 1970 UTC.
        expires_at_us: Option<i64>,
    },
    /// Removes the key.
    Delete {
        /// The key.
        key: String,
    },
    /// Adds to the number at the key; parallel calls add up.
    Incr {
        /// The key.
        key: String,
        /// What to add.
        by: f64,
    },
}

/// An event a script published, buffered until the call's outcome is committed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Emitted {
    /// Such as `highlights.found`.
    pub kind: String,
    /// What it is about.
    pub subject: Option<String>,
    /// What it tells.
    pub data: Arc<Value>,
    /// Its lane.
    pub priority: Priority,
    /// How long after its commit it is worth telling; none = always.
    pub ttl: Option<Duration>,
}

/// What a call leaves behind when it is committed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effects {
    /// In the order they were made.
    pub kv: Vec<KvOp>,
    /// In the order they were published.
    pub events: Vec<Emitted>,
    /// What is taken of the plugin's quotas until they are committed.
    pub hold: Hold,
}

/// Something that is kept until effects are committed or given up.
#[derive(Clone, Default)]
pub struct Hold(Option<Arc<dyn Any + Send + Sync>>);

impl Hold {
    /// Keeps `it`.
    pub fn of(it: Arc<dyn Any + Send + Sync>) -> Self {
        Hold(Some(it))
    }

    /// What is kept, or what `make` makes if it is nothing of this type.
    pub fn get_or_insert<T: Any + Send + Sync>(&mut self, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
        if let Some(it) = self.0.clone().and_then(|it| it.downcast::<T>().ok()) {
            return it;
        }
        let made = make();
        self.0 = Some(made.clone());
        made
    }
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Hold").field(&self.0.is_some()).finish()
    }
}

/// What is kept is no part of what effects are.
impl PartialEq for Hold {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Effects {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.kv.is_empty() && self.events.is_empty()
    }
}

/// The effects of one plugin's call, ready to be committed under its name.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginEffects {
    /// Whose they are.
    pub plugin: Arc<str>,
    /// What they are.
    pub effects: Effects,
}
