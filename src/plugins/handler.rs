//! Stands between the dispatcher and a running generation: breaker, counts, the last error, one log line a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::clock::SharedClock;
use crate::config;
use crate::error::ScriptFault;
use crate::hooks::{CallFailure, CallFuture, Hook, HookCall, HookHandler, HookKind, OnError, Reply};
use crate::model::call::{CallContext, Outcome};
use crate::model::tally::NamedCounts;
use crate::model::time::Timestamp;

use super::breaker::{Breaker, BreakerState, BreakerView, Pass};
use super::passed::Passed;
use super::quiet::Quiet;
use super::script::Script;
use super::slow::SlowGuard;
use super::stats::Stats;
use super::status::LastError;
use super::versions::trial::Record;

/// What is known of a plugin beyond one generation of it.
pub struct Vitals {
    pub(super) plugin: Arc<str>,
    clock: SharedClock,
    pub(super) breaker: Quiet<Breaker>,
    pub(super) slow: Quiet<SlowGuard>,
    last_error: Mutex<Option<LastError>>,
    /// Whether its health() failed when it was asked last.
    pub(super) health_fails: AtomicBool,
    /// Counts and times of its calls.
    pub stats: Stats,
    /// Loads of a new version in place of a running one, by how they ended.
    pub reloads: NamedCounts,
}

impl Vitals {
    /// Nothing known yet.
    pub fn new(plugin: Arc<str>, rule: config::Breaker, clock: SharedClock) -> Self {
        Vitals {
            plugin,
            clock,
            breaker: Quiet::new(Breaker::new(rule)),
            slow: Quiet::new(SlowGuard::new(rule)),
            last_error: Mutex::new(None),
            health_fails: AtomicBool::new(false),
            stats: Stats::default(),
            reloads: NamedCounts::new(Outcome::ALL.len()),
        }
    }

    /// The breaker of this moment.
    pub fn breaker(&self) -> BreakerView {
        self.breaker.with(|it| it.view(Instant::now()))
    }

    /// Whether it is asked around requests at this moment.
    pub fn request_breaker(&self) -> BreakerView {
        self.slow.with(|it| it.view(Instant::now()))
    }

    /// Closes both breakers.
    pub fn reset_breaker(&self) {
        self.breaker.with(Breaker::reset);
        self.slow.with(SlowGuard::reset);
    }

    /// What went wrong last.
    pub fn last_error(&self) -> Option<LastError> {
        self.last_error.lock().clone()
    }

    /// Keeps a fault for its author.
    pub fn keep(&self, fault: &ScriptFault, generation: u64) {
        let at = Timestamp(self.clock.now_us());
        *self.last_error.lock() = Some(LastError::new(fault.clone(), generation, at));
    }

    /// Forgets the last error: the plugin was mended or switched off.
    pub fn forget_error(&self) {
        *self.last_error.lock() = None;
    }

    pub(super) fn failed(&self, failure: &CallFailure, ctx: &CallContext) {
        let hook = ctx.hook;
        let mut fault = failure.fault.clone();
        fault.hook.get_or_insert_with(|| hook.to_owned());
        if hook == Hook::Health.name() {
            // Whoever asks tells of it, once; and it must not hide for ever what else went wrong.
            if !self.health_fails.swap(true, Ordering::Relaxed) {
                self.keep(&fault, failure.generation);
            }
            return;
        }
        log::warn!(
            plugin = &*self.plugin, generation = failure.generation, hook = hook,
            outcome = failure.outcome.as_str(), schedule = ctx.schedule.as_deref(),
            request_id = ctx.caller.set_off_by(), event_id = ctx.event_id.as_deref(),
            attempt = ctx.event_id.is_some().then_some(ctx.attempt), trace_id = fault.trace_id.as_deref();
            "{fault}"
        );
        self.keep(&fault, failure.generation);
    }
}

/// One generation of one plugin, as the dispatcher calls it.
pub struct PluginHandler {
    plugin: Arc<str>,
    generation: u64,
    script: Arc<dyn Script>,
    vitals: Arc<Vitals>,
    /// Of the version that it runs.
    record: Arc<Record>,
    /// A gate that fails closed would shut everybody out if it were not asked: it may be slow.
    is_gate: bool,
}

impl PluginHandler {
    /// A handler for a loaded generation.
    pub fn new(plugin: Arc<str>, generation: u64, script: Arc<dyn Script>, vitals: Arc<Vitals>) -> Self {
        let is_gate = script
            .registrations()
            .iter()
            .any(|it| it.hook == Hook::BeforeRequest && it.on_error == OnError::Deny);
        PluginHandler { plugin, generation, script, vitals, record: Arc::default(), is_gate }
    }

    /// The same, going on with the record of a generation that ran the same files.
    pub fn with_record(self, record: Arc<Record>) -> Self {
        PluginHandler { record, ..self }
    }

    /// What is counted of the version that it runs.
    pub fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// Past the breakers, or why not.
    fn admit(&self, ctx: &Arc<CallContext>, now: Instant) -> Result<Passed<'_>, CallFailure> {
        let hook = ctx.hook;
        // What the host calls once in a plugin's life is never skipped.
        let is_life = Hook::from_name(hook).is_some_and(|it| it.info().kind == HookKind::Life);
        let pass = match is_life {
            true => Pass::Free,
            false => self.vitals.breaker.pass(now),
        };
        if let Pass::Shut(left) = pass {
            return Err(self.shut(ctx, "killed", left));
        }
        let is_around_requests =
            !self.is_gate && [Hook::BeforeRequest, Hook::AfterRequest].iter().any(|it| it.name() == hook);
        let slow_pass = is_around_requests.then(|| self.vitals.slow.pass(now));
        if let Some(Pass::Shut(left)) = slow_pass {
            self.vitals.breaker.abandon(pass);
            return Err(self.shut(ctx, "slow", left));
        }
        Ok(Passed {
            vitals: &self.vitals,
            ctx: Arc::clone(ctx),
            record: (!is_life).then_some(&*self.record),
            began: now,
            pass,
            slow_pass,
            done: false,
        })
    }

    fn shut(&self, ctx: &CallContext, why: &str, left: std::time::Duration) -> CallFailure {
        let hook = ctx.hook;
        self.vitals.stats.count(hook, Outcome::Skipped, None);
        let message = match left.as_secs() {
            0 => format!("it was {why} too often; one call at a time tries whether it has recovered"),
            s => format!("it was {why} too often and is left alone for another {s} s"),
        };
        log::debug!(
            plugin = &*self.plugin, generation = self.generation, hook = hook, outcome = "skipped",
            schedule = ctx.schedule.as_deref();
            "{message}"
        );
        let fault = ScriptFault {
            outcome: Outcome::Skipped.as_str().to_owned(),
            hook: Some(hook.to_owned()),
            message,
            hint: Some("Mend what takes so long, then reset the breaker.".to_owned()),
            ..ScriptFault::default()
        };
        CallFailure { outcome: Outcome::Skipped, fault, generation: self.generation }
    }
}

impl HookHandler for PluginHandler {
    fn plugin(&self) -> &Arc<str> {
        &self.plugin
    }

    fn at_once(&self) -> Option<usize> {
        self.script.at_once()
    }

    fn is_crowded(&self) -> bool {
        // Whoever is left alone keeps nobody waiting.
        self.script.is_crowded() && self.vitals.breaker().state == BreakerState::Closed
    }

    fn sent_away(&self) {
        self.script.sent_away();
    }

    fn note(&self, hook: &'static str, outcome: Outcome, why: &str) {
        log::warn!(
            plugin = &*self.plugin, generation = self.generation, hook = hook, outcome = outcome.as_str();
            "{why}"
        );
        if outcome != Outcome::Ok {
            let fault = ScriptFault {
                outcome: outcome.as_str().to_owned(),
                hook: Some(hook.to_owned()),
                message: why.to_owned(),
                hint: Some("Return values of the types that the guide lists for this hook.".to_owned()),
                ..ScriptFault::default()
            };
            self.vitals.keep(&fault, self.generation);
        }
    }

    fn call(&self, mut call: HookCall) -> CallFuture<'_> {
        let first = match self.admit(&call.ctx, call.asked_at) {
            Ok(passed) => passed,
            Err(failure) => return Box::pin(std::future::ready(Err(failure))),
        };
        // Of two calls the second can be made on its own, too: it is when there is anything to be looked at first.
        call.then = call.then.filter(|_| self.vitals.breaker.is_quiet() && self.vitals.slow.is_quiet());
        let second = call.then.as_ref().map(|it| self.admit(&it.call.ctx, it.call.asked_at).ok());
        let Some(second) = second else {
            let answer = self.script.call(call);
            return Box::pin(async move { first.end(answer.await, Instant::now()) });
        };
        call.then = call.then.filter(|_| second.is_some());
        let answer = self.script.call(call);
        Box::pin(async move {
            let mut result = answer.await;
            let now = Instant::now();
            let then = result.as_mut().ok().and_then(|it| it.then.take());
            let mut result = first.end(result, then.as_ref().map_or(now, |it| it.at));
            if let (Ok(reply), Some(mut then), Some(mut second)) = (&mut result, then, second) {
                second.began = then.at;
                then.result = second.end(std::mem::replace(&mut then.result, Ok(Reply::default())), now);
                reply.then = Some(then);
            }
            result
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    use futures_util::future::BoxFuture;
    use serde_json::Value;

    use super::*;
    use crate::clock::SystemClock;
    use crate::hooks::{NextCall, Registration, Reply, Subscription, Target};
    use crate::lua::GenerationStats;
    use crate::model::call::Caller;
    use crate::plugins::breaker::BreakerState;

    /// Is killed whenever it is called; counts that, and the calls that should follow.
    struct Killed(Arc<AtomicU32>, Arc<AtomicU32>);

    impl Script for Killed {
        fn registrations(&self) -> Vec<Registration> {
            Vec::new()
        }
        fn subscriptions(&self) -> Vec<Subscription> {
            Vec::new()
        }
        fn call(&self, call: HookCall) -> CallFuture<'_> {
            self.0.fetch_add(1, Ordering::Relaxed);
            self.1.fetch_add(u32::from(call.then.is_some()), Ordering::Relaxed);
            let fault = ScriptFault { message: "too slow".into(), line: Some(3), ..ScriptFault::default() };
            let failure = CallFailure { outcome: Outcome::Deadline, fault, generation: 1 };
            let is_life = call.ctx.hook == "on_unload";
            Box::pin(async move { if is_life { Ok(Reply::default()) } else { Err(failure) } })
        }
        fn set_config(&self, _config: Arc<Value>) {}
        fn usage(&self) -> GenerationStats {
            GenerationStats::default()
        }
        fn changed(&self, _change: u64) -> BoxFuture<'static, u64> {
            Box::pin(std::future::pending())
        }
        fn retire(&self, _drain: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::ready(()))
        }
    }

    fn call(hook: &'static str) -> HookCall {
        HookCall {
            target: Target::Slot(0),
            payload: crate::hooks::Given::default(),
            ctx: CallContext::new(hook, Caller::server()).into(),
            asked_at: Instant::now(),
            timeout: None,
            deadline: None,
            is_question: false,
            then: None,
        }
    }

    #[tokio::test]
    async fn who_tries_whether_a_plugin_has_recovered_asks_it_one_question() {
        let rule = config::Breaker { kills: 1, window_s: 60, open_s: 0, open_max_s: 0, slow_request_ms: 500 };
        let vitals = Arc::new(Vitals::new("p".into(), rule, Arc::new(SystemClock)));
        let follow = Arc::new(AtomicU32::new(0));
        let script = Arc::new(Killed(Arc::default(), Arc::clone(&follow)));
        let handler = PluginHandler::new("p".into(), 1, script, Arc::clone(&vitals));
        for asked in 1..=3 {
            let next = call("after_request");
            let next = NextCall { call: next, chain_wall: Duration::from_secs(1), stamp: 0 };
            let both = HookCall { then: Some(Box::new(next)), ..call("before_request") };
            assert!(handler.call(both).await.is_err());
            assert_eq!(vitals.stats.outcomes(), [("deadline", asked)].into(), "nothing else is counted");
        }
        assert_eq!(follow.load(Ordering::Relaxed), 1, "both while all was well");
    }

    #[tokio::test]
    async fn a_plugin_that_keeps_being_killed_is_skipped_until_it_is_reset() {
        let rule =
            config::Breaker { kills: 5, window_s: 60, open_s: 30, open_max_s: 3600, slow_request_ms: 500 };
        let vitals = Arc::new(Vitals::new("p".into(), rule, Arc::new(SystemClock)));
        let runs = Arc::new(AtomicU32::new(0));
        let handler = PluginHandler::new(
            "p".into(),
            1,
            Arc::new(Killed(Arc::clone(&runs), Arc::default())),
            Arc::clone(&vitals),
        );
        for _ in 0..8 {
            assert!(handler.call(call("on_clip_captured")).await.is_err());
        }
        assert_eq!(runs.load(Ordering::Relaxed), 5);
        assert_eq!(vitals.breaker().state, BreakerState::Open);
        assert_eq!(vitals.stats.outcomes(), [("deadline", 5), ("skipped", 3)].into());
        let failure = handler.call(call("on_clip_captured")).await.unwrap_err();
        assert_eq!((failure.outcome, failure.fault.outcome.as_str()), (Outcome::Skipped, "skipped"));
        let last = vitals.last_error().unwrap();
        assert_eq!((last.line, last.hook.as_deref()), (Some(3), Some("on_clip_captured")));
        assert!(handler.call(call("on_unload")).await.is_ok(), "its life goes on");
        vitals.reset_breaker();
        assert_eq!(handler.call(call("on_clip_captured")).await.unwrap_err().outcome, Outcome::Deadline);
    }
}
