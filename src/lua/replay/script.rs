//! What a call that is run again is answered: from its tape, in the order in which it was answered then.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mlua::{Lua, MultiValue};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::lua::api::place;
use crate::lua::budget::Kill;
use crate::lua::context::{ApiContext, CallState};
use crate::lua::convert::Shapes;
use crate::lua::recorder::{Class, Mask, Tape, args_of, effects, only_looks};
use crate::lua::secrets::Secrets;
use crate::model::trace::{CallStep, Step, StepAnswer};

use super::{Diverged, LogLine};

/// Lines of the log that are kept of one replay.
const MAX_LINES: usize = 200;

/// Answers one throw-away VM.
pub struct Replay {
    secrets: Arc<Secrets>,
    /// Whether what looks at the world does so when nothing was recorded.
    looks: bool,
    random: AtomicU64,
    inner: Mutex<Inner>,
}

struct Inner {
    steps: Vec<CallStep>,
    now: VecDeque<(u32, i64)>,
    monotonic: VecDeque<(u32, f64)>,
    chance: VecDeque<(u32, [u8; 16])>,
    last_us: i64,
    last_s: f64,
    made_up: u64,
    deadline: Option<f64>,
    /// Numbers the parts of the call as its tape does.
    parts: Tape,
    /// Who waits, by the order in which those waits ended.
    waiting: BTreeMap<u32, oneshot::Sender<()>>,
    /// Calls that wait for what never came.
    stuck: Vec<Arc<CallState>>,
    ends_by_deadline: bool,
    log: Vec<LogLine>,
    diverged: Option<Diverged>,
}

/// What a function of the host is to do.
pub enum Turn {
    /// What it does anyway.
    Run,
    /// Answer this.
    Answer(Box<CallStep>),
}

/// What was to be done for a VM that has nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// A coroutine goes on.
    Woken,
    /// A call that waits for ever was ended.
    Ended,
    /// Nobody waits.
    Nobody,
}

impl Replay {
    /// Knows nothing to answer yet.
    pub fn new(secrets: Arc<Secrets>) -> Arc<Self> {
        let inner = Inner {
            steps: Vec::new(),
            now: VecDeque::new(),
            monotonic: VecDeque::new(),
            chance: VecDeque::new(),
            last_us: 0,
            last_s: 0.0,
            made_up: 0,
            deadline: None,
            parts: Tape::new(0),
            waiting: BTreeMap::new(),
            stuck: Vec::new(),
            ends_by_deadline: false,
            log: Vec::new(),
            diverged: None,
        };
        Arc::new(Replay { secrets, looks: false, random: AtomicU64::new(0), inner: Mutex::new(inner) })
    }

    /// Has nothing to answer: what only looks at the world does so, and what would change it ends the call.
    pub fn that_looks(secrets: Arc<Secrets>) -> Arc<Self> {
        let mut replay = Replay::new(secrets);
        if let Some(it) = Arc::get_mut(&mut replay) {
            it.looks = true;
        }
        replay
    }

    /// Whether the world may be looked at.
    pub fn looks(&self) -> bool {
        self.looks
    }

    /// From now on these are the answers; `at_us` is when the call began.
    pub fn begin(&self, steps: &[Step], at_us: i64, deadline: Option<f64>, ends_by_deadline: bool) {
        let mut inner = self.inner.lock();
        inner.steps.clear();
        inner.now.clear();
        inner.monotonic.clear();
        inner.chance.clear();
        for step in steps {
            match step {
                Step::Call(it) => inner.steps.push(it.clone()),
                Step::Now { part, us } => inner.now.push_back((*part, *us)),
                Step::Monotonic { part, seconds } => inner.monotonic.push_back((*part, *seconds)),
                Step::Chance { part, bytes } => {
                    let bytes = uuid::Uuid::parse_str(bytes).unwrap_or_default().into_bytes();
                    inner.chance.push_back((*part, bytes));
                }
            }
        }
        inner.last_us = at_us;
        inner.deadline = deadline;
        inner.ends_by_deadline = ends_by_deadline;
        inner.parts = Tape::new(0);
    }

    /// The state of the random numbers when the next call begins.
    pub fn seed(&self, random: u64) {
        self.random.store(random, Ordering::Relaxed);
    }

    /// What [`Replay::seed`] said.
    pub fn random(&self) -> u64 {
        self.random.load(Ordering::Relaxed)
    }

    /// What the function `name` is to do with these arguments.
    ///
    /// # Errors
    /// Nothing of the kind was recorded: the call has gone another way and ends here.
    pub fn turn(
        &self,
        lua: &Lua,
        ctx: &ApiContext,
        shapes: &Shapes,
        name: &'static str,
        class: Class,
        values: &MultiValue,
    ) -> mlua::Result<Turn> {
        let mut mask = Mask::new(&self.secrets);
        let args: Vec<Value> = args_of(shapes, values).iter().map(|it| mask.value(it)).collect();
        let step = self.inner.lock().take(name, &args, ctx.current.part());
        // What the call itself has written under the key says more than what was written there then.
        let is_own = name == "panotti.kv.get" && writes_before(ctx, &args);
        if let Some(step) = step.filter(|_| !is_own) {
            return Ok(if class == Class::Told { Turn::Run } else { Turn::Answer(Box::new(step)) });
        }
        match class {
            Class::World if self.looks && only_looks(name) => Ok(Turn::Run),
            Class::World => Err(self.diverge(lua, ctx, name, args)),
            Class::Local | Class::Told | Class::Buffered => Ok(Turn::Run),
        }
    }

    /// The call asks for what was not recorded: it ends here.
    pub fn diverge(&self, lua: &Lua, ctx: &ApiContext, name: &str, args: Vec<Value>) -> mlua::Error {
        let (file, line) = place(lua).unzip();
        let diverged = Diverged { function: name.to_owned(), args, file, line };
        let error = mlua::Error::runtime(format!("{diverged}"));
        self.inner.lock().diverged.get_or_insert(diverged);
        if let Some(call) = ctx.current.get() {
            call.meter.kill(Kill::Cancelled);
        }
        error
    }

    /// Waits until it is the turn of `step`, and leaves on the call what it left then.
    pub async fn wait_for(&self, step: &CallStep, call: Option<Arc<CallState>>) {
        if let (StepAnswer::Unfinished, Some(call)) = (&step.answer, &call) {
            self.inner.lock().stuck.push(Arc::clone(call));
            std::future::pending::<()>().await;
        }
        if step.order > 0 {
            let (sender, turn) = oneshot::channel();
            self.inner.lock().waiting.insert(step.order, sender);
            let _ = turn.await;
        }
        if let Some(call) = call {
            leave(step, &call);
        }
    }

    /// The VM has nothing to do: of those who wait, the one goes on whose wait ended first.
    pub fn release(&self) -> Released {
        let mut inner = self.inner.lock();
        while let Some((_, waiting)) = inner.waiting.pop_first() {
            if waiting.send(()).is_ok() {
                return Released::Woken;
            }
        }
        let why = if inner.ends_by_deadline { Kill::Wall } else { Kill::Cancelled };
        let stuck = std::mem::take(&mut inner.stuck);
        stuck.iter().for_each(|it| it.meter.kill(why));
        if stuck.is_empty() { Released::Nobody } else { Released::Ended }
    }

    /// The wall clock, as it was read then.
    pub fn now_us(&self, part: u64) -> i64 {
        let mut inner = self.inner.lock();
        let part = inner.parts.part(part);
        match take(&mut inner.now, part) {
            Some(us) => inner.last_us = us,
            None => {
                inner.made_up += 1;
                inner.last_us += 1_000;
            }
        }
        inner.last_us
    }

    /// The clock that only goes forward, as it was read then.
    pub fn monotonic(&self, part: u64) -> f64 {
        let mut inner = self.inner.lock();
        let part = inner.parts.part(part);
        match take(&mut inner.monotonic, part) {
            Some(seconds) => inner.last_s = seconds,
            None => {
                inner.made_up += 1;
                inner.last_s += 0.001;
            }
        }
        inner.last_s
    }

    /// The bytes that were given then.
    pub fn random_bytes(&self, part: u64) -> [u8; 16] {
        let mut inner = self.inner.lock();
        let part = inner.parts.part(part);
        match take(&mut inner.chance, part) {
            Some(bytes) => bytes,
            None => {
                inner.made_up += 1;
                let hash = blake3::hash(&inner.made_up.to_le_bytes());
                let mut bytes = [0; 16];
                bytes.copy_from_slice(&hash.as_bytes()[..16]);
                bytes
            }
        }
    }

    /// `ctx.deadline` as the script saw it.
    pub fn deadline(&self) -> Option<f64> {
        self.inner.lock().deadline
    }

    /// A line of the log, which goes nowhere else.
    pub fn log(&self, level: &'static str, text: &str, fields: &Value) {
        let mut mask = Mask::new(&self.secrets);
        let (message, fields) = (mask.text(text), mask.value(fields));
        let mut inner = self.inner.lock();
        if inner.log.len() < MAX_LINES {
            inner.log.push(LogLine { level: level.to_owned(), message, fields });
        }
    }

    /// Where it went another way, what it logged, what was recorded and never asked for, readings that were made up.
    pub fn finish(&self) -> (Option<Diverged>, Vec<LogLine>, Vec<String>, u64) {
        let mut inner = self.inner.lock();
        let left = inner.steps.iter().map(|it| it.name.to_string()).collect();
        (inner.diverged.take(), std::mem::take(&mut inner.log), left, inner.made_up)
    }
}

impl Inner {
    /// The first recorded call of the same kind that was not taken yet, of the same part if there is one.
    fn take(&mut self, name: &str, args: &[Value], part: u64) -> Option<CallStep> {
        let part = self.parts.part(part);
        let fits = |it: &CallStep| it.name == name && it.args == args;
        let own = self.steps.iter().position(|it| it.part == part && fits(it));
        let at = own.or_else(|| self.steps.iter().position(fits))?;
        Some(self.steps.remove(at))
    }
}

/// Leaves on the call the effects and marks of a step.
pub fn leave(step: &CallStep, call: &CallState) {
    call.mark_all(step.marks);
    effects::apply(call, &step.effects);
}

/// Whether this very call has written the key that it reads.
fn writes_before(ctx: &ApiContext, args: &[Value]) -> bool {
    use crate::model::call::KvOp;
    let (Some(call), Some(key)) = (ctx.current.get(), args.first().and_then(Value::as_str)) else {
        return false;
    };
    let effects = call.effects.lock();
    effects.kv.iter().any(|it| match it {
        KvOp::Set { key: it, .. } | KvOp::Delete { key: it } => it == key,
        KvOp::Incr { .. } => false,
    })
}

/// The first reading of a part, or else of any.
fn take<T>(readings: &mut VecDeque<(u32, T)>, part: u32) -> Option<T> {
    let at = readings.iter().position(|(it, _)| *it == part).unwrap_or(0);
    readings.remove(at).map(|(_, it)| it)
}
