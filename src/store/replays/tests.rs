//! Replays go through the journal once, whatever they meet.

use std::sync::Arc;

use super::super::testing::{event, store};
use super::super::{GivenUp, Most, NewReplay, Ran, Room, Step, Store, Tx, WantedGivenUp};
use crate::model::event::Event;
use crate::model::replay::Selection;
use crate::model::time::Timestamp;

const RAN: Ran = Ran { began: Timestamp(1), ended: Timestamp(2) };

fn filled() -> (tempfile::TempDir, Store) {
    let (folder, store) = store();
    store
        .write_blocking(|tx| {
            for at in 0..50 {
                let mut event = event(&format!("e{at}"), Some(&format!("clip/{}", at % 3)));
                event.kind = if at % 5 == 0 { "scan.done".into() } else { "scan.step.one".into() };
                event.time = Timestamp(at * 10);
                tx.insert_event(&event)?;
            }
            Ok(())
        })
        .unwrap();
    (folder, store)
}

/// The ids that a whole run over the journal meets, so many at a time.
fn met(store: &Store, selection: &Selection, limit: usize) -> Vec<String> {
    let until = store.read(|it| it.last_event_seq()).unwrap();
    let (mut cursor, mut ids) = (0, Vec::new());
    while cursor < until {
        let (some, next) = store.read(|it| it.select_events(selection, cursor, until, limit)).unwrap();
        assert!(next > cursor, "it always gets on");
        ids.extend(some.into_iter().map(|(_, event)| event.id));
        cursor = next;
    }
    ids
}

#[test]
fn each_selected_event_is_met_once_however_large_the_steps_are() {
    let (_folder, store) = filled();
    let types = |them: &[&str]| them.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let selections = [
        (Selection::default(), 50),
        (Selection { types: types(&["scan.done"]), ..Selection::default() }, 10),
        (Selection { types: types(&["scan.*"]), ..Selection::default() }, 10),
        (
            Selection {
                types: types(&["scan.**", "other"]),
                after: Some(5),
                before: Some(9),
                ..Selection::default()
            },
            3,
        ),
        (Selection { from: Some(Timestamp(100)), to: Some(Timestamp(190)), ..Selection::default() }, 10),
        (Selection { subject: Some("clip/1".into()), ..Selection::default() }, 17),
        (Selection { source: Some("plugin/none".into()), ..Selection::default() }, 0),
        (Selection { ids: types(&["e3", "e4", "e49", "none"]), ..Selection::default() }, 3),
    ];
    for (selection, count) in selections {
        let all = met(&store, &selection, 1000);
        assert_eq!(all.len(), count, "{selection:?}");
        for limit in [1, 2, 7, 50] {
            assert_eq!(met(&store, &selection, limit), all, "{selection:?}, {limit} at a time");
        }
    }
    let ids = types(&["e1", "gone", "e2", "lost"]);
    assert_eq!(store.read(|it| it.unknown_events(&ids)).unwrap(), [1, 3]);
}

#[test]
fn a_rare_type_is_found_in_one_step_however_long_the_journal_is() {
    let (_folder, store) = store();
    let put = |tx: &mut Tx| {
        (1..=50_000).try_for_each(|n| {
            let kind = if n % 20_000 == 0 { "rare.one" } else { "often" };
            tx.insert_event(&Event { kind: kind.to_owned(), ..event(&format!("e{n}"), None) }).map(drop)
        })
    };
    store.write_blocking(put).unwrap();
    for kind in ["rare.one", "rare.*"] {
        let rare = Selection { types: vec![kind.to_owned()], ..Selection::default() };
        let (found, next) = store.read(|it| it.select_events(&rare, 0, 50_000, 100)).unwrap();
        let places: Vec<i64> = found.iter().map(|it| it.0).collect();
        assert_eq!((places.as_slice(), next), (&[20_000, 40_000][..], 50_000), "{kind}");
    }
}

#[test]
fn a_replay_of_a_time_misses_nothing_where_the_clock_was_set_back_for_long() {
    let (_folder, store) = store();
    let put = |tx: &mut Tx| {
        (0..2000).map(|n| 10_001 + n).chain((0..2000).map(|n| 1_001 + n)).enumerate().try_for_each(
            |(n, at)| {
                tx.insert_event(&Event { time: Timestamp(at), ..event(&format!("e{n}"), None) }).map(drop)
            },
        )
    };
    store.write_blocking(put).unwrap();
    for (from, to, count) in [(1500, None, 3501), (1500, Some(11_000), 2501), (2900, Some(10_100), 201)] {
        let selection =
            Selection { from: Some(Timestamp(from)), to: to.map(Timestamp), ..Selection::default() };
        assert_eq!(met(&store, &selection, 300).len(), count, "{from} to {to:?}");
    }
}

#[test]
fn a_replay_moves_on_only_from_where_it_stands_and_while_it_runs() {
    let (_folder, store) = filled();
    let new = NewReplay { selection: Selection::default(), subscriber: None, asked_by: "key/1".into() };
    store
        .write_blocking(move |tx| {
            let id = tx.insert_replay(&new, Timestamp(9))?;
            assert!(tx.advance_replay(id, Step { from: 0, to: 20, matched: 20 })?);
            assert!(!tx.advance_replay(id, Step { from: 0, to: 20, matched: 20 })?);
            tx.count_queued(id, 7)?;
            let replay = tx.replay(id)?.unwrap();
            assert_eq!((replay.cursor, replay.until, replay.matched, replay.queued), (20, 50, 20, 7));
            assert_eq!(tx.running_replays()?.len(), 1);
            assert!(tx.end_replay(id, "cancelled", Timestamp(10))?);
            assert!(!tx.end_replay(id, "done", Timestamp(11))?);
            assert!(!tx.advance_replay(id, Step { from: 20, to: 30, matched: 1 })?);
            assert!(tx.running_replays()?.is_empty());
            assert!(tx.note_backfill("p", "**", id)? && !tx.note_backfill("p", "**", id)?);
            tx.delete_backfills("p")?;
            assert!(tx.note_backfill("p", "**", id)?);
            Ok(())
        })
        .unwrap();
}

fn dead(store: &Store) -> Vec<GivenUp> {
    store.read(|it| it.given_up(&WantedGivenUp::default(), i64::MAX, 100)).unwrap().0
}

fn claimed(store: &Store) -> Vec<super::super::Claimed> {
    let room = [Room { subscriber: Arc::from("one"), ready: 10, replayed: 10, suspect: 1 }];
    store.write_blocking(move |tx| tx.claim(1, &room, Most::count(256), Timestamp(100))).unwrap()
}

#[test]
fn what_was_given_up_is_tried_anew_in_order_or_given_up_again_when_it_is_taken_back() {
    let (_folder, store) = store();
    store
        .write_blocking(|tx| {
            for id in ["a1", "a2", "a3"] {
                let event = event(id, Some("clip/a"));
                let seq = tx.insert_event(&event)?.seq;
                tx.insert_deliveries(seq, &event, &["one".into()], None)?;
            }
            Ok(())
        })
        .unwrap();
    for _ in 0..3 {
        let one = claimed(&store).remove(0);
        store
            .write_blocking(move |tx| {
                tx.fail_delivery(1, &one, "oops", None, RAN)?;
                tx.move_up(&one)
            })
            .unwrap();
    }
    let all = dead(&store);
    assert_eq!(all.iter().map(|it| it.id).collect::<Vec<_>>(), [3, 2, 1], "newest first");
    assert_eq!((all[0].attempts, all[0].last_error.as_deref()), (1, Some("oops")));
    // The later one is revived first; the earlier one still is told before what has not begun.
    store
        .write_blocking(|tx| {
            assert!(tx.revive(3, 7, Timestamp(5))? && !tx.revive(3, 7, Timestamp(5))?);
            assert!(tx.revive(1, 8, Timestamp(5))? && tx.revive(2, 8, Timestamp(5))?);
            assert_eq!(tx.open_of_replay(8)?, [("one".to_owned(), 2)]);
            Ok(())
        })
        .unwrap();
    assert!(dead(&store).is_empty());
    assert_eq!(store.write_blocking(|tx| tx.take_back(7, true, Timestamp(6))).unwrap(), 1);
    assert_eq!(dead(&store).len(), 1);
    let first = claimed(&store).remove(0);
    assert_eq!((first.event.id.as_str(), first.attempts, first.replay), ("a1", 1, true), "it has moved up");
    assert_eq!(
        store.write_blocking(|tx| tx.take_back(8, false, Timestamp(6))).unwrap(),
        1,
        "not what has begun"
    );
    store.write_blocking(move |tx| tx.acknowledge(1, &first, RAN)).unwrap();
    assert_eq!(
        store.write_blocking(|tx| tx.discard(3)).unwrap(),
        Some(("one".to_owned(), 3, Some("oops".to_owned())))
    );
    assert_eq!(store.write_blocking(|tx| tx.discard(1)).unwrap(), None, "what was told cannot be discarded");
}
