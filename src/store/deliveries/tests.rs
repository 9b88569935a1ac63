//! Order, retries and claims of deliveries.

use std::sync::Arc;

use diesel::RunQueryDsl;
use diesel::sql_types::BigInt;

use super::super::retention::Keep;
use super::super::statement::statement;
use super::super::testing::{clip, event, options, revert_until, store};
use super::super::{Reader, Store, Tx};
use super::{Claimed, DeliveryCounts, Most, Ran, Room};
use crate::error::{Code, Error, Result};
use crate::model::time::Timestamp;

fn publish(store: &Store, id: &str, subject: Option<&str>, plugins: &[&str]) {
    let event = event(id, subject);
    let plugins: Vec<Arc<str>> = plugins.iter().map(|it| Arc::from(*it)).collect();
    store
        .write_blocking(move |tx| {
            let seq = tx.insert_event(&event)?.seq;
            tx.insert_deliveries(seq, &event, &plugins, None)
        })
        .unwrap();
}

const RAN: Ran = Ran { began: Timestamp(1), ended: Timestamp(2) };

fn claim(store: &Store, plugin: &str, now: i64) -> Vec<Claimed> {
    let room = [Room { subscriber: Arc::from(plugin), ready: 10, replayed: 10, suspect: 1 }];
    store.write_blocking(move |tx| tx.claim(1, &room, Most::count(256), Timestamp(now))).unwrap()
}

fn ids(claimed: &[Claimed]) -> Vec<&str> {
    claimed.iter().map(|it| it.event.id.as_str()).collect()
}

#[test]
fn a_plugin_gets_one_delivery_of_a_subject_at_a_time_in_order() {
    let (_folder, store) = store();
    for (id, subject) in
        [("a1", Some("clip/a")), ("a2", Some("clip/a")), ("b1", Some("clip/b")), ("x", None), ("y", None)]
    {
        publish(&store, id, subject, &["one", "two"]);
    }
    let first = claim(&store, "one", 100);
    assert_eq!(ids(&first), ["a1", "b1", "x", "y"], "what has no subject has no order");
    assert_eq!(first[0].event, event("a1", Some("clip/a")));
    assert!(claim(&store, "one", 100).is_empty(), "a2 waits for a1");
    store
        .write_blocking(move |tx| {
            tx.acknowledge(1, &first[0], RAN)?;
            tx.move_up(&first[0])
        })
        .unwrap();
    assert_eq!(ids(&claim(&store, "one", 100)), ["a2"]);
    assert_eq!(ids(&claim(&store, "two", 100)), ["a1", "b1", "x", "y"], "plugins do not wait for each other");
    let counts = store.read(Reader::delivery_counts).unwrap();
    assert_eq!(counts, DeliveryCounts { pending: 1, claimed: 8, dead: 0, quarantined: 0, delivered: 1 });
}

#[test]
fn a_failed_delivery_comes_again_at_its_time_and_before_later_ones() {
    let (_folder, store) = store();
    publish(&store, "a1", Some("clip/a"), &["one"]);
    publish(&store, "a2", Some("clip/a"), &["one"]);
    let first = claim(&store, "one", 100).remove(0);
    assert_eq!(first.attempts, 1);
    store.write_blocking(move |tx| tx.fail_delivery(1, &first, "oops", Some(Timestamp(200)), RAN)).unwrap();
    assert!(claim(&store, "one", 199).is_empty());
    let again = claim(&store, "one", 200).remove(0);
    assert_eq!((again.event.id.as_str(), again.attempts), ("a1", 2));
    store
        .write_blocking(move |tx| {
            tx.fail_delivery(1, &again, "oops", None, RAN)?;
            tx.move_up(&again)
        })
        .unwrap();
    assert_eq!(ids(&claim(&store, "one", 200)), ["a2"], "a dead one blocks nobody");
    assert_eq!(store.read(Reader::delivery_counts).unwrap().dead, 1);
}

/// The process of another epoch starts; (freed, not tried again).
fn restart(store: &Store, epoch: i64) -> (usize, usize) {
    let freed = move |tx: &mut Tx| tx.release_claims_of_other_epochs(epoch, Timestamp(300));
    let freed = store.write_blocking(freed).unwrap();
    (freed.released, freed.quarantined.len())
}

#[test]
fn claims_of_a_dead_process_are_free_again_and_count_as_attempts() {
    let (_folder, store) = store();
    publish(&store, "a1", Some("clip/a"), &["one"]);
    assert_eq!(claim(&store, "one", 100).len(), 1);
    assert_eq!(restart(&store, 1), (0, 0));
    assert_eq!(restart(&store, 2), (1, 0));
    assert_eq!(claim(&store, "one", 100)[0].attempts, 2);
}

#[test]
fn what_was_under_way_in_three_dead_processes_is_not_tried_again_and_blocks_nobody() {
    let (_folder, store) = store();
    publish(&store, "a1", Some("clip/a"), &["one"]);
    publish(&store, "a2", Some("clip/a"), &["one"]);
    for epoch in [2, 3] {
        assert_eq!(ids(&claim(&store, "one", 100)), ["a1"]);
        assert_eq!(restart(&store, epoch * 10), (1, 0));
        assert!(claim(&store, "one", 100)[0].is_suspect);
        // A planned stop is no crash.
        store.write_blocking(|tx| tx.unclaim(&[1])).unwrap();
    }
    assert_eq!(claim(&store, "one", 100)[0].attempts, 3);
    assert_eq!(restart(&store, 40), (0, 1));
    assert_eq!(ids(&claim(&store, "one", 100)), ["a2"]);
    assert_eq!(store.read(Reader::delivery_counts).unwrap().quarantined, 1);
}

#[test]
fn what_is_told_again_waits_for_nothing_live_and_is_claimed_last() {
    let (_folder, store) = store();
    publish(&store, "a1", Some("clip/a"), &["one"]);
    store
        .write_blocking(|tx| {
            let again =
                |tx: &mut Tx, id| tx.insert_replayed(1, &event(id, Some("clip/a")), "one", 7, Timestamp(9));
            again(tx, "a1")?;
            again(tx, "a1")
        })
        .unwrap();
    let mut low = event("low", None);
    low.priority = crate::model::event::Priority::Low;
    store
        .write_blocking(move |tx| {
            let seq = tx.insert_event(&low)?.seq;
            tx.insert_deliveries(seq, &low, &["one".into()], None)
        })
        .unwrap();
    let claimed = claim(&store, "one", 100);
    let told: Vec<_> = claimed.iter().map(|it| (it.event.id.as_str(), it.replay)).collect();
    assert_eq!(told, [("a1", false), ("low", false), ("a1", true)], "the second replay waits for the first");
}

#[test]
fn the_highest_priority_is_claimed_first_and_no_more_than_there_is_room() {
    let (_folder, store) = store();
    for (id, rank) in [("low", 0), ("normal", 1), ("critical", 3), ("high", 2)] {
        let mut event = event(id, Some(id));
        event.priority = crate::model::event::Priority::from_rank(rank);
        store
            .write_blocking(move |tx| {
                let seq = tx.insert_event(&event)?.seq;
                tx.insert_deliveries(seq, &event, &[Arc::from("one")], Some("on_clip_captured"))
            })
            .unwrap();
    }
    let room = [("none", 5), ("one", 2)].map(|(name, ready)| Room {
        subscriber: Arc::from(name),
        ready,
        replayed: 10,
        suspect: 0,
    });
    let claimed = store.write_blocking(move |tx| tx.claim(1, &room, Most::count(256), Timestamp(9))).unwrap();
    assert_eq!(ids(&claimed), ["critical", "high"]);
    assert_eq!(claimed[0].hook.as_deref(), Some("on_clip_captured"));
}

#[test]
fn no_more_is_claimed_at_once_than_may_be_held_but_always_one() {
    let (_folder, store) = store();
    for id in ["a", "b", "c"] {
        publish(&store, id, Some(id), &["one"]);
    }
    let room = [Room { subscriber: Arc::from("one"), ready: 10, replayed: 10, suspect: 0 }];
    for (id, bytes) in [("a", 0), ("b", 1)] {
        let (room, most) = (room.clone(), Most { count: 10, bytes });
        let claimed = store.write_blocking(move |tx| tx.claim(1, &room, most, Timestamp(100))).unwrap();
        assert_eq!(ids(&claimed), [id]);
    }
    assert_eq!(claim(&store, "one", 100)[0].attempts, 1, "what was given back was no attempt");
}

#[test]
fn who_was_there_at_two_deaths_is_not_condemned_by_the_third_of_another() {
    let (_folder, store) = store();
    publish(&store, "guilty", None, &["one"]);
    publish(&store, "innocent", None, &["two"]);
    let both = || [claim(&store, "one", 100).len(), claim(&store, "two", 100).len()];
    for epoch in [10, 20] {
        assert_eq!(both(), [1, 1]);
        assert_eq!(restart(&store, epoch), (2, 0));
    }
    assert_eq!(both(), [1, 0], "the next death is the end of what is under way");
    assert_eq!(restart(&store, 30), (0, 1));
    assert_eq!(both(), [0, 1]);
}

#[test]
fn what_was_noted_by_another_clock_comes_within_the_longest_delay() {
    let (_folder, store) = store();
    publish(&store, "a", None, &["one"]);
    let first = claim(&store, "one", 100).remove(0);
    let year = 31_536_000_000_000;
    store
        .write_blocking(move |tx| {
            tx.fail_delivery(1, &first, "oops", Some(Timestamp(year)), RAN)?;
            tx.shift_delayed(year, Timestamp(year))
        })
        .unwrap();
    assert!(claim(&store, "one", year).is_empty());
    assert_eq!(ids(&claim(&store, "one", year + 720_000_000)), ["a"]);
}

#[test]
fn rows_of_one_transaction_are_numbered_one_after_another_also_behind_one_that_was_taken_back() {
    let (_folder, store) = store();
    let subscriber: Arc<str> = "test/one".into();
    let put = move |tx: &mut Tx, id: &str| -> Result<(i64, i64)> {
        let event = event(id, Some(id));
        let stored = tx.insert_event(&event)?;
        let claimed = tx.insert_claimed(1, stored, &event, &subscriber)?.unwrap();
        assert_eq!(claimed.event_seq, stored.seq);
        Ok((stored.seq, claimed.id))
    };
    let numbers = store
        .write_blocking(move |tx| {
            let mut numbers = vec![put(tx, "a")?, put(tx, "b")?];
            let lost = tx.part(|tx| {
                put(tx, "lost")?;
                Err::<(), _>(Error::new(Code::Conflict, "no"))
            })?;
            assert!(lost.is_err());
            assert!(tx.insert_event(&event("a", None)).is_err(), "the id is taken");
            numbers.push(put(tx, "c")?);
            Ok(numbers)
        })
        .unwrap();
    assert_eq!(numbers, [(1, 1), (2, 2), (3, 3)]);
    let seen = |id: &str| store.read(|reader| reader.event_seq(id)).unwrap();
    assert_eq!(["a", "b", "c", "lost"].map(seen), [Some(1), Some(2), Some(3), None]);
}

#[tokio::test]
async fn numbers_go_on_from_one_transaction_to_the_next_also_behind_one_that_was_taken_back() {
    let (_folder, store) = store();
    let put = |id: &'static str, fails: bool| {
        store.write_again(move |tx| match tx.insert_event(&event(id, None))?.seq {
            _ if fails => Err(Error::new(Code::Conflict, "no")),
            seq => Ok(seq),
        })
    };
    assert_eq!(put("a", false).await.unwrap(), 1);
    assert!(put("lost", true).await.is_err());
    assert_eq!(put("a", false).await.unwrap_err().code, Code::Conflict, "the id is taken");
    assert_eq!(put("b", false).await.unwrap(), 2);
    // Some of these share a transaction, which is taken back for the one that fails and then done again.
    let all = [("c", false), ("lost", true), ("d", false), ("e", false)].map(|(id, fails)| put(id, fails));
    let [c, lost, d, e] = futures_util::future::join_all(all).await.try_into().unwrap();
    assert!(lost.is_err());
    assert_eq!((c.unwrap(), d.unwrap(), e.unwrap()), (3, 4, 5));
}

#[test]
fn numbers_and_words_go_by_what_is_there_also_when_another_connection_has_written() {
    let (folder, store) = store();
    let put = |id: &'static str| store.write_blocking(move |tx| Ok(tx.insert_event(&event(id, None))?.seq));
    assert_eq!(put("a").unwrap(), 1);
    store.write_blocking(|tx| tx.insert_clip(&clip(1, "one"))).unwrap();
    let mut other = Reader::open_writer(&options(&folder).path).unwrap();
    let copy = "INSERT INTO events SELECT 2, 'theirs', 'their.kind', source, subject, time, data, correlation_id, causation_id, \
                priority, depth, expires_at, plugins, traceparent FROM events";
    statement::<()>(copy).write(&other).unwrap();
    statement::<()>("UPDATE counters SET value = 5 WHERE name = 'clips.words_through'")
        .write(&other)
        .unwrap();
    assert_eq!(put("b").unwrap(), 3);
    let kinds = statement::<BigInt>("SELECT count(*) FROM event_kinds WHERE kind = 'their.kind'");
    assert_eq!(kinds.get_result::<i64>(&mut other.conn).unwrap(), 1);
    // The index is past this id: its words are not left waiting.
    store.write_blocking(|tx| tx.insert_clip(&clip(4, "late"))).unwrap();
    let words = statement::<BigInt>("SELECT count(*) FROM clips_fts WHERE clips_fts MATCH 'late'");
    assert_eq!(words.get_result::<i64>(&mut other.conn).unwrap(), 1);
}

#[test]
fn numbers_are_not_given_again_when_the_last_rows_are_gone_also_after_a_new_start_or_an_upgrade() {
    let (folder, store) = store();
    let put = |store: &Store, id: &'static str| {
        store.write_blocking(move |tx| {
            let event = event(id, None);
            let stored = tx.insert_event(&event)?;
            let claimed = tx.insert_claimed(1, stored, &event, &"test/one".into())?;
            Ok((stored.seq, claimed.unwrap().id))
        })
    };
    let remove = |tx: &mut Tx, seq: i64| {
        assert_eq!(tx.delete_deliveries_of(&["test/one"])?, 1);
        let keep = Keep { since: None, max_events: Some(0), max_bytes: None, dead_since: None };
        assert_eq!(tx.remove_events(&[seq], &keep)?.events, 1);
        Ok(())
    };
    assert_eq!(put(&store, "a").unwrap(), (1, 1));
    let again = store.write_blocking(move |tx| {
        remove(tx, 1)?;
        let event = event("b", None);
        let stored = tx.insert_event(&event)?;
        Ok((stored.seq, tx.insert_claimed(1, stored, &event, &"test/one".into())?.unwrap().id))
    });
    assert_eq!(again.unwrap(), (2, 2), "within the transaction that removed them");
    store.write_blocking(move |tx| remove(tx, 2)).unwrap();
    store.close();
    drop(store);

    let store = Store::open(&options(&folder)).unwrap();
    assert_eq!(store.read(|it| it.journal_ends()).unwrap(), (None, 2));
    assert_eq!(put(&store, "c").unwrap(), (3, 3), "after a new start");
    store.write_blocking(move |tx| remove(tx, 3)).unwrap();
    store.close();
    drop(store);

    // As a server of before numbered rows: with AUTOINCREMENT.
    let mut before = Reader::open_writer(&options(&folder).path).unwrap();
    revert_until(&mut before, "20260325000000");
    let kept = statement::<BigInt>("SELECT seq FROM sqlite_sequence WHERE name IN ('events', 'deliveries')");
    assert_eq!(kept.load::<i64>(&mut before.conn).unwrap(), [3, 3]);
    drop(before);
    let store = Store::open(&options(&folder)).unwrap();
    assert_eq!(put(&store, "d").unwrap(), (4, 4), "after an upgrade");
}
