//! Totals are those of this moment, whatever was remembered, and pages far behind are found from where they are near.

use super::testing::{clip, index_all, recording, store};
use super::{ClipFilter, ClipSort, Store};
use crate::model::clip::Clip;
use crate::model::page::Window;
use crate::model::time::Timestamp;

const COUNT: i64 = 1_300;

/// Half of the clips have the tag, all have the game, the word and the recording.
fn filled() -> (tempfile::TempDir, Store) {
    let (folder, store) = store();
    store
        .write_blocking(|tx| {
            tx.insert_recording(&recording("r", 1), None)?;
            (1..=COUNT).try_for_each(|id| tx.insert_clip(&some(id)))
        })
        .unwrap();
    (folder, store)
}

fn some(id: i64) -> Clip {
    Clip {
        game_name: Some("go".into()),
        recording_id: Some("r".into()),
        tags: if id % 2 == 0 { vec!["even".into()] } else { Vec::new() },
        duration: Some((id % 10) as f64),
        ..clip(id, "word")
    }
}

fn filters() -> [ClipFilter; 4] {
    let none = ClipFilter::default;
    [
        ClipFilter { game_name: Some("go".into()), tags: vec!["even".into()], ..none() },
        ClipFilter { q: Some("word".into()), ..none() },
        ClipFilter { q: Some("word".into()), tags: vec!["even".into()], ..none() },
        ClipFilter { recording_id: Some("r".into()), ..none() },
    ]
}

fn totals(store: &Store) -> [i64; 4] {
    index_all(store);
    filters()
        .map(|it| store.read(|r| r.list_clips(&it, ClipSort::default(), Window::default())).unwrap().total)
}

#[test]
fn a_total_that_is_remembered_follows_every_change() {
    let (_folder, store) = filled();
    let half = COUNT / 2;
    for _ in 0..2 {
        assert_eq!(totals(&store), [half, COUNT, half, COUNT]);
    }
    store.write_blocking(|tx| tx.insert_clip(&some(COUNT + 2))).unwrap();
    assert_eq!(totals(&store), [half + 1, COUNT + 1, half + 1, COUNT + 1], "a new one");
    let other = Clip { tags: Vec::new(), title: "other".into(), ..some(2) };
    store.write_blocking(move |tx| tx.update_clip(&other)).unwrap();
    assert_eq!(totals(&store), [half, COUNT, half, COUNT + 1], "one that is other than before");
    store.write_blocking(|tx| tx.delete_clip(4)).unwrap();
    assert_eq!(totals(&store), [half - 1, COUNT - 1, half - 1, COUNT], "one that is gone");
    store.write_blocking(|tx| tx.delete_recording("r")).unwrap();
    assert_eq!(totals(&store), [half - 1, COUNT - 1, half - 1, 0], "their recording is gone");
}

#[test]
fn a_change_that_fails_leaves_no_total_behind() {
    let (_folder, store) = filled();
    let before = totals(&store);
    let failed = store.write_blocking(|tx| {
        tx.insert_clip(&some(COUNT + 2))?;
        // What is not committed is counted here, and remembered nowhere.
        let seen = tx.list_clips(&filters()[0], ClipSort::default(), Window::default())?.total;
        assert_eq!(seen, COUNT / 2 + 1);
        tx.insert_clip(&some(1))
    });
    assert!(failed.is_err());
    assert_eq!(totals(&store), before);
}

#[test]
fn a_page_far_behind_has_the_rows_of_its_place_in_every_order() {
    let (_folder, store) = filled();
    let by_tag = ClipFilter { tags: vec!["even".into()], ..ClipFilter::default() };
    let [both, word, ..] = filters();
    for has_gap in [false, true] {
        if has_gap {
            store.write_blocking(|tx| tx.delete_clip(700)).unwrap();
        }
        for filter in [ClipFilter::default(), by_tag.clone(), both.clone(), word.clone()] {
            for name in ["-created_at", "created_at", "-duration", "title"] {
                let sort = ClipSort::from_name(name).unwrap();
                let ids = |offset, limit| -> Vec<i64> {
                    let window = Window { offset, limit };
                    let page = store.read(|r| r.list_clips(&filter, sort, window)).unwrap();
                    page.items.iter().map(|it| it.id).collect()
                };
                let all = ids(0, 2_000);
                for offset in [0, 100, 501, 640, 649, 650, 660, 1_000, 1_295, 1_299, 1_300, 5_000] {
                    let expected: Vec<i64> = all.iter().skip(offset).take(10).copied().collect();
                    assert_eq!(ids(offset as i64, 10), expected, "{filter:?} {name} {offset}");
                }
            }
        }
    }
}

#[test]
fn a_time_within_two_months_has_the_clips_that_a_walk_over_all_finds() {
    let (_folder, store) = store();
    // A clip every ten minutes; some were recorded long before.
    let at = |id: i64| Timestamp(1_700_000_000_000_000 + id * 600_000_000);
    let recorded = move |id: i64| if id % 7 == 0 { at(id * 31 % id.max(1) + id / 2) } else { at(id) };
    let all: Vec<Clip> = (1..=3_000).map(|id| Clip { recorded_at: Some(recorded(id)), ..some(id) }).collect();
    store
        .write_blocking(move |tx| {
            tx.insert_recording(&recording("r", 1), None)?;
            all.iter().try_for_each(|it| tx.insert_clip(it))
        })
        .unwrap();
    for (from, to) in [(100, 2_400), (700, 3_100), (0, 2_200)] {
        for tags in [Vec::new(), vec!["even".to_owned()]] {
            let fits =
                |id: &i64| (at(from)..=at(to)).contains(&recorded(*id)) && (tags.is_empty() || *id % 2 == 0);
            let mut expected: Vec<i64> = (1..=3_000).filter(fits).collect();
            let filter = ClipFilter {
                from: Some(at(from)),
                to: Some(at(to)),
                game_name: Some("go".into()),
                tags: tags.clone(),
                ..ClipFilter::default()
            };
            for name in ["created_at", "-created_at"] {
                for offset in [0, 90] {
                    let window = Window { offset, limit: 40 };
                    let sort = ClipSort::from_name(name).unwrap();
                    let page = store.read(|r| r.list_clips(&filter, sort, window)).unwrap();
                    let ids: Vec<i64> = page.items.iter().map(|it| it.id).collect();
                    assert_eq!(ids, expected[offset as usize..][..40], "{filter:?} {name} {offset}");
                    assert_eq!(page.total, expected.len() as i64);
                }
                expected.reverse();
            }
        }
    }
}
