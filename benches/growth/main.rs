//! What a request costs as the library, the journal and the number of plugins grow: `cargo bench --bench growth`. Fills a
//! database as the product would and asks the real server, over 10³ to 10⁶ clips and as many events, then over 1 to 100
//! plugins. Writes the plots and the section `Growth` of `docs/performance.md`. The database lies below `PANOTTI_BENCH_DIR`
//! (default: the build's folder): 4 GiB of a real disk. Clips and events take some four minutes, most of them
//! to fill the last million. A number behind `--` is the largest size; `stored` leaves the plugins and the page out.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod asked;
mod library;
mod measure;
mod page;
mod plot;
mod plugins;
#[path = "../rig/mod.rs"]
mod rig;
mod words;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use asked::Group;
use measure::{Series, ask, told};
use rig::is_long;
use rig::server::Server;

/// What holds for every server that is measured: nothing is forgotten meanwhile, and the log is quiet.
const SETTINGS: &[(&str, &str)] = &[
    ("PANOTTI_RETENTION_EVENTS_DAYS", "0"),
    ("PANOTTI_RETENTION_EVENTS_MAX", "0"),
    ("PANOTTI_RETENTION_EVENTS_MIB", "0"),
];

fn main() {
    let largest: Option<usize> = std::env::args().find_map(|it| it.parse().ok());
    let sizes: &[usize] = if is_long() { &[1_000, 10_000, 100_000, 1_000_000] } else { &[100, 200] };
    let sizes: Vec<usize> =
        sizes.iter().copied().filter(|it| largest.is_none_or(|most| *it <= most)).collect();
    let sizes = &sizes[..];
    let time = if is_long() { Duration::from_millis(350) } else { Duration::from_millis(5) };
    let parent = std::env::var_os("PANOTTI_BENCH_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let folder = tempfile::tempdir_in(parent).unwrap();
    let counts: &[usize] = if is_long() { &[1, 10, 100] } else { &[1, 2] };
    // For a quick look at one side: no page is written then.
    let is_whole = !std::env::args().any(|it| it == "stored");
    let plugins = if is_whole { plugins::grown(counts, time) } else { Vec::new() };
    told("plugins", counts, &plugins);
    plugins::write(&folder.path().join("plugins/listener"), plugins::LISTENS);
    let mut stored: Vec<Series> = asked::all().into_iter().map(|it| Series::new(it.group, it.name)).collect();
    for (at, size) in sizes.iter().enumerate() {
        measured(folder.path(), *size, time, &mut stored);
        told("clips and events stored", &sizes[..=at], &stored);
        // What is known so far: the last size takes as long as all others together.
        if is_long() && is_whole {
            page::write(&sizes[..=at], &stored, counts, &plugins);
        }
    }
}

/// Everything that is asked, over a library of this size.
fn measured(folder: &std::path::Path, size: usize, time: Duration, all: &mut [Series]) {
    let began = Instant::now();
    library::fill(folder, size);
    println!("{size}: filled in {:.0} s", began.elapsed().as_secs_f64());
    let server = Server::start_with(folder, SETTINGS);
    for (route, series) in asked::all().iter().zip(all) {
        series.add(size, ask(&server, route, size, time));
    }
    println!("{size}: measured after {:.0} s", began.elapsed().as_secs_f64());
}

/// The groups in the order of the page.
pub const GROUPS: &[Group] = &[
    Group::Clips,
    Group::Filters,
    Group::Sorts,
    Group::Search,
    Group::Journal,
    Group::Told,
    Group::Apart,
    Group::Asked,
];
