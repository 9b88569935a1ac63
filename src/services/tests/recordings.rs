//! Recordings: mission A.

use serde_json::{Value, json};

use super::rig::{Does, NOW_US, Rig, body, http, patch};
use crate::error::{Code, Error};
use crate::hooks::{Answer, Hook, OnError};
use crate::model::recording::{RecordingStatus, TrackOrigin};
use crate::services::idempotency::{self, Idempotency};
use crate::services::recordings::{self, Dialect, Include, Told};

const START: Hook = Hook::BeforeRecordingStart;

async fn start(rig: &Rig, sent: Value) -> Result<Told, Error> {
    recordings::start(&rig.services, &http(), body(sent), Dialect::V1, None).await
}

async fn end(rig: &Rig, id: &str, sent: Value) -> Result<Told, Error> {
    recordings::end(&rig.services, &http(), Some(id), body(sent), Dialect::V1, None).await
}

async fn older_end(rig: &Rig, sent: Value) -> Result<Told, Error> {
    recordings::end(&rig.services, &http(), None, body(sent), Dialect::Older, None).await
}

fn stored(rig: &Rig, id: &str) -> crate::model::recording::Recording {
    recordings::get(&rig.services, id, Include::default()).unwrap().recording
}

#[tokio::test]
async fn a_start_asks_in_order_and_stores_what_came_of_it_with_the_event_and_the_keys() {
    let rig = Rig::new();
    rig.plugin("first", &[START], |_| patch(json!({"title": "One", "metadata": {"a": 1}})));
    rig.plugin("second", &[START], |it| {
        patch(json!({"title": format!("{} Two", it["title"].as_str().unwrap())}))
    });
    rig.plugin("third", &[START], |_| Does::Keeps("seen"));
    let told = start(&rig, json!({"id": "r", "metadata": {"eventTitle": "Talk"}})).await.unwrap();
    assert_eq!(told.recording.title.as_deref(), Some("One Two"));
    assert_eq!(stored(&rig, "r"), told.recording);
    assert_eq!(Value::Object(told.recording.metadata), json!({"eventTitle": "Talk", "a": 1}));
    assert_eq!(rig.heard.lock()[0].2["id"], "r");
    assert_eq!(rig.told("recording/r"), ["recording.started"]);
    assert_eq!(rig.kept("third", "seen"), Some(json!(1)));
}

#[tokio::test]
async fn a_refused_start_leaves_nothing_behind() {
    let rig = Rig::new();
    rig.plugin("keeps", &[START], |_| Does::Keeps("seen"));
    rig.plugin("gate", &[START], |_| Does::Returns(Answer::Deny { reason: "private".into(), status: None }));
    let error = start(&rig, json!({"id": "r"})).await.unwrap_err();
    assert_eq!((error.code, error.status()), (Code::HookDenied, 422));
    assert!(recordings::get(&rig.services, "r", Include::default()).is_err());
    assert!(rig.told("recording/r").is_empty() && rig.kept("keeps", "seen").is_none());
}

#[tokio::test]
async fn a_broken_plugin_costs_no_recording_but_a_gate_that_fails_stays_shut() {
    let rig = Rig::new();
    rig.plugin("broken", &[START], |_| Does::Fails);
    rig.plugin("wrong", &[START], |_| patch(json!({"title": 5, "id": "other"})));
    assert_eq!(
        start(&rig, json!({"id": "r", "title": "T"})).await.unwrap().recording.title.as_deref(),
        Some("T")
    );
    rig.member("gate", &[START], &[], OnError::Deny, |_| Does::Fails);
    assert_eq!(start(&rig, json!({"id": "s"})).await.unwrap_err().code, Code::HookDenied);
}

#[tokio::test]
async fn the_same_start_again_asks_nobody_and_another_contradicts() {
    let rig = Rig::new();
    rig.plugin("titles", &[START], |_| patch(json!({"title": "Theirs"})));
    let sent = json!({"id": "r", "title": "Mine", "started_at": "2025-01-25T09:00:00+00:00"});
    let first = start(&rig, sent.clone()).await.unwrap();
    let again = start(&rig, json!({"id": "r", "started_at": 1_737_795_600, "title": "Mine"})).await.unwrap();
    assert!(again.duplicate && !first.duplicate);
    assert_eq!((again.event_id, again.recording), (first.event_id, first.recording));
    assert!(start(&rig, json!({"id": "r"})).await.unwrap().duplicate);
    assert_eq!(rig.heard.lock().len(), 1);
    for other in [json!({"id": "r", "title": "Theirs"}), json!({"id": "r", "metadata": {"x": 1}})] {
        assert_eq!(start(&rig, other).await.unwrap_err().code, Code::ContradictingContent);
    }
    assert_eq!(rig.told("recording/r"), ["recording.started"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_equal_starts_at_once_one_is_the_first_and_asks() {
    let rig = Rig::new();
    rig.plugin("slow", &[START], |_| Does::Takes(std::time::Duration::from_millis(20), Answer::Nothing));
    let starts = (0..8).map(|_| start(&rig, json!({"id": "r"})));
    let told = futures_util::future::join_all(starts).await;
    assert_eq!(told.into_iter().filter(|it| !it.as_ref().unwrap().duplicate).count(), 1);
    assert_eq!(rig.heard.lock().len(), 1);
}

#[tokio::test]
async fn generated_ids_carry_the_second_and_differ() {
    let rig = Rig::new();
    rig.plugin("sees", &[START], |_| Does::Keeps("seen"));
    let one = start(&rig, json!({})).await.unwrap().recording;
    let two = start(&rig, json!({"metadata": null})).await.unwrap().recording;
    assert!(one.id.starts_with("20250125100000_") && one.id.len() == 23 && one.id != two.id);
    assert_eq!(rig.heard.lock()[0].2["id"], one.id.as_str());
    assert_eq!(one.started_at.0, NOW_US);
    assert!(start(&rig, json!({"id": one.id})).await.unwrap().duplicate);
}

#[tokio::test]
async fn a_generated_id_that_is_taken_already_is_followed_by_another() {
    let rig = Rig::new();
    // The clock stands still: there are 4096 ids for 300 recordings, and none of them is looked up before.
    let mut ids = std::collections::HashSet::new();
    for _ in 0..300 {
        ids.insert(start(&rig, json!({})).await.unwrap().recording.id);
    }
    assert_eq!(ids.len(), 300);
    assert!(ids.iter().all(|id| rig.told(&format!("recording/{id}")) == ["recording.started"]));
}

#[tokio::test]
async fn all_faults_of_a_body_are_told_at_once() {
    let rig = Rig::new();
    let wrong = json!({"id": "../x", "started_at": "yesterday", "metdata": {}, "title": 5});
    let error = start(&rig, wrong).await.unwrap_err();
    let pointers: Vec<_> = error.errors.iter().map(|it| it.pointer.as_str()).collect();
    assert_eq!(pointers, ["/id", "/title", "/started_at", "/metdata"]);
    assert!(error.errors[2].message.contains("RFC 3339"));
    let no_offset = start(&rig, json!({"started_at": "2025-01-25T10:00:00"})).await.unwrap_err();
    assert_eq!(no_offset.errors[0].pointer, "/started_at");
    let large = "x".repeat(300_000);
    let error = start(&rig, json!({"metadata": {"x": large}})).await.unwrap_err();
    assert!(error.errors[0].message.contains("metadata_max_bytes"));
}

#[tokio::test]
async fn an_end_completes_tells_and_repeats_itself_once() {
    let rig = Rig::new();
    start(&rig, json!({"id": "r", "started_at": "2025-01-25T09:00:00Z", "metadata": {"a": 1}}))
        .await
        .unwrap();
    let sent = json!({"ended_at": "2025-01-25T09:00:01.500Z", "metadata": {"a": null, "b": 2}});
    let told = end(&rig, "r", sent.clone()).await.unwrap();
    assert_eq!((told.recording.status, told.recording.duration), (RecordingStatus::Completed, Some(1.5)));
    assert_eq!(Value::Object(told.recording.metadata.clone()), json!({"b": 2}));
    assert_eq!(stored(&rig, "r"), told.recording);
    assert!(end(&rig, "r", sent).await.unwrap().duplicate);
    assert!(end(&rig, "r", json!({})).await.unwrap().duplicate);
    let other = end(&rig, "r", json!({"ended_at": "2025-01-25T09:00:02Z"})).await.unwrap_err();
    assert_eq!(other.code, Code::ContradictingContent);
    assert_eq!(rig.told("recording/r"), ["recording.started", "recording.ended"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_changes_a_recording_while_it_is_being_ended_is_not_lost() {
    let rig = Rig::new();
    for round in 0..20 {
        let id = format!("r{round}");
        start(&rig, json!({"id": id})).await.unwrap();
        let touched = (0..20).map(|_| {
            let id = id.clone();
            let now = rig.services.now();
            rig.services.store.write(move |tx| tx.touch_recording(&id, now))
        });
        let (touched, told) =
            tokio::join!(futures_util::future::join_all(touched), end(&rig, &id, json!({})));
        assert!(touched.into_iter().all(|it| it.is_ok()));
        assert_eq!(told.unwrap().recording.status, RecordingStatus::Completed);
        let stored = stored(&rig, &id);
        assert_eq!((stored.version, stored.status), (22, RecordingStatus::Completed));
    }
}

#[tokio::test]
async fn an_end_before_the_start_or_of_nothing_is_refused_and_changes_nothing() {
    let rig = Rig::new();
    start(&rig, json!({"id": "r"})).await.unwrap();
    let error = end(&rig, "r", json!({"ended_at": "2025-01-25T09:59:59Z"})).await.unwrap_err();
    assert_eq!(error.errors[0].pointer, "/ended_at");
    assert_eq!(stored(&rig, "r").status, RecordingStatus::Active);
    assert_eq!(end(&rig, "unknown", json!({})).await.unwrap_err().code, Code::RecordingNotFound);
}

#[tokio::test]
async fn older_clients_speak_in_their_own_words_and_never_lose_a_meeting() {
    let rig = Rig::new();
    let sent = json!({"recordingId": "old", "timestamp": "2025-01-25T09:00:00", "event": "Whatever", "x": 1,
        "eventTitle": "Standup"});
    let told = recordings::start(&rig.services, &http(), body(sent), Dialect::Older, None).await.unwrap();
    assert_eq!(told.recording.metadata["eventTitle"], "Standup");
    let sent = json!({"session_id": "old", "recordingTimestamp": "20250125090010", "systemAudioPath": "",
        "MicrophoneAudioPath": "/etc/passwd"});
    let told = older_end(&rig, sent).await.unwrap().recording;
    assert_eq!(told.duration, Some(10.0));
    let microphone = &told.tracks["microphone"];
    assert!(microphone.probe_error.is_some() && microphone.origin == TrackOrigin::Client);
    let read = crate::services::tracks::open(&rig.services, "old", "microphone").unwrap_err();
    assert_eq!(read.code, Code::MediaUnavailable);

    let lost = json!({"recording_id": "20250125093000_4AFEA8B6", "timestamp": 1_737_799_200});
    let told = older_end(&rig, lost.clone()).await.unwrap().recording;
    assert!(told.start_missing && told.status == RecordingStatus::Completed);
    assert_eq!(told.duration, Some(1800.0));
    assert!(older_end(&rig, lost).await.unwrap().duplicate);
}

#[tokio::test]
async fn files_that_a_client_names_lie_below_the_recordings_directory() {
    let rig = Rig::new();
    start(&rig, json!({"id": "r"})).await.unwrap();
    let inside = rig.folder.path().join("theirs/sys.wav");
    std::fs::write(&inside, super::rig::wav(0, 500, true)).unwrap();
    for outside in ["/etc/passwd", "../panotti.db", "theirs/../../x"] {
        let error = end(&rig, "r", json!({"tracks": {"system": {"path": outside}}})).await.unwrap_err();
        assert_eq!(error.errors[0].pointer, "/tracks/system", "{outside}");
    }
    let sent =
        json!({"system_audio_path": inside.to_str().unwrap(), "tracks": {"mic": {"path": "gone.wav"}}});
    let tracks = end(&rig, "r", sent).await.unwrap().recording.tracks;
    assert_eq!((tracks["system"].duration, tracks["system"].origin), (Some(0.5), TrackOrigin::Client));
    assert!(tracks["mic"].probe_error.is_some());
    std::os::unix::fs::symlink("/etc/passwd", rig.folder.path().join("theirs/gone.wav")).unwrap();
    assert!(crate::services::tracks::open(&rig.services, "r", "mic").is_err());
    recordings::delete(&rig.services, &http(), "r", true, None).await.unwrap();
    assert!(inside.exists());
}

#[tokio::test]
async fn a_change_merges_counts_the_version_and_minds_it() {
    let rig = Rig::new();
    let first =
        start(&rig, json!({"id": "r", "title": "T", "metadata": {"a": 1, "b": {"c": 1}}})).await.unwrap();
    let change = |sent: Value, version| {
        let services = rig.services.clone();
        async move { recordings::patch(&services, &http(), "r", body(sent), version).await }
    };
    let sent = json!({"title": null, "metadata": {"b": {"d": 2}}});
    let changed = change(sent.clone(), Some(first.recording.version)).await.unwrap();
    assert_eq!(changed.title, None);
    assert_eq!(Value::Object(changed.metadata.clone()), json!({"a": 1, "b": {"c": 1, "d": 2}}));
    let late = change(json!({"title": "x"}), Some(first.recording.version)).await.unwrap_err();
    assert_eq!(late.code, Code::PreconditionFailed);
    assert_eq!(change(sent, None).await.unwrap().version, changed.version);
    assert_eq!(rig.told("recording/r"), ["recording.started", "recording.updated"]);
}

#[tokio::test]
async fn only_an_ended_recording_is_deleted_and_its_news_stay() {
    let rig = Rig::new();
    start(&rig, json!({"id": "r"})).await.unwrap();
    let refused = recordings::delete(&rig.services, &http(), "r", false, None).await.unwrap_err();
    assert_eq!(refused.code, Code::RecordingActive);
    end(&rig, "r", json!({})).await.unwrap();
    recordings::delete(&rig.services, &http(), "r", false, None).await.unwrap();
    assert!(recordings::get(&rig.services, "r", Include::default()).is_err());
    assert_eq!(recordings::events(&rig.services, "r", 10).await.unwrap()[0]["type"], "recording.deleted");
}

#[tokio::test]
async fn what_is_asked_for_beside_a_recording_comes_with_it() {
    let rig = Rig::new();
    start(&rig, json!({"id": "r"})).await.unwrap();
    let all = recordings::get(&rig.services, "r", Include::parse("clips,events, tasks").unwrap()).unwrap();
    assert_eq!((all.clips, all.tasks), (Some(vec![]), Some(vec![])));
    assert_eq!(all.events.unwrap().len(), 1);
    assert!(Include::parse("clip").unwrap_err().contains("`clip`"));
    assert_eq!(recordings::active(&rig.services).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_retry_with_its_key_is_given_the_first_answer() {
    let rig = Rig::new();
    let key =
        |sent: &[u8]| Idempotency::new(&rig.services, "t1", "k", &[b"POST", b"/recordings", sent]).unwrap();
    let once = key(b"{}");
    assert_eq!(idempotency::recall(&rig.services, &once).unwrap(), None);
    let run = |once: Idempotency| {
        let services = rig.services.clone();
        async move { recordings::start(&services, &http(), body(json!({})), Dialect::V1, Some(&once)).await }
    };
    let told = run(once.clone()).await.unwrap();
    let recalled = idempotency::recall(&rig.services, &once).unwrap().unwrap();
    assert_eq!((recalled.status, &recalled.body["id"]), (201, &json!(told.recording.id)));
    let reused = idempotency::recall(&rig.services, &key(b"{\"title\":\"x\"}")).unwrap_err();
    assert_eq!(reused.code, Code::IdempotencyKeyReused);
    assert_eq!(run(once).await.unwrap_err().code, Code::Conflict);
    assert_eq!(recordings::active(&rig.services).await.unwrap().len(), 1);
}
