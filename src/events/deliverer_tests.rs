use std::sync::atomic::{AtomicI32, AtomicI64};

use serde_json::{Value, json};

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::error::{Code, Error, ScriptFault};
use crate::events::EventDraft;
use crate::hooks::Subscription;
use crate::hooks::{
    CallFuture, Dispatcher, HookCall, HookHandler, Member, OnError, Registration, Reply, Table,
};
use crate::model::call::{Caller, Effects, Emitted, KvOp};
use crate::store::{Reader, StoreOptions};

type Seen = Arc<Mutex<Vec<(String, i32)>>>;
type Act = Box<dyn Fn(&HookCall) -> std::result::Result<Effects, Outcome> + Send + Sync>;

/// A plugin that notes what it is told.
struct Noting {
    name: Arc<str>,
    seen: Seen,
    act: Act,
}

impl HookHandler for Noting {
    fn plugin(&self) -> &Arc<str> {
        &self.name
    }

    fn call(&self, call: HookCall) -> CallFuture<'_> {
        let id = call.payload.json()["id"].as_str().unwrap_or_default().to_owned();
        self.seen.lock().push((id.clone(), call.ctx.attempt));
        let result = (self.act)(&call);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(if id.starts_with("slow") { 400 } else { 2 })).await;
            let fault = ScriptFault { message: "no".into(), ..ScriptFault::default() };
            result
                .map(|effects| Reply { effects, generation: 1, ..Reply::default() })
                .map_err(|outcome| CallFailure { outcome, fault, generation: 1 })
        })
    }
}

struct Nobody;

impl Deferred for Nobody {
    fn run(&self, _: Arc<str>, _: Hook, _: Event, _: i32) -> DeferredFuture {
        Box::pin(async { Ok(None) })
    }
}

struct Journaled {
    _folder: tempfile::TempDir,
    store: Store,
    hooks: Dispatcher,
    journal: Journal,
    seen: Seen,
}

impl Journaled {
    fn with(
        act: impl Fn(&HookCall) -> std::result::Result<Effects, Outcome> + Send + Sync + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreOptions::at(folder.path().join("t.db"))).unwrap();
        let hooks = Dispatcher::new(Duration::from_secs(1));
        let seen = Seen::default();
        let registration = Registration {
            hook: Hook::AfterRecordingEnd,
            slot: 0,
            priority: 0,
            before: Vec::new(),
            after: Vec::new(),
            timeout: None,
            on_error: OnError::Allow,
            when: None,
        };
        let handler = Noting { name: "noting".into(), seen: Arc::clone(&seen), act: Box::new(act) };
        hooks.replace(Table::new(vec![Member {
            handler: Arc::new(handler),
            dependencies: Vec::new(),
            registrations: vec![registration],
            subscriptions: Vec::new(),
        }]));
        let journal = Journal::new(hooks.clone(), Arc::new(SystemClock), 8);
        Journaled { _folder: folder, store, hooks, journal, seen }
    }

    async fn publish(&self, subject: &str, id: &str) {
        self.publish_for(subject, id, None).await;
    }

    async fn publish_for(&self, subject: &str, id: &str, ttl: Option<Duration>) {
        let draft = EventDraft { ttl, ..EventDraft::new("recording.ended", subject, json!({"id": id})) };
        let journal = self.journal.clone();
        let publish = move |tx: &mut Tx| journal.publish(tx, draft, &Caller::server());
        self.store.write(publish).await.unwrap();
    }

    async fn deliver(&self) -> Deliverer {
        self.deliver_by(Arc::new(SystemClock)).await
    }

    async fn deliver_by(&self, clock: SharedClock) -> Deliverer {
        let deliverer = Deliverer::new(DelivererOptions {
            store: self.store.clone(),
            journal: self.journal.clone(),
            deferred: Arc::new(Nobody),
            clock,
            per_plugin: 4,
        });
        let deliverer = deliverer.await.unwrap();
        let running = deliverer.clone();
        tokio::spawn(async move { running.run().await });
        deliverer
    }

    async fn wait_until_seen(&self, count: usize) -> Vec<(String, i32)> {
        for _ in 0..2000 {
            if self.seen.lock().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.seen.lock().clone()
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// Adds one to a key.
fn one_more() -> Effects {
    Effects { kv: vec![KvOp::Incr { key: "count".into(), by: 1.0 }], ..Effects::default() }
}

fn kv(value: i32) -> Effects {
    let set = KvOp::Set { key: "last".into(), value: json!(value), expires_at_us: None };
    Effects { kv: vec![set], ..Effects::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_of_one_subject_come_in_order() {
    let it = Journaled::with(|_| Ok(Effects::default()));
    for number in 0..40 {
        it.publish(&format!("recording/{}", number % 4), &number.to_string()).await;
    }
    let deliverer = it.deliver().await;
    let seen = it.wait_until_seen(40).await;
    for subject in 0..4 {
        let of_subject: Vec<i32> =
            seen.iter().map(|(id, _)| id.parse::<i32>().unwrap()).filter(|id| id % 4 == subject).collect();
        assert!(of_subject.is_sorted() && of_subject.len() == 10, "{of_subject:?}");
    }
    deliverer.stop(soon()).await;
    assert_eq!(it.store.read(|r| r.delivery_counts()).unwrap().pending, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_delivery_comes_again_and_leaves_nothing_behind_before_it_succeeds() {
    let tries = AtomicI32::new(0);
    let it = Journaled::with(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => Err(Outcome::Runtime),
        tries => Ok(kv(tries)),
    });
    it.publish("recording/a", "a").await;
    let deliverer = it.deliver().await;
    assert_eq!(it.wait_until_seen(2).await, [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    deliverer.stop(soon()).await;
    let now = Timestamp(SystemClock.now_us());
    assert_eq!(it.store.read(|r| r.kv_get("noting", "last", now)).unwrap(), Some(json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_may_say_how_often_it_wants_to_be_tried() {
    let it = Journaled::with(|_| Err(Outcome::Runtime));
    let table = it.hooks.table();
    let mut member = table.members()[0].clone();
    member.registrations.clear();
    member.subscriptions.push(Subscription {
        past: None,
        pattern: "recording.**".into(),
        slot: 0,
        priority: 0,
        timeout: None,
        max_attempts: Some(1),
        when: None,
    });
    it.hooks.replace(Table::new(vec![member]));
    it.publish("recording/a", "a").await;
    let deliverer = it.deliver().await;
    it.wait_until_seen(1).await;
    deliverer.stop(soon()).await;
    assert_eq!(it.store.read(|r| r.delivery_counts()).unwrap().dead, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_had_claimed_is_delivered_by_the_next() {
    let it = Journaled::with(|_| Ok(Effects::default()));
    it.publish("recording/a", "a").await;
    let claim = |tx: &mut Tx| {
        tx.claim(
            1,
            &[Room { subscriber: "noting".into(), ready: 9, replayed: 10, suspect: 9 }],
            Most::count(9),
            Timestamp(i64::MAX),
        )
    };
    assert_eq!(it.store.write(claim).await.unwrap().len(), 1);
    let _deliverer = it.deliver().await;
    assert_eq!(it.wait_until_seen(1).await, [("a".to_owned(), 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_had_claimed_comes_one_after_another_and_does_not_wait_to_be_found() {
    let it = Journaled::with(|_| Ok(Effects::default()));
    for n in 0..100 {
        it.publish(&format!("recording/{n}"), "a").await;
    }
    let room = [Room { subscriber: "noting".into(), ready: 100, replayed: 10, suspect: 0 }];
    let claim = move |tx: &mut Tx| tx.claim(1, &room, Most::count(100), Timestamp(i64::MAX));
    assert_eq!(it.store.write(claim).await.unwrap().len(), 100);
    let _deliverer = it.deliver().await;
    // Found by looking through alone, they would take 50 s.
    assert_eq!(it.wait_until_seen(100).await.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_answer_events_end_at_the_depth() {
    let it = Journaled::with(|_| {
        let emitted = Emitted {
            kind: "recording.ended".into(),
            data: json!({"id": "echo"}).into(),
            ..Emitted::default()
        };
        Ok(Effects { events: vec![emitted], ..Effects::default() })
    });
    it.publish("recording/a", "a").await;
    let deliverer = it.deliver().await;
    // The first one, and eight answers to answers.
    it.wait_until_seen(9).await;
    deliverer.stop(soon()).await;
    assert_eq!(it.store.read(|r| r.delivery_counts()).unwrap().pending, 0);
    let chain: Vec<Value> = it
        .store
        .read(|r| r.events_after(0, 100))
        .unwrap()
        .into_iter()
        .map(|(_, event)| json!([event.depth, event.source, event.causation_id.is_some()]))
        .collect();
    assert_eq!(chain.len(), 9);
    assert_eq!(chain[0], json!([0, "panotti", false]));
    assert_eq!(chain[8], json!([8, "plugin/noting", true]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_worth_telling_is_not_told_and_lets_the_next_of_its_subject_through() {
    let it = Journaled::with(|_| Ok(Effects::default()));
    it.publish_for("recording/a", "stale", Some(Duration::from_millis(1))).await;
    it.publish_for("recording/a", "fresh", Some(Duration::from_secs(3600))).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let deliverer = it.deliver().await;
    assert_eq!(it.wait_until_seen(1).await, [("fresh".to_owned(), 1)]);
    deliverer.stop(soon()).await;
    assert_eq!(it.journal.deliveries("noting"), [("expired".to_owned(), 1), ("ok".to_owned(), 1)]);
    let stale = it.store.read(|r| r.deliveries_of(1, 10)).unwrap().remove(0);
    assert_eq!((stale.state.as_str(), stale.attempts), ("expired", 0), "no try of it began");
    let counts = it.store.read(|r| r.delivery_counts()).unwrap();
    assert_eq!((counts.pending, counts.claimed, counts.dead), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_gives_back_what_has_not_begun_and_lets_go_of_what_takes_too_long() {
    let it = Journaled::with(|_| Ok(one_more()));
    for number in 0..20 {
        it.publish(&format!("recording/{number}"), &format!("slow {number:02}")).await;
    }
    let deliverer = it.deliver().await;
    it.wait_until_seen(4).await;
    deliverer.stop(Instant::now() + Duration::from_millis(20)).await;
    // What goes on after it was let go of ends for nothing.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let now = Timestamp(SystemClock.now_us());
    assert_eq!(it.store.read(|r| r.kv_get("noting", "count", now)).unwrap(), None);
    let begun: Vec<(String, i32)> = std::mem::take(&mut *it.seen.lock());

    let deliverer = it.deliver().await;
    let mut seen = it.wait_until_seen(20).await;
    deliverer.stop(soon()).await;
    seen.sort();
    let tries = |id: &str| 1 + i32::from(begun.iter().any(|(it, _)| it == id));
    let expected: Vec<(String, i32)> =
        (0..20).map(|number| format!("slow {number:02}")).map(|id| (id.clone(), tries(&id))).collect();
    assert_eq!(seen, expected);
    let now = Timestamp(SystemClock.now_us());
    assert_eq!(it.store.read(|r| r.kv_get("noting", "count", now)).unwrap(), Some(json!(20)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_cannot_take_an_event_is_tried_again_and_no_attempt_counts() {
    let tries = AtomicI32::new(0);
    let it = Journaled::with(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => Err(Outcome::Skipped),
        _ => Ok(Effects::default()),
    });
    it.publish("recording/a", "a").await;
    let deliverer = it.deliver().await;
    assert_eq!(it.wait_until_seen(2).await, [("a".to_owned(), 1), ("a".to_owned(), 1)]);
    deliverer.stop(soon()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_publishes_may_wait_for_the_deliveries_until_a_deadline() {
    let it = Journaled::with(|_| Ok(Effects::default()));
    it.publish("recording/a", "slow").await;
    let at_once = it.journal.wait(&it.store, 1, Instant::now() + Duration::from_millis(10)).await;
    assert_eq!(at_once.unwrap(), 1, "nobody delivers yet");
    let deliverer = it.deliver().await;
    assert_eq!(it.journal.wait(&it.store, 1, soon()).await.unwrap(), 0);
    deliverer.stop(soon()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_back_a_day_delays_no_retry_by_a_day() {
    struct Jumping(AtomicI64);
    impl Clock for Jumping {
        fn now_us(&self) -> i64 {
            SystemClock.now_us() + self.0.load(Ordering::Relaxed)
        }
    }
    let tries = AtomicI32::new(0);
    let it = Journaled::with(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => Err(Outcome::Runtime),
        _ => Ok(Effects::default()),
    });
    it.publish("recording/a", "a").await;
    let clock = Arc::new(Jumping(AtomicI64::new(0)));
    let deliverer = it.deliver_by(clock.clone()).await;
    it.wait_until_seen(1).await;
    clock.0.store(-86_400_000_000, Ordering::Relaxed);
    assert_eq!(it.wait_until_seen(2).await.len(), 2);
    deliverer.stop(soon()).await;
}

/// Its answers find no room on the disk until there is some.
struct Full(Arc<AtomicBool>);

impl Deferred for Full {
    fn run(&self, _: Arc<str>, _: Hook, _: Event, _: i32) -> DeferredFuture {
        let has_room = Arc::clone(&self.0);
        let late: LateChange = Arc::new(move |_| match has_room.load(Ordering::Acquire) {
            true => Ok(()),
            false => Err(Error::new(Code::DiskFull, "no room for so much")),
        });
        Box::pin(async { Ok(Some(late)) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_finds_no_room_on_the_disk_waits_and_holds_up_nobody_who_does() {
    let it = Journaled::with(|_| Ok(one_more()));
    let has_room = Arc::new(AtomicBool::new(false));
    let journal = it.journal.clone();
    let question = move |tx: &mut Tx| {
        let event =
            journal.publish(tx, EventDraft::new("clip.created", "clip/1", json!({})), &Caller::server())?;
        journal.defer(tx, &event, &[("noting".into(), 0)], Hook::OnClipCaptured)
    };
    it.store.write(question).await.unwrap();
    for n in 0..20 {
        it.publish(&format!("recording/{n}"), "a").await;
    }
    let options = DelivererOptions {
        store: it.store.clone(),
        journal: it.journal.clone(),
        deferred: Arc::new(Full(Arc::clone(&has_room))),
        clock: Arc::new(SystemClock),
        per_plugin: 4,
    };
    let deliverer = Deliverer::new(options).await.unwrap();
    let running = deliverer.clone();
    tokio::spawn(async move { running.run().await });
    let delivered = async |count: i64| {
        for _ in 0..2000 {
            if it.store.read(Reader::delivery_counts).unwrap().delivered == count {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    };
    assert!(delivered(20).await, "the others are acknowledged");
    it.publish("recording/later", "b").await;
    assert!(delivered(21).await, "and so are those that come later");
    has_room.store(true, Ordering::Release);
    assert!(delivered(22).await);
    deliverer.stop(soon()).await;
}
