//! A call that got past the breakers: how it ends is counted and told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::error::ScriptFault;
use crate::hooks::{Answer, CallFailure, Hook, Reply};
use crate::model::call::{CallContext, Outcome};

use super::breaker::Pass;
use super::handler::Vitals;
use super::versions::trial::Record;

/// A call that got past the breakers; when it is dropped unfinished, the next one may probe.
pub(super) struct Passed<'a> {
    pub(super) vitals: &'a Vitals,
    pub(super) ctx: Arc<CallContext>,
    /// Of the version that runs; none for calls that tell nothing of it.
    pub(super) record: Option<&'a Record>,
    pub(super) began: Instant,
    pub(super) pass: Pass,
    pub(super) slow_pass: Option<Pass>,
    pub(super) done: bool,
}

impl Passed<'_> {
    /// The call has come to `result`: it is counted, and told of if it went wrong.
    pub(super) fn end(
        mut self,
        result: Result<Reply, CallFailure>,
        now: Instant,
    ) -> Result<Reply, CallFailure> {
        self.done = true;
        let (vitals, hook) = (self.vitals, self.ctx.hook);
        let is_health = hook == Hook::Health.name();
        let outcome = match &result {
            Ok(reply) if matches!(reply.answer, Answer::Deny { .. }) => Outcome::Refused,
            Ok(reply) => reply.outcome,
            Err(failure) => failure.outcome,
        };
        let ran = outcome != Outcome::Skipped;
        let took = now.saturating_duration_since(self.began);
        vitals.stats.count(hook, outcome, ran.then_some(took));
        match &result {
            Err(failure) => vitals.failed(failure, &self.ctx),
            Ok(reply) if ![Outcome::Ok, Outcome::Refused].contains(&outcome) => {
                vitals.failed(&swallowed(reply), &self.ctx);
            }
            Ok(_) if is_health => vitals.health_fails.store(false, Ordering::Relaxed),
            Ok(_) => {}
        }
        // A plugin that cannot say how it is may do all else well.
        if !is_health && vitals.breaker.note(self.pass, outcome, now) {
            let told = vitals.breaker.with(|it| it.told(&vitals.plugin, now));
            log::error!(
                plugin = &*vitals.plugin, hook = hook, outcome = outcome.as_str(),
                schedule = self.ctx.schedule.as_deref();
                "{told}"
            );
        }
        if let Some(pass) = self.slow_pass
            && vitals.slow.note(pass, outcome, took, now)
        {
            log::error!(
                plugin = &*vitals.plugin, hook = hook;
                "too slow around most requests (breaker.slow_request_ms): it is not asked around them for a while"
            );
        }
        // Last: what the call showed is kept by now, and what follows from it may begin.
        if let Some(record) = &self.record {
            record.count(outcome);
        }
        result
    }
}

impl Drop for Passed<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.vitals.breaker.abandon(self.pass);
            if let Some(pass) = self.slow_pass {
                self.vitals.slow.abandon(pass);
            }
        }
    }
}

/// What a door noted of a call whose script went on all the same.
fn swallowed(reply: &Reply) -> CallFailure {
    let outcome = reply.outcome;
    let said = reply.noted.clone().unwrap_or_else(|| format!("it came to `{}`", outcome.as_str()));
    let fault = ScriptFault {
        outcome: outcome.as_str().to_owned(),
        message: format!("{said}; the script went on"),
        ..ScriptFault::default()
    };
    CallFailure { outcome, fault, generation: reply.generation }
}
