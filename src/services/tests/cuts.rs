//! Clips that are cut: mission B7.

use serde_json::{Value, json};

use super::rig::{Does, Rig, body, http, patch, samples, wav};
use super::tracks::{append, end, start};
use crate::error::{Code, Error};
use crate::hooks::Hook;
use crate::model::clip::Clip;
use crate::services::{clips, recordings, tracks};

pub(super) async fn cut(rig: &Rig, sent: Value) -> Result<Clip, Error> {
    clips::create(&rig.services, &http(), body(sent), None).await.map(|it| it.clip)
}

fn content(rig: &Rig, id: i64) -> Vec<i16> {
    let (_, media) = clips::content(&rig.services, id).unwrap();
    samples(&std::fs::read(media.path()).unwrap())
}

#[tokio::test]
async fn the_last_seconds_of_a_running_recording_are_cut_to_the_sample_before_the_hooks_see_them() {
    let rig = Rig::new();
    rig.plugin("tags", &[Hook::OnClipCaptured], |clip| {
        assert!(std::path::Path::new(clip["file_path"].as_str().unwrap()).exists());
        patch(json!({"tags": [format!("{} s", clip["duration"])]}))
    });
    start(&rig, "r").await;
    append(&rig, "r", 0, &wav(0, 5000, false)).await.unwrap();
    let clip = cut(&rig, json!({"recording_id": "r", "last": 1.5})).await.unwrap();
    assert_eq!(content(&rig, clip.id), (3500..5000).collect::<Vec<i16>>());
    assert_eq!(
        (clip.duration, clip.file_size, clip.codec.as_deref()),
        (Some(1.5), Some(3044), Some("pcm_s16le"))
    );
    assert_eq!(
        (clip.title.as_str(), clip.tags.as_slice()),
        ("Talk 00:00:03", ["1.5 s".to_owned()].as_slice())
    );
    assert!(!clip.processed && clip.recording_id.as_deref() == Some("r"));
    assert_eq!(clip.recorded_at.unwrap().to_string(), "2025-01-25T10:00:03.500Z");
    assert!(clip.file_path.ends_with(&format!("media/clips/{}.wav", clip.id)));
    append(&rig, "r", 10_044, &wav(5000, 100, false)[44..]).await.unwrap();
    let all = cut(&rig, json!({"recording_id": "r", "last": 1e6, "title": "All"})).await.unwrap();
    assert_eq!((content(&rig, all.id).len(), all.title.as_str()), (5100, "All"));
}

#[tokio::test]
async fn what_is_being_sent_at_this_moment_belongs_to_the_last_seconds() {
    let rig = Rig::new();
    start(&rig, "r").await;
    append(&rig, "r", 0, &wav(0, 10, false)).await.unwrap();
    let mut long = tracks::begin_append(&rig.services, "r", "system", 64, None).await.unwrap();
    long.write(bytes::Bytes::from(vec![7; 600 * 1024])).await.unwrap();
    let clip = cut(&rig, json!({"recording_id": "r", "last": 0.01})).await.unwrap();
    assert_eq!(content(&rig, clip.id), vec![i16::from_le_bytes([7, 7]); 10]);
}

#[tokio::test]
async fn a_passage_stays_within_the_recording() {
    let rig = Rig::new();
    start(&rig, "r").await;
    append(&rig, "r", 0, &wav(0, 2000, false)).await.unwrap();
    end(&rig, "r").await;
    let clip =
        cut(&rig, json!({"recording_id": "r", "track": "system", "start": 0.25, "end": 99})).await.unwrap();
    assert_eq!(content(&rig, clip.id), (250..2000).collect::<Vec<i16>>());
    let beyond = cut(&rig, json!({"recording_id": "r", "start": 2, "end": 3})).await.unwrap_err();
    assert_eq!((beyond.code, beyond.status()), (Code::OutOfRange, 422));
    for (wrong, at) in [
        (json!({"recording_id": "r"}), "/start"),
        (json!({"recording_id": "r", "start": 1}), "/end"),
        (json!({"recording_id": "r", "start": 2, "end": 1}), "/end"),
        (json!({"recording_id": "r", "start": 1, "end": 2, "last": 3}), "/last"),
        (json!({"recording_id": "r", "last": 0}), "/last"),
        (json!({"recording_id": "none", "last": 1}), "/recording_id"),
        (json!({"recording_id": "r", "track": "mic", "last": 1}), "/track"),
        (json!({"recording_id": "r", "last": 1, "file_path": "x"}), "/file_path"),
    ] {
        let error = cut(&rig, wrong.clone()).await.unwrap_err();
        assert_eq!((error.errors[0].pointer.as_str(), error.status()), (at, 422), "{wrong}");
    }
    assert_eq!(rig.files().iter().filter(|it| it.starts_with("clips/")).count(), 1);
}

#[tokio::test]
async fn without_audio_nothing_is_cut() {
    let rig = Rig::new();
    start(&rig, "r").await;
    assert_eq!(cut(&rig, json!({"recording_id": "r", "last": 1})).await.unwrap_err().code, Code::NoAudio);
    append(&rig, "r", 0, b"this is no audio").await.unwrap();
    assert_eq!(cut(&rig, json!({"recording_id": "r", "last": 1})).await.unwrap_err().code, Code::NoAudio);
    assert_eq!(rig.files(), ["recordings/r/system.bin"]);
}

#[tokio::test]
async fn the_servers_own_file_goes_with_its_clip_only_when_asked_for_and_outlives_its_recording() {
    let rig = Rig::new();
    rig.plugin("broken", &[Hook::OnClipCaptured], |_| Does::Fails);
    start(&rig, "r").await;
    append(&rig, "r", 0, &wav(0, 2000, false)).await.unwrap();
    end(&rig, "r").await;
    let clip = cut(&rig, json!({"recording_id": "r", "last": 1})).await.unwrap();
    recordings::delete(&rig.services, &http(), "r", true, None).await.unwrap();
    assert_eq!(clips::get(&rig.services, clip.id).unwrap().recording_id, None);
    assert_eq!(content(&rig, clip.id).len(), 1000);
    assert_eq!(clips::waveform(&rig.services, clip.id, 5).await.unwrap().len(), 5);
    clips::delete(&rig.services, &http(), clip.id, true, None).await.unwrap();
    assert!(rig.files().is_empty());
}
