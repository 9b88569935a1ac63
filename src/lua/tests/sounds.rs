//! Long work on audio ends with the call that wanted it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;

use crate::model::call::Outcome;

use super::*;

const DENOISES: &str = "panotti.on.on_clip_captured(function(clip)
    local made, failure = panotti.media.denoise(clip.file_path)
    return { metadata = { frames = made and made.frames or failure.code } }
end)";

fn quiet_wav(path: &Path, seconds: u32) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    (0..seconds * 16_000)
        .for_each(|n| writer.write_sample((n.wrapping_mul(7919) % 2000) as i16 - 1000).unwrap());
    writer.finalize().unwrap();
}

fn cuts(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).map(|all| all.map(|it| it.unwrap().path()).collect()).unwrap_or_default()
}

#[test]
fn what_a_dead_call_had_begun_ends_and_leaves_nothing_behind() {
    let bench = Bench::new();
    let [long, short] = ["long.wav", "short.wav"].map(|it| bench._world.recordings_dir().join(it));
    quiet_wav(&long, 900);
    quiet_wav(&short, 1);
    let folder = bench._world.services.settings.data_dir.join("plugins/quiet/cuts");
    let clip = |path: &Path| json!({"id": 1, "file_path": path});
    let hasty = bench.load_with(DENOISES, json!({"question_wall_ms": 300})).unwrap();
    // As many as there are places for such work, and more that wait for one.
    let began = Instant::now();
    for _ in 0..4 {
        let ended = bench.ask(&hasty, Hook::OnClipCaptured, clip(&long));
        assert_eq!(ended.map(|it| it.outcome).map_err(|it| it.outcome), Err(Outcome::Deadline));
    }
    let spent = began.elapsed();
    until("the unfinished files are gone", || cuts(&folder).is_empty());
    assert!(spent < Duration::from_secs(20), "four times a quarter of an hour: {spent:?}");
    // The places are free again.
    let patient = bench.load_with(DENOISES, json!({"question_wall_ms": 20_000})).unwrap();
    assert_eq!(bench.patch(&patient, clip(&short)), json!({"metadata": {"frames": 16_000}}));
    assert_eq!(cuts(&folder).len(), 1);
}
