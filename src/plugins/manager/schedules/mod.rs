//! Schedules of plugins: the host keeps their times, calls them, and keeps what came of it.

mod run;
mod timer;
mod view;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use tokio::sync::Notify;

use crate::hooks::{Missed, Offer, Overlap, ScheduleOffer, ScheduleWhen};
use crate::model::schedule::ScheduleRow;
use crate::model::time::Timestamp;

use super::Manager;
use super::slot::Live;

pub(super) use self::timer::keep_time;
pub use self::view::{ScheduleFilter, ScheduleView};

/// What the manager keeps of schedules beside the store.
#[derive(Default)]
pub(super) struct Schedules {
    /// The running plugins, or a stored row, have changed.
    changed: Notify,
    /// The runs under way, by schedule.
    under_way: parking_lot::Mutex<std::collections::BTreeMap<i64, Arc<UnderWay>>>,
}

/// The runs of one schedule that have not ended.
#[derive(Default)]
struct UnderWay {
    count: AtomicU32,
    /// One more waits for them: when it was due, and how many times were missed before.
    waiting: parking_lot::Mutex<Option<(Timestamp, u32)>>,
}

impl UnderWay {
    /// One more is to wait for them; false when one does already.
    fn wait(&self, due: Timestamp, missed: u32) -> bool {
        let mut waiting = self.waiting.lock();
        let is_free = waiting.is_none();
        waiting.get_or_insert((due, missed));
        is_free
    }
}

impl Manager {
    /// The wall clock was moved by hand: what is due by it begins now.
    pub fn look_at_the_clock(&self) {
        self.0.schedules.look_again();
    }
}

impl Schedules {
    /// Has the timer look again at who runs.
    pub(super) fn look_again(&self) {
        self.changed.notify_one();
    }

    fn under_way(&self, id: i64) -> Arc<UnderWay> {
        Arc::clone(self.under_way.lock().entry(id).or_default())
    }
}

/// The schedules that a running generation has registered.
fn offered(live: &Live) -> Vec<ScheduleOffer> {
    let offers = live.script.offers().into_iter();
    offers
        .filter_map(|it| match it {
            Offer::Schedule(it) => Some(it),
            _ => None,
        })
        .collect()
}

/// When a stored schedule runs.
fn when_of(row: &ScheduleRow) -> ScheduleWhen {
    match row.kind.as_str() {
        "cron" => ScheduleWhen::Cron { expression: row.when.clone(), tz: row.tz.clone() },
        _ => ScheduleWhen::Every(row.when.parse().unwrap_or(f64::MAX)),
    }
}

/// The row of an offer; its times are still to be set.
fn fill(row: &mut ScheduleRow, offer: &ScheduleOffer) {
    (row.kind, row.when, row.tz) = match &offer.when {
        ScheduleWhen::Every(seconds) => ("every".to_owned(), seconds.to_string(), "UTC".to_owned()),
        ScheduleWhen::Cron { expression, tz } => ("cron".to_owned(), expression.clone(), tz.clone()),
    };
    row.missed = match offer.missed {
        Missed::Skip => "skip",
        Missed::Once => "once",
    }
    .to_owned();
    row.overlap = match offer.overlap {
        Overlap::Skip => "skip",
        Overlap::Queue => "queue",
        Overlap::Allow => "allow",
    }
    .to_owned();
}
