//! One coroutine of a call: what it runs, for whom, and what is done when it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::Wake;
use std::time::{Duration, Instant};

use mlua::{Function, MultiValue};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::config::PluginLimits;
use crate::hooks::{CallFailure, Hook, HookCall, Reply};
use crate::model::call::Effects;

use super::actor::Actor;
use super::begin::kind_of;
use super::context::{CallKind, CallState};
use super::counts::Place;
use super::supervisor::Run;
use super::task::Task;
use super::waiting::Waiting;

/// What a call came to.
pub enum Done {
    /// A hook answered, or the chunk has run.
    Hook(Reply),
    /// A function of a module returned a value, and left effects.
    Value(Value, Effects),
}

/// How a call failed; boxed because it is large and rare.
pub type Failed = Box<CallFailure>;

impl Done {
    /// What whoever waits for a hook is told.
    pub fn into_reply(self) -> Reply {
        match self {
            Done::Hook(reply) => reply,
            Done::Value(_, effects) => Reply { effects, ..Reply::default() },
        }
    }
}

/// A call from outside that waits for its turn.
pub struct QueuedCall {
    /// The call.
    pub call: HookCall,
    /// Its hook; none for an event subscription.
    pub hook: Option<Hook>,
    /// Its kind.
    pub kind: CallKind,
    /// When it was queued; a question's time runs from here.
    pub queued_at: Instant,
    /// When its caller stops waiting.
    pub deadline: Option<Instant>,
    /// Its place among those that wait; none of what comes right after another call.
    pub place: Option<Place>,
    /// Who waits.
    pub waiting: Waiting,
}

impl QueuedCall {
    /// A call that waits from `now` on.
    pub fn new(
        call: HookCall,
        limits: &PluginLimits,
        place: Option<Place>,
        waiting: Waiting,
        now: Instant,
    ) -> Self {
        let hook = Hook::from_name(call.ctx.hook);
        let kind = kind_of(hook, call.is_question);
        // A question's time runs while it waits for its turn, too.
        let wall = Duration::from_millis(limits.question_wall_ms);
        let wall = call.timeout.map_or(wall, |it| it.min(wall));
        let deadline = match (kind, call.deadline) {
            (CallKind::Question, Some(it)) => Some(it.min(now + wall)),
            (CallKind::Question, None) => Some(now + wall),
            (_, deadline) => deadline,
        };
        QueuedCall { call, hook, kind, queued_at: now, deadline, place, waiting }
    }

    /// Whether nobody waits any more, or not for long enough to begin.
    pub fn is_over(&self, now: Instant) -> bool {
        self.waiting.is_closed() || self.deadline.is_some_and(|it| it <= now)
    }
}

/// Something to be done in a VM that is not a call from outside.
pub enum Job {
    /// Build the VM and run the chunk, or only build it for `task.run`.
    Load {
        /// The file to run.
        entry: Option<String>,
        /// Who waits.
        waiting: Waiting,
    },
    /// Call `function` of `module` with plain values, in a VM made for that.
    Run {
        /// What.
        run: Box<Run>,
        /// Who waits.
        waiting: Waiting,
    },
    /// A task, which is a call of its own.
    Task {
        /// What to run.
        function: Function,
        /// With these.
        arguments: MultiValue,
        /// Its handle.
        task: Arc<Task>,
    },
    /// A delayed task is due; the number is that under which its function was parked.
    Due(u64),
    /// The plugin's config has changed.
    Config(Arc<Value>),
    /// A part of a running call.
    Part {
        /// What to run.
        function: Function,
        /// The call it is part of.
        call: Arc<CallState>,
        /// Who waits.
        waiting: oneshot::Sender<mlua::Result<MultiValue>>,
    },
}

impl Job {
    /// Whether it is a call of its own, which counts as one under way.
    pub fn is_call(&self) -> bool {
        !matches!(self, Job::Part { .. } | Job::Config(_))
    }
}

/// What is done when a coroutine ends.
pub enum End {
    /// Tell the caller of a hook what it answered.
    Hook(Option<Hook>),
    /// Take the table that the chunk returned.
    Load,
    /// Tell the caller in another VM.
    Run,
    /// Note it in the task's handle.
    Task(Arc<Task>),
    /// Tell the coroutine that waits in the same call.
    Part(oneshot::Sender<mlua::Result<MultiValue>>),
}

/// One coroutine.
pub struct Strand {
    /// The call it belongs to.
    pub call: Arc<CallState>,
    /// Which part of it this is; 0 is the call's own coroutine.
    pub part: u64,
    /// Its last poll ended with a wake: its slice was over, perhaps between asking what it waits for and giving way.
    pub was_cut: bool,
    /// What is polled.
    pub future: mlua::function::AsyncCallFuture<MultiValue>,
    /// What comes after.
    pub end: End,
}

/// Wakes the coroutine in one slot of an actor; kept with the slot for all its coroutines.
pub struct SlotWaker {
    actor: Weak<Actor>,
    slot: usize,
    woken: AtomicBool,
}

impl SlotWaker {
    /// A waker of `slot`.
    pub fn new(actor: &Arc<Actor>, slot: usize) -> Arc<Self> {
        Arc::new(SlotWaker { actor: Arc::downgrade(actor), slot, woken: AtomicBool::new(false) })
    }

    /// The coroutine is about to be polled: from now on wakes count again.
    pub fn rearm(&self) {
        // Also a read: what happened before a wake that counted for nothing is seen by the poll that follows.
        self.woken.swap(false, Ordering::AcqRel);
    }

    /// Whether it was woken since it was last polled, or while it was.
    pub fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel)
            && let Some(actor) = self.actor.upgrade()
        {
            actor.wake(self.slot);
        }
    }
}
