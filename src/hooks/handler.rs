//! What a plugin looks like from outside: registrations, calls, answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::error::ScriptFault;
use crate::model::call::{CallContext, Effects, Outcome};
use crate::model::replay::Past;

use super::catalogue::Hook;
use super::given::Given;
use super::when::When;

/// What an error, a deadline or an open breaker means to a before-hook's caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// A broken plugin costs nobody a recording.
    #[default]
    Allow,
    /// A gate that cannot answer stays shut.
    Deny,
}

/// One handler of one hook, as the plugin registered it.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Which hook.
    pub hook: Hook,
    /// Which of the plugin's functions: its own number.
    pub slot: u32,
    /// Higher runs earlier.
    pub priority: i32,
    /// Plugins that must come after this one.
    pub before: Vec<String>,
    /// Plugins that must come before this one.
    pub after: Vec<String>,
    /// Wall time; at most the plugin's limit.
    pub timeout: Option<Duration>,
    /// What a failure means.
    pub on_error: OnError,
    /// Only payloads that fit.
    pub when: Option<When>,
}

/// One handler of events, as the plugin subscribed it.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// `*` is one segment, `**` the rest.
    pub pattern: String,
    /// Which of the plugin's functions: its own number.
    pub slot: u32,
    /// Higher runs earlier within the plugin.
    pub priority: i32,
    /// Wall time; at most the plugin's limit.
    pub timeout: Option<Duration>,
    /// Tries before it is given up.
    pub max_attempts: Option<i32>,
    /// Only events that fit.
    pub when: Option<When>,
    /// The past that it wants to be given once, the first time that it is subscribed.
    pub past: Option<Past>,
}

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The function of a registration or subscription.
    Slot(u32),
}

/// One call.
#[derive(Debug, Clone)]
pub struct HookCall {
    /// Which function.
    pub target: Target,
    /// The first argument; converted once, in the VM.
    pub payload: Given,
    /// The second argument.
    pub ctx: Arc<CallContext>,
    /// When it was asked: a question's time runs from here.
    pub asked_at: Instant,
    /// Wall time for this call.
    pub timeout: Option<Duration>,
    /// When the caller stops waiting, whatever the call's own limit.
    pub deadline: Option<Instant>,
    /// Questions have a smaller budget than facts.
    pub is_question: bool,
    /// What is called right after it, if it lets pass what it was asked about and has waited for nothing.
    pub then: Option<Box<NextCall>>,
}

/// A call that is made right after another one.
#[derive(Debug, Clone)]
pub struct NextCall {
    /// The call; when it is asked, and until when there is time for it, is known when it begins.
    pub call: HookCall,
    /// How long there is time for it from then on.
    pub chain_wall: Duration,
    /// The stamp of the store that its argument was read from: when it has another one by then, it is not made.
    pub stamp: u64,
}

impl NextCall {
    /// The call, which begins `now`.
    pub fn begin(mut self, now: Instant) -> HookCall {
        let limit = now + self.chain_wall;
        self.call.asked_at = now;
        self.call.deadline = Some(self.call.deadline.map_or(limit, |theirs| theirs.min(limit)));
        self.call
    }
}

/// What a hook returned.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Answer {
    /// Nothing, or something that means nothing here.
    #[default]
    Nothing,
    /// A JSON merge patch, not yet reduced or checked.
    Patch(Map<String, Value>),
    /// `panotti.deny(reason, {status})`.
    Deny {
        /// Shown to the client.
        reason: String,
        /// 400..499; 422 without.
        status: Option<u16>,
    },
    /// `panotti.respond{…}` of a `before_request`.
    Respond {
        /// 200..599.
        status: u16,
        /// Lower-case names.
        headers: Vec<(String, String)>,
        /// Whole body.
        body: Vec<u8>,
    },
    /// What a route or a function for other plugins returned.
    Value(Value),
    /// What `health()` said.
    Health {
        /// Whether all is well.
        ok: bool,
        /// A sentence.
        message: Option<String>,
        /// Anything else.
        details: Value,
    },
}

/// A call that ended without a fault.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// What it returned.
    pub answer: Answer,
    /// What is to be committed with it.
    pub effects: Effects,
    /// Which generation answered.
    pub generation: u64,
    /// `ok` or `refused`; or what a door noted on the way (`denied`, `limit`, `convert`), though the script went on.
    pub outcome: Outcome,
    /// What that door said, if it said anything.
    pub noted: Option<String>,
    /// What came of the call right after it; none when that was not made.
    pub then: Option<Box<Then>>,
}

impl Reply {
    /// Whether there is nothing against what was asked about, nothing to change in it and nothing to be committed.
    pub fn lets_pass(&self) -> bool {
        self.answer == Answer::Nothing && self.outcome == Outcome::Ok && self.effects.is_empty()
    }
}

/// What came of a call that was made right after another one.
#[derive(Debug, Clone)]
pub struct Then {
    /// When the other one had ended.
    pub at: Instant,
    /// What it came to.
    pub result: Result<Reply, CallFailure>,
}

/// A call that did not end well; its effects are dropped.
#[derive(Debug, Clone)]
pub struct CallFailure {
    /// How it ended.
    pub outcome: Outcome,
    /// Where and why, for the script's author.
    pub fault: ScriptFault,
    /// Which generation failed.
    pub generation: u64,
}

/// A call under way.
pub type CallFuture<'a> = Pin<Box<dyn Future<Output = Result<Reply, CallFailure>> + Send + 'a>>;

/// Someone who answers hooks: a plugin's running generation, or a closure in a test.
pub trait HookHandler: Send + Sync + 'static {
    /// The plugin's name.
    fn plugin(&self) -> &Arc<str>;
    /// Calls one of its functions. Never blocks the caller; dropping the future cancels the call.
    fn call(&self, call: HookCall) -> CallFuture<'_>;
    /// Deliveries of events it takes at once; none = as many as the server's limit says.
    fn at_once(&self) -> Option<usize> {
        None
    }
    /// Whether so many calls wait for it that one more is better sent away.
    fn is_crowded(&self) -> bool {
        false
    }
    /// One was sent away.
    fn sent_away(&self) {}
    /// Takes note that what it answered could not be used: its author will want to know.
    fn note(&self, _hook: &'static str, _outcome: Outcome, _why: &str) {}
}
