use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::clock::SystemClock;
use crate::error::Error;
use crate::events::{
    Deferred, DeferredFuture, Deliverer, DelivererOptions, EventDraft, Journal, Subscriber, TellFuture,
};
use crate::hooks::{Dispatcher, Hook};
use crate::model::call::Caller;
use crate::store::{Reader, Store, StoreOptions};

/// A subscriber that notes subjects, one after the other, and takes its time while it is held.
struct Noting {
    name: Arc<str>,
    begun: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<String>>>,
    held: Arc<AtomicBool>,
}

impl Subscriber for Noting {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn wants(&self, _: &Event) -> bool {
        true
    }

    fn at_once(&self) -> usize {
        1
    }

    fn tell(&self, event: &Event, _: i32, _: bool) -> TellFuture {
        let (seen, held) = (Arc::clone(&self.seen), Arc::clone(&self.held));
        let subject = event.subject.clone().unwrap_or_default();
        self.begun.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            while held.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            seen.lock().push(subject);
            Ok(Vec::new())
        })
    }
}

struct Nobody;

impl Deferred for Nobody {
    fn run(&self, _: Arc<str>, _: Hook, _: Event, _: i32) -> DeferredFuture {
        Box::pin(async { Ok(None) })
    }
}

struct Rig {
    _folder: tempfile::TempDir,
    store: Store,
    journal: Journal,
    deliverer: Deliverer,
    begun: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<String>>>,
    held: Arc<AtomicBool>,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreOptions::at(folder.path().join("t.db"))).unwrap();
        let journal = Journal::new(Dispatcher::new(Duration::from_secs(1)), Arc::new(SystemClock), 8);
        let (begun, seen, held): (Arc<AtomicUsize>, Arc<Mutex<Vec<_>>>, Arc<AtomicBool>) = Default::default();
        let (name, all) = ("test/noting".into(), (Arc::clone(&begun), Arc::clone(&seen), Arc::clone(&held)));
        let noting = Noting { name, begun: all.0, seen: all.1, held: all.2 };
        journal.subscribers().replace_others(vec![Arc::new(noting)]);
        let options = DelivererOptions {
            store: store.clone(),
            journal: journal.clone(),
            deferred: Arc::new(Nobody),
            clock: Arc::new(SystemClock),
            per_plugin: 4,
        };
        let deliverer = Deliverer::new(options).await.unwrap();
        let running = deliverer.clone();
        tokio::spawn(async move { running.run().await });
        let rig = Rig { _folder: folder, store, journal, deliverer, begun, seen, held };
        // Nobody knows at first whether something lies ready.
        rig.publish("first", true).await;
        rig.until_seen(1).await;
        rig.until(|it| it.delivered == 1).await;
        rig
    }

    /// Tells of `subject`; or does not, because its change fails.
    async fn publish(&self, subject: &str, goes_well: bool) {
        let (journal, draft) = (self.journal.clone(), EventDraft::new("a.b", subject, json!({"n": 1})));
        let published = self.store.write(move |tx| {
            journal.publish(tx, draft, &Caller::server())?;
            if goes_well { Ok(()) } else { Err(Error::internal("no")) }
        });
        assert_eq!(published.await.is_ok(), goes_well);
    }

    async fn until(&self, reached: impl Fn(crate::store::DeliveryCounts) -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !reached(self.store.read(Reader::delivery_counts).unwrap()) {
            assert!(Instant::now() < end, "{:?}", self.store.read(Reader::delivery_counts));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn until_seen(&self, count: usize) -> Vec<String> {
        let end = Instant::now() + Duration::from_secs(20);
        while self.seen.lock().len() < count {
            assert!(Instant::now() < end, "{:?}", self.seen.lock());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.seen.lock().clone()
    }

    async fn stop(&self) {
        self.deliverer.stop(Instant::now() + Duration::from_secs(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_begin_at_once_is_claimed_in_the_transaction_that_tells_it() {
    let it = Rig::new().await;
    it.held.store(true, Ordering::SeqCst);
    let before = it.store.commits();
    it.publish("second", true).await;
    let counts = it.store.read(Reader::delivery_counts).unwrap();
    assert_eq!((counts.claimed, counts.pending, it.store.commits() - before), (1, 0, 1));
    it.publish("second", true).await;
    let counts = it.store.read(Reader::delivery_counts).unwrap();
    assert_eq!((counts.claimed, counts.pending), (1, 1), "the next about a subject waits for its turn");
    it.held.store(false, Ordering::SeqCst);
    assert_eq!(it.until_seen(3).await, ["first", "second", "second"]);
    it.until(|it| it.delivered == 3).await;
    it.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_is_claimed_at_once_comes_in_the_order_it_was_told() {
    let it = Rig::new().await;
    it.held.store(true, Ordering::SeqCst);
    let subjects: Vec<String> = (0..600).map(|it| format!("subject/{it}")).collect();
    for subject in &subjects[..400] {
        it.publish(subject, true).await;
    }
    it.until(|it| it.claimed < 400 && it.pending > 0).await;
    it.held.store(false, Ordering::SeqCst);
    for subject in &subjects[400..] {
        it.publish(subject, true).await;
    }
    assert_eq!(it.until_seen(601).await[1..], subjects);
    it.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_fails_hands_nothing_on_and_keeps_no_place() {
    let it = Rig::new().await;
    for _ in 0..600 {
        it.publish("lost", false).await;
    }
    it.held.store(true, Ordering::SeqCst);
    it.publish("kept", true).await;
    let counts = it.store.read(Reader::delivery_counts).unwrap();
    assert_eq!((counts.claimed, counts.pending), (1, 0));
    it.held.store(false, Ordering::SeqCst);
    assert_eq!(it.until_seen(2).await, ["first", "kept"]);
    it.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_handed_on_and_has_not_begun_is_given_back_at_the_end() {
    let it = Rig::new().await;
    it.held.store(true, Ordering::SeqCst);
    for subject in ["begun", "not begun"] {
        it.publish(subject, true).await;
        it.until(|_| it.begun.load(Ordering::SeqCst) == 2).await;
    }
    let stopping = it.deliverer.clone();
    let stopping = tokio::spawn(async move { stopping.stop(Instant::now() + Duration::from_secs(10)).await });
    it.until(|it| (it.claimed, it.pending) == (1, 1)).await;
    it.publish("later", true).await;
    it.held.store(false, Ordering::SeqCst);
    stopping.await.unwrap();
    let counts = it.store.read(Reader::delivery_counts).unwrap();
    assert_eq!((counts.claimed, counts.pending, counts.delivered), (0, 2, 2));
    assert_eq!(it.until_seen(2).await, ["first", "begun"]);
}
