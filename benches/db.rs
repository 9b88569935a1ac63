//! What a plugin's own database costs, as its hooks see it: `cargo bench --bench db`. Each figure is one call of a
//! hook with one statement (or what the name says) in it; `nothing` is the call alone.
#![allow(clippy::unwrap_used, missing_docs)]

mod rig;

use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use panotti::lua::Generation;
use panotti::model::call::{Caller, Effects, Emitted, PluginEffects};
use serde_json::{Value, json};

use rig::{Rig, call};

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
    let folder = tempfile::TempDir::new().unwrap();
    let rig = Rig::new(folder.path());
    tell(&rig, 10_000);
    let nothing = Arc::new(Value::Null);
    let mut criterion = Criterion::default().configure_from_args().without_plots();
    for (name, body) in CASES {
        let plugin = load(&rig, body);
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                rig.runtime.block_on(plugin.call(call(&nothing))).map_err(|it| it.fault.to_string()).unwrap()
            });
        });
        rig.runtime.block_on(plugin.retire(Duration::ZERO));
    }
    criterion.final_summary();
    rig.runtime.block_on(rig.host.shutdown());
}

/// Fills the journal.
fn tell(rig: &Rig, events: usize) {
    let event = Emitted {
        kind: "recording.started".to_owned(),
        data: json!({ "id": "20250125100000_4AFEA8B6", "title": "Standup", "metadata": { "team": "blue" } })
            .into(),
        ..Emitted::default()
    };
    let effects = Effects { events: vec![event; events], ..Effects::default() };
    let effects = vec![PluginEffects { plugin: "bench".into(), effects }];
    rig.runtime.block_on(rig.services.commit_effects(effects, &Caller::server())).unwrap();
}

fn load(rig: &Rig, body: &str) -> Arc<Generation> {
    let source = format!(
        "local db = panotti.db
        db.execute('CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b)')
        db.execute('CREATE TABLE IF NOT EXISTS u (a, b)')
        db.execute(\"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 1000) INSERT OR REPLACE INTO t SELECT x, 'text ' || x FROM c\")
        panotti.on.on_clip_captured(function() {body} end)"
    );
    rig.load_granted("bench", &source, json!({ "db_statement_ms": 60_000, "wall_ms": 600_000 }), &["db"])
}
