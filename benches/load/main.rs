//! The standing workloads, W1 to W7 and overload, over the real server and the peers that are found here:
//! `cargo bench --bench load [-- W1 W3 overload --rounds 5 --seconds 3 --peers nginx,pocketbase --write docs/performance.md]`.
//! See README.md beside this file for the peers. The server has two cores, the generator two others.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

#[path = "../rig/mod.rs"]
mod rig;

mod cores;
mod drive;
mod figures;
mod goals;
mod machine;
mod options;
mod overload;
mod table;
mod targets;
mod wire;
mod workloads;

use std::path::Path;

use cores::Cores;
use figures::Results;
use options::Options;
use workloads::Bench;

fn main() {
    let options = Options::of(std::env::args().skip(1));
    let cores = Cores::split();
    if !cores.are_pinned() {
        println!("Fewer than four cores: server and generator share them, and the goals mean little.");
    }
    let targets = targets::all().into_iter().filter(|target| match target.look() {
        _ if !options.wants(target.name()) => false,
        Ok(()) => true,
        Err(missing) => {
            println!("{} is left out: {missing}.", target.name());
            false
        }
    });
    let targets: Vec<_> = targets.collect();
    // The folder of the build is on a disk: a temporary one may be in memory.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("load");
    std::fs::create_dir_all(&folder).unwrap();
    let machine = machine::describe(&folder, &cores);
    println!("{machine}");

    let mut bench = Bench { options: &options, cores: &cores, folder: &folder, results: Results::default() };
    // Rounds outside: what is compared is measured within a minute or two, whatever the machine does in the next.
    for round in 1..=options.rounds {
        for workload in &options.workloads {
            for target in &targets {
                bench.measure(workload, round, &**target);
            }
        }
    }
    let page = table::page(&machine, &options, &targets, &bench.results);
    println!("\n{page}");
    let (text, data) = (folder.join("results.md"), folder.join("results.json"));
    std::fs::write(&text, &page).unwrap();
    std::fs::write(&data, bench.results.to_json()).unwrap();
    println!("Written to {} and {}.", text.display(), data.display());
    if let Some(path) = &options.write {
        table::replace(path, &page);
        println!("Written into {}.", path.display());
    }
}
