//! Tracks: mission A8.

use std::io::Write;

use bytes::Bytes;
use serde_json::json;

use super::rig::{Rig, body, http, samples, wav};
use crate::error::{Code, Error};
use crate::model::recording::{Track, TrackState};
use crate::services::files::Expected;
use crate::services::recordings::{self, Dialect, Include};
use crate::services::tracks::{self, Recovered, Upload};

pub async fn start(rig: &Rig, id: &str) {
    let sent = body(json!({"id": id, "title": "Talk"}));
    recordings::start(&rig.services, &http(), sent, Dialect::V1, None).await.unwrap();
}

pub async fn end(rig: &Rig, id: &str) -> recordings::Told {
    recordings::end(&rig.services, &http(), Some(id), body(json!({})), Dialect::V1, None).await.unwrap()
}

pub async fn append(rig: &Rig, id: &str, offset: u64, bytes: &[u8]) -> Result<Track, Error> {
    let mut append = tracks::begin_append(&rig.services, id, "system", offset, None).await?;
    for chunk in bytes.chunks(700) {
        append.write(Bytes::copy_from_slice(chunk)).await?;
    }
    append.finish().await
}

async fn put(
    rig: &Rig,
    track: &str,
    bytes: &[u8],
    upload: Upload,
    expected: Expected,
) -> Result<Track, Error> {
    let mut sink = tracks::begin_upload(&rig.services, &http(), "r", track, upload).await?;
    for chunk in bytes.chunks(999) {
        sink.write(Bytes::copy_from_slice(chunk)).await?;
    }
    sink.finish(&expected).await
}

fn row(rig: &Rig, track: &str) -> Option<Track> {
    let found = recordings::get(&rig.services, "r", Include::default()).unwrap();
    found.recording.tracks.get(track).cloned()
}

#[tokio::test]
async fn a_whole_track_is_stored_probed_hashed_and_told() {
    let rig = Rig::new();
    start(&rig, "r").await;
    let bytes = wav(0, 2000, true);
    let track = put(&rig, "system", &bytes, Upload::default(), Expected::default()).await.unwrap();
    assert_eq!((track.duration, track.sample_rate, track.channels), (Some(2.0), Some(1000), Some(1)));
    assert_eq!((track.size, track.state), (4044, TrackState::Stored));
    assert_eq!(row(&rig, "system"), Some(track.clone()));
    assert_eq!(rig.files(), ["recordings/r/system.wav"]);
    let (_, media) = tracks::open(&rig.services, "r", "system").unwrap();
    assert_eq!((std::fs::read(media.path()).unwrap(), media.content_type), (bytes, "audio/wav"));
    let peaks = tracks::waveform(&rig.services, "r", "system", 10).await.unwrap();
    assert_eq!(peaks.len(), 10);
    assert_eq!(rig.told("recording/r"), ["recording.started", "track.stored"]);
    let wrong = tracks::waveform(&rig.services, "r", "system", 0).await.unwrap_err();
    assert_eq!(wrong.code, Code::Invalid);
}

#[tokio::test]
async fn a_body_that_is_not_what_was_announced_stores_nothing() {
    let rig = Rig::new();
    start(&rig, "r").await;
    let bytes = wav(0, 100, true);
    let longer = Expected { len: Some(bytes.len() as u64 + 1), ..Expected::default() };
    let error = put(&rig, "system", &bytes, Upload::default(), longer).await.unwrap_err();
    assert_eq!(error.code, Code::BadHeader);
    let other = Expected { sha256: Some("00".repeat(32)), ..Expected::default() };
    assert!(put(&rig, "system", &bytes, Upload::default(), other).await.is_err());
    let mut broken_off =
        tracks::begin_upload(&rig.services, &http(), "r", "system", Upload::default()).await.unwrap();
    broken_off.write(Bytes::from(bytes)).await.unwrap();
    assert_eq!(rig.files(), ["recordings/r/system.part"]);
    drop(broken_off);
    assert!(row(&rig, "system").is_none() && rig.files().is_empty());
}

#[tokio::test]
async fn what_cannot_be_decoded_is_stored_and_says_so() {
    let rig = Rig::new();
    start(&rig, "r").await;
    let track = put(&rig, "notes", b"no audio at all", Upload::default(), Expected::default()).await.unwrap();
    assert!(track.probe_error.is_some() && track.size == 15);
    let error = tracks::waveform(&rig.services, "r", "notes", 10).await.unwrap_err();
    assert_eq!(error.code, Code::NoAudio);
}

#[tokio::test]
async fn a_track_is_replaced_while_it_runs_and_afterwards_only_when_asked_for() {
    let rig = Rig::new();
    start(&rig, "r").await;
    for samples in [100, 200] {
        put(&rig, "system", &wav(0, samples, true), Upload::default(), Expected::default()).await.unwrap();
    }
    assert_eq!(row(&rig, "system").unwrap().duration, Some(0.2));
    end(&rig, "r").await;
    let again = wav(0, 300, true);
    let refused = put(&rig, "system", &again, Upload::default(), Expected::default()).await.unwrap_err();
    assert_eq!(refused.code, Code::RecordingCompleted);
    put(&rig, "late", &again, Upload::default(), Expected::default()).await.unwrap();
    let upload = Upload { replace: true, ..Upload::default() };
    put(&rig, "system", &again, upload, Expected::default()).await.unwrap();
    assert_eq!(row(&rig, "system").unwrap().duration, Some(0.3));
}

#[tokio::test]
async fn an_upload_that_is_too_large_or_wrongly_named_is_refused() {
    let rig = Rig::with(std::time::Duration::from_secs(3), |it| it.upload_max_bytes = 1000);
    start(&rig, "r").await;
    let announced = Upload { len: Some(1001), ..Upload::default() };
    for (bytes, upload) in [(vec![0; 5], announced), (vec![0; 1001], Upload::default())] {
        let error = put(&rig, "system", &bytes, upload, Expected::default()).await.unwrap_err();
        assert!(error.code == Code::TooLarge && error.detail.contains("upload_max_bytes"));
    }
    assert_eq!(append(&rig, "r", 0, &[0; 1001]).await.unwrap_err().code, Code::TooLarge);
    let name = put(&rig, "../x", b"x", Upload::default(), Expected::default()).await.unwrap_err();
    assert_eq!(name.code, Code::BadPath);
    assert!(row(&rig, "system").is_none());
}

#[tokio::test]
async fn a_live_track_grows_by_offset_and_is_mended_at_the_end() {
    let rig = Rig::new();
    start(&rig, "r").await;
    let bytes = wav(0, 1000, false);
    let (first, rest) = bytes.split_at(1001);
    append(&rig, "r", 0, first).await.unwrap();
    let wrong = append(&rig, "r", 7, rest).await.unwrap_err();
    assert_eq!(wrong.code, Code::OffsetMismatch);
    assert_eq!(wrong.members, [("expected_offset", json!(1001))]);
    let track = append(&rig, "r", 1001, rest).await.unwrap();
    assert_eq!((track.state, track.size, track.duration), (TrackState::Live, 2044, Some(1.0)));
    let told = end(&rig, "r").await.recording;
    let whole = &told.tracks["system"];
    assert_eq!((whole.state, whole.duration), (TrackState::Stored, Some(1.0)));
    assert!(whole.sha256.is_some() && row(&rig, "system").as_ref() == Some(whole));
    let stored = std::fs::read(rig.services.files.own(&whole.path)).unwrap();
    assert_eq!(stored, wav(0, 1000, true));
    assert_eq!(append(&rig, "r", 2044, b"x").await.unwrap_err().code, Code::RecordingCompleted);
    assert_eq!(rig.told("recording/r"), ["recording.started", "track.stored", "recording.ended"]);
}

#[tokio::test]
async fn one_at_a_time_appends_and_the_end_takes_over_what_was_written() {
    let rig = Rig::new();
    start(&rig, "r").await;
    append(&rig, "r", 0, &wav(0, 100, false)).await.unwrap();
    let mut long = tracks::begin_append(&rig.services, "r", "system", 244, None).await.unwrap();
    assert_eq!(append(&rig, "r", 244, b"xx").await.unwrap_err().code, Code::Conflict);
    // More than is gathered in memory: it is in the file, but not acknowledged.
    long.write(Bytes::from(vec![0; 600 * 1024])).await.unwrap();
    let told = end(&rig, "r").await.recording;
    assert_eq!(told.tracks["system"].size, 244 + 600 * 1024);
    assert_eq!(
        long.write(Bytes::from(vec![0; 600 * 1024])).await.unwrap_err().code,
        Code::RecordingCompleted
    );
    drop(long);
    let (_, media) = tracks::open(&rig.services, "r", "system").unwrap();
    assert_eq!(media.len, 244 + 600 * 1024);
}

#[tokio::test]
async fn an_append_that_breaks_off_leaves_what_was_acknowledged() {
    let rig = Rig::new();
    start(&rig, "r").await;
    append(&rig, "r", 0, &wav(0, 100, false)).await.unwrap();
    let mut broken = tracks::begin_append(&rig.services, "r", "system", 244, None).await.unwrap();
    broken.write(Bytes::from(vec![9; 600 * 1024])).await.unwrap();
    drop(broken);
    let (_, media) = tracks::open(&rig.services, "r", "system").unwrap();
    assert_eq!(media.len, 244);
    append(&rig, "r", 244, &[1, 0]).await.unwrap();
    let track = row(&rig, "system").unwrap();
    let stored = std::fs::read(rig.services.files.own(&track.path)).unwrap();
    assert_eq!((stored.len(), samples(&stored).last()), (246, Some(&1)));
}

#[tokio::test]
async fn a_start_cuts_tails_and_moves_what_no_row_names_but_deletes_nothing() {
    let rig = Rig::new();
    start(&rig, "r").await;
    append(&rig, "r", 0, &wav(0, 100, false)).await.unwrap();
    put(&rig, "mic", &wav(0, 100, true), Upload::default(), Expected::default()).await.unwrap();
    let media = rig.services.files.root().to_owned();
    let mut live =
        std::fs::OpenOptions::new().append(true).open(media.join("recordings/r/system.wav")).unwrap();
    live.write_all(b"never acknowledged").unwrap();
    std::fs::create_dir_all(media.join("recordings/gone")).unwrap();
    for orphan in ["recordings/r/mic.part", "recordings/gone/system.wav", "clips/7.wav", "clips/8.wav.part"] {
        std::fs::write(media.join(orphan), orphan).unwrap();
    }
    let rig = rig.restarted();
    let found = tracks::recover(&rig.services).await.unwrap();
    assert_eq!(found, Recovered { cut: 1, closed: 0, found: 0, moved: 4 });
    let expected = [
        "lost+found/clips_7.wav",
        "lost+found/clips_8.wav.part",
        "lost+found/recordings_gone_system.wav",
        "lost+found/recordings_r_mic.part",
        "recordings/r/mic.wav",
        "recordings/r/system.wav",
    ];
    assert_eq!(rig.files(), expected);
    assert_eq!(std::fs::metadata(media.join("recordings/r/system.wav")).unwrap().len(), 244);
    assert_eq!(tracks::recover(&rig.services).await.unwrap(), Recovered::default());
    append(&rig, "r", 244, &[5, 0]).await.unwrap();
}

#[tokio::test]
async fn files_that_another_database_did_not_know_are_back_with_the_one_that_does() {
    let rig = Rig::new();
    start(&rig, "r_1").await;
    append(&rig, "r_1", 0, &wav(0, 100, false)).await.unwrap();
    start(&rig, "r").await;
    put(&rig, "mic", &wav(0, 100, true), Upload::default(), Expected::default()).await.unwrap();
    super::cuts::cut(&rig, serde_json::json!({"recording_id": "r_1", "last": 0.05})).await.unwrap();
    let before = rig.files();
    assert_eq!(before.len(), 3, "{before:?}");
    let media = rig.services.files.root().to_owned();
    std::fs::create_dir_all(media.join("lost+found")).unwrap();
    for file in &before {
        std::fs::rename(media.join(file), media.join("lost+found").join(file.replace('/', "_"))).unwrap();
    }
    // What the row tells of is known by what it holds, not by its name: another file of as many bytes came first.
    let stored = media.join("lost+found/recordings_r_mic.wav");
    std::fs::rename(&stored, media.join("lost+found/recordings_r_mic.wav.2")).unwrap();
    std::fs::write(&stored, wav(7, 100, true)).unwrap();
    let rig = rig.restarted();
    let found = tracks::recover(&rig.services).await.unwrap();
    assert_eq!(found, Recovered { found: 3, ..Recovered::default() });
    let mut after = before;
    after.insert(1, "lost+found/recordings_r_mic.wav".to_owned());
    assert_eq!(rig.files(), after);
    assert_eq!(std::fs::read(media.join("recordings/r/mic.wav")).unwrap(), wav(0, 100, true));
}

#[tokio::test]
async fn of_several_files_that_a_track_that_grows_may_be_none_is_taken_and_one_that_is_cut_stays_whole() {
    let rig = Rig::new();
    start(&rig, "r").await;
    append(&rig, "r", 0, &wav(0, 100, false)).await.unwrap();
    let media = rig.services.files.root().to_owned();
    let lost = media.join("lost+found");
    std::fs::create_dir_all(&lost).unwrap();
    std::fs::rename(media.join("recordings/r/system.wav"), lost.join("recordings_r_system.wav.2")).unwrap();
    std::fs::write(lost.join("recordings_r_system.wav"), [7; 2_000]).unwrap();
    let rig = rig.restarted();
    assert_eq!(tracks::recover(&rig.services).await.unwrap(), Recovered::default());
    std::fs::remove_file(lost.join("recordings_r_system.wav.2")).unwrap();
    let found = tracks::recover(&rig.services).await.unwrap();
    assert_eq!(found, Recovered { found: 1, cut: 1, ..Recovered::default() });
    assert_eq!(std::fs::metadata(media.join("recordings/r/system.wav")).unwrap().len(), 244);
    assert_eq!(std::fs::metadata(lost.join("recordings_r_system.wav")).unwrap().len(), 2_000);
}

#[tokio::test]
async fn files_go_with_their_recording_only_when_asked_for() {
    let rig = Rig::new();
    for (id, files) in [("keep", false), ("r", true)] {
        start(&rig, id).await;
        append(&rig, id, 0, &wav(0, 100, false)).await.unwrap();
        end(&rig, id).await;
        recordings::delete(&rig.services, &http(), id, files, None).await.unwrap();
    }
    assert_eq!(rig.files(), ["recordings/keep/system.wav"]);
    assert!(!rig.services.files.own("recordings/r").exists());
}

#[tokio::test]
async fn a_deleted_track_takes_its_file_along() {
    let rig = Rig::new();
    start(&rig, "r").await;
    put(&rig, "system", &wav(0, 10, true), Upload::default(), Expected::default()).await.unwrap();
    tracks::delete(&rig.services, &http(), "r", "system").await.unwrap();
    assert!(row(&rig, "system").is_none() && rig.files().is_empty());
    let again = tracks::delete(&rig.services, &http(), "r", "system").await.unwrap_err();
    assert_eq!(again.code, Code::TrackNotFound);
}
