//! What a request may cost: instructions of the release build, counted by callgrind, held against `budgets.txt`.
//!
//! The server runs whole under valgrind; only what one connection asks, one request after another, is counted. A count
//! does not depend on the machine's speed nor on what else runs there. The kernel's part is not in it.
//! `UPDATE_BUDGETS=1` makes what was measured the budget. CONTRIBUTING.md has the commands.

#![allow(clippy::print_stdout)] // the figures are for whoever runs it

mod connection;
mod counter;
mod profile;
mod sampler;
mod table;
mod verdict;
mod workloads;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use workloads::Workload;

/// One server at a time: the less time a count takes, the less of the server's own periodic work is in it.
static TURN: Mutex<()> = Mutex::new(());

/// Keeps the whole profiles in this folder and judges nothing.
const KEEP: &str = "BUDGET_PROFILES";
/// With the former: samples of the real processor, by perf.
const SAMPLE: &str = "BUDGET_PERF";

macro_rules! budgets {
    ($($name:ident: $workload:path;)*) => {$(
        #[test]
        #[cfg_attr(debug_assertions, ignore = "instructions are counted in release builds")]
        fn $name() {
            hold($workload(stringify!($name)));
        }
    )*};
}

budgets! {
    a_clip_is_read: workloads::read;
    a_clip_is_read_with_two_hooks: workloads::read_with_hooks;
    a_clip_is_read_beside_100_plugins: workloads::read_beside_plugins;
    a_clip_is_posted_with_a_hook: workloads::post_with_hook;
    a_clip_is_posted_with_a_hook_that_computes: workloads::post_with_computing_hook;
    a_recording_is_made_with_hooks_that_publish: workloads::record_with_hooks;
    an_event_is_delivered: workloads::deliver;
}

fn hold(workload: Workload) {
    let _turn = TURN.lock().unwrap_or_else(|it| it.into_inner());
    let keep = std::env::var_os(KEEP).map(PathBuf::from);
    if let Some(folder) = keep.as_deref().filter(|_| std::env::var_os(SAMPLE).is_some()) {
        return sampler::sample(&workload, folder);
    }
    if !counter::is_installed() {
        println!("skipped: {} needs valgrind to count instructions", workload.name);
        return;
    }
    let counted = counter::count(&workload, keep.as_deref());
    println!(
        "{:<45} {:>9} instructions, {:.1} allocations",
        workload.name,
        counted.total(),
        counted.calls_of("mi_malloc_aligned") + counted.calls_of("malloc")
    );
    if keep.is_some() {
        return;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/budget/budgets.txt");
    if std::env::var_os("UPDATE_BUDGETS").is_some() {
        return table::Table::read(&file).with(workload.name, &counted).write(&file);
    }
    let table = table::Table::read(&file);
    if let Err(why) = verdict::judge(workload.name, &table, &counted) {
        panic!("{why}");
    }
}
