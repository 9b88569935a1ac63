//! The words of new clips on their way into the index. It writes out what it has collected with every commit, and whenever
//! an id comes before the last one: clips get there many at a time, in the order of ids, when so many wait, when nothing
//! is written for a while, or when somebody searches.
//!
//! [`WORDS_THROUGH`] says how far the index has come: it has the words of every clip with an id up to that, and of none
//! after it. A clip that is changed or removed before its turn is no matter of the index (its triggers look at it as well),
//! and after a crash it goes on from there.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::error::Result;

use super::connection::Reader;
use super::counters::WORDS_THROUGH;
use super::failure::OrFail;
use super::statement::prepared;

/// So many clips wait for their turn.
const BATCH: u64 = 256;
/// So many have it at once: others who write wait meanwhile.
const MOST: i64 = 1024;
/// Nothing was written for so long: those that wait need not wait for more.
const QUIET: Duration = Duration::from_secs(1);
/// The index could not be written: it is not tried again at once.
const PAUSE: Duration = Duration::from_secs(60);

/// Which clips have no words in the index yet: one for the writer and all who search.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting(Arc<Ends>);

#[derive(Debug, Default)]
struct Ends {
    /// No clip is newer, by its id.
    newest: AtomicI64,
    /// [`WORDS_THROUGH`] as it is on the disk, or was.
    through: AtomicI64,
}

impl Waiting {
    /// What a former server left.
    pub(super) fn of(reader: &mut Reader) -> Result<Self> {
        let newest = prepared!(BigInt => "SELECT coalesce(max(id), 0) FROM clips");
        let newest: i64 = newest.get_result(&mut reader.conn).or_fail()?;
        let through = reader.counter(WORDS_THROUGH)?;
        Ok(Waiting(Arc::new(Ends { newest: AtomicI64::new(newest), through: AtomicI64::new(through) })))
    }

    /// The newest clip there is now.
    pub(super) fn newest(&self) -> i64 {
        self.0.newest.load(Ordering::Acquire)
    }

    /// How many wait up to this one, at most.
    pub(super) fn until(&self, newest: i64) -> u64 {
        newest.saturating_sub(self.0.through.load(Ordering::Acquire)).max(0).unsigned_abs()
    }
}

/// What a transaction knows of them.
#[derive(Debug)]
pub(super) struct NewWords {
    waiting: Waiting,
    /// How far the index has come; none when it has not been looked up in this transaction.
    through: Option<i64>,
    /// The newest clip of this transaction that waits.
    newest: i64,
    /// How far it has come in this transaction.
    written: Option<i64>,
    /// Clips that came when the index was past their ids.
    late: Vec<i64>,
}

impl NewWords {
    pub(super) fn new(waiting: Waiting) -> Self {
        NewWords { waiting, through: None, newest: 0, written: None, late: Vec::new() }
    }

    /// A transaction begins.
    pub(super) fn begin(&mut self) {
        *self = NewWords::new(self.waiting.clone());
    }

    /// A part of the transaction was taken back, perhaps one that wrote the index.
    pub(super) fn forget(&mut self) {
        (self.through, self.written) = (None, None);
    }

    /// No clip is newer than this, in this transaction or outside.
    fn newest(&self) -> i64 {
        self.newest.max(self.waiting.newest())
    }

    /// Whether any may wait.
    pub(super) fn is_any(&self) -> bool {
        self.waiting.until(self.newest()) > 0
    }

    /// A clip was stored.
    pub(super) fn add(&mut self, reader: &mut Reader, id: i64) -> Result<()> {
        let through = match self.through {
            Some(through) => through,
            None => *self.through.insert(reader.counter(WORDS_THROUGH)?),
        };
        if id > through {
            self.newest = self.newest.max(id);
        } else {
            self.late.push(id);
        }
        Ok(())
    }

    /// Puts the words of those that came late into the index.
    pub(super) fn settle(&mut self, reader: &mut Reader) -> Result<()> {
        self.late.sort_unstable();
        for id in self.late.drain(..) {
            prepared!(
                "INSERT INTO clips_fts (rowid, title, description, tags) \
                 SELECT id, title, description, tags FROM clips WHERE id = ?"
            )
            .bind(id)
            .execute(&mut reader.conn)
            .or_fail()?;
        }
        Ok(())
    }

    /// Puts the words of the next ones that wait into the index.
    pub(super) fn write(&mut self, reader: &mut Reader) -> Result<()> {
        self.settle(reader)?;
        let before = reader.counter(WORDS_THROUGH)?;
        let most = prepared!(BigInt => "SELECT id FROM clips WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?");
        let most: Option<i64> =
            most.bind(before).bind(MOST - 1).get_result(&mut reader.conn).optional().or_fail()?;
        // All of them: also those that were lost with their transaction are not waited for any more.
        let through = most.unwrap_or_else(|| before.max(self.newest()));
        prepared!(
            "INSERT INTO clips_fts (rowid, title, description, tags) \
             SELECT id, title, description, tags FROM clips WHERE id > ? AND id <= ? ORDER BY id"
        )
        .bind(before)
        .bind(through)
        .execute(&mut reader.conn)
        .or_fail()?;
        prepared!("UPDATE counters SET value = ? WHERE name = ?")
            .bind(through)
            .bind(WORDS_THROUGH)
            .execute(&mut reader.conn)
            .or_fail()?;
        (self.through, self.written) = (Some(through), Some(through));
        Ok(())
    }

    /// Before the commit: who sees a clip of it shall also see that its words wait.
    pub(super) fn announce(&self) {
        self.waiting.0.newest.fetch_max(self.newest, Ordering::AcqRel);
    }

    pub(super) fn committed(&mut self) {
        if let Some(through) = self.written {
            self.waiting.0.through.store(through, Ordering::Release);
        }
    }
}

/// When the writer puts words into the index of its own accord.
#[derive(Debug)]
pub(super) struct Turn {
    waiting: Waiting,
    /// When nothing will have been written for long enough.
    quiet_at: Instant,
    /// Not before.
    earliest: Instant,
}

impl Turn {
    pub(super) fn new(waiting: Waiting) -> Self {
        let now = Instant::now();
        Turn { waiting, quiet_at: now + QUIET, earliest: now }
    }

    /// Something was written.
    pub(super) fn written(&mut self) {
        self.quiet_at = Instant::now() + QUIET;
    }

    /// How long it takes until it is time, if nothing is written; none while nothing waits.
    pub(super) fn patience(&self) -> Option<Duration> {
        let at = self.quiet_at.max(self.earliest);
        (self.count() > 0).then(|| at.saturating_duration_since(Instant::now()))
    }

    /// Whether it is time.
    pub(super) fn is_due(&self) -> bool {
        let (count, now) = (self.count(), Instant::now());
        count > 0 && now >= self.earliest && (count >= BATCH || now >= self.quiet_at)
    }

    fn count(&self) -> u64 {
        self.waiting.until(self.waiting.newest())
    }

    /// It was tried in vain.
    pub(super) fn failed(&mut self) {
        self.earliest = Instant::now() + PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use diesel::RunQueryDsl;

    use super::super::Store;
    use super::super::clip_query::{ClipFilter, ClipSort};
    use super::super::statement::statement;
    use super::super::testing::{clip, options, revert_until, store};
    use super::*;
    use crate::model::page::Window;

    /// The titles that a word finds, without waiting for those that are not indexed yet.
    fn at_once(store: &Store, word: &str) -> Vec<String> {
        let filter = ClipFilter { q: Some(word.into()), ..ClipFilter::default() };
        let window = Window { offset: 0, limit: 10 };
        let page = store.read(|r| r.list_clips(&filter, ClipSort::default(), window)).unwrap();
        assert_eq!(page.total, page.items.len() as i64);
        page.items.into_iter().map(|it| it.title).collect()
    }

    async fn found(store: &Store, word: &str) -> Vec<String> {
        store.words_are_indexed().await.unwrap();
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
        let all =
            store.write_again(move |tx| (1..=count).try_for_each(|id| tx.insert_clip(&clip(id, "many"))));
        all.await.unwrap();
        let commits = store.commits();
        store.words_are_indexed().await.unwrap();
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
        prepared!("INSERT INTO clips (id, title, file_path, tags, metadata, processed, processing_status, provenance, \
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
        let all =
            store.write_again(|tx| (1..=BATCH as i64).try_for_each(|id| tx.insert_clip(&clip(id, "many"))));
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
}
