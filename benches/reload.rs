//! What an edit costs: from the save to the first answer of the new version, the swap itself, and what a thousand of
//! them leave behind: `cargo bench --bench reload`.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod rig;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use rig::server::{Client, Server};
use rig::{is_long, percentile, resident_bytes_of, spread};

/// A plugin of a thousand lines whose route tells its version.
fn source(version: usize) -> String {
    let mut text = String::new();
    for line in 0..990 {
        text.push_str(&format!(
            "local function f{line}(a, b) if a > b then return a * {line} end return {{ a = a, b = b }} end\n"
        ));
        // A function holds at most 200 locals.
        if line % 150 == 149 {
            text.push_str("do end\n");
        }
    }
    let text = text.replace("local function f", "function F.f");
    format!(
        "local F = {{}}\n{text}panotti.on.on_clip_captured(function(clip) return {{ title = 'x' }} end)\n\
         panotti.route('GET', '/version', function() return {version} end)\n"
    )
}

fn save(folder: &Path, version: usize) {
    let aside = folder.join(".aside");
    std::fs::write(&aside, source(version)).unwrap();
    std::fs::rename(aside, folder.join("init.lua")).unwrap();
}

fn version(client: &mut Client) -> String {
    let (status, body) = client.get("/api/v1/plugins/edited/x/version");
    assert_eq!(status, 200);
    String::from_utf8(body).unwrap()
}

fn main() {
    let folder = tempfile::TempDir::new().unwrap();
    let plugin = folder.path().join("plugins/edited");
    std::fs::create_dir_all(&plugin).unwrap();
    std::fs::write(plugin.join("plugin.yaml"), "permissions: { routes: true }\n").unwrap();
    save(&plugin, 0);
    let log = folder.path().join("log");
    let server = Server::start_logging(
        folder.path(),
        &[("PANOTTI_LOG", "info"), ("PANOTTI_LOG_FORMAT", "json")],
        &log,
    );
    let mut client = server.client();
    let edits = if is_long() { 50 } else { 3 };
    let mut took: Vec<f64> = Vec::new();
    for number in 1..=edits {
        let began = Instant::now();
        save(&plugin, number);
        while version(&mut client) != number.to_string() {
            std::thread::sleep(Duration::from_millis(1));
        }
        took.push(began.elapsed().as_secs_f64() * 1e3);
        std::thread::sleep(Duration::from_millis(50));
    }
    let p99 = percentile(&mut took.clone(), 0.99);
    println!(
        "save of a 1 000-line plugin -> first answer of the new version: {} ms, p99 {p99:.1} ms ({edits} saves; 100 ms of it quiet time)",
        spread(took, 1)
    );

    let reloads = if is_long() { 1_000 } else { 10 };
    let mut reload = |count: usize| {
        for _ in 0..count {
            assert_eq!(client.send("POST", "/api/v1/plugins/edited/reload", "").0, 200);
        }
    };
    reload(reloads / 10);
    std::thread::sleep(Duration::from_secs(1));
    let before = resident_bytes_of(&server.process());
    let began = Instant::now();
    reload(reloads);
    let each = began.elapsed().as_secs_f64() * 1e3 / reloads as f64;
    std::thread::sleep(Duration::from_secs(2));
    let grown = (resident_bytes_of(&server.process()) as f64 - before as f64) / f64::from(1 << 20);
    println!(
        "{reloads} reloads, {each:.1} ms each: {grown:+.1} MiB resident, of {:.1}",
        before as f64 / f64::from(1 << 20)
    );

    let told = std::fs::read_to_string(&log).unwrap();
    let lines = told.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
    let swaps: Vec<f64> = lines.filter_map(|it| it["swap_us"].as_f64()).collect();
    let p99 = percentile(&mut swaps.clone(), 0.99);
    println!("the swap itself: {} us, p99 {p99:.0} us ({} swaps)", spread(swaps.clone(), 0), swaps.len());
}
