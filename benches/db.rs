//! What a plugin's own database costs, as its hooks see it: `cargo bench --bench db`. Each figure is one call of a
//! hook with one statement (or what the name says) in it; `nothing` is the call alone.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use panotti::clock::{SharedClock, SystemClock};
use panotti::config::{PluginLimits, Settings};
use panotti::events::Journal;
use panotti::hooks::{Dispatcher, Hook, HookCall, Target};
use panotti::lua::permission::{Grant, Permissions};
use panotti::lua::{Generation, HostOptions, LuaHost, PluginSource};
use panotti::model::call::{CallContext, Caller, Effects, Emitted, PluginEffects};
use panotti::model::event::Priority;
use panotti::services::Services;
use panotti::store::{Store, StoreOptions};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// What each measured hook does.
const CASES: &[(&str, &str)] = &[
    ("nothing", ""),
    ("query one row", "db.query('SELECT b FROM t WHERE a = ?', { 500 })"),
    ("query 1000 rows", "db.query('SELECT a, b FROM t LIMIT 1000')"),
    ("execute an insert", "db.execute('INSERT INTO u VALUES (?, ?)', { 1, 'text' })"),
    (
        "100 inserts in a transaction",
        "db.transaction(function() for i = 1, 100 do db.execute('INSERT INTO u VALUES (?, ?)', { i, 'text' }) end end)",
    ),
    ("query events", "db.query('SELECT * FROM events WHERE type = ? LIMIT 10', { 'Recording Started' })"),
];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let services = services(&runtime, folder.path());
    tell(&runtime, &services, 10_000);
    let host = LuaHost::new(HostOptions::new(runtime.handle().clone(), services)).unwrap();
    let mut criterion = Criterion::default().configure_from_args().without_plots();
    for (name, body) in CASES {
        let plugin = load(&runtime, &host, body);
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                runtime.block_on(plugin.call(call(&plugin))).map_err(|it| it.fault.to_string()).unwrap()
            });
        });
        runtime.block_on(plugin.retire(Duration::ZERO));
    }
    criterion.final_summary();
    runtime.block_on(host.shutdown());
}

/// The product over an empty folder.
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

/// Fills the journal.
fn tell(runtime: &Runtime, services: &Services, events: usize) {
    let event = Emitted {
        kind: "recording.started".to_owned(),
        subject: None,
        data: json!({ "id": "20250125100000_4AFEA8B6", "title": "Standup", "metadata": { "team": "blue" } }),
        priority: Priority::Normal,
    };
    let effects = Effects { events: vec![event; events], ..Effects::default() };
    let effects = vec![PluginEffects { plugin: "bench".into(), effects }];
    runtime.block_on(services.commit_effects(effects, &Caller::server())).unwrap();
}

fn load(runtime: &Runtime, host: &LuaHost, body: &str) -> Arc<Generation> {
    let source = format!(
        "local db = panotti.db
        db.execute('CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b)')
        db.execute('CREATE TABLE IF NOT EXISTS u (a, b)')
        db.execute(\"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 1000) INSERT OR REPLACE INTO t SELECT x, 'text ' || x FROM c\")
        panotti.on.on_clip_captured(function() {body} end)"
    );
    let files = BTreeMap::from([("init.lua".to_owned(), Arc::from(source.as_bytes()))]);
    let limits = json!({ "db_statement_ms": 60_000, "wall_ms": 600_000 });
    let source = PluginSource {
        name: "bench".into(),
        version: "1.0.0".into(),
        generation: 1,
        entry: "init.lua".into(),
        files: Arc::new(files),
        config: Arc::new(json!({})),
        secret_keys: Arc::default(),
        dependencies: Arc::new([]),
        requested: Default::default(),
        learn: false,
        permissions: Permissions(BTreeMap::from([("db".to_owned(), Grant::Whole(true))])),
        limits: PluginLimits::default().merged(limits.as_object().unwrap()).unwrap(),
    };
    runtime.block_on(host.load(source)).map_err(|it| it.fault.to_string()).unwrap()
}

fn call(plugin: &Generation) -> HookCall {
    HookCall {
        target: Target::Slot(plugin.registrations()[0].slot),
        payload: Arc::new(Value::Null),
        ctx: CallContext::new(Hook::OnClipCaptured.name(), Caller::server()),
        timeout: None,
        deadline: None,
        is_question: false,
    }
}
