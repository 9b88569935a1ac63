//! Two questions that one plugin alone is asked, one right after the other: it is asked both in one go.
//!
//! Each question costs two changes of threads. Where the answer to the second one is nearly always wanted, and what it is
//! about is at hand before the first is asked, both cost them once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use crate::error::Result;
use crate::model::call::{CallContext, Caller};

use super::catalogue::Hook;
use super::dispatcher::{Asked, Check, Dispatcher, failed, take};
use super::given::Given;
use super::handler::{CallFailure, HookCall, NextCall, OnError, Reply, Target};
use super::table::{Entry, Table};

/// After a pair that was asked in vain so many requests are asked one question at a time: what was done for the second is
/// done twice then.
const REST: u32 = 16;

/// Whether a handler's pairs were of any use.
#[derive(Debug, Default)]
pub(super) struct Pairing {
    /// So many requests yet are asked one question at a time.
    rest: AtomicU32,
}

impl Pairing {
    /// Whether the next request is to be asked both questions in one go.
    fn is_tried(&self) -> bool {
        let rest = self.rest.load(Ordering::Relaxed);
        if rest > 0 {
            // Two requests at once may count as one.
            self.rest.store(rest - 1, Ordering::Relaxed);
        }
        rest == 0
    }

    fn note(&self, was_of_use: bool) {
        if !was_of_use {
            self.rest.store(REST, Ordering::Relaxed);
        }
    }
}

/// Two hooks to which one function each of the same plugin listens.
pub struct Pair {
    table: Arc<Table>,
    first: Hook,
    second: Hook,
}

/// What two questions came to.
pub struct BothAsked {
    /// The first.
    pub first: Result<Asked>,
    /// The second; none when the first did more than let pass what it was asked about, or waited for something, or when
    /// something was stored meanwhile.
    pub second: Option<Result<Asked>>,
}

impl Dispatcher {
    /// Whoever alone listens to both hooks, and shuts nobody out when it fails; none when others listen, or to one of them
    /// only.
    pub fn pair(&self, first: Hook, second: Hook) -> Option<Pair> {
        let table = self.table();
        let is_plain =
            |it: &Entry| it.registration.when.is_none() && it.registration.on_error != OnError::Deny;
        let is_pair = match (table.chain(first), table.chain(second)) {
            ([one], [other]) => Arc::ptr_eq(&one.handler, &other.handler) && is_plain(one) && is_plain(other),
            _ => false,
        };
        let is_worth_it = is_pair && table.chain(first).iter().all(|it| it.pairing.is_tried());
        is_worth_it.then(|| Pair { table, first, second })
    }

    /// Asks both questions, each with the time of a chain; about what was read while the store had this stamp.
    ///
    /// # Errors
    /// None: each question has its own.
    pub async fn ask_both(
        &self,
        pair: &Pair,
        about: (Given, Given),
        caller: &Arc<Caller>,
        check: Check<'_>,
        stamp: u64,
    ) -> BothAsked {
        let ([one], [other]) = (pair.table.chain(pair.first), pair.table.chain(pair.second)) else {
            return BothAsked { first: Ok(Asked::about(about.0)), second: None };
        };
        let now = Instant::now();
        let limit = self.deadline(now);
        let call = |entry: &Entry, hook: Hook, given: &Given, deadline, then| HookCall {
            target: Target::Slot(entry.registration.slot),
            payload: given.clone(),
            ctx: Arc::new(CallContext::new(hook.name(), Arc::clone(caller))),
            asked_at: now,
            timeout: entry.registration.timeout,
            deadline,
            is_question: true,
            then,
        };
        let then = call(other, pair.second, &about.1, caller.deadline, None);
        let then = Box::new(NextCall { call: then, chain_wall: self.chain_wall(), stamp });
        let deadline = Some(caller.deadline.map_or(limit, |theirs| theirs.min(limit)));
        let mut result = one.handler.call(call(one, pair.first, &about.0, deadline, Some(then))).await;
        let then = result.as_mut().ok().and_then(|it| it.then.take());
        one.pairing.note(then.is_some());
        BothAsked {
            first: came_to(pair.first, one, about.0, result, caller, check),
            second: then.map(|it| came_to(pair.second, other, about.1, it.result, caller, check)),
        }
    }
}

fn came_to(
    hook: Hook,
    entry: &Entry,
    given: Given,
    result: std::result::Result<Reply, CallFailure>,
    caller: &Caller,
    check: Check<'_>,
) -> Result<Asked> {
    let mut asked = Asked::about(given);
    match result {
        Ok(reply) => take(hook, entry, reply, &mut asked, check, caller)?,
        Err(failure) => failed(entry, &failure, hook)?,
    }
    Ok(asked)
}
