//! Writes down what came of deliveries, many in one job: effects and acknowledgement of each are one part of it, which
//! may fail alone.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::{Code, Error, Result};
use crate::model::call::{Caller, KvOp, PluginEffects};
use crate::model::time::Timestamp;
use crate::store::{Claimed, PluginTask, Ran, Tx};

use super::deliverer::{Inner, LateChange};
use super::journal::Journal;
use super::sabotage::Promise;

/// The most deliveries in one job.
const AT_ONCE: usize = 256;

/// How long it waits before it tries again to write down what came of deliveries.
const AGAIN: Duration = Duration::from_secs(1);

/// A delivery that has ended.
pub(super) struct Settled {
    pub(super) delivery: Claimed,
    pub(super) ran: Ran,
    pub(super) verdict: Verdict,
    /// What it did for a recording.
    pub(super) task: Option<PluginTask>,
}

/// How it ended.
pub(super) enum Verdict {
    /// All handlers returned.
    Done { effects: Vec<PluginEffects>, late: Option<LateChange> },
    /// One failed; tried again at `next`.
    Failed { error: String, next: Option<Timestamp> },
    /// The subscriber could not take it.
    Back { why: String, next: Timestamp },
    /// Its time was over before it began.
    Expired,
}

/// Settles until nobody sends any more. What finds no room on the disk is tried again, and holds up nobody that does;
/// what comes next for its subject waits for it.
pub(super) async fn run(inner: Arc<Inner>, mut ended: UnboundedReceiver<Settled>) {
    let (mut batch, mut stuck): (Vec<Settled>, Vec<Arc<Settled>>) = Default::default();
    let mut again_at = Instant::now();
    loop {
        let received = ended.recv_many(&mut batch, AT_ONCE);
        let received =
            if stuck.is_empty() { Ok(received.await) } else { timeout_at(again_at, received).await };
        if received == Ok(0) {
            return;
        }
        let mut all: Vec<Arc<Settled>> = batch.drain(..).map(Arc::new).collect();
        if inner.options.journal.breaks(Promise::Effects) && !all.is_empty() {
            effects_alone(&inner, all.clone()).await;
        }
        if Instant::now() >= again_at {
            all.append(&mut stuck);
        }
        let count = all.len();
        let left = settle(&inner, all).await;
        if left.is_empty() {
            continue;
        }
        if inner.is_stopping() {
            // These claims are let go of, and the handlers run again.
            inner.settled(&left, Vec::new());
            continue;
        }
        again_at = Instant::now() + AGAIN;
        if left.len() == count {
            sleep(AGAIN).await;
        }
        stuck.extend(left);
    }
}

/// Writes all of them at once; where that fails, one after the other, the smallest first, while there is room. What is
/// left.
async fn settle(inner: &Arc<Inner>, mut all: Vec<Arc<Settled>>) -> Vec<Arc<Settled>> {
    if all.is_empty() || write(inner, &all).await {
        return Vec::new();
    }
    if all.len() > 1 {
        all.sort_by_cached_key(|it| Reverse(size(it)));
        while let Some(smallest) = all.pop() {
            if !write(inner, &[Arc::clone(&smallest)]).await {
                all.push(smallest);
                break;
            }
        }
    }
    all
}

/// About how much is to be written for a delivery.
fn size(it: &Settled) -> usize {
    let Verdict::Done { effects, late } = &it.verdict else { return 0 };
    let length = |value: &Value| value.to_string().len();
    let of = |it: &PluginEffects| {
        let keys = it.effects.kv.iter().map(|op| match op {
            KvOp::Set { value, .. } => length(value),
            _ => 0,
        });
        keys.chain(it.effects.events.iter().map(|it| length(&it.data))).sum::<usize>()
    };
    effects.iter().map(of).sum::<usize>() + usize::from(late.is_some())
}

/// Whether these could be written down.
async fn write(inner: &Arc<Inner>, settled: &[Arc<Settled>]) -> bool {
    let (own, batch) = (Arc::clone(inner), settled.to_vec());
    let written = inner.options.store.write_again(move |tx| {
        let mut followers = Vec::new();
        for it in &batch {
            let is_final = one(&own, tx, it)?;
            if is_final && (own.is_stopping() || own.is_full()) {
                tx.move_up(&it.delivery)?;
                own.options.journal.told(tx, vec![Arc::clone(&it.delivery.subscriber)]);
            } else if is_final {
                followers.extend(tx.follow(own.epoch, &it.delivery)?);
            }
        }
        Ok(followers)
    });
    match written.await {
        Ok(followers) => {
            inner.settled(settled, followers);
            true
        }
        Err(err) => {
            log::error!("what came of {} deliveries could not be noted yet: {err}", settled.len());
            false
        }
    }
}

/// Settles one; whether the next about its subject may run.
fn one(inner: &Inner, tx: &mut Tx, it: &Settled) -> Result<bool> {
    let (epoch, delivery) = (inner.epoch, &it.delivery);
    match &it.verdict {
        Verdict::Done { effects, late } => {
            match tx.part(|tx| done(inner, tx, it, effects, late.as_ref()))? {
                Ok(settled) => Ok(settled),
                Err(error) if error.code == Code::DiskFull => Err(error),
                Err(error) => could_not(inner, tx, it, &error),
            }
        }
        Verdict::Failed { error, next: Some(next) } if inner.options.journal.breaks(Promise::Attempts) => {
            tx.put_back(epoch, delivery, error, *next).map(|_| false)
        }
        Verdict::Failed { error, next } => {
            let settled = tx.fail_delivery(epoch, delivery, error, *next, it.ran)?;
            if settled {
                count(tx, &inner.options.journal, delivery, if next.is_some() { "retry" } else { "dead" });
                note(tx, it)?;
            }
            Ok(settled && next.is_none())
        }
        Verdict::Back { why, next } => tx.put_back(epoch, delivery, why, *next).map(|_| false),
        Verdict::Expired => {
            let settled = tx.expire_delivery(epoch, delivery)?;
            if settled {
                count(tx, &inner.options.journal, delivery, "expired");
            }
            Ok(settled)
        }
    }
}

/// The acknowledgement, the keys and events of the handlers and their late change; nothing when the claim was lost.
fn done(
    inner: &Inner,
    tx: &mut Tx,
    it: &Settled,
    effects: &[PluginEffects],
    late: Option<&LateChange>,
) -> Result<bool> {
    let journal = &inner.options.journal;
    if !journal.breaks(Promise::Acknowledgement) && !tx.acknowledge(inner.epoch, &it.delivery, it.ran)? {
        return Ok(false);
    }
    if !effects.is_empty() && !journal.breaks(Promise::Effects) {
        journal.commit_effects(tx, effects, &Caller::of_event(&it.delivery.event))?;
    }
    if let Some(late) = late {
        late(tx)?;
    }
    note(tx, it)?;
    count(tx, journal, &it.delivery, "ok");
    Ok(true)
}

/// The sabotage of effects: committed before the acknowledgement, with time to die in between.
async fn effects_alone(inner: &Inner, batch: Vec<Arc<Settled>>) {
    let journal = inner.options.journal.clone();
    let written = inner.options.store.write(move |tx| {
        batch.iter().try_for_each(|it| match &it.verdict {
            Verdict::Done { effects, .. } => {
                journal.commit_effects(tx, effects, &Caller::of_event(&it.delivery.event))
            }
            _ => Ok(()),
        })
    });
    drop(written.await);
    sleep(Duration::from_millis(200)).await;
}

/// What its handlers left behind cannot be committed: as good as a handler that failed.
fn could_not(inner: &Inner, tx: &mut Tx, it: &Settled, error: &Error) -> Result<bool> {
    let next = inner.next_try(&it.delivery, it.ran.ended);
    let text = format!("what its handlers left behind cannot be stored: {error}");
    log::error!(
        plugin = &*it.delivery.subscriber, event_id = &*it.delivery.event.id, attempt = it.delivery.attempts;
        "delivery of {}: {text}", it.delivery.event.kind
    );
    let settled = tx.fail_delivery(inner.epoch, &it.delivery, &text, next, it.ran)?;
    count(tx, &inner.options.journal, &it.delivery, if next.is_some() { "retry" } else { "dead" });
    Ok(settled && next.is_none())
}

fn note(tx: &mut Tx, it: &Settled) -> Result<()> {
    it.task.as_ref().map_or(Ok(()), |task| tx.note_task(task))
}

fn count(tx: &mut Tx, journal: &Journal, delivery: &Claimed, outcome: &'static str) {
    let (journal, subscriber) = (journal.clone(), Arc::clone(&delivery.subscriber));
    tx.after_commit(move || journal.count_delivery(&subscriber, outcome));
}
