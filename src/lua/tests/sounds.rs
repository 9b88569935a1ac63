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

pub(super) fn quiet_wav(path: &Path, seconds: u32) {
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

#[test]
fn what_a_plugin_makes_up_opens_no_file() {
    let bench = Bench::new();
    quiet_wav(&bench._world.recordings_dir().join("private.wav"), 1);
    let plugin = bench.load(
        "local function hear(what)
            local ok, told = pcall(panotti.media.probe, 'private.wav')
            panotti.kv.set('heard', ok)
            if not ok then assert(told:find(\"permission 'media'\", 1, true), told) end
        end
        panotti.events.subscribe('**', hear)
        panotti.on.after_recording_end(hear)
        panotti.on.on_load(hear)
        panotti.on.on_config_changed(hear)",
    );
    let heard = |call: HookCall| {
        let reply = bench.runtime.block_on(plugin.call(call)).unwrap_or_else(|it| panic!("{:?}", it.fault));
        match &reply.effects.kv[..] {
            [crate::model::call::KvOp::Set { value, .. }] => value.as_bool().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let recording = json!({"id": "r1", "tracks": {"t": {"path": "private.wav", "origin": "server"}, "u": {"path": "private.wav"}}});
    let told_by = |hook: Hook, source: &str| {
        let mut call = call(&plugin, hook, recording.clone());
        let ctx = Arc::make_mut(&mut call.ctx);
        Arc::make_mut(&mut ctx.caller).source = source.to_owned().into();
        ctx.event_id = Some("e1".into());
        call
    };
    let event_of = |source: &str| HookCall {
        target: Target::Slot(plugin.subscriptions()[0].slot),
        payload: json!({"type": "kev.x", "source": source, "data": recording.clone()}).into(),
        ctx: CallContext::new("event", told_by(Hook::AfterRecordingEnd, source).ctx.caller.clone()).into(),
        asked_at: Instant::now(),
        timeout: None,
        deadline: None,
        is_question: false,
        then: None,
    };
    // The server's origin leads to the media folder, where no such file is: what is asked is the door.
    assert!(heard(event_of("panotti")) && heard(told_by(Hook::AfterRecordingEnd, "panotti")));
    for source in ["plugin/quiet", "plugin/other", "http", ""] {
        assert!(!heard(event_of(source)), "{source}");
        assert!(!heard(told_by(Hook::AfterRecordingEnd, source)), "{source}");
    }
    // Of the host, but because of what the plugin itself has done, be it through others.
    for (by, is_open) in [(["other", "quiet"], false), (["other", "third"], true)] {
        let by = |mut call: HookCall| {
            let ctx = Arc::make_mut(&mut call.ctx);
            Arc::make_mut(&mut ctx.caller).plugins = by.map(Arc::from).into();
            call
        };
        assert_eq!(heard(by(event_of("panotti"))), is_open);
        assert_eq!(heard(by(told_by(Hook::AfterRecordingEnd, "panotti"))), is_open);
    }
    for hook in [Hook::OnLoad, Hook::OnConfigChanged] {
        assert!(!heard(call(&plugin, hook, recording.clone())), "{hook:?}");
    }
}
