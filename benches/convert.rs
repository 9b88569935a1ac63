//! What values cost on their way into a script and out of it: `cargo bench --bench convert`. Each figure is one call of a
//! hook; `nothing` is the call alone, so the difference is the value's.
#![allow(clippy::unwrap_used, missing_docs)]

mod rig;

use std::sync::Arc;

use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use panotti::lua::Generation;
use serde_json::{Value, json};

use rig::{Rig, call};

/// Takes what it is given and answers nothing.
const TAKES: &str = "panotti.on.on_clip_captured(function(it) end)";
/// Answers what it was given at its first call, whatever it is given now.
const GIVES: &str =
    "local kept panotti.on.on_clip_captured(function(it) kept = kept or it return { metadata = kept } end)";

fn main() {
    let folder = tempfile::TempDir::new().unwrap();
    let rig = Rig::new(folder.path());
    let mut criterion = Criterion::default().configure_from_args().without_plots();
    let (takes, gives) = (load(&rig, "takes", TAKES), |name: &str| load(&rig, name, GIVES));
    let mut into = criterion.benchmark_group("into the script");
    for (name, value) in values() {
        measure(&mut into, &rig, name, &takes, value);
    }
    into.finish();
    let mut out = criterion.benchmark_group("out of the script");
    for (number, (name, value)) in values().into_iter().enumerate() {
        let plugin = gives(&format!("gives-{number}"));
        rig.runtime.block_on(plugin.call(call(&Arc::new(value)))).unwrap();
        measure(&mut out, &rig, name, &plugin, json!({}));
    }
    out.finish();
    criterion.final_summary();
}

fn load(rig: &Rig, name: &str, source: &str) -> Arc<Generation> {
    rig.load(
        name,
        source,
        json!({ "memory_mib": 256, "question_cpu_ms": 10_000, "question_wall_ms": 10_000 }),
    )
}

fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    rig: &Rig,
    name: &str,
    plugin: &Arc<Generation>,
    value: Value,
) {
    let value = Arc::new(value);
    group.bench_function(name, |it| it.iter(|| rig.runtime.block_on(plugin.call(call(&value))).unwrap()));
}

fn values() -> Vec<(&'static str, Value)> {
    let clip = json!({"id": 123, "title": "Epic Victory", "game_name": "CS", "duration": 45.5, "fps": 60,
        "codec": "h264", "resolution": "1920x1080", "file_size": 123456789, "tags": ["ace", "clutch"],
        "processed": false, "created_at": "2026-01-01T00:00:00Z", "metadata": {"map": "mirage"}});
    let nested = (0..32).fold(json!("leaf"), |inner, depth| json!({ "depth": depth, "inner": inner }));
    vec![
        ("nothing", json!({})),
        ("a clip of 12 fields", clip),
        ("1 000 numbers", (0..1_000).collect()),
        ("1 000 texts", (0..1_000).map(|it| format!("text number {it}")).collect()),
        ("32 levels", nested),
        ("a text of 64 KiB", "x".repeat(64 << 10).into()),
    ]
}
