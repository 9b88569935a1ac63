//! What a hook costs: `cargo bench --bench dispatch`. Figures that are not a time per call are printed once.
#![allow(clippy::print_stderr, clippy::unwrap_used, missing_docs)]

mod rig;

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use panotti::hooks::{Dispatcher, Field, Fields, Given, Hook, Table, Texts};
use panotti::lua::Generation;
use panotti::model::call::{Caller, Outcome};
use panotti::model::tally::Histogram;
use panotti::plugins::stats::Stats;
use serde_json::{Map, Value, json};

use rig::{Rig, call, member, resident_bytes};

const TRIVIAL: &str = "panotti.on.on_clip_captured(function() end)";
const PATCH: &str =
    "panotti.on.on_clip_captured(function(clip) return { title = clip.title .. '!', tags = clip.tags } end)";
const AROUND: &str = "local n, last = 0, nil
panotti.on.before_request(function(request)
  n = n + 1
  last = request.method .. ' ' .. request.path .. ' ' .. request.headers['x-bench']
end)
panotti.on.after_request(function() return { headers = { ['x-hook'] = tostring(n) } } end)";
const WAITING: &str = "panotti.on.on_clip_captured(function() panotti.sleep(3600) end)";
/// Calls at once, as many requests would make them.
const AT_ONCE: usize = 256;

fn main() {
    let folder = tempfile::TempDir::new().unwrap();
    let rig = Rig::new(folder.path());
    let mut criterion = Criterion::default().configure_from_args().without_plots();
    one_call(&mut criterion, &rig);
    chains(&mut criterion, &rig);
    around_a_request(&mut criterion, &rig);
    metrics(&mut criterion);
    criterion.final_summary();
    busy(&rig);
    waiting(&rig);
}

fn load(rig: &Rig, name: &str, source: &str) -> Arc<Generation> {
    let limits = json!({ "queue": 20_000, "in_flight": 20_000, "wall_ms": 600_000, "memory_mib": 256 });
    rig.load(name, source, limits)
}

fn clip() -> Map<String, Value> {
    let clip = json!({"id": 123, "title": "Epic Victory", "game_name": "CS", "duration": 45.5, "fps": 60, "codec": "h264",
        "resolution": "1920x1080", "file_size": 123456789, "tags": ["ace", "clutch"], "processed": false,
        "created_at": "2026-01-01T00:00:00Z", "metadata": {"map": "mirage"}});
    clip.as_object().unwrap().clone()
}

fn one_call(criterion: &mut Criterion, rig: &Rig) {
    let mut group = criterion.benchmark_group("one call at a time");
    for (name, source, payload) in
        [("trivial", TRIVIAL, json!({"id": 1})), ("12 fields, patch back", PATCH, Value::Object(clip()))]
    {
        let plugin = load(rig, name, source);
        let payload = Arc::new(payload);
        group.bench_function(name, |it| {
            it.iter(|| rig.runtime.block_on(plugin.call(call(&payload))).unwrap())
        });
    }
    group.finish();
}

fn chains(criterion: &mut Criterion, rig: &Rig) {
    let mut group = criterion.benchmark_group("a chain of hooks");
    for plugins in [0, 1, 16] {
        let members = (0..plugins).map(|number| member(&load(rig, &format!("chain-{number}"), TRIVIAL)));
        let dispatcher = Dispatcher::new(Duration::from_secs(3));
        dispatcher.replace(Table::new(members.collect()));
        if plugins == 0 {
            group.bench_function("nobody listens", |it| it.iter(|| dispatcher.listens(Hook::OnClipCaptured)));
            continue;
        }
        let caller = Caller::server();
        group.throughput(Throughput::Elements(plugins));
        group.bench_function(format!("{plugins} plugins"), |it| {
            it.iter(|| {
                let asked = dispatcher.ask(Hook::OnClipCaptured, clip(), &caller, &|_| Ok(()));
                rig.runtime.block_on(asked).unwrap()
            });
        });
    }
    group.finish();
}

/// A request as the server shows it, and the answer to it.
struct Shown {
    headers: Texts,
    request: Option<Arc<Shown>>,
}

impl Fields for Shown {
    fn fields(&self) -> Vec<(&'static str, Field<'_>)> {
        let headers = ("headers", Field::Texts(&self.headers));
        match &self.request {
            Some(request) => vec![
                ("status", Field::Whole(200)),
                headers,
                ("duration", Field::Number(0.001)),
                ("request", Field::Fields(&**request)),
            ],
            None => vec![
                ("id", Field::Text("0197e0c0a0007000800000000000abcd")),
                ("method", Field::Text("GET")),
                ("path", Field::Text("/api/v1/clips/1")),
                ("query", Field::Text("")),
                headers,
                ("remote", Field::Text("127.0.0.1")),
            ],
        }
    }
}

/// A question before a request that changes nothing, and one after it that adds a header to the answer.
fn around_a_request(criterion: &mut Criterion, rig: &Rig) {
    let dispatcher = Dispatcher::new(Duration::from_secs(3));
    dispatcher.replace(Table::new(vec![member(&load(rig, "around", AROUND))]));
    let caller = Caller::server();
    let texts = |all: &[(&str, &str)]| all.iter().copied().collect::<Texts>();
    criterion.bench_function("before and after a request", |it| {
        it.iter(|| {
            let headers = texts(&[("host", "127.0.0.1:8080"), ("accept", "*/*"), ("x-bench", "1")]);
            let request = Arc::new(Shown { headers, request: None });
            let headers = texts(&[("content-type", "application/json"), ("etag", "\"1\"")]);
            let response = Shown { headers, request: Some(Arc::clone(&request)) };
            rig.runtime.block_on(async {
                let before = Given::fields(request);
                dispatcher.ask(Hook::BeforeRequest, before, &caller, &|_| Ok(())).await.unwrap();
                let after = Given::fields(Arc::new(response));
                dispatcher.ask(Hook::AfterRequest, after, &caller, &|_| Ok(())).await.unwrap()
            })
        });
    });
}

/// What metrics add to each call: its outcome, its time, its wait.
fn metrics(criterion: &mut Criterion) {
    let (stats, wait) = (Stats::default(), Histogram::default());
    criterion.bench_function("the metrics of one call", |it| {
        it.iter(|| {
            stats.count(
                Hook::OnClipCaptured.name(),
                Outcome::Ok,
                Some(std::hint::black_box(Duration::from_micros(9))),
            );
            wait.record(std::hint::black_box(Duration::from_micros(5)));
        });
    });
}

/// Calls a second, and CPU a call, with many at once.
fn busy(rig: &Rig) {
    for (name, source, payload) in
        [("trivial", TRIVIAL, json!({"id": 1})), ("12 fields, patch back", PATCH, Value::Object(clip()))]
    {
        for plugins in [1, 3, 16] {
            let all: Vec<_> = (0..plugins).map(|it| load(rig, &format!("busy-{it}"), source)).collect();
            let payload = Arc::new(payload.clone());
            let end = Instant::now() + Duration::from_secs(2);
            let (began, cpu) = (Instant::now(), cpu_time::ProcessTime::now());
            let callers: Vec<_> = (0..AT_ONCE)
                .map(|number| {
                    let (plugin, payload) = (Arc::clone(&all[number % plugins]), Arc::clone(&payload));
                    rig.runtime.spawn(async move {
                        let mut calls = 0_u64;
                        while Instant::now() < end {
                            plugin.call(call(&payload)).await.unwrap();
                            calls += 1;
                        }
                        calls
                    })
                })
                .collect();
            let calls: u64 = callers.into_iter().map(|it| rig.runtime.block_on(it).unwrap()).sum();
            let (wall, cpu) = (began.elapsed(), cpu.elapsed());
            eprintln!(
                "busy, {name}, {plugins} plugins, {AT_ONCE} at once: {:.0} calls/s, {:.2} us of CPU a call (callers included), {:.2} us in Lua",
                calls as f64 / wall.as_secs_f64(),
                cpu.as_secs_f64() * 1e6 / calls as f64,
                all.iter().map(|it| it.stats().cpu_us).sum::<u64>() as f64 / calls as f64,
            );
            all.iter().for_each(|it| rig.runtime.block_on(it.retire(Duration::ZERO)));
        }
    }
}

/// Memory of hooks that wait.
fn waiting(rig: &Rig) {
    let count = 10_000;
    let plugin = load(rig, "waiting", WAITING);
    let payload = Arc::new(json!({"id": 1}));
    let before = resident_bytes();
    let lua = plugin.stats().memory_bytes;
    let began = Instant::now();
    let calls: Vec<_> = (0..count).map(|_| plugin.call(call(&payload))).collect();
    while plugin.stats().in_flight < count {
        std::thread::sleep(Duration::from_millis(1));
    }
    eprintln!(
        "{count} waiting hooks: {:.2} KiB each ({:.2} of it Lua's), begun in {:?}",
        (resident_bytes() - before) as f64 / count as f64 / 1024.0,
        (plugin.stats().memory_bytes - lua) as f64 / count as f64 / 1024.0,
        began.elapsed(),
    );
    drop(calls);
}
