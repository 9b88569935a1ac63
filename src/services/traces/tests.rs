use std::sync::Arc;

use crate::model::time::Timestamp;
use crate::model::trace::{FORMAT, Trace, TraceHead, TraceTarget, TraceWorld, id_of};
use crate::services::testing::World;
use crate::store::TraceBounds;

use super::{Recorded, TraceFilter};

/// A call that holds nothing but its number.
struct Call {
    number: i64,
    plugin: &'static str,
    bytes: usize,
}

impl Recorded for Call {
    fn head(&self) -> TraceHead {
        self.trace().head()
    }
    fn trace(&self) -> Trace {
        Trace {
            format: FORMAT,
            id: id_of(self.number),
            plugin: self.plugin.to_owned(),
            hook: "on_clip_captured".to_owned(),
            target: TraceTarget::default(),
            generation: 1,
            hash: String::new(),
            version: String::new(),
            at: Timestamp(self.number),
            took_ms: 1.5,
            outcome: "runtime".to_owned(),
            kept: "failure".to_owned(),
            request_id: Some("r1".to_owned()),
            subject: None,
            input: "x".repeat(self.bytes).into(),
            ctx: serde_json::Value::Null,
            world: TraceWorld::default(),
            steps: Vec::new(),
            load: Vec::new(),
            cut: None,
            masked: 0,
            output: serde_json::Value::Null,
            effects: serde_json::Value::Null,
            fault: None,
        }
    }
    fn number(&self) -> i64 {
        self.number
    }
    fn bytes(&self) -> usize {
        self.bytes
    }
}

fn numbers(found: &[TraceHead]) -> Vec<i64> {
    found.iter().map(|it| it.number).collect()
}

#[tokio::test]
async fn the_last_calls_are_held_and_what_is_stored_is_listed_once() {
    let world = World::new(&tokio::runtime::Handle::current(), Arc::new(crate::clock::SystemClock));
    let traces = world.services.traces.clone();
    let plugin = traces.plugin(&Arc::from("p")).unwrap();
    for number in 1..=30 {
        let call = Arc::new(Call { number, plugin: "p", bytes: 10 });
        plugin.note("on_clip_captured", call, number <= 5);
    }
    let all = TraceFilter::default();
    assert_eq!(numbers(&traces.list(all.clone(), 100).await.unwrap()), (11..=30).rev().collect::<Vec<_>>());
    traces.flush().await.unwrap();
    let expected: Vec<i64> = (11..=30).rev().chain((1..=5).rev()).collect();
    assert_eq!(numbers(&traces.list(all.clone(), 100).await.unwrap()), expected);
    let page = TraceFilter { before: Some(13), ..all.clone() };
    assert_eq!(numbers(&traces.list(page, 3).await.unwrap()), [12, 11, 5]);
    let other = TraceFilter { plugin: Some("q".into()), ..all };
    assert_eq!(numbers(&traces.list(other, 3).await.unwrap()), [0; 0]);
    assert_eq!(traces.get(&id_of(3)).await.unwrap().plugin, "p");
    assert_eq!(traces.get(&id_of(6)).await.unwrap_err().code.name(), "trace_not_found");
    plugin.shrink(45);
    assert_eq!(plugin.held().len(), 4);
}

#[tokio::test]
async fn what_is_beyond_the_bounds_goes_the_oldest_first() {
    let world = World::new(&tokio::runtime::Handle::current(), Arc::new(crate::clock::SystemClock));
    let traces = world.services.traces.clone();
    let keep = |from: i64, to: i64, plugin: &'static str, bytes: usize| {
        let calls: Vec<Trace> = (from..=to).map(|number| Call { number, plugin, bytes }.trace()).collect();
        world
            .services
            .store
            .write_blocking(move |tx| calls.iter().try_for_each(|it| tx.keep_trace(it)))
            .unwrap();
    };
    let sweep = |bounds| world.services.store.write_blocking(move |tx| tx.sweep_traces(bounds)).unwrap();
    keep(1, 10, "p", 100);
    keep(11, 13, "q", 100);
    let none = TraceBounds { since: None, per_plugin: 0, bytes: 0 };
    assert_eq!(sweep(none), 0);
    assert_eq!(sweep(TraceBounds { since: Some(Timestamp(4)), ..none }), 3);
    assert_eq!(sweep(TraceBounds { per_plugin: 5, ..none }), 2);
    let left = traces.list(TraceFilter::default(), 100).await.unwrap();
    assert_eq!(numbers(&left), [13, 12, 11, 10, 9, 8, 7, 6]);
    let bytes = world.services.store.read(|it| it.trace_bytes()).unwrap();
    assert_eq!(sweep(TraceBounds { bytes: bytes / 2, ..none }), 4);
    assert_eq!(numbers(&traces.list(TraceFilter::default(), 100).await.unwrap()), [13, 12, 11, 10]);
}

#[tokio::test]
async fn numbers_grow_with_time_and_no_two_are_the_same() {
    let world = World::new(&tokio::runtime::Handle::current(), Arc::new(crate::clock::SystemClock));
    let traces = world.services.traces.clone();
    let (one, two) = (traces.plugin(&Arc::from("one")).unwrap(), traces.plugin(&Arc::from("two")).unwrap());
    let now = 1_800_000_000_000_000;
    let numbers = [
        one.number_at(now),
        two.number_at(now),
        one.number_at(now),
        one.number_at(now - 5),
        two.number_at(now + 9),
    ];
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), numbers.len());
    assert!(numbers[0] < numbers[2] && numbers[2] < numbers[3] && numbers[3] < numbers[4], "{numbers:?}");
}
