//! Writes down what came of deliveries, many in one job: effects and acknowledgement of each are one part of it, which
//! may fail alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::error::{Code, Error, Result};
use crate::model::call::{Caller, PluginEffects};
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

/// Settles until nobody sends any more.
pub(super) async fn run(inner: Arc<Inner>, mut ended: UnboundedReceiver<Settled>) {
    let mut batch = Vec::new();
    while ended.recv_many(&mut batch, AT_ONCE).await > 0 {
        let settled = Arc::new(std::mem::take(&mut batch));
        if inner.options.journal.breaks(Promise::Effects) {
            effects_alone(&inner, &settled).await;
        }
        let followers = write(&inner, &settled).await;
        inner.settled(&settled, followers);
    }
}

/// Writes until it is written: what comes next for these subjects waits for it. A full disk has room again some time;
/// claims that are left at the stop are let go of, and the handlers run again.
async fn write(inner: &Arc<Inner>, settled: &Arc<Vec<Settled>>) -> Vec<Claimed> {
    loop {
        let (own, batch) = (Arc::clone(inner), Arc::clone(settled));
        let written = inner.options.store.write(move |tx| {
            let mut followers = Vec::new();
            for it in batch.iter() {
                let is_final = one(&own, tx, it)?;
                if is_final && own.is_stopping() {
                    tx.move_up(&it.delivery)?;
                } else if is_final {
                    followers.extend(tx.follow(own.epoch, &it.delivery)?);
                }
            }
            Ok(followers)
        });
        match written.await {
            Ok(followers) => return followers,
            Err(err) => {
                log::error!("what came of {} deliveries could not be noted yet: {err}", settled.len())
            }
        }
        if inner.is_stopping() {
            return Vec::new();
        }
        tokio::time::sleep(AGAIN).await;
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
        journal.commit_effects(tx, effects.to_vec(), &Caller::of_event(&it.delivery.event))?;
    }
    if let Some(late) = late {
        late(tx)?;
    }
    note(tx, it)?;
    count(tx, journal, &it.delivery, "ok");
    Ok(true)
}

/// The sabotage of effects: committed before the acknowledgement, with time to die in between.
async fn effects_alone(inner: &Inner, settled: &Arc<Vec<Settled>>) {
    let (journal, batch) = (inner.options.journal.clone(), Arc::clone(settled));
    let written = inner.options.store.write(move |tx| {
        batch.iter().try_for_each(|it| match &it.verdict {
            Verdict::Done { effects, .. } => {
                journal.commit_effects(tx, effects.clone(), &Caller::of_event(&it.delivery.event))
            }
            _ => Ok(()),
        })
    });
    drop(written.await);
    tokio::time::sleep(Duration::from_millis(200)).await;
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
