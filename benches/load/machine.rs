//! The machine that figures are from.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use super::cores::Cores;
use crate::rig::percentile;

/// Processor, cores, kernel, whether others use it, and what the disk takes to make a small write safe.
pub fn describe(folder: &Path, cores: &Cores) -> String {
    let told = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = told.lines().find_map(|it| it.strip_prefix("model name")).unwrap_or("an unknown processor");
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let pinned = match cores.are_pinned() {
        true => "the server on two of them, the generator on two others",
        false => "shared by server and generator",
    };
    format!(
        "{}, {count} cores, {pinned}; Linux {}; one fdatasync takes {:.0} us; \
         load average {load} before it began.",
        model.trim_start_matches([' ', '\t', ':']),
        kernel.trim(),
        sync_us(folder)
    )
}

/// The median time of a write of a page and its fdatasync.
fn sync_us(folder: &Path) -> f64 {
    let path = folder.join("sync");
    let mut file = File::create(&path).unwrap();
    let mut took: Vec<f64> = (0..50)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&[7; 4096]).unwrap();
            file.sync_data().unwrap();
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    let _ = fs::remove_file(path);
    percentile(&mut took, 0.5)
}
