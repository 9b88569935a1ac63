//! The product's main write: `cargo bench --bench clips`. A clip is created with one Lua hook that patches it, through the
//! service, durably. The database lies below `PANOTTI_BENCH_DIR` (default: the build's folder), which should be a real
//! disk. Also: what a plugin that does nothing costs in memory.
#![allow(clippy::print_stderr, clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use panotti::clock::{SharedClock, SystemClock};
use panotti::config::{PluginLimits, Settings};
use panotti::events::Journal;
use panotti::hooks::{Dispatcher, Member, Table};
use panotti::lua::{Generation, HostOptions, LuaHost, PluginSource};
use panotti::model::call::Caller;
use panotti::services::{Services, clips};
use panotti::store::{Store, StoreOptions};
use serde_json::json;
use tokio::runtime::Runtime;

const HOOK: &str = r#"
panotti.on.on_clip_captured(function(clip)
  return { tags = { "highlight" }, metadata = { score = 0.93, count = 3, kind = "multi-kill" } }
end)"#;
const IDLE: &str = "panotti.on.before_recording_start(function() end)";

fn main() {
    // `cargo test` runs benches once, to see that they work: little is enough then.
    let long = std::env::args().any(|it| it == "--bench");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let parent = std::env::var_os("PANOTTI_BENCH_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let folder = tempfile::tempdir_in(parent).unwrap();
    let services = services(&runtime, folder.path());
    let host = LuaHost::new(HostOptions::new(runtime.handle().clone(), services.clone())).unwrap();
    let plugin = load(&runtime, &host, "tagger", HOOK);
    for callers in if long { vec![1, 8, 32, 128] } else { vec![8] } {
        for hooked in [false, true] {
            let members = hooked.then(|| member(&plugin)).into_iter().collect();
            services.hooks.replace(Table::new(members));
            let count = if long { callers * 400 } else { 40 };
            let (took, commits) = create(&runtime, &services, callers, count);
            eprintln!(
                "{callers:>3} callers, {}: {:>6.0} clips/s, {:.1} clips a commit",
                if hooked { "one hook" } else { "no hook " },
                count as f64 / took.as_secs_f64(),
                count as f64 / commits as f64,
            );
        }
    }
    idle(&runtime, &host, if long { 500 } else { 5 });
}

/// `callers` create one clip after another; the time for `count` in all, and the commits they took.
fn create(runtime: &Runtime, services: &Services, callers: u64, count: u64) -> (Duration, u64) {
    let body = json!({"title": "Epic Victory", "file_path": "/clips/epic_victory.mp4", "game_name": "Counter-Strike 2",
        "duration": 45, "resolution": "1920x1080", "fps": 60, "tags": ["ace", "clutch"]});
    let (before, began) = (services.store.commits(), Instant::now());
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            let (services, body) = (services.clone(), body.as_object().unwrap().clone());
            runtime.spawn(async move {
                for _ in 0..count / callers {
                    clips::create(&services, &Caller::server(), body.clone(), None).await.unwrap();
                }
            })
        })
        .collect();
    callers.into_iter().for_each(|it| runtime.block_on(it).unwrap());
    (began.elapsed(), services.store.commits() - before)
}

/// Memory of plugins that are loaded and never called.
fn idle(runtime: &Runtime, host: &LuaHost, count: usize) {
    let before = resident_bytes();
    let plugins: Vec<_> =
        (0..count).map(|number| load(runtime, host, &format!("idle{number}"), IDLE)).collect();
    let each = (resident_bytes().saturating_sub(before)) as f64 / count as f64 / 1024.0;
    let lua = plugins.iter().map(|it| it.stats().memory_bytes).sum::<usize>() / count / 1024;
    eprintln!("{count} idle plugins: {each:.0} KiB each ({lua} KiB of it Lua's)");
}

fn services(runtime: &Runtime, folder: &Path) -> Services {
    let _inside = runtime.enter();
    let settings =
        Settings { data_dir: folder.to_owned(), recordings_dir: folder.to_owned(), ..Settings::default() };
    let store = Store::open(&StoreOptions::at(folder.join("bench.db"))).unwrap();
    let clock: SharedClock = Arc::new(SystemClock);
    let hooks = Dispatcher::new(Duration::from_secs(3));
    let journal = Journal::new(hooks.clone(), clock.clone(), 8);
    Services::new(store, journal, hooks, clock, Arc::new(settings)).unwrap()
}

fn load(runtime: &Runtime, host: &LuaHost, name: &str, source: &str) -> Arc<Generation> {
    let files = BTreeMap::from([("init.lua".to_owned(), Arc::from(source.as_bytes()))]);
    let source = PluginSource {
        name: name.into(),
        version: "1.0.0".into(),
        generation: 1,
        entry: "init.lua".into(),
        files: Arc::new(files),
        config: Arc::new(json!({})),
        secret_keys: Arc::default(),
        dependencies: Arc::new([]),
        requested: Default::default(),
        learn: false,
        permissions: Default::default(),
        limits: PluginLimits::default(),
    };
    runtime.block_on(host.load(source)).map_err(|it| it.fault.to_string()).unwrap()
}

fn member(plugin: &Arc<Generation>) -> Member {
    Member {
        handler: plugin.clone(),
        dependencies: Vec::new(),
        registrations: plugin.registrations(),
        subscriptions: plugin.subscriptions(),
    }
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    line.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}
