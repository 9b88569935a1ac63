//! The product's main write: `cargo bench --bench clips`. A clip is created with one Lua hook that patches it, through the
//! service, durably. The database lies below `PANOTTI_BENCH_DIR` (default: the build's folder), which should be a real
//! disk. Also: what a plugin that does nothing costs in memory.
#![allow(clippy::print_stderr, clippy::unwrap_used, missing_docs)]

mod rig;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use panotti::hooks::Table;
use panotti::model::call::Caller;
use panotti::services::clips;
use serde_json::json;

use rig::{Rig, is_long, member, resident_bytes};

const HOOK: &str = r#"
panotti.on.on_clip_captured(function(clip)
  return { tags = { "highlight" }, metadata = { score = 0.93, count = 3, kind = "multi-kill" } }
end)"#;
const IDLE: &str = "panotti.on.before_recording_start(function() end)";

fn main() {
    let long = is_long();
    let parent = std::env::var_os("PANOTTI_BENCH_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let folder = tempfile::tempdir_in(parent).unwrap();
    let rig = Rig::new(folder.path());
    let plugin = rig.load("tagger", HOOK, json!({}));
    for callers in if long { vec![1, 8, 32, 128] } else { vec![8] } {
        for hooked in [false, true] {
            let members = hooked.then(|| member(&plugin)).into_iter().collect();
            rig.services.hooks.replace(Table::new(members));
            let count = if long { callers * 400 } else { 40 };
            let (took, commits) = create(&rig, callers, count);
            eprintln!(
                "{callers:>3} callers, {}: {:>6.0} clips/s, {:.1} clips a commit",
                if hooked { "one hook" } else { "no hook " },
                count as f64 / took.as_secs_f64(),
                count as f64 / commits as f64,
            );
        }
    }
    idle(&rig, if long { 500 } else { 5 });
}

/// `callers` create one clip after another; the time for `count` in all, and the commits they took.
fn create(rig: &Rig, callers: u64, count: u64) -> (Duration, u64) {
    let body = json!({"title": "Epic Victory", "file_path": "/clips/epic_victory.mp4", "game_name": "Counter-Strike 2",
        "duration": 45, "resolution": "1920x1080", "fps": 60, "tags": ["ace", "clutch"]});
    let (before, began) = (rig.services.store.commits(), Instant::now());
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            let (services, body) = (rig.services.clone(), body.as_object().unwrap().clone());
            rig.runtime.spawn(async move {
                for _ in 0..count / callers {
                    clips::create(&services, &Caller::server(), body.clone(), None).await.unwrap();
                }
            })
        })
        .collect();
    callers.into_iter().for_each(|it| rig.runtime.block_on(it).unwrap());
    (began.elapsed(), rig.services.store.commits() - before)
}

/// Memory of plugins that are loaded and never called.
fn idle(rig: &Rig, count: usize) {
    let before = resident_bytes();
    let plugins: Vec<_> =
        (0..count).map(|number| rig.load(&format!("idle{number}"), IDLE, json!({}))).collect();
    let each = (resident_bytes().saturating_sub(before)) as f64 / count as f64 / 1024.0;
    let lua = plugins.iter().map(|it| it.stats().memory_bytes).sum::<usize>() / count / 1024;
    eprintln!("{count} idle plugins: {each:.0} KiB each ({lua} KiB of it Lua's)");
}
