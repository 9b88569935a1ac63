//! Streams lose nothing and double nothing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::clock::SystemClock;
use crate::error::Code;
use crate::events::EventDraft;
use crate::hooks::Dispatcher;
use crate::model::call::Caller;
use crate::store::StoreOptions;

fn journal() -> (tempfile::TempDir, Store, Journal) {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions { ballast_bytes: 0, ..StoreOptions::at(folder.path().join("t.db")) };
    let store = Store::open(&options).unwrap();
    let journal = Journal::new(Dispatcher::new(Duration::from_secs(1)), Arc::new(SystemClock), 8);
    (folder, store, journal)
}

fn publish(
    store: &Store,
    journal: &Journal,
    kind: &str,
    count: usize,
    fails: bool,
) -> impl Future<Output = bool> {
    let (own, kind) = (journal.clone(), kind.to_owned());
    let written = store.write(move |tx| {
        for _ in 0..count {
            own.publish(tx, EventDraft::new(&kind, "s", Value::Null), &Caller::server())?;
        }
        if fails { Err(Error::new(Code::Conflict, "rolled back")) } else { Ok(()) }
    });
    async move { written.await.is_ok() }
}

/// Reads a stream until it has come to `last`.
async fn read_to(mut stream: EventStream, last: i64) -> Vec<i64> {
    let mut seen = Vec::new();
    while stream.at() < last {
        match tokio::time::timeout(Duration::from_secs(20), stream.next()).await.unwrap().unwrap() {
            Streamed::Events(rows) => seen.extend(rows.into_iter().map(|(seq, _)| seq)),
            gap => panic!("{gap:?}"),
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn streams_that_attach_anywhere_while_others_publish_see_each_event_once_and_in_order() {
    let (_folder, store, journal) = journal();
    let mut writers = Vec::new();
    for writer in 0..4_usize {
        let (store, journal) = (store.clone(), journal.clone());
        writers.push(tokio::spawn(async move {
            for n in 0..60_usize {
                // Some of the changes fail: their places are used again.
                publish(&store, &journal, "a.b", 1 + (n * 7 + writer) % 5, n % 9 == 4).await;
            }
            publish(&store, &journal, "the.end", 1, false).await;
        }));
    }
    let mut readers = Vec::new();
    for reader in 0..40_i64 {
        let (store, journal) = (store.clone(), journal.clone());
        readers.push(tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(u64::try_from(reader * 3).unwrap())).await;
            let (_, last) = store.read_async(|r| r.journal_ends()).await.unwrap();
            let after = (reader % 4 != 0).then_some(last * (reader % 5) / 4).map(|it| it.min(last));
            let stream = EventStream::open(&store, &journal, EventFilter::default(), after).await.unwrap();
            (stream.at(), stream)
        }));
    }
    let mut streams = Vec::new();
    for reader in readers {
        streams.push(reader.await.unwrap());
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let (first, last) = store.read_async(|r| r.journal_ends()).await.unwrap();
    assert_eq!(first, Some(1));
    for (from, stream) in streams {
        let seen = read_to(stream, last).await;
        assert_eq!(seen, (from + 1..=last).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_waits_is_woken_by_a_commit_and_never_by_what_is_rolled_back() {
    let (_folder, store, journal) = journal();
    let filter = EventFilter { patterns: vec!["a.*".into()], ..EventFilter::default() };
    let mut stream = EventStream::open(&store, &journal, filter, None).await.unwrap();
    assert!(!publish(&store, &journal, "a.lost", 1, true).await);
    assert!(publish(&store, &journal, "b.other", 1, false).await);
    assert!(tokio::time::timeout(Duration::from_millis(300), stream.next()).await.is_err());
    assert_eq!(stream.at(), 1, "what does not fit is passed");
    let told = tokio::spawn(async move { stream.next().await.unwrap() });
    assert!(publish(&store, &journal, "a.kept", 1, false).await);
    let told = tokio::time::timeout(Duration::from_secs(20), told).await.unwrap().unwrap();
    assert!(
        matches!(&told, Streamed::Events(rows) if rows.len() == 1 && rows[0].1.kind == "a.kept"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_place_the_journal_never_reached_is_a_gap_and_the_stream_goes_on_from_its_end() {
    let (_folder, store, journal) = journal();
    assert!(publish(&store, &journal, "a", 3, false).await);
    let mut stream = EventStream::open(&store, &journal, EventFilter::default(), Some(9)).await.unwrap();
    assert_eq!(stream.next().await.unwrap(), Streamed::Gap { from: 4, to: 9 });
    assert!(publish(&store, &journal, "a", 1, false).await);
    assert!(matches!(stream.next().await.unwrap(), Streamed::Events(rows) if rows[0].0 == 4));
}

#[test]
fn places_are_counted_and_given_back_and_none_is_given_once_all_are_to_end() {
    let streams = Streams::new(1);
    let place = streams.enter().unwrap();
    let refused = streams.enter().err().unwrap();
    assert_eq!((refused.code, refused.retry_after, streams.open()), (Code::Overloaded, Some(5), 1));
    drop(place);
    let place = streams.enter().unwrap();
    streams.end();
    assert!(place.has_ended() && streams.enter().is_err_and(|it| it.code == Code::Stopping));
}

#[test]
fn a_connection_counts_until_it_ends_whatever_became_of_its_streams() {
    let streams = Streams::new(1);
    let connection = streams.connection();
    drop(streams.enter().unwrap());
    assert_eq!((streams.open(), streams.connections()), (0, 1));
    drop(connection);
    assert_eq!(streams.connections(), 0);
}
