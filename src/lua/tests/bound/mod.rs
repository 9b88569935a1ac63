//! No function of the library holds its thread for long: each is made to work on larger and larger things, and the
//! CPU it takes after its time was up is measured.

mod table;

use std::collections::BTreeSet;

use serde_json::json;

use crate::lua::api::{MODULES, stubs::ModuleDoc};
use crate::lua::surface;
use crate::model::call::Outcome;

use super::*;
use table::{CONSTANT, ROWS, Row};

/// Milliseconds of CPU that a call may take; what goes beyond is the stretch without an interrupt.
const ALLOWED_MS: u64 = 1;

/// Milliseconds that no stretch may last.
const GOAL_MS: f64 = 250.0;

/// What is measured of one row at one size.
enum Measured {
    /// Milliseconds beyond the allowed.
    Stretch(f64),
    /// It does not fit into a VM.
    TooLarge,
}

fn measure(bench: &Bench, row: &Row, size: usize) -> Measured {
    let source = format!(
        "local n = {size}\n{}\n\
         panotti.on.on_clip_captured(function()\n while true do\n pcall(function()\n {}\n end)\n end\n end)",
        row.setup, row.work
    );
    let limits = json!({
        "question_cpu_ms": ALLOWED_MS, "question_wall_ms": 60_000, "load_cpu_ms": 20_000, "load_wall_ms": 60_000,
        "log_per_s": 1_000_000, "log_burst": 1_000_000, "emits_burst": 10_000_000
    });
    let Ok(plugin) = bench.load_with(&source, limits) else { return Measured::TooLarge };
    let before = plugin.stats().cpu_us;
    let ended = bench.ask(&plugin, Hook::OnClipCaptured, json!({"id": 1}));
    let used = plugin.stats().cpu_us - before;
    bench.runtime.block_on(plugin.retire(Duration::ZERO));
    match ended {
        Err(failure) if failure.outcome == Outcome::Memory => Measured::TooLarge,
        Err(failure) if failure.outcome == Outcome::Deadline => {
            Measured::Stretch((used as f64 / 1e3 - ALLOWED_MS as f64).max(0.0))
        }
        other => panic!("{:?} at {size} does not work until it is stopped: {other:?}\n{source}", row.names),
    }
}

/// The longest stretch of each row over `sizes`, with the size that took it; and how many VMs were given up.
fn walk(sizes: &[usize]) -> (Vec<(&'static Row, f64, usize)>, usize) {
    let bench = Bench::new();
    let mut found = Vec::new();
    for row in ROWS {
        let (mut longest, mut at) = (0.0, 0);
        for &size in sizes {
            match measure(&bench, row, size) {
                Measured::Stretch(ms) if ms >= longest => (longest, at) = (ms, size),
                Measured::Stretch(_) => {}
                Measured::TooLarge => break,
            }
        }
        found.push((row, longest, at));
    }
    (found, bench.host.stuck())
}

#[test]
fn every_function_a_script_reaches_has_its_place_in_the_table() {
    let rows = ROWS.iter().flat_map(|it| it.names.iter().copied());
    let measured: BTreeSet<&str> = rows.chain(CONSTANT.iter().copied()).collect();
    let mut waiting: BTreeSet<String> = BTreeSet::new();
    for module in MODULES {
        let doc = ModuleDoc::read(module.name, module.types);
        let names =
            doc.functions.iter().filter(|it| it.waits).map(|it| format!("{}.{}", doc.path(), it.name));
        waiting.extend(names);
        if doc.functions.is_empty() && module.types.contains("@waits") {
            waiting.insert(format!("panotti.{}", module.name));
        }
    }
    let functions = surface::LIST.lines().filter_map(|it| it.strip_suffix(" function"));
    // Functions that wait do their work elsewhere; registering a hook is possible only while a chunk runs.
    let missing: Vec<&str> = functions
        .filter(|it| !measured.contains(it) && !waiting.contains(*it) && !it.starts_with("panotti.on."))
        .collect();
    assert!(missing.is_empty(), "nobody knows how long these hold their thread: {missing:?}");
}

#[test]
fn work_of_any_size_is_stopped_and_no_vm_is_stuck() {
    assert_eq!(walk(&[1, 1_000, 30_000]).1, 0, "a VM was stuck");
}

/// The table: `cargo test --release --lib bound -- --ignored --nocapture`.
#[test]
#[ignore = "measures; CONTRIBUTING tells the command"]
#[allow(clippy::print_stdout)]
fn no_function_holds_its_thread_longer_than_a_quarter_of_a_second() {
    let (mut found, stuck) = walk(&[1, 1_000, 30_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000]);
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    println!("\n{:>9}  {:>9}  function", "ms", "at size");
    for (row, ms, size) in &found {
        println!("{ms:>9.1}  {size:>9}  {}: {}", row.names.join(", "), row.work);
    }
    let above: Vec<_> = found.iter().filter(|it| it.1 > GOAL_MS).map(|it| (it.0.names, it.1)).collect();
    assert!(above.is_empty() && stuck == 0, "{stuck} stuck, too long: {above:?}");
}
