//! What durability and point reads cost: `cargo bench --bench store`. The database lies below
//! `PANOTTI_BENCH_DIR` (default: the build's folder), which should be a real disk.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use panotti::model::clip::{Clip, ProcessingStatus};
use panotti::model::event::{Event, Priority};
use panotti::model::id::new_event_id;
use panotti::model::page::Window;
use panotti::model::time::Timestamp;
use panotti::store::{ClipFilter, ClipSort, Store, StoreOptions};
use serde_json::{Map, json};

fn open() -> (tempfile::TempDir, Store) {
    let parent = std::env::var_os("PANOTTI_BENCH_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let folder = tempfile::tempdir_in(parent).expect("the folder for benches can be written");
    let store = Store::open(&StoreOptions::at(folder.path().join("bench.db"))).expect("a new database opens");
    (folder, store)
}

fn clip(id: i64) -> Clip {
    Clip {
        id,
        title: format!("Triple kill number {id}"),
        file_path: format!("media/clips/{id}.wav"),
        recording_id: None,
        description: Some("The last minute of the final round".into()),
        game_name: Some(format!("Game {}", id % 20)),
        game_id: None,
        tags: vec!["ace".into(), "night".into()],
        metadata: Map::from_iter([("highlights".into(), json!([{"timestamp": 1.5, "score": 0.9}]))]),
        file_size: Some(5_000_000),
        duration: Some(30.0),
        resolution: Some("1920x1080".into()),
        fps: Some(60.0),
        codec: Some("h264".into()),
        recorded_at: None,
        processed: id % 3 == 0,
        processing_status: if id % 3 == 0 { ProcessingStatus::Completed } else { ProcessingStatus::Pending },
        provenance: Default::default(),
        created_at: Timestamp(id),
        updated_at: Timestamp(id),
        owns_file: false,
        version: 1,
    }
}

fn event(clip: &Clip) -> Event {
    Event {
        id: new_event_id(),
        kind: "clip.created".into(),
        source: "panotti".into(),
        subject: Some(format!("clip/{}", clip.id)),
        time: clip.created_at,
        data: serde_json::to_value(clip).expect("a clip is JSON").into(),
        correlation_id: new_event_id(),
        causation_id: None,
        priority: Priority::Normal,
        depth: 0,
        expires_at: None,
        plugins: Arc::default(),
        traceparent: None,
    }
}

/// `callers` tasks write one row after another until `count` are stored; each waits for its commit.
fn insert(store: &Store, callers: u64, count: u64, with_event: bool) -> Duration {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime starts");
    let plugins: Arc<[Arc<str>]> = Arc::from([Arc::from("example")]);
    let begun = Instant::now();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..callers)
            .map(|caller| {
                let (store, plugins) = (store.clone(), plugins.clone());
                tokio::spawn(async move {
                    for _ in (caller..count).step_by(callers as usize) {
                        let clip = clip(store.reserve_clip_id());
                        let event = with_event.then(|| event(&clip));
                        let plugins = plugins.clone();
                        let stored = store.write(move |tx| {
                            tx.insert_clip(&clip)?;
                            if let Some(event) = event {
                                let seq = tx.insert_event(&event)?.seq;
                                tx.insert_deliveries(seq, &event, &plugins, None)?;
                            }
                            Ok(())
                        });
                        stored.await.expect("the clip is stored");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no caller panics");
        }
    });
    begun.elapsed()
}

fn writes(c: &mut Criterion) {
    let mut group = c.benchmark_group("clip_insert");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(3));
    for (name, with_event) in [("clip", false), ("clip+event+delivery", true)] {
        for callers in [1, 32, 128] {
            let (_folder, store) = open();
            group.bench_function(BenchmarkId::new(name, callers), |b| {
                b.iter_custom(|count| insert(&store, callers, count, with_event));
            });
        }
    }
}

fn reads(c: &mut Criterion) {
    let (_folder, store) = open();
    insert(&store, 64, 20_000, false);
    let mut id = 0;
    c.bench_function("clip_get", |b| {
        b.iter(|| {
            id = id % 20_000 + 1;
            black_box(store.read(|reader| reader.clip(id)).expect("the clip is there"))
        });
    });
    c.bench_function("checkout", |b| b.iter(|| store.read(|_| Ok(())).expect("a connection is free")));
    let filter = ClipFilter { game_name: Some("Game 7".into()), ..ClipFilter::default() };
    c.bench_function("clip_list_by_game", |b| {
        b.iter(|| {
            black_box(
                store
                    .read(|r| r.list_clips(&filter, ClipSort::default(), Window::default()))
                    .expect("a list"),
            )
        });
    });
    let filter = ClipFilter { q: Some("triple".into()), ..ClipFilter::default() };
    c.bench_function("clip_search", |b| {
        b.iter(|| {
            black_box(
                store
                    .read(|r| r.list_clips(&filter, ClipSort::default(), Window::default()))
                    .expect("a list"),
            )
        });
    });
}

criterion_group!(benches, writes, reads);
criterion_main!(benches);
