use std::time::{Duration, Instant};

use diesel::RunQueryDsl;

use super::super::Store;
use super::super::clip_query::{ClipFilter, ClipSort};
use super::super::statement::statement;
use super::super::testing::{clip, index_all, options, revert_until, store};
use super::super::tx::Tx;
use super::super::words_turn::BATCH;
use super::*;
use crate::model::page::Window;
use proptest::prelude::*;

/// The titles that a word finds, without waiting for those that are not indexed yet.
fn at_once(store: &Store, word: &str) -> Vec<String> {
    let filter = ClipFilter { q: Some(word.into()), ..ClipFilter::default() };
    let window = Window { offset: 0, limit: 10 };
    let page = store.read(|r| r.list_clips(&filter, ClipSort::default(), window)).unwrap();
    assert_eq!(page.total, page.items.len() as i64);
    page.items.into_iter().map(|it| it.title).collect()
}

async fn found(store: &Store, word: &str) -> Vec<String> {
    store.words_are_indexed().await;
    at_once(store, word)
}

/// The index has the words of every clip as they are, and nothing else.
fn check(store: &Store) {
    let check = statement::<()>("INSERT INTO clips_fts (clips_fts, rank) VALUES ('integrity-check', 1)");
    let sound = store.write_blocking(move |tx| Ok(check.clone().execute(&mut tx.conn).is_ok()));
    assert!(sound.unwrap());
}

async fn put(store: &Store, id: i64, title: &str) {
    let clip = clip(id, title);
    store.write_again(move |tx| tx.insert_clip(&clip)).await.unwrap();
}

#[tokio::test]
async fn a_search_finds_what_was_just_stored_changed_and_removed() {
    let (_folder, store) = store();
    for id in 1..=6 {
        put(&store, id, &format!("first {id}")).await;
    }
    let job = store.write_again(|tx| {
        tx.update_clip(&clip(2, "second 2"))?;
        tx.delete_clip(4)
    });
    assert!(job.await.unwrap());
    assert_eq!(at_once(&store, "first"), Vec::<String>::new(), "many at a time");
    assert_eq!(found(&store, "first").await, ["first 6", "first 5", "first 3", "first 1"]);
    assert_eq!(found(&store, "second").await, ["second 2"]);
    check(&store);
    // From now on they are in the index, and a change is one there.
    let job = store.write_again(|tx| {
        tx.update_clip(&clip(1, "third 1"))?;
        tx.delete_clip(6)
    });
    assert!(job.await.unwrap());
    assert_eq!(at_once(&store, "first"), ["first 5", "first 3"]);
    assert_eq!(at_once(&store, "third"), ["third 1"]);
    check(&store);
}

#[tokio::test]
async fn a_clip_that_comes_when_the_index_is_past_its_id_is_there_at_once() {
    let (_folder, store) = store();
    put(&store, 9, "word 9").await;
    assert_eq!(found(&store, "word").await, ["word 9"]);
    let job = store.write_again(|tx| {
        for id in [5, 2, 7] {
            tx.insert_clip(&clip(id, &format!("word {id}")))?;
        }
        tx.update_clip(&clip(5, "other 5"))
    });
    job.await.unwrap();
    // With a savepoint of its own.
    store.write_blocking(|tx| tx.insert_clip(&clip(3, "word 3"))).unwrap();
    assert_eq!(at_once(&store, "word"), ["word 9", "word 7", "word 3", "word 2"]);
    assert_eq!(at_once(&store, "other"), ["other 5"]);
    check(&store);
}

#[tokio::test]
async fn words_of_a_transaction_that_failed_are_not_found() {
    let (_folder, store) = store();
    let job = store.write_again(|tx| {
        tx.insert_clip(&clip(1, "lost"))?;
        tx.index_words()?;
        tx.insert_clip(&clip(1, "twice"))
    });
    assert!(job.await.is_err());
    put(&store, 2, "kept").await;
    assert_eq!(
        (found(&store, "lost").await.len(), found(&store, "kept").await),
        (0, vec!["kept".to_owned()])
    );
    check(&store);
}

#[tokio::test]
async fn nobody_waits_for_a_clip_that_was_announced_and_lost_and_one_before_it_is_found_all_the_same() {
    let (_folder, store) = store();
    put(&store, 7, "word 7").await;
    store.inner.without_words.0.newest.fetch_max(10, Ordering::AcqRel);
    assert_eq!(found(&store, "word").await, ["word 7"]);
    put(&store, 9, "word 9").await;
    assert_eq!(found(&store, "word").await, ["word 9", "word 7"]);
    check(&store);
}

#[tokio::test]
async fn very_many_clips_go_into_the_index_in_several_transactions() {
    let (_folder, store) = store();
    let count = 2 * MOST + 5;
    let all = store.write_again(move |tx| (1..=count).try_for_each(|id| tx.insert_clip(&clip(id, "many"))));
    all.await.unwrap();
    let commits = store.commits();
    store.words_are_indexed().await;
    let filter = ClipFilter { q: Some("many".into()), ..ClipFilter::default() };
    let page = store.read(|r| r.list_clips(&filter, ClipSort::default(), Window::default())).unwrap();
    assert_eq!((page.total, store.inner.without_words.until(count)), (count, 0));
    assert!(store.commits() - commits <= 3, "{commits} {}", store.commits());
    check(&store);
}

#[tokio::test]
async fn a_part_that_wrote_the_index_and_failed_leaves_the_words_waiting() {
    let (_folder, store) = store();
    let job = store.write(|tx| {
        tx.insert_clip(&clip(1, "one"))?;
        let part = tx.part(|tx| {
            tx.insert_clip(&clip(2, "two"))?;
            tx.index_words()?;
            tx.insert_clip(&clip(2, "twice"))
        })?;
        assert!(part.is_err());
        tx.insert_clip(&clip(3, "three"))
    });
    job.await.unwrap();
    for (word, count) in [("one", 1), ("two", 0), ("three", 1)] {
        assert_eq!(found(&store, word).await.len(), count, "{word}");
    }
    check(&store);
}

#[tokio::test]
async fn a_new_start_an_upgrade_and_a_downgrade_lose_no_words() {
    let (folder, store) = store();
    put(&store, 1, "word 1").await;
    assert_eq!(found(&store, "word").await.len(), 1);
    put(&store, 2, "word 2").await;
    // As a crash would leave it.
    let copy = tempfile::tempdir().unwrap();
    store.read(|_| Ok(std::fs::copy(options(&folder).path, options(&copy).path).unwrap())).unwrap();
    let log = |it: &tempfile::TempDir| options(it).path.with_extension("db-wal");
    std::fs::copy(log(&folder), log(&copy)).unwrap();
    let after_crash = Store::open(&options(&copy)).unwrap();
    assert_eq!(at_once(&after_crash, "word"), ["word 1"]);
    assert_eq!(found(&after_crash, "word").await, ["word 2", "word 1"]);
    check(&after_crash);

    put(&after_crash, 3, "word 3").await;
    after_crash.close();
    drop(after_crash);
    let mut before = Reader::open_writer(&options(&copy).path).unwrap();
    statement::<()>("INSERT INTO clips (id, title, file_path, tags, metadata, processed, processing_status, provenance, \
               created_at, updated_at, owns_file, version) \
               SELECT 4, 'word 4', 'x', tags, metadata, processed, processing_status, provenance, created_at, \
               updated_at, owns_file, version FROM clips WHERE id = 1")
        .execute(&mut before.conn)
        .unwrap();
    revert_until(&mut before, "20260326000000");
    let was: Vec<i64> =
        statement::<BigInt>("SELECT rowid FROM clips_fts WHERE clips_fts MATCH 'word' ORDER BY 1")
            .load(&mut before.conn)
            .unwrap();
    assert_eq!(was, [1, 2, 3, 4]);
    drop(before);
    let store = Store::open(&options(&copy)).unwrap();
    assert_eq!(at_once(&store, "word").len(), 4);
    check(&store);
}

#[tokio::test]
async fn the_writer_puts_words_into_the_index_when_many_wait_and_when_nothing_is_written() {
    let (_folder, store) = store();
    let all = store.write_again(|tx| (1..=BATCH as i64).try_for_each(|id| tx.insert_clip(&clip(id, "many"))));
    all.await.unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while store.inner.without_words.until(BATCH as i64) > 0 {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(1));
    }
    put(&store, BATCH as i64 + 1, "quiet").await;
    assert_eq!(at_once(&store, "quiet").len(), 0);
    while at_once(&store, "quiet").is_empty() {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(10));
    }
    check(&store);
}

/// Occupies the writer until the sender is gone.
fn hold(store: &Store) -> std::sync::mpsc::Sender<()> {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (begun, is_begun) = std::sync::mpsc::channel::<()>();
    let held = store.write(move |_| {
        begun.send(()).ok();
        released.recv().ok();
        Ok(())
    });
    drop(held);
    is_begun.recv().unwrap();
    release
}

#[tokio::test]
async fn searches_take_no_place_among_the_changes_that_wait_and_share_one_turn() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&super::super::StoreOptions { queue: 2, ..options(&folder) }).unwrap();
    put(&store, 1, "word").await;
    let release = hold(&store);
    let searches: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { found(&store, "word").await })
        })
        .collect();
    tokio::task::yield_now().await;
    let small = clip(2, "x");
    let change = store.write_again(move |tx| tx.insert_clip(&small));
    assert_eq!(store.waiting(), 1);
    let commits = store.commits();
    drop(release);
    change.await.unwrap();
    for search in searches {
        assert_eq!(search.await.unwrap(), ["word"]);
    }
    assert!(store.commits() - commits <= 4, "{}", store.commits() - commits);
}

#[tokio::test]
async fn words_that_do_not_fit_fail_no_change_of_others_and_are_found_when_there_is_room() {
    let (_folder, store) = store();
    for id in 1..=200 {
        let mut long = clip(id, "long");
        long.description = Some((0..300).map(|n| format!("w{id}x{n} ")).collect());
        store.write_again(move |tx| tx.insert_clip(&long)).await.unwrap();
    }
    let bound = |pages: &'static str| {
        store.write_blocking(move |tx| tx.execute(&format!("PRAGMA max_page_count = {pages}")))
    };
    store
        .write_blocking(|tx| {
            let count = prepared!(BigInt => "SELECT page_count FROM pragma_page_count");
            let count: i64 = count.get_result(&mut tx.conn).or_fail()?;
            tx.execute(&format!("PRAGMA max_page_count = {}", count + 5))
        })
        .unwrap();
    let release = hold(&store);
    let small = |id: i64| store.write_again(move |tx| tx.insert_clip(&clip(id, "small")));
    let (before, searched, after) = (small(301), store.words_are_indexed(), small(302));
    drop(release);
    let (before, (), after) = tokio::join!(before, searched, after);
    assert_eq!((before.is_ok(), after.is_ok()), (true, true));
    assert_eq!(at_once(&store, "small").len(), 0, "what there is was searched");
    bound("1000000").unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while found(&store, "small").await.len() < 2 {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    check(&store);
}

#[tokio::test]
async fn who_searches_when_nobody_writes_any_more_does_not_wait() {
    let (_folder, store) = store();
    put(&store, 1, "word").await;
    store.close();
    assert_eq!(found(&store, "word").await, ["word"], "the last act of the writer");
    store.inner.without_words.0.newest.fetch_max(9, Ordering::AcqRel);
    assert_eq!(found(&store, "word").await, ["word"]);
}

#[derive(Debug, Clone)]
enum Act {
    Insert(i64),
    Update(i64),
    Delete(i64),
    Index,
    /// These in a part of the job that fails in the end.
    InVain(Vec<Act>),
    /// Ends the job.
    Fail,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let id = 1..40_i64;
    let plain = prop_oneof![
        4 => id.clone().prop_map(Act::Insert),
        2 => id.clone().prop_map(Act::Update),
        2 => id.prop_map(Act::Delete),
        1 => Just(Act::Index),
    ];
    let part = proptest::collection::vec(plain.clone(), 1..4).prop_map(Act::InVain);
    proptest::collection::vec(prop_oneof![12 => plain, 2 => part, 1 => Just(Act::Fail)], 1..6)
}

fn act(tx: &mut Tx, act: &Act) -> Result<()> {
    match act {
        // An id that is taken, or not there, is no matter here.
        Act::Insert(id) if tx.clip(*id)?.is_none() => tx.insert_clip(&clip(*id, &format!("new {id}"))),
        Act::Update(id) if tx.clip(*id)?.is_some() => {
            tx.update_clip(&clip(*id, &format!("other {id}"))).map(drop)
        }
        Act::Delete(id) => tx.delete_clip(*id).map(drop),
        Act::Index => tx.index_words(),
        Act::InVain(all) => {
            let part = tx.part(|tx| {
                all.iter().try_for_each(|it| self::act(tx, it))?;
                Err::<(), _>(Error::internal("in vain"))
            })?;
            assert!(part.is_err());
            Ok(())
        }
        Act::Fail => Err(Error::internal("the job fails")),
        Act::Insert(_) | Act::Update(_) => Ok(()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_index_has_the_words_of_all_clips_up_to_its_mark_and_of_no_other(
        jobs in proptest::collection::vec((acts(), any::<bool>()), 1..24)
    ) {
        let (_folder, store) = store();
        for (job, alone) in jobs {
            let run = move |tx: &mut Tx| job.iter().try_for_each(|it| act(tx, it));
            let done = match alone {
                true => store.write_blocking(run),
                false => tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap()
                    .block_on(store.write_again(run)),
            };
            drop(done);
            let wrong = prepared!(BigInt =>
                "SELECT count(*) FROM clips FULL JOIN (SELECT DISTINCT doc AS id, 1 AS has FROM clips_words) AS words \
                 USING (id) WHERE (words.has IS NOT NULL) <> (clips.title IS NOT NULL AND id <= \
                 (SELECT value FROM counters WHERE name = 'clips.words_through'))"
            );
            let wrong: i64 = store.read(|r| wrong.get_result(&mut r.conn).or_fail()).unwrap();
            prop_assert_eq!(wrong, 0);
        }
        index_all(&store);
        check(&store);
    }
}
