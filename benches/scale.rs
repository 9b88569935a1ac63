//! Many plugins and many hooks that wait: `cargo bench --bench scale`. Starts the real server over 1 000 plugins, twice, and
//! tells the time to its first answer and its memory; then holds 10 000 hooks waiting and calls a short one beside them.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod rig;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use rig::server::Server;
use rig::{Rig, call, is_long, percentile, resident_bytes, resident_bytes_of};

const TRIVIAL: &str = "panotti.on.on_clip_captured(function(clip) return { title = clip.title } end)\n";
const WAITING: &str = "panotti.on.on_clip_captured(function() panotti.sleep(3600) end)";
const SHORT: &str = "panotti.on.on_clip_captured(function() end)";
const MIB: f64 = 1024.0 * 1024.0;

fn main() {
    let (plugins, waiting, calls) = if is_long() { (1_000, 10_000, 3_000) } else { (10, 100, 10) };
    many_plugins(plugins);
    many_waiting(waiting, calls);
}

fn many_plugins(count: usize) {
    let folder = tempfile::TempDir::new().unwrap();
    let empty = memory_of(folder.path(), "no plugin", 0);
    for number in 0..count {
        let plugin = folder.path().join(format!("plugins/p{number}"));
        std::fs::create_dir_all(&plugin).unwrap();
        std::fs::write(plugin.join("init.lua"), TRIVIAL).unwrap();
        std::fs::write(plugin.join("plugin.yaml"), "version: 1.0.0\n").unwrap();
    }
    let first = memory_of(folder.path(), "first start", count);
    memory_of(folder.path(), "second start", count);
    println!("{:.0} KiB a plugin", (first - empty) * 1024.0 / count as f64);
}

/// Starts the server, tells about it, and answers its memory in MiB.
fn memory_of(folder: &Path, what: &str, count: usize) -> f64 {
    let server = Server::start(folder);
    let (status, listed) = server.client().get("/api/v1/plugins?state=running&limit=1");
    let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
    assert_eq!((status, &listed["total"]), (200, &json!(count)));
    std::thread::sleep(Duration::from_secs(2));
    let memory = resident_bytes_of(&server.process()) as f64 / MIB;
    println!(
        "{what}, {count} plugins: {:.2} s to the first answer, {memory:.0} MiB resident",
        server.started_in.as_secs_f64()
    );
    memory
}

fn many_waiting(count: usize, calls: usize) {
    let folder = tempfile::TempDir::new().unwrap();
    let rig = Rig::new(folder.path());
    let limits = json!({ "queue": 20_000, "in_flight": 20_000, "wall_ms": 600_000, "memory_mib": 256 });
    let (waiting, short) = (rig.load("waiting", WAITING, limits), rig.load("short", SHORT, json!({})));
    let payload = Arc::new(json!({"id": 1}));
    let alone = p99_ms(&rig, &short, calls);
    let before = resident_bytes();
    let held: Vec<_> = (0..count).map(|_| waiting.call(call(&payload))).collect();
    while waiting.stats().in_flight < count {
        std::thread::sleep(Duration::from_millis(1));
    }
    let memory = (resident_bytes() - before) as f64 / MIB;
    let beside = p99_ms(&rig, &short, calls);
    println!(
        "{count} waiting hooks: {memory:.1} MiB; p99 of a short hook {beside:.3} ms beside them, {alone:.3} ms alone"
    );
    drop(held);
}

fn p99_ms(rig: &Rig, short: &panotti::lua::Generation, calls: usize) -> f64 {
    let payload = Arc::new(json!({"id": 1}));
    let mut took: Vec<f64> = (0..calls)
        .map(|_| {
            let began = Instant::now();
            rig.runtime.block_on(short.call(call(&payload))).unwrap();
            let took = began.elapsed().as_secs_f64() * 1e3;
            std::thread::sleep(Duration::from_millis(1));
            took
        })
        .collect();
    percentile(&mut took, 0.99)
}
