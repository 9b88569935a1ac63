//! Lists, searches and totals of clips.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::testing::{clip, index_all, recording, store};
use super::{ClipFilter, ClipOrder, ClipSort, Reader, RecordingFilter, Store};
use crate::model::clip::{Clip, ClipStats, ProcessingStatus};
use crate::model::page::Window;
use crate::model::recording::RecordingStatus;
use crate::model::time::Timestamp;

fn put(store: &Store, clips: Vec<Clip>) {
    store.write_blocking(move |tx| clips.iter().try_for_each(|it| tx.insert_clip(it))).unwrap();
    index_all(store);
}

fn found(store: &Store, filter: &ClipFilter, sort: ClipSort) -> Vec<i64> {
    let page = store.read(|r| r.list_clips(filter, sort, Window::default())).unwrap();
    assert_eq!(page.total, page.items.len() as i64, "{filter:?}");
    page.items.iter().map(|it| it.id).collect()
}

fn searched(store: &Store, q: &str) -> Vec<i64> {
    found(store, &ClipFilter { q: Some(q.into()), ..ClipFilter::default() }, ClipSort::default())
}

#[test]
fn a_users_text_is_words_never_operators() {
    let (_folder, store) = store();
    let mut second = clip(2, "\"Quoted\" NEAR miss* (really)");
    second.description = Some("Überraschung OR nothing".into());
    second.tags = vec!["clutch".into(), "1v5!".into()];
    put(&store, vec![clip(1, "A triple kill"), second]);
    assert_eq!(searched(&store, "triple"), [1]);
    assert_eq!(searched(&store, "TRIP kill"), [1], "beginnings, any case, all words");
    assert_eq!(searched(&store, "triple clutch"), Vec::<i64>::new());
    assert_eq!(searched(&store, "uberrasch"), [2], "accents do not matter");
    assert_eq!(searched(&store, "1v5"), [2], "tags are searched");
    for hostile in [
        "\"",
        "\"quoted",
        "NEAR(",
        "miss*",
        "(really",
        "title : x OR",
        "a AND",
        "-kill",
        "^triple",
        "'; --",
        "a\0b",
        "{",
        "col:",
        "+",
        "*",
    ] {
        searched(&store, hostile);
    }
    assert_eq!(searched(&store, "OR nothing"), [2]);
    assert_eq!(searched(&store, "!!!"), Vec::<i64>::new(), "no word, no hit");
    assert_eq!(searched(&store, "  "), [2, 1], "nothing asked");
}

#[test]
fn words_of_any_script_are_found_whole_and_by_their_beginnings() {
    let (_folder, store) = store();
    let titles = [
        "\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940} film",
        "\u{e20}\u{e32}\u{e29}\u{e32}\u{e44}\u{e17}\u{e22}",
        "e\u{301}te\u{301} 1\u{fe0f}\u{20e3} \u{2764}\u{fe0f}",
        "\u{6c34}\u{30edd}\u{9762} win\u{24b6}ner",
    ];
    put(&store, (1..).zip(titles).map(|(id, it)| clip(id, it)).collect());
    for (title, id) in titles.iter().zip(1..) {
        assert_eq!(searched(&store, title), [id], "{title}");
    }
    assert_eq!(searched(&store, "\u{939}\u{93f}\u{928}"), [1], "a beginning");
    assert_eq!(searched(&store, "\u{926}\u{940}"), Vec::<i64>::new(), "the end of a word is none");
    assert_eq!(searched(&store, "ete"), [3]);
    put(&store, vec![clip(5, "\u{2764}\u{fe0f}Love \u{26a0}\u{fe0f}Warning 2\u{fe0f}\u{20e3}nd")]);
    for word in ["love", "warning", "nd"] {
        assert_eq!(searched(&store, word), [5], "{word} behind a picture");
    }
    assert_eq!(searched(&store, "\u{2764}\u{fe0f}"), Vec::<i64>::new(), "no letter, no hit");
    assert_eq!(searched(&store, "win\u{24b6}lose"), Vec::<i64>::new());
}

#[test]
fn a_search_follows_changes_and_deletes() {
    let (_folder, store) = store();
    put(&store, vec![clip(1, "before")]);
    store.write_blocking(|tx| tx.update_clip(&clip(1, "after"))).unwrap();
    assert_eq!((searched(&store, "before"), searched(&store, "after")), (vec![], vec![1]));
    store.write_blocking(|tx| tx.delete_clip(1)).unwrap();
    assert!(searched(&store, "after").is_empty());
}

#[test]
fn tags_are_exact_and_all_of_them_must_be_there() {
    let (_folder, store) = store();
    let tagged =
        |id, tags: &[&str]| Clip { tags: tags.iter().map(|it| (*it).into()).collect(), ..clip(id, "x") };
    put(
        &store,
        vec![
            tagged(1, &["ace", "night"]),
            tagged(2, &["ace of base"]),
            tagged(3, &["Ace", "a \"b\" \\ c\n"]),
            tagged(4, &["🎉", "ace"]),
        ],
    );
    let with = |tags: &[&str]| {
        let tags = tags.iter().map(|it| (*it).to_owned()).collect();
        found(&store, &ClipFilter { tags, ..ClipFilter::default() }, ClipSort::default())
    };
    assert_eq!(with(&["ace"]), [4, 1]);
    assert_eq!(with(&["night", "ace"]), [1]);
    assert_eq!(with(&["ace of base"]), [2]);
    assert_eq!(with(&["a \"b\" \\ c\n"]), [3]);
    assert_eq!(with(&["🎉"]), [4], "a tag without letters is found too");
    assert_eq!(with(&["🎉", "night"]), Vec::<i64>::new());
}

#[test]
fn filters_combine_and_sorts_are_stable() {
    let (_folder, store) = store();
    store.write_blocking(|tx| tx.insert_recording(&recording("r", 1), None)).unwrap();
    put(
        &store,
        (1..=6)
            .map(|id| Clip {
                game_name: (id % 2 == 0).then(|| "chess".into()),
                recording_id: (id > 3).then(|| "r".into()),
                duration: Some(if id < 3 { 1.0 } else { 2.0 }),
                processed: id == 6,
                processing_status: if id == 6 {
                    ProcessingStatus::Completed
                } else {
                    ProcessingStatus::Pending
                },
                recorded_at: (id == 1).then_some(Timestamp(99_000_000)),
                ..clip(id, "x")
            })
            .collect(),
    );
    let chess = ClipFilter { game_name: Some("chess".into()), ..ClipFilter::default() };
    assert_eq!(found(&store, &chess, ClipSort::default()), [6, 4, 2]);
    let both = ClipFilter { recording_id: Some("r".into()), processed: Some(false), ..chess.clone() };
    assert_eq!(found(&store, &both, ClipSort::default()), [4]);
    let status = ClipFilter {
        status: Some(ProcessingStatus::Completed),
        q: Some("x".into()),
        ..ClipFilter::default()
    };
    assert_eq!(found(&store, &status, ClipSort::default()), [6]);
    let late = ClipFilter { from: Some(Timestamp(5_000_000)), ..ClipFilter::default() };
    assert_eq!(found(&store, &late, ClipSort::default()), [6, 5, 1], "the time of the recording comes first");
    let early = ClipFilter { to: Some(Timestamp(5_000_000)), ..late };
    assert_eq!(found(&store, &early, ClipSort::default()), [5], "both ends belong to it");
    let by = |name| found(&store, &ClipFilter::default(), ClipSort::from_name(name).unwrap());
    assert_eq!(by("-duration"), [6, 5, 4, 3, 2, 1]);
    assert_eq!(by("+duration"), [1, 2, 3, 4, 5, 6]);
    assert_eq!(by("-recorded_at")[0], 1);
    assert_eq!(
        ClipSort::from_name("created_at"),
        Some(ClipSort { by: ClipOrder::CreatedAt, descending: false })
    );
    assert_eq!(ClipSort::from_name("id; DROP TABLE clips"), None);
}

#[test]
fn pages_do_not_overlap_and_counting_ends_at_its_limit() {
    let (_folder, store) = store();
    put(&store, (1..=10_050).map(|id| Clip { game_name: Some("go".into()), ..clip(id, "x") }).collect());
    let go = ClipFilter { game_name: Some("go".into()), ..ClipFilter::default() };
    let page = |filter: &ClipFilter, offset| {
        store.read(|r| r.list_clips(filter, ClipSort::default(), Window { offset, limit: 3 })).unwrap()
    };
    let ids = |offset| page(&go, offset).items.iter().map(|it| it.id).collect::<Vec<_>>();
    assert_eq!((ids(0), ids(3)), (vec![10_050, 10_049, 10_048], vec![10_047, 10_046, 10_045]));
    assert_eq!((page(&go, 0).total, page(&go, 0).total_is_more), (10_050, false), "of one game it is kept");
    let word = ClipFilter { q: Some("x".into()), ..ClipFilter::default() };
    assert_eq!((page(&word, 0).total, page(&word, 0).total_is_more), (10_000, true));
    let both = ClipFilter { q: Some("x".into()), ..go.clone() };
    assert_eq!((page(&both, 0).total, page(&both, 0).total_is_more), (10_000, true));
    assert_eq!(page(&both, 10_040).total, 10_043, "what is shown is there");
    let all = page(&ClipFilter::default(), 0);
    assert_eq!((all.total, all.total_is_more), (10_050, false), "without a filter the count is kept");
}

#[test]
fn recordings_are_listed_by_start_with_their_tracks_and_what_was_sent() {
    let (_folder, store) = store();
    let sent = serde_json::json!({"z": 1, "a": 2}).as_object().cloned().unwrap();
    store
        .write_blocking(move |tx| {
            tx.insert_recording(&recording("one", 10), &sent)?;
            tx.insert_recording(&recording("50%_off", 20), None)?;
            let mut ended = recording("one", 10);
            ended.status = RecordingStatus::Completed;
            assert_eq!(tx.end_recording(&ended, &sent)?, Some(2));
            assert_eq!(tx.end_recording(&ended, &sent)?, None, "version 1 is not there any more");
            tx.touch_recording("one", Timestamp(30))
        })
        .unwrap();
    let list = |filter: RecordingFilter| {
        let page = store.read(|r| r.list_recordings(&filter, Window::default())).unwrap();
        page.items.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    assert_eq!(list(RecordingFilter::default()), ["50%_off", "one"]);
    assert_eq!(list(RecordingFilter { q: Some("0%_".into()), ..Default::default() }), ["50%_off"]);
    assert_eq!(
        list(RecordingFilter { q: Some("%".into()), to: Some(Timestamp(10)), ..Default::default() }),
        [""; 0]
    );
    assert_eq!(
        list(RecordingFilter { status: Some(RecordingStatus::Completed), ..Default::default() }),
        ["one"]
    );
    assert_eq!(store.read(Reader::active_recordings).unwrap(), [("50%_off".to_owned(), Timestamp(20))]);
    let one = store.read(|r| r.recording("one")).unwrap().unwrap();
    assert_eq!((one.version, one.updated_at), (3, Timestamp(30)));
    assert_eq!(store.read(|r| r.sent_end("one")).unwrap().unwrap().keys().collect::<Vec<_>>(), ["z", "a"]);
    assert_eq!(store.read(|r| r.sent_start("50%_off")).unwrap(), None);
}

/// One change of a clip, by its number among those that were made.
#[derive(Debug, Clone)]
enum Change {
    Insert(Clip),
    Update(usize, Clip),
    Delete(usize),
}

fn any_clip() -> impl Strategy<Value = Clip> {
    let game = prop_oneof![Just(None), Just(Some("chess".to_owned())), Just(Some("go;".to_owned()))];
    let duration = prop_oneof![Just(None), (1..10_000_000i64).prop_map(|us| Some(us as f64 / 1e6))];
    let size = prop_oneof![Just(None), (1..1_000_000i64).prop_map(Some)];
    (game, duration, size, any::<bool>()).prop_map(|(game_name, duration, file_size, processed)| Clip {
        game_name,
        duration,
        file_size,
        processed,
        ..clip(0, "x")
    })
}

fn change() -> impl Strategy<Value = (Change, bool)> {
    let change = prop_oneof![
        3 => any_clip().prop_map(Change::Insert),
        2 => (any::<prop::sample::Index>(), any_clip()).prop_map(|(at, clip)| Change::Update(at.index(50), clip)),
        1 => any::<prop::sample::Index>().prop_map(|at| Change::Delete(at.index(50))),
    ];
    (change, prop::bool::weighted(0.8))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_kept_totals_are_always_the_real_ones(changes in proptest::collection::vec(change(), 1..40)) {
        let (_folder, store) = store();
        // All at once, so that they come in groups; some roll back.
        let jobs: Vec<_> = changes.into_iter().enumerate().map(|(n, (change, succeeds))| store.write(move |tx| {
            match change {
                Change::Insert(it) => tx.insert_clip(&Clip { id: n as i64 + 1, ..it })?,
                Change::Update(id, it) => { tx.update_clip(&Clip { id: id as i64, ..it }).ok(); }
                Change::Delete(id) => { tx.delete_clip(id as i64)?; }
            }
            if succeeds { Ok(()) } else { Err(crate::error::Error::internal("rolled back")) }
        })).collect();
        drop(jobs);
        store.close();
        let window = Window { offset: 0, limit: 1000 };
        let clips = store.read(|r| r.list_clips(&ClipFilter::default(), ClipSort::default(), window)).unwrap();
        let processed = clips.items.iter().filter(|it| it.processed).count() as i64;
        let games: BTreeSet<_> = clips.items.iter().filter_map(|it| it.game_name.clone()).collect();
        let us: i64 = clips.items.iter().map(|it| (it.duration.unwrap_or(0.0) * 1e6).round() as i64).sum();
        let total = clips.items.len() as i64;
        let real = ClipStats {
            total_clips: total,
            processed_clips: processed,
            unprocessed_clips: total - processed,
            total_games: games.len() as i64,
            games: games.into_iter().collect(),
            total_duration: us as f64 / 1e6,
            total_size: clips.items.iter().filter_map(|it| it.file_size).sum(),
        };
        prop_assert_eq!(store.read(Reader::clip_stats).unwrap(), real);
        prop_assert_eq!(clips.total, total);
    }
}
