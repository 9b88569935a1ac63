//! Events from publishing to acknowledgement, all on disk: `cargo bench --bench journal`. A subscriber in Lua, publishers
//! that each wait for their commit; then the time from publishing to the handler's start at 1 000 events/s, the cost over a
//! journal that already holds many events, and with many subscribers. One event is published, delivered and acknowledged.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod rig;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use panotti::clock::{Clock, SystemClock};
use panotti::events::{Deliverer, DelivererOptions, EventDraft, Journal};
use panotti::hooks::{CallFuture, Dispatcher, HookCall, HookHandler, Member, Reply, Subscription, Table};
use panotti::model::call::Caller;
use panotti::model::time::Timestamp;
use panotti::services::Services;
use panotti::store::{Most, Ran, Room, Store, StoreOptions};
use serde_json::json;

use rig::server::Server;
use rig::{Rig, is_long, member, percentile, spread};

const TRIVIAL: &str = "panotti.events.subscribe('bench.**', function(event) end)";
const COUNTING: &str = "panotti.events.subscribe('bench.**', function(event) panotti.kv.incr('n') panotti.kv.set('last', event.id) end)";
fn main() {
    let long = is_long();
    let events = if long { 20_000 } else { 50 };
    let rounds = if long { 5 } else { 1 };
    for (what, source) in [("that does nothing", TRIVIAL), ("that counts in kv", COUNTING)] {
        for publishers in [1, 64, 256] {
            let folder = tempfile::TempDir::new().unwrap();
            let rig = Rig::new(folder.path());
            let bench = Bench::new(&rig, lua(&rig, source, 1));
            let count = if publishers == 1 { events / 20 } else { events };
            let rates = (0..rounds).map(|_| bench.rate(publishers, count)).collect();
            println!("a subscriber {what}, {publishers} publishers: {} events/s", spread(rates, 0));
            bench.stop();
        }
    }
    latency(if long { 1_000 } else { 100 }, if long { 10 } else { 1 });
    stored(if long { &[1_000, 10_000, 100_000, 1_000_000] } else { &[10] }, events / 2, rounds);
    restart(if long { 1_000_000 } else { 10 });
    for subscribers in [1, 10, 100] {
        let folder = tempfile::TempDir::new().unwrap();
        let rig = Rig::new(folder.path());
        let bench = Bench::new(&rig, lua(&rig, TRIVIAL, subscribers));
        let count = events / 4;
        let rates =
            (0..rounds).map(|_| bench.rate(64, count / subscribers.min(10)) * subscribers as f64).collect();
        println!("{subscribers} subscribers: {} deliveries/s", spread(rates, 0));
        bench.stop();
    }
}

struct Bench<'a> {
    rig: &'a Rig,
    deliverer: Deliverer,
}

impl<'a> Bench<'a> {
    fn new(rig: &'a Rig, subscribers: Vec<Member>) -> Self {
        rig.services.hooks.replace(Table::new(subscribers));
        let deliverer = rig.runtime.block_on(Deliverer::new(DelivererOptions {
            store: rig.services.store.clone(),
            journal: rig.services.journal.clone(),
            deferred: Arc::new(rig.services.clone()),
            clock: Arc::new(SystemClock),
            per_plugin: 4,
        }));
        let deliverer = deliverer.unwrap();
        let running = deliverer.clone();
        rig.runtime.spawn(async move { running.run().await });
        Bench { rig, deliverer }
    }

    /// Events a second from the first publishing to the last acknowledgement.
    fn rate(&self, publishers: usize, count: usize) -> f64 {
        let services = &self.rig.services;
        let began = Instant::now();
        self.rig.runtime.block_on(async {
            let tasks: Vec<_> = (0..publishers)
                .map(|publisher| {
                    let services = services.clone();
                    tokio::spawn(async move {
                        for number in (publisher..count).step_by(publishers) {
                            publish(&services, number).await;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            while open(services) > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        count as f64 / began.elapsed().as_secs_f64()
    }

    fn stop(&self) {
        self.rig.runtime.block_on(self.deliverer.stop(tokio::time::Instant::now() + Duration::from_secs(10)));
    }
}

/// Publishes an event about one of a hundred subjects and waits for its commit.
async fn publish(services: &Services, number: usize) {
    let (journal, draft) = (services.journal.clone(), draft(number));
    services.store.write(move |tx| journal.publish(tx, draft, &Caller::server())).await.unwrap();
}

fn draft(number: usize) -> EventDraft {
    let data = json!({ "number": number, "at": SystemClock.now_us(), "text": "something was told" });
    EventDraft::new("bench.told", format!("thing/{}", number % 100), data)
}

fn open(services: &Services) -> i64 {
    let counts = services.store.read(|reader| reader.delivery_counts()).unwrap();
    assert_eq!(counts.dead, 0);
    counts.pending + counts.claimed
}

/// Plugins that run the same script.
fn lua(rig: &Rig, source: &str, count: usize) -> Vec<Member> {
    let limits = json!({ "queue": 20_000 });
    (0..count)
        .map(|number| member(&rig.load(&format!("subscriber{number}"), source, limits.clone())))
        .collect()
}

/// The time from publishing until the handler runs, at a steady rate.
fn latency(per_second: u64, seconds: u64) {
    let folder = tempfile::TempDir::new().unwrap();
    let rig = Rig::new(folder.path());
    let noting = Arc::new(Noting { name: "noting".into(), took_ms: Mutex::default() });
    let bench = Bench::new(&rig, vec![noting.clone().member()]);
    let services = rig.services.clone();
    rig.runtime.block_on(async {
        let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / per_second));
        for number in 0..per_second * seconds {
            ticks.tick().await;
            let services = services.clone();
            tokio::spawn(async move { publish(&services, number as usize).await });
        }
        while noting.took_ms.lock().unwrap().len() < (per_second * seconds) as usize {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut took = noting.took_ms.lock().unwrap().clone();
    let (p50, p99) = (percentile(&mut took, 0.5), percentile(&mut took, 0.99));
    println!("{per_second} events/s: from publishing to the handler p50 {p50:.1} ms, p99 {p99:.1} ms");
    bench.stop();
}

/// A subscriber that notes how old what it is told is.
struct Noting {
    name: Arc<str>,
    took_ms: Mutex<Vec<f64>>,
}

impl Noting {
    fn member(self: Arc<Self>) -> Member {
        let subscription = Subscription {
            past: None,
            pattern: "bench.**".to_owned(),
            slot: 0,
            priority: 0,
            timeout: None,
            max_attempts: None,
            when: None,
        };
        Member {
            handler: self,
            dependencies: Vec::new(),
            registrations: Vec::new(),
            subscriptions: vec![subscription],
        }
    }
}

impl HookHandler for Noting {
    fn plugin(&self) -> &Arc<str> {
        &self.name
    }

    fn call(&self, call: HookCall) -> CallFuture<'_> {
        let at = call.payload.json()["data"]["at"].as_i64().unwrap();
        self.took_ms.lock().unwrap().push((SystemClock.now_us() - at) as f64 / 1e3);
        Box::pin(async { Ok(Reply::default()) })
    }
}

/// The same rate over journals that already hold so many events.
fn stored(before: &[usize], events: usize, rounds: usize) {
    let folder = tempfile::TempDir::new().unwrap();
    let rig = Rig::new(folder.path());
    let mut there = 0;
    for &wanted in before {
        while there < wanted {
            fill(&rig.services.store, &rig.services.journal);
            there += FILLED_AT_ONCE;
        }
        // What filling left to be written shall not be measured.
        std::process::Command::new("sync").status().unwrap();
        let bench = Bench::new(&rig, lua(&rig, TRIVIAL, 1));
        let rates = (0..rounds).map(|_| bench.rate(64, events)).collect();
        println!("over {wanted} events: {} events/s", spread(rates, 0));
        bench.stop();
        rig.services.hooks.replace(Table::default());
    }
}

const FILLED_AT_ONCE: usize = 1_000;

/// How long the server takes to be ready over a journal of so many events, the first time and after a `kill -9`.
fn restart(events: usize) {
    let folder = tempfile::TempDir::new().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    let store = Store::open(&StoreOptions::at(data.join("panotti.db"))).unwrap();
    let journal = Journal::new(Dispatcher::new(Duration::from_secs(1)), Arc::new(SystemClock), 8);
    for _ in 0..events.div_ceil(FILLED_AT_ONCE) {
        fill(&store, &journal);
    }
    // Some are under way when the process dies.
    let under_way = store.write_blocking(move |tx| {
        let event = journal.publish(tx, draft(0), &Caller::server())?;
        let (seq, _) = tx.event(&event.id)?.unwrap();
        let all: Vec<Arc<str>> = (0..200).map(|it| format!("gone{it}").into()).collect();
        tx.insert_deliveries(seq, &event, &all, None)?;
        let room = all.into_iter().map(|subscriber| Room { subscriber, ready: 1, replayed: 0, suspect: 0 });
        tx.claim(0, &room.collect::<Vec<_>>(), Most::count(200), Timestamp(0))
    });
    assert_eq!(under_way.unwrap().len(), 200);
    store.close();
    for what in ["the first start", "a start after kill -9", "a start after kill -9"] {
        // Dropping it kills it.
        let server = Server::start(folder.path());
        println!("{what} over {events} events: ready in {:.2} s", server.started_in.as_secs_f64());
    }
}

/// Events of the past, delivered.
fn fill(store: &Store, journal: &Journal) {
    let journal = journal.clone();
    let job = store.write_blocking(move |tx| {
        for number in 0..FILLED_AT_ONCE {
            let event = journal.publish(tx, draft(number), &Caller::server())?;
            let (seq, _) = tx.event(&event.id)?.unwrap();
            tx.insert_deliveries(seq, &event, &["past".into()], None)?;
        }
        let room = [Room { subscriber: "past".into(), ready: FILLED_AT_ONCE, replayed: 10, suspect: 0 }];
        loop {
            let claimed = tx.claim(0, &room, Most::count(FILLED_AT_ONCE), Timestamp(0))?;
            if claimed.is_empty() {
                return Ok(());
            }
            for delivery in &claimed {
                tx.acknowledge(0, delivery, Ran { began: Timestamp(0), ended: Timestamp(0) })?;
                tx.move_up(delivery)?;
            }
        }
    });
    job.unwrap();
}
