//! Clips: mission B.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::rig::{Does, Rig, body, http, patch, wav};
use crate::error::{Code, Error};
use crate::events::Deferred;
use crate::hooks::{Answer, Hook};
use crate::model::clip::{Clip, ProcessingStatus};
use crate::services::clips;
use crate::services::files::Expected;
use crate::store::{Most, Room};

const CAPTURED: Hook = Hook::OnClipCaptured;
const PROCESSED: Hook = Hook::OnClipProcessed;

async fn create(rig: &Rig, sent: Value) -> Result<Clip, Error> {
    clips::create(&rig.services, &http(), body(sent), None).await.map(|it| it.clip)
}

async fn update(rig: &Rig, id: i64, sent: Value) -> Result<Clip, Error> {
    clips::update(&rig.services, &http(), id, body(sent), None).await
}

fn ace() -> Value {
    json!({"title": "Ace", "file_path": "/x/ace.mp4", "tags": ["a"], "clip_metadata": {"map": "mirage"}})
}

#[tokio::test]
async fn plugins_are_asked_in_order_and_what_they_change_is_stored_with_who_did() {
    let rig = Rig::new();
    rig.plugin("first", &[CAPTURED], |_| patch(json!({"tags": ["a", "b"], "metadata": {"n": {"x": 1}}})));
    rig.plugin("second", &[CAPTURED], |clip| {
        patch(json!({"title": format!("{} {}", clip["title"].as_str().unwrap(), clip["tags"][1].as_str().unwrap())}))
    });
    rig.plugin("keeps", &[CAPTURED], |_| Does::Keeps("seen"));
    let clip = create(&rig, ace()).await.unwrap();
    assert_eq!((clip.title.as_str(), clip.tags.len()), ("Ace b", 2));
    assert_eq!(Value::Object(clip.metadata.clone()), json!({"map": "mirage", "n": {"x": 1}}));
    let by = |pointer: &str| clip.provenance.of(pointer).unwrap().plugin.to_string();
    assert_eq!(
        (by("/tags"), by("/metadata/n/x"), by("/title")),
        ("first".into(), "first".into(), "second".into())
    );
    assert_eq!(clips::get(&rig.services, clip.id).unwrap(), clip);
    assert_eq!(rig.kept("keeps", "seen"), Some(json!(1)));
    assert_eq!(rig.told(&format!("clip/{}", clip.id)), ["clip.created"]);
}

#[tokio::test]
async fn what_is_answered_is_what_the_event_tells_and_what_is_read_later() {
    let rig = Rig::new();
    rig.plugin("first", &[CAPTURED], |_| patch(json!({"metadata": {"score": 0.1, "at": [1, 2.5]}})));
    let made = clips::create(&rig.services, &http(), body(ace()), None).await.unwrap();
    let subject = format!("clip/{}", made.clip.id);
    let told = rig.services.store.read(|r| r.events_about(&subject, 1)).unwrap().remove(0);
    assert_eq!(serde_json::from_str::<Value>(&made.text).unwrap(), *told.data);
    let read = clips::get(&rig.services, made.clip.id).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), *made.text);
}

#[tokio::test]
async fn what_a_plugin_may_not_change_or_changes_wrongly_is_dropped_and_nothing_is_lost() {
    let rig = Rig::new();
    rig.plugin("greedy", &[CAPTURED], |_| patch(json!({"id": 99, "processed": true, "description": "kept"})));
    rig.plugin("wrong", &[CAPTURED], |_| patch(json!({"tags": "x", "title": "dropped too"})));
    rig.plugin("broken", &[CAPTURED], |_| Does::Fails);
    let clip = create(&rig, ace()).await.unwrap();
    assert_eq!((clip.id, clip.processed, clip.description.as_deref()), (1, false, Some("kept")));
    assert_eq!((clip.title.as_str(), clip.tags.as_slice()), ("Ace", ["a".to_owned()].as_slice()));
}

#[tokio::test]
async fn a_clip_is_made_of_right_fields_only_and_ids_are_not_used_twice() {
    let rig = Rig::new();
    let wrong = json!({"title": "", "file_size": 0, "fps": -1, "duration": "x", "colour": 1, "tags": [1]});
    let error = create(&rig, wrong).await.unwrap_err();
    let pointers: Vec<_> = error.errors.iter().map(|it| it.pointer.as_str()).collect();
    assert_eq!(pointers, ["/title", "/file_path", "/tags/0", "/file_size", "/duration", "/fps", "/colour"]);
    let unknown =
        create(&rig, json!({"title": "x", "file_path": "y", "recording_id": "none"})).await.unwrap_err();
    assert_eq!(unknown.errors[0].pointer, "/recording_id");
    let first = create(&rig, ace()).await.unwrap();
    clips::delete(&rig.services, &http(), first.id, false, None).await.unwrap();
    assert!(create(&rig, ace()).await.unwrap().id > first.id);
    assert_eq!(rig.told(&format!("clip/{}", first.id)), ["clip.created", "clip.deleted"]);
}

#[tokio::test]
async fn a_change_merges_and_takes_a_field_back_from_the_plugin_that_set_it() {
    let rig = Rig::new();
    rig.plugin("sets", &[CAPTURED], |_| patch(json!({"description": "theirs", "metadata": {"n": 1}})));
    let clip = create(&rig, ace()).await.unwrap();
    let changed =
        update(&rig, clip.id, json!({"description": null, "metadata": {"map": null}})).await.unwrap();
    assert_eq!(changed.description, None);
    assert_eq!(Value::Object(changed.metadata.clone()), json!({"n": 1}));
    assert!(
        changed.provenance.of("/description").is_none() && changed.provenance.of("/metadata/n").is_some()
    );
    let stale = Some(clip.version);
    let late = clips::update(&rig.services, &http(), clip.id, body(json!({"title": "x"})), stale).await;
    assert_eq!(late.unwrap_err().code, Code::PreconditionFailed);
    assert_eq!(update(&rig, clip.id, json!({})).await.unwrap().version, changed.version);
    assert_eq!(update(&rig, 99, json!({})).await.unwrap_err().code, Code::ClipNotFound);
    assert_eq!(update(&rig, clip.id, json!({"title": null})).await.unwrap_err().code, Code::Invalid);
    assert_eq!(rig.told("clip/1"), ["clip.created", "clip.updated"]);
}

#[tokio::test]
async fn processing_moves_forward_and_processed_completes_from_anywhere() {
    let rig = Rig::new();
    for (way, last) in [
        (vec!["processing", "completed"], "pending"),
        (vec!["processing", "failed"], "processing"),
        (vec![], "completed"),
    ] {
        let id = create(&rig, ace()).await.unwrap().id;
        for status in &way {
            update(&rig, id, json!({"processing_status": status})).await.unwrap();
        }
        let error = update(&rig, id, json!({"processing_status": last})).await.unwrap_err();
        assert_eq!(error.code, Code::IllegalTransition, "{way:?} {last}");
        let done = update(&rig, id, json!({"processed": true})).await.unwrap();
        assert_eq!((done.processed, done.processing_status), (true, ProcessingStatus::Completed));
        assert_eq!(update(&rig, id, json!({"processed": true})).await.unwrap().version, done.version);
        assert!(update(&rig, id, json!({"processed": false})).await.is_err());
    }
    let id = create(&rig, ace()).await.unwrap().id;
    update(&rig, id, json!({"processing_status": "processing"})).await.unwrap();
    assert!(update(&rig, id, json!({"processing_status": "completed"})).await.unwrap().processed);
    let both = json!({"processed": true, "processing_status": "failed"});
    assert_eq!(update(&rig, id, both).await.unwrap_err().code, Code::Invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_complete_a_clip_exactly_one_asks_and_tells() {
    let rig = Rig::new();
    rig.plugin("notes", &[PROCESSED], |clip| {
        assert_eq!(clip["processed"], true);
        Does::Takes(Duration::from_millis(20), Answer::Patch(body(json!({"metadata": {"done": 1}}))))
    });
    let clip = create(&rig, ace()).await.unwrap();
    let all = (0..8).map(|n| match n % 2 {
        0 => update(&rig, clip.id, json!({"processed": true})),
        _ => update(&rig, clip.id, json!({"processed": true, "processing_status": "completed"})),
    });
    for done in futures_util::future::join_all(all).await {
        assert_eq!(done.unwrap().metadata["done"], 1);
    }
    assert_eq!(rig.heard.lock().len(), 1);
    assert_eq!(rig.told("clip/1"), ["clip.created", "clip.updated", "clip.processed"]);
}

#[tokio::test]
async fn a_client_that_changes_a_field_while_plugins_are_asked_keeps_its_word() {
    let rig = Rig::new();
    let services = rig.services.clone();
    rig.plugin("slow", &[PROCESSED], move |clip| {
        let (services, id) = (services.clone(), clip["id"].as_i64().unwrap());
        tokio::spawn(async move {
            clips::update(&services, &http(), id, body(json!({"title": "Mine"})), None).await.unwrap();
        });
        let answer = Answer::Patch(body(json!({"title": "Theirs", "description": "theirs"})));
        Does::Takes(Duration::from_millis(200), answer)
    });
    let id = create(&rig, ace()).await.unwrap().id;
    let done = update(&rig, id, json!({"processed": true})).await.unwrap();
    assert_eq!((done.title.as_str(), done.description.as_deref()), ("Mine", Some("theirs")));
    assert!(done.provenance.of("/title").is_none());
}

#[tokio::test]
async fn who_was_not_asked_in_time_is_asked_later_and_gives_way_to_clients() {
    let rig = Rig::with(Duration::from_millis(30), |_| {});
    rig.plugin("slow", &[CAPTURED], |_| Does::Takes(Duration::from_millis(60), Answer::Nothing));
    rig.plugin("late", &[CAPTURED], |clip| {
        patch(json!({"title": "Late", "description": "late", "metadata": {"late": clip["title"], "map": "dust"}}))
    });
    let clip = create(&rig, ace()).await.unwrap();
    assert_eq!((clip.title.as_str(), rig.heard.lock().len()), ("Ace", 1));
    let now = crate::model::time::Timestamp(i64::MAX);
    let owed = rig
        .services
        .store
        .write(move |tx| {
            tx.claim(
                1,
                &[Room { subscriber: "late".into(), ready: 9, replayed: 10, suspect: 0 }],
                Most::count(9),
                now,
            )
        })
        .await
        .unwrap();
    assert_eq!(owed[0].hook.as_deref(), Some("on_clip_captured"));
    update(&rig, clip.id, json!({"title": "Mine", "metadata": {"map": "inferno"}})).await.unwrap();
    let run = || async {
        let late = rig.services.run(Arc::from("late"), CAPTURED, owed[0].event.clone(), 1).await.unwrap();
        if let Some(late) = late {
            rig.services.store.write(move |tx| late(tx)).await.unwrap();
        }
    };
    run().await;
    let after = clips::get(&rig.services, clip.id).unwrap();
    assert_eq!((after.title.as_str(), after.description.as_deref()), ("Mine", Some("late")));
    assert_eq!(Value::Object(after.metadata.clone()), json!({"map": "inferno", "late": "Mine"}));
    assert_eq!(&*after.provenance.of("/description").unwrap().plugin, "late");
    run().await;
    assert_eq!(clips::get(&rig.services, clip.id).unwrap().metadata, after.metadata);
    clips::delete(&rig.services, &http(), clip.id, false, None).await.unwrap();
    run().await;
}

#[tokio::test]
async fn a_path_is_text_unless_it_lies_below_the_recordings_directory() {
    let rig = Rig::new();
    let theirs = rig.folder.path().join("theirs/ace.wav");
    std::fs::write(&theirs, wav(0, 100, true)).unwrap();
    let id = create(&rig, json!({"title": "x", "file_path": theirs.to_str().unwrap()})).await.unwrap().id;
    assert_eq!(clips::content(&rig.services, id).unwrap().1.len, 244);
    clips::delete(&rig.services, &http(), id, true, None).await.unwrap();
    assert!(theirs.exists());
    std::os::unix::fs::symlink(rig.folder.path().join("panotti.db"), rig.folder.path().join("theirs/l"))
        .unwrap();
    let below = rig.folder.path().join("theirs/../panotti.db");
    for path in ["/etc/passwd", below.to_str().unwrap(), "l", "../panotti.db", "theirs", "."] {
        let id = create(&rig, json!({"title": "x", "file_path": path})).await.unwrap().id;
        let error = clips::content(&rig.services, id).unwrap_err();
        assert_eq!((error.code, error.status()), (Code::MediaUnavailable, 404), "{path}");
        clips::delete(&rig.services, &http(), id, true, None).await.unwrap();
    }
    assert!(std::path::Path::new("/etc/passwd").exists() && rig.folder.path().join("panotti.db").exists());
}

#[tokio::test]
async fn media_sent_for_a_clip_become_its_own() {
    let rig = Rig::new();
    let id = create(&rig, ace()).await.unwrap().id;
    for samples in [100, 200] {
        let mut sink = clips::begin_content(&rig.services, &http(), id, None, None).await.unwrap();
        assert!(clips::begin_content(&rig.services, &http(), id, None, None).await.is_err());
        sink.write(Bytes::from(wav(0, samples, true))).await.unwrap();
        let clip = sink.finish(&Expected::default()).await.unwrap();
        assert_eq!(clip.duration, Some(f64::from(samples) / 1000.0));
        assert_eq!(clips::content(&rig.services, id).unwrap().1.len, 44 + 2 * samples.unsigned_abs() as u64);
    }
    let refused = update(&rig, id, json!({"file_path": "/etc/passwd"})).await.unwrap_err();
    assert_eq!(refused.code, Code::Conflict);
    clips::delete(&rig.services, &http(), id, true, None).await.unwrap();
    assert!(clips::content(&rig.services, id).is_err());
}

#[tokio::test]
async fn totals_and_lists_know_every_clip() {
    let rig = Rig::new();
    for (title, game) in [("one", "CS"), ("two", "CS"), ("three", "Quake")] {
        let sent =
            json!({"title": title, "file_path": "x", "game_name": game, "duration": 2, "file_size": 10});
        create(&rig, sent).await.unwrap();
    }
    update(&rig, 1, json!({"processed": true})).await.unwrap();
    let stats = clips::stats(&rig.services).await.unwrap();
    assert_eq!((stats.total_clips, stats.processed_clips, stats.unprocessed_clips), (3, 1, 2));
    assert_eq!(
        (stats.games, stats.total_duration, stats.total_size),
        (vec!["CS".into(), "Quake".into()], 6.0, 30)
    );
    let filter = clips::ClipFilter { game_name: Some("CS".into()), ..Default::default() };
    let page = clips::list(&rig.services, filter, Default::default(), Default::default()).await.unwrap();
    assert_eq!(page.items.iter().map(|it| it.title.as_str()).collect::<Vec<_>>(), ["two", "one"]);
}
