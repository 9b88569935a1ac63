//! What plugins that take all they can get cost a plugin that needs little: `cargo bench --bench fairness`.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use panotti::lua::{Generation, HostOptions};
use serde_json::{Value, json};

use rig::server::Server;
use rig::{Rig, call, is_long, percentile, spread};

const LIGHT: &str = "panotti.on.on_clip_captured(function(clip) return { title = clip.title .. '!' } end)";
const SPIN: &str = "panotti.on.on_clip_captured(function() while true do end end)";
const SHORT: &str = "panotti.on.on_clip_captured(function() end)";
const EAT: &str = "panotti.on.on_clip_captured(function() local t = {} while true do t[#t + 1] = string.rep('x', 10000) .. #t end end)";
const WAIT: &str = "panotti.on.on_clip_captured(function() panotti.sleep(0.2) end)";

/// A route that answers at once, and one that computes for 100 ms: long, but within its limits.
const ROUTES: &str = r#"
panotti.route("GET", "/light", function() return "light" end)
panotti.route("GET", "/burn", function()
  local began = os.clock()
  while os.clock() - began < 0.1 do end
  return "burnt"
end)"#;

fn main() {
    // The second half alone: `cargo bench --bench fairness -- requests`.
    if !std::env::args().any(|it| it == "requests") {
        hooks();
    }
    requests();
}

fn hooks() {
    println!("threads  beside                         p50 us              p99 us              p99 to idle");
    let (each, rounds) = if is_long() { (Duration::from_secs(3), 3) } else { (Duration::from_millis(50), 1) };
    for threads in [2, 3] {
        let folder = tempfile::TempDir::new().unwrap();
        let rig = Rig::with(folder.path(), |it| HostOptions { threads, ..it });
        let light = load(&rig, "light", LIGHT, 64);
        let states: [(&str, &str, usize, usize); 6] = [
            ("nobody", SHORT, 0, 0),
            ("1 plugin that spins", SPIN, 1, 8),
            ("8 plugins that spin", SPIN, 8, 8),
            ("1 flood of short calls", SHORT, 1, 1000),
            ("4 plugins that eat memory", EAT, 4, 2),
            ("1 000 waiting hooks", WAIT, 1, 1000),
        ];
        let mut idle = 0.0;
        for (name, source, plugins, at_once) in states {
            let stop = Arc::new(AtomicBool::new(false));
            for number in 0..plugins {
                let plugin = load(&rig, &format!("heavy-{number}"), source, 16);
                (0..at_once).for_each(|_| keep_busy(&rig, &plugin, &stop));
            }
            std::thread::sleep(Duration::from_millis(300));
            let mut told: Vec<(f64, f64)> = (0..rounds).map(|_| measure(&rig, &light, each)).collect();
            stop.store(true, Ordering::Relaxed);
            told.sort_by(|a, b| a.1.total_cmp(&b.1));
            let p99 = told[rounds / 2].1;
            if plugins == 0 {
                idle = p99;
            }
            let of = |which: fn(&(f64, f64)) -> f64| spread(told.iter().map(which).collect(), 0);
            println!(
                "{threads:<8} {name:<30} {:<19} {:<19} {:.1}x",
                of(|it| it.0),
                of(|it| it.1),
                p99 / idle
            );
            std::thread::sleep(Duration::from_millis(500));
        }
        rig.runtime.block_on(rig.host.shutdown());
    }
}

/// Requests to the real server while plugins compute: a read of the library's, and a light plugin's route.
fn requests() {
    let folder = tempfile::TempDir::new().unwrap();
    let names: Vec<String> = (0..8).map(|it| format!("burner{it}")).chain(["light".to_owned()]).collect();
    for name in &names {
        let plugin = folder.path().join("plugins").join(name);
        std::fs::create_dir_all(&plugin).unwrap();
        std::fs::write(plugin.join("init.lua"), ROUTES).unwrap();
        std::fs::write(plugin.join("plugin.yaml"), "permissions: { routes: true }\n").unwrap();
    }
    let server = Server::start(folder.path());
    let (each, rounds) = if is_long() { (Duration::from_secs(3), 3) } else { (Duration::from_millis(50), 1) };
    println!("request                          beside             p50 us              p99 us");
    for burners in [0, 1, 8] {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for name in &names[..burners] {
                for _ in 0..2 {
                    let (path, server, stop) = (format!("/api/v1/plugins/{name}/x/burn"), &server, &stop);
                    scope.spawn(move || {
                        let mut client = server.client();
                        while !stop.load(Ordering::Relaxed) {
                            client.get(&path);
                        }
                    });
                }
            }
            std::thread::sleep(Duration::from_millis(300));
            for path in ["/api/v1/recordings?limit=5", "/api/v1/plugins/light/x/light"] {
                let told: Vec<(f64, f64)> = (0..rounds).map(|_| ask(&server, path, each)).collect();
                let of = |which: fn(&(f64, f64)) -> f64| spread(told.iter().map(which).collect(), 0);
                println!("{path:<32} {burners} that compute   {:<19} {:<19}", of(|it| it.0), of(|it| it.1));
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}

/// p50 and p99 of requests a millisecond apart, in microseconds.
fn ask(server: &Server, path: &str, each: Duration) -> (f64, f64) {
    let (mut client, until, mut took) = (server.client(), Instant::now() + each, Vec::new());
    while Instant::now() < until {
        let began = Instant::now();
        assert_eq!(client.get(path).0, 200);
        took.push(began.elapsed().as_secs_f64() * 1e6);
        std::thread::sleep(Duration::from_millis(1));
    }
    (percentile(&mut took, 0.5), percentile(&mut took, 0.99))
}

fn load(rig: &Rig, name: &str, source: &str, memory_mib: u64) -> Arc<Generation> {
    rig.load(name, source, json!({ "cpu_ms": 200, "memory_mib": memory_mib }))
}

/// One caller of `plugin` after another, until it is told to stop.
fn keep_busy(rig: &Rig, plugin: &Arc<Generation>, stop: &Arc<AtomicBool>) {
    let (plugin, stop) = (Arc::clone(plugin), Arc::clone(stop));
    let clip = clip();
    rig.runtime.spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            let _ = plugin.call(call(&clip)).await;
        }
    });
}

/// p50 and p99 of calls of the light plugin, in microseconds, a millisecond apart.
fn measure(rig: &Rig, light: &Arc<Generation>, each: Duration) -> (f64, f64) {
    let (until, mut took, clip) = (Instant::now() + each, Vec::new(), clip());
    while Instant::now() < until {
        let began = Instant::now();
        rig.runtime.block_on(light.call(call(&clip))).unwrap();
        took.push(began.elapsed().as_secs_f64() * 1e6);
        std::thread::sleep(Duration::from_millis(1));
    }
    (percentile(&mut took, 0.5), percentile(&mut took, 0.99))
}

fn clip() -> Arc<Value> {
    Arc::new(json!({"id": 1, "title": "t"}))
}
