use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::events::EventDraft;
use crate::hooks::Dispatcher;
use crate::model::call::Caller;
use crate::store::{Claimed, Most, Ran, Room, StoreOptions, Tx};

const ALL: config::Retention = config::Retention {
    events_days: 0,
    events_max: 0,
    events_mib: 0,
    dead_days: 0,
    audit_days: 0,
    audit_max: 0,
};

struct Kept {
    folder: tempfile::TempDir,
    store: Store,
    journal: Journal,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions { ballast_bytes: 0, ..StoreOptions::at(folder.path().join("t.db")) };
        let store = Store::open(&options).unwrap();
        let journal = Journal::new(Dispatcher::new(Duration::from_secs(1)), Arc::new(SystemClock), 8);
        Kept { folder, store, journal }
    }

    /// Publishes `count` events in one transaction, each owed to `subscriber` if there is one.
    async fn publish(&self, count: usize, subscriber: Option<&'static str>) {
        let journal = self.journal.clone();
        let publish = self.store.write(move |tx| {
            for number in 0..count {
                let draft = EventDraft::new("a.b", format!("s/{}", number % 50), json!({ "n": number }));
                let event = journal.publish(tx, draft, &Caller::server())?;
                if let Some(subscriber) = subscriber {
                    let seq = tx.event_seq(&event.id)?.unwrap();
                    tx.insert_deliveries(seq, &event, &[subscriber.into()], None)?;
                }
            }
            Ok(())
        });
        publish.await.unwrap();
    }

    async fn claim(&self, subscriber: &str) -> Vec<Claimed> {
        let room = [Room { subscriber: subscriber.into(), ready: 1000, replayed: 10, suspect: 0 }];
        let claim = move |tx: &mut Tx| tx.claim(1, &room, Most::count(1000), Timestamp(i64::MAX));
        self.store.write(claim).await.unwrap()
    }

    /// Settles all that may run, again and again; dead when `fails`.
    async fn settle(&self, subscriber: &str, ended: Timestamp, fails: bool) {
        loop {
            let claimed = self.claim(subscriber).await;
            if claimed.is_empty() {
                return;
            }
            let ran = Ran { began: ended, ended };
            let settle = self.store.write(move |tx| {
                for it in &claimed {
                    let settled = match fails {
                        true => tx.fail_delivery(1, it, "no", None, ran)?,
                        false => tx.acknowledge(1, it, ran)?,
                    };
                    assert!(settled);
                    tx.move_up(it)?;
                }
                Ok(())
            });
            settle.await.unwrap();
        }
    }

    fn retention(&self, settings: config::Retention) -> Retention {
        Retention::new(self.store.clone(), self.journal.clone(), Arc::new(SystemClock), settings)
    }

    async fn sweep(&self, settings: config::Retention) -> Removed {
        self.retention(settings).sweep().await.unwrap()
    }

    fn size(&self) -> JournalSize {
        self.store.read(Reader::journal_size).unwrap()
    }

    fn seqs(&self) -> Vec<i64> {
        let events = self.store.read(|r| r.events_after(0, 10_000)).unwrap();
        events.into_iter().map(|(seq, _)| seq).collect()
    }

    fn file_bytes(&self, name: &str) -> u64 {
        std::fs::metadata(self.folder.path().join(name)).map_or(0, |it| it.len())
    }
}

fn now() -> Timestamp {
    Timestamp(SystemClock.now_us())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_limits_everything_is_kept() {
    let it = Kept::new();
    it.publish(700, None).await;
    assert_eq!(it.sweep(ALL).await, Removed::default());
    assert_eq!((it.size().events, it.size().removed_through), (700, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_their_number_the_oldest_events_go_with_their_deliveries() {
    let it = Kept::new();
    it.publish(1700, Some("one")).await;
    it.settle("one", now(), false).await;
    let removed = it.sweep(config::Retention { events_max: 100, ..ALL }).await;
    assert_eq!((removed.events, removed.deliveries), (1600, 1600));
    assert_eq!(it.seqs(), (1601..=1700).collect::<Vec<_>>());
    let size = it.size();
    assert_eq!((size.events, size.removed_through), (100, 1600));
    assert_eq!(it.journal.removed(), 1600);
    it.publish(1, None).await;
    assert_eq!(it.seqs().last(), Some(&1701), "places are never given again");
    let page = it.store.read(|r| r.journal_page(0, 5)).unwrap();
    assert_eq!((page.first, page.last, page.rows[0].seq), (1601, 1701, 1601));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undelivered_event_stays_whatever_its_age_and_holds_back_no_younger_one() {
    let it = Kept::new();
    it.publish(3, Some("away")).await;
    it.publish(1200, None).await;
    let settings = config::Retention { events_max: 5, ..ALL };
    it.sweep(settings).await;
    assert_eq!(it.seqs(), [1, 2, 3, 1202, 1203]);
    let ends = it.store.read(Reader::journal_ends).unwrap();
    assert_eq!(ends, (Some(1202), 1203), "who reads on from an older place is told of the gap");
    // One is under way, one is given up, one is done.
    let claimed = it.claim("away").await;
    let settle = it.store.write(move |tx| {
        let ran = Ran { began: now(), ended: now() };
        tx.fail_delivery(1, &claimed[1], "no", None, ran)?;
        tx.acknowledge(1, &claimed[2], ran)
    });
    settle.await.unwrap();
    it.publish(5, None).await;
    it.sweep(config::Retention { events_max: 4, dead_days: 1, ..ALL }).await;
    assert_eq!(it.seqs(), [1, 2, 1207, 1208]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_keeps_its_event_for_its_own_time() {
    let it = Kept::new();
    it.publish(2, Some("bad")).await;
    let day = 86_400_000_000;
    it.settle("bad", Timestamp(now().0 - 10 * day), true).await;
    let settings = config::Retention { events_max: 1, dead_days: 11, ..ALL };
    it.sweep(settings).await;
    assert_eq!(it.seqs(), [1, 2]);
    it.sweep(config::Retention { dead_days: 0, ..settings }).await;
    assert_eq!(it.seqs(), [1, 2], "0 is for ever");
    it.sweep(config::Retention { dead_days: 9, ..settings }).await;
    assert_eq!(it.seqs(), [2]);
    assert_eq!(it.store.read(|r| r.delivery_counts()).unwrap().dead, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_by_age_and_by_size() {
    let it = Kept::new();
    it.publish(2000, None).await;
    assert_eq!(it.sweep(config::Retention { events_days: 1, ..ALL }).await, Removed::default());
    let each = it.size().bytes / 2000;
    assert!((600..700).contains(&each), "{each}");
    it.sweep(config::Retention { events_mib: 1, ..ALL }).await;
    let size = it.size();
    assert!(size.bytes <= 1 << 20 && size.bytes > (1 << 20) - 1000, "{size:?}");
    struct InTwoDays;
    impl Clock for InTwoDays {
        fn now_us(&self) -> i64 {
            SystemClock.now_us() + 2 * 86_400_000_000
        }
    }
    let mut later = it.retention(config::Retention { events_days: 1, ..ALL });
    later.clock = Arc::new(InTwoDays);
    later.sweep().await.unwrap();
    assert_eq!(it.size(), JournalSize { events: 0, bytes: 0, removed_through: 2000 });
    assert_eq!(it.store.read(Reader::last_event_seq).unwrap(), 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_told_again_in_the_meantime_is_held() {
    let it = Kept::new();
    it.publish(2, None).await;
    let keep = Keep { since: None, max_events: Some(0), max_bytes: None, dead_since: None };
    let old = it.store.read(|r| r.removable_events(0, &keep, 10)).unwrap();
    assert_eq!(old.seqs, [1, 2]);
    let removed = it.store.write(move |tx| {
        let (seq, event) = tx.events_after(0, 1)?.remove(0);
        tx.insert_replayed(seq, &event, "one", 1, now())?;
        tx.remove_events(&old.seqs, &keep)
    });
    assert_eq!(removed.await.unwrap().events, 1);
    assert_eq!(it.seqs(), [1]);
    // And one that has gone is not told again.
    let again = it.store.write(|tx| {
        let (_, event) = tx.events_after(0, 1)?.remove(0);
        tx.insert_replayed(2, &event, "two", 1, now())
    });
    again.await.unwrap();
    assert!(it.claim("two").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_steady_load_the_files_do_not_grow() {
    let it = Kept::new();
    let settings = config::Retention { events_max: 2000, ..ALL };
    let mut retention = it.retention(settings);
    let mut sizes = Vec::new();
    for _ in 0..6 {
        for _ in 0..20 {
            it.publish(100, Some("one")).await;
            it.settle("one", now(), false).await;
            retention.sweep().await.unwrap();
        }
        let file = it.file_bytes("t.db");
        sizes.push((file, it.file_bytes("t.db-wal")));
    }
    assert_eq!(it.size().events, 2000);
    // Before the third round the log has not been folded in.
    let (third, last) = (sizes[2].0 as f64, sizes[5].0 as f64);
    assert!(third > 4096.0 && last <= third * 1.05, "{sizes:?}");
    assert!(sizes.iter().all(|(_, wal)| *wal <= 64 << 20), "{sizes:?}");
}
