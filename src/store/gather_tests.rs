//! What is gathered arrives: all of it, in its place, and not later than anybody can look for it.

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Text};
use proptest::prelude::*;

use super::super::connection::Reader;
use super::super::statement::statement;
use super::*;

thread_local! {
    /// How often a database file was flushed by itself.
    pub(super) static FLUSHES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[test]
fn a_database_file_is_flushed_by_a_statement_of_whoever_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let mut writers = [Reader::open_writer(&path).unwrap(), Reader::open_writer(&path).unwrap()];
    for (number, writer) in (0..).zip(&mut writers) {
        writer.conn.batch_execute("CREATE TABLE IF NOT EXISTS t (x); INSERT INTO t VALUES (1)").unwrap();
        assert_eq!(FLUSHES.get(), number);
        writer.conn.batch_execute(FLUSH).unwrap();
        assert_eq!(FLUSHES.get(), number + 1);
    }
    let mut reader = Reader::open_reader(&path).unwrap();
    reader.conn.batch_execute(FLUSH).unwrap();
    assert_eq!(FLUSHES.get(), 2, "who reads has no layer, and no such statement");
    let rows = statement::<BigInt>("SELECT count(*) FROM t").get_result::<i64>(&mut reader.conn).unwrap();
    assert_eq!(rows, 2);
}

/// A file in memory, and how often it was written to.
#[derive(Default)]
struct Memory(Vec<u8>, usize);

impl Memory {
    fn put(&mut self, bytes: &[u8], at: i64) -> c_int {
        let at = usize::try_from(at).unwrap();
        let end = at + bytes.len();
        self.0.resize(self.0.len().max(end), 0);
        self.0[at..end].copy_from_slice(bytes);
        self.1 += 1;
        ffi::SQLITE_OK
    }
}

fn header(is_commit: bool) -> [u8; FRAME_HEADER] {
    let mut header = [7; FRAME_HEADER];
    header[4..8].copy_from_slice(&u32::from(is_commit).to_be_bytes());
    header
}

#[test]
fn a_commit_of_fifty_pages_is_written_once_not_a_hundred_times() {
    let (mut gathered, mut file, mut at) = (Gathered::default(), Memory::default(), 32);
    for page in 0..50_u8 {
        for data in [&header(page == 49)[..], &[page; 4096]] {
            assert_eq!(gathered.write(data, at, &mut |bytes, at| file.put(bytes, at)), ffi::SQLITE_OK);
            at += data.len() as i64;
        }
    }
    assert_eq!((file.1, file.0.len() as i64), (1, at));
}

#[test]
fn what_cannot_be_written_is_told_once_and_not_tried_again() {
    let mut gathered = Gathered::default();
    let fails = &mut |_: &[u8], _| ffi::SQLITE_FULL;
    assert_eq!(gathered.write(&header(false), 32, fails), ffi::SQLITE_OK);
    assert_eq!(gathered.write(&header(true), 5000, fails), ffi::SQLITE_FULL);
    let mut file = Memory::default();
    assert_eq!(gathered.hand_on(&mut |bytes, at| file.put(bytes, at)), ffi::SQLITE_OK);
    assert_eq!(file.1, 0);
}

#[derive(Debug, Clone)]
enum Op {
    /// Behind the last write, or somewhere else; how many bytes; the last of a commit.
    Write(Option<u16>, u16, bool),
    Look,
}

fn op() -> impl Strategy<Value = Op> {
    let length = prop_oneof![Just(24_u16), Just(32), 512..2048_u16];
    prop_oneof![
        6 => (prop::option::weighted(0.2, 0..20_000_u16), length, any::<bool>())
            .prop_map(|(at, length, commit)| Op::Write(at, length, commit)),
        1 => Just(Op::Look),
    ]
}

proptest! {
    #[test]
    fn a_file_is_the_same_as_if_each_write_had_gone_to_it(ops in prop::collection::vec(op(), 1..60)) {
        let (mut gathered, mut direct, mut file) = (Gathered::default(), Memory::default(), Memory::default());
        let (mut end, mut commits) = (0_i64, false);
        for (number, op) in ops.into_iter().enumerate() {
            match op {
                Op::Write(at, length, is_commit) => {
                    let mut data = vec![number as u8; usize::from(length)];
                    data[4..8].copy_from_slice(&u32::from(is_commit).to_be_bytes());
                    let at = at.map_or(end, i64::from);
                    end = at + i64::from(length);
                    direct.put(&data, at);
                    gathered.write(&data, at, &mut |bytes, at| file.put(bytes, at));
                    if usize::from(length) == FRAME_HEADER {
                        commits = is_commit;
                    } else if at == 0 {
                        commits = false;
                    } else if commits {
                        prop_assert_eq!(&direct.0, &file.0);
                    }
                }
                Op::Look => {
                    gathered.hand_on(&mut |bytes, at| file.put(bytes, at));
                    prop_assert_eq!(&direct.0, &file.0);
                }
            }
        }
    }
}

fn number(reader: &mut Reader, sql: &'static str) -> i64 {
    statement::<BigInt>(sql).get_result(&mut reader.conn).unwrap()
}

/// What is there after the process was killed at this moment.
fn after_a_kill(path: &Path, folder: &Path, round: i64) -> Reader {
    let killed = folder.join(format!("killed-{round}.db"));
    let log = |of: &Path| std::path::PathBuf::from(format!("{}-wal", of.display()));
    std::fs::copy(path, &killed).unwrap();
    std::fs::copy(log(path), log(&killed)).unwrap();
    Reader::open_writer(&killed).unwrap()
}

#[test]
fn a_commit_whose_pages_were_written_before_and_change_again_is_in_the_file_when_it_has_ended() {
    for level in ["OFF", "NORMAL", "FULL"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("live.db");
        let mut writer = Reader::open_writer(&path).unwrap();
        let few = format!(
            "PRAGMA synchronous = {level}; PRAGMA cache_spill = ON; PRAGMA cache_size = 5; PRAGMA wal_autocheckpoint = 0; \
             CREATE TABLE t (n INTEGER PRIMARY KEY, x BLOB)"
        );
        writer.conn.batch_execute(&few).unwrap();
        for round in 1..=10 {
            let change = "BEGIN IMMEDIATE; \
                 WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 40) \
                    INSERT INTO t (x) SELECT randomblob(700) FROM c; \
                 UPDATE t SET x = randomblob(700) WHERE n % 3 = 0; UPDATE t SET x = randomblob(700) WHERE n % 2 = 0; COMMIT";
            writer.conn.batch_execute(change).unwrap();
            // Before the writer reads: whoever reads has all handed on.
            let rows = number(&mut after_a_kill(&path, folder.path(), round), "SELECT count(*) FROM t");
            assert_eq!(rows, 40 * round, "{level}, round {round}");
        }
    }
}

#[test]
fn every_commit_is_seen_by_others_and_survives_the_process_however_the_log_is_flushed() {
    for level in ["OFF", "NORMAL", "FULL"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a 100% #1?.db");
        let mut writer = Reader::open_writer(&path).unwrap();
        // So few pages that transactions write before they commit, and write the same pages again.
        let few = format!(
            "PRAGMA synchronous = {level}; PRAGMA cache_spill = ON; PRAGMA cache_size = 5; PRAGMA wal_autocheckpoint = 40;"
        );
        writer.conn.batch_execute(&few).unwrap();
        writer
            .conn
            .batch_execute("CREATE TABLE t (n INTEGER PRIMARY KEY, x BLOB, y); CREATE INDEX i ON t (y);")
            .unwrap();
        let mut reader = Reader::open_reader(&path).unwrap();
        let sum = "SELECT coalesce(sum(n * y), 0) FROM t";
        for round in 0..60 {
            let change = format!(
                "BEGIN IMMEDIATE; \
                 WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 40) \
                    INSERT INTO t (x, y) SELECT randomblob(700), abs(random()) % 1000 FROM c; \
                 SAVEPOINT s; UPDATE t SET y = y + 1 WHERE n % 3 = {round} % 3; \
                 {} RELEASE s; UPDATE t SET x = zeroblob(900) WHERE n % 7 = 1; DELETE FROM t WHERE n % 11 = {round} % 11; {};",
                if round % 4 == 1 { "ROLLBACK TO s;" } else { "" },
                if round % 5 == 2 { "ROLLBACK" } else { "COMMIT" },
            );
            writer.conn.batch_execute(&change).unwrap_or_else(|it| panic!("{level} {round}: {it} {change}"));
            let told = number(&mut writer, sum);
            assert_eq!(number(&mut reader, sum), told, "{level}, round {round}");
            if round % 10 == 9 {
                let mut killed = after_a_kill(&path, folder.path(), round);
                assert_eq!(number(&mut killed, sum), told, "{level}, round {round}");
                let whole =
                    statement::<Text>("PRAGMA integrity_check").get_result::<String>(&mut killed.conn);
                assert_eq!(whole.unwrap(), "ok");
            }
        }
        assert!(number(&mut reader, "SELECT count(*) FROM t") > 100);
    }
}
