//! What the writer promises: groups, isolation, durability, and life after a full disk.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::statement::statement;
use super::testing::{clip, options, store};
use super::{Reader, Store, StoreOptions, Tx};
use crate::error::{Code, Error, Result};

fn number(reader: &mut Reader, sql: &str) -> i64 {
    statement::<BigInt>(sql.to_owned()).get_result(&mut reader.conn).unwrap()
}

/// Holds the writer until the answer is sent, so that what follows becomes one group.
fn hold(store: &Store) -> (mpsc::Sender<()>, impl Future<Output = Result<()>>) {
    let (release, held) = mpsc::channel();
    let (started, running) = mpsc::channel();
    let done = store.write(move |_| {
        started.send(()).unwrap();
        held.recv().unwrap();
        Ok(())
    });
    running.recv().unwrap();
    (release, done)
}

#[tokio::test]
async fn in_one_group_a_failing_and_a_panicking_job_take_nobody_with_them() {
    let (_folder, store) = store();
    let (release, held) = hold(&store);
    let commits = |tx: &mut Tx| number(tx, "SELECT count(*) FROM counters WHERE name = 'clips'");
    let good = store.write(|tx| tx.insert_clip(&clip(1, "first")));
    let bad: Vec<_> = vec![store.write(|tx| {
        tx.insert_clip(&clip(2, "failed"))?;
        Err::<(), _>(Error::new(Code::HookDenied, "no"))
    })];
    let panics = store.write(|tx| {
        tx.insert_clip(&clip(3, "panicked")).unwrap();
        if tx.clip(3).unwrap().is_some() {
            panic!("a bug");
        }
        Ok(())
    });
    // Counters are written at the commit: that they are not there yet shows that this is the same group.
    let last = store.write(move |tx| {
        let counted = commits(tx);
        tx.insert_clip(&clip(4, "last"))?;
        Ok(counted)
    });
    release.send(()).unwrap();
    held.await.unwrap();
    good.await.unwrap();
    for job in bad {
        assert_eq!(job.await.unwrap_err().code, Code::HookDenied);
    }
    assert_eq!(panics.await.unwrap_err().code, Code::Internal);
    assert_eq!(last.await.unwrap(), 0);
    let there: Vec<_> = (1..=4).map(|id| store.read(|r| r.clip(id)).unwrap().is_some()).collect();
    assert_eq!(there, [true, false, false, true]);
    assert_eq!(store.read(Reader::clip_stats).unwrap().total_clips, 2);
}

#[tokio::test]
async fn jobs_that_can_run_again_share_a_transaction_and_still_fail_alone() {
    let (_folder, store) = store();
    let runs = Arc::new(AtomicUsize::new(0));
    let acts = Arc::new(AtomicUsize::new(0));
    let (release, held) = hold(&store);
    let write = |id, fails: &'static str| {
        let (runs, acts) = (Arc::clone(&runs), Arc::clone(&acts));
        store.write_again(move |tx| {
            runs.fetch_add(1, Ordering::Relaxed);
            let acts = Arc::clone(&acts);
            tx.after_commit(move || _ = acts.fetch_add(1, Ordering::Relaxed));
            tx.insert_clip(&clip(id, "x"))?;
            let part = tx.part(|tx| {
                tx.insert_clip(&clip(id + 100, "part"))?;
                if fails == "part" { Err(Error::new(Code::Conflict, "a part")) } else { Ok(()) }
            })?;
            if fails == "panic" {
                panic!("a bug");
            }
            if fails == "job" { Err(Error::new(Code::HookDenied, "no")) } else { Ok(part.is_ok()) }
        })
    };
    let jobs = [write(1, ""), write(2, "job"), write(3, "part"), write(4, "panic"), write(5, "")];
    release.send(()).unwrap();
    held.await.unwrap();
    let mut came_to = Vec::new();
    for job in jobs {
        came_to.push(job.await.map_err(|it| it.code));
    }
    assert_eq!(came_to, [Ok(true), Err(Code::HookDenied), Ok(false), Err(Code::Internal), Ok(true)]);
    let there = |id| store.read(|r| r.clip(id)).unwrap().is_some();
    assert_eq!(
        [1, 101, 2, 102, 3, 103, 4, 104, 5, 105].map(there),
        [true, true, false, false, true, false, false, false, true, true]
    );
    assert_eq!(store.read(Reader::clip_stats).unwrap().total_clips, 5);
    assert_eq!(acts.load(Ordering::Relaxed), 3, "of each job that stayed, and once");
    assert_eq!(
        runs.load(Ordering::Relaxed),
        7,
        "the second failed at its first run; then each ran by itself"
    );
    // Where nothing fails, each runs once.
    let (release, held) = hold(&store);
    let jobs = [write(11, ""), write(12, "")];
    release.send(()).unwrap();
    held.await.unwrap();
    for job in jobs {
        job.await.unwrap();
    }
    assert_eq!(runs.load(Ordering::Relaxed), 9);
    assert_eq!(store.read(Reader::clip_stats).unwrap().total_clips, 9);
}

#[tokio::test]
async fn more_jobs_than_the_queue_holds_are_refused_at_once_and_never_run() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions { queue: 2, ..options(&folder) }).unwrap();
    let (release, held) = hold(&store);
    let ran = Arc::new(AtomicUsize::new(0));
    let jobs: Vec<_> = (0..4)
        .map(|_| {
            let ran = ran.clone();
            store.write(move |_| {
                ran.fetch_add(1, Ordering::Relaxed);
                Ok(())
            })
        })
        .collect();
    assert_eq!(store.waiting(), 2);
    release.send(()).unwrap();
    held.await.unwrap();
    let mut codes = Vec::new();
    for job in jobs {
        codes.push(job.await.err().map(|it| (it.code, it.retry_after)));
    }
    assert_eq!(codes, [None, None, Some((Code::Overloaded, Some(1))), Some((Code::Overloaded, Some(1)))]);
    assert_eq!(ran.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_job_runs_even_if_nobody_waits_for_it_any_more() {
    let (_folder, store) = store();
    let (release, held) = hold(&store);
    drop(store.write(|tx| tx.insert_clip(&clip(1, "x"))));
    release.send(()).unwrap();
    held.await.unwrap();
    store.close();
    assert!(store.read(|r| r.clip(1)).unwrap().is_some());
}

#[tokio::test]
async fn what_can_wait_runs_after_all_others_and_before_the_end() {
    let (_folder, store) = store();
    let (release, held) = hold(&store);
    store.write_idle(|tx| tx.insert_clip(&clip(1, "idle")));
    let before = store.write(|tx| Ok(tx.clip(1)?.is_some()));
    release.send(()).unwrap();
    held.await.unwrap();
    assert!(!before.await.unwrap());
    store.close();
    assert!(store.read(|r| r.clip(1)).unwrap().is_some());
}

#[test]
fn closing_runs_what_waits_and_refuses_what_comes_after() {
    let (_folder, store) = store();
    let jobs: Vec<_> = (1..=100).map(|id| store.write(move |tx| tx.insert_clip(&clip(id, "x")))).collect();
    store.close();
    drop(jobs);
    assert_eq!(store.read(Reader::clip_stats).unwrap().total_clips, 100);
    assert_eq!(store.write_blocking(|_| Ok(())).unwrap_err().code, Code::Stopping);
}

#[test]
fn every_connection_has_its_settings() {
    let (_folder, store) = store();
    let of_writer = store
        .write_blocking(|tx| {
            let mode = statement::<Text>("PRAGMA journal_mode").get_result::<String>(&mut tx.conn).unwrap();
            let pragmas = ["synchronous", "foreign_keys", "trusted_schema", "query_only", "busy_timeout"];
            Ok((mode, pragmas.map(|it| number(tx, &format!("PRAGMA {it}")))))
        })
        .unwrap();
    // 2 = FULL: the log is flushed at every commit.
    assert_eq!(of_writer, ("wal".to_owned(), [2, 1, 0, 0, 5000]));
    let of_reader = store
        .read(|r| {
            let pragmas = ["foreign_keys", "trusted_schema", "query_only", "busy_timeout"];
            Ok(pragmas.map(|it| number(r, &format!("PRAGMA {it}"))))
        })
        .unwrap();
    assert_eq!(of_reader, [1, 0, 1, 5000]);
}

#[test]
fn a_reader_cannot_write() {
    let (_folder, store) = store();
    let wrote = store.read(|r| {
        let ran = statement::<()>("DELETE FROM clips").execute(&mut r.conn);
        Ok(ran.map_err(|it| it.to_string()))
    });
    assert!(wrote.unwrap().unwrap_err().contains("readonly"));
}

/// Lets the database grow by `pages` pages more, as if the disk ended there; 0 = without end.
fn limit_growth(store: &Store, pages: i64) {
    store
        .write_blocking(move |tx| {
            let most = if pages == 0 { 1 << 30 } else { number(tx, "PRAGMA page_count") + pages };
            number(tx, &format!("PRAGMA max_page_count = {most}"));
            Ok(())
        })
        .unwrap();
}

fn large(id: i64) -> crate::model::clip::Clip {
    crate::model::clip::Clip { description: Some("x".repeat(100_000)), ..clip(id, "large") }
}

#[test]
fn a_full_disk_is_told_reading_goes_on_and_writing_too_once_there_is_room() {
    let (_folder, store) = store();
    store.write_blocking(|tx| tx.insert_clip(&clip(1, "x"))).unwrap();
    limit_growth(&store, 2);
    let error = store.write_blocking(|tx| tx.insert_clip(&large(2))).unwrap_err();
    assert_eq!((error.code, error.retry_after), (Code::DiskFull, Some(5)));
    assert!(store.read(|r| r.clip(1)).unwrap().is_some());
    limit_growth(&store, 0);
    store.write_blocking(|tx| tx.insert_clip(&large(2))).unwrap();
    assert_eq!(store.read(Reader::clip_stats).unwrap().total_clips, 2);
}

#[tokio::test]
async fn a_full_disk_releases_the_ballast_for_a_delete_which_runs_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions { ballast_bytes: 1 << 20, ..options(&folder) }).unwrap();
    let ballast = folder.path().join("test.db.ballast");
    assert_eq!(std::fs::metadata(&ballast).unwrap().len(), 1 << 20);
    store.write(|tx| tx.insert_clip(&clip(1, "x"))).await.unwrap();

    let seen = ballast.clone();
    let freed = store.write_freeing(move |tx| {
        // Stands for a disk that is full as long as the ballast is there.
        if seen.exists() {
            return Err(super::failure::disk_full(None));
        }
        tx.delete_clip(1)
    });
    assert!(freed.await.unwrap());
    assert!(!ballast.exists());
    assert_eq!(store.read(|r| r.clip(1)).unwrap(), None);
    assert_eq!(
        (store.is_disk_full(), store.failed_changes()),
        (true, 0),
        "it is full, and the change is stored"
    );

    let plain = store.write(|_| Err::<(), _>(super::failure::disk_full(None)));
    assert_eq!(plain.await.unwrap_err().code, Code::DiskFull);
    let freed = store.write_freeing(|_| Err::<(), _>(super::failure::disk_full(None)));
    assert_eq!(freed.await.unwrap_err().code, Code::DiskFull);
    assert_eq!(store.failed_changes(), 2, "each once, however often it was tried");
}

#[test]
fn a_long_read_goes_to_the_blocking_pool_and_point_reads_run_where_they_are() {
    let (_folder, store) = store();
    store.write_blocking(|tx| tx.insert_clip(&clip(1, "x"))).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let here = std::thread::current().id();
    let there = runtime.block_on(store.read_async(|_| Ok(std::thread::current().id()))).unwrap();
    assert_ne!(there, here);
    assert_eq!(store.read(|_| Ok(std::thread::current().id())).unwrap(), here);
}

#[tokio::test]
async fn a_change_for_which_there_is_no_room_says_so_and_is_stored_when_there_is() {
    let (_folder, store) = store();
    let bound = |beyond: i64| {
        store.write_blocking(move |tx| {
            let pages = number(tx, "SELECT page_count FROM pragma_page_count") + beyond;
            tx.execute(&format!("PRAGMA max_page_count = {pages}"))
        })
    };
    let insert = |id: i64| {
        let mut large = clip(id, "large");
        large.description = Some("x".repeat(100_000));
        store.write_again(move |tx| tx.insert_clip(&large))
    };
    bound(5).unwrap();
    let refused = insert(1).await.unwrap_err();
    assert_eq!((refused.code, refused.retry_after.is_some()), (Code::DiskFull, true), "{:?}", refused.source);
    bound(1000).unwrap();
    insert(1).await.unwrap();
    assert_eq!(insert(1).await.unwrap_err().code, Code::Conflict);
}
