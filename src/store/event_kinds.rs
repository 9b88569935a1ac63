//! Of which types the events of a block are. An index of all events by their type would have a place to write for each
//! type with every commit; of a block each type is written down once, and whoever looks for a type looks through its blocks.

use diesel::RunQueryDsl;
use diesel::sql_types::{BigInt, Text};

use crate::error::Result;

use super::connection::Reader;
use super::failure::OrFail;
use super::statement::statement;
use super::tx::Tx;

/// Places of a block, as the migration has it.
pub(super) const BLOCK: i64 = 64;

/// Forgets a type of a block that has no event of it any more.
const FORGET: &str = "DELETE FROM event_kinds WHERE kind = ? AND block = ? AND NOT EXISTS \
    (SELECT 1 FROM events WHERE seq BETWEEN ? AND ? AND events.kind = event_kinds.kind)";

/// The types that are known to be written down for the newest block.
#[derive(Debug, Default)]
pub(super) struct NewestBlock {
    number: i64,
    kinds: Vec<String>,
}

impl NewestBlock {
    fn has(&self, number: i64, kind: &str) -> bool {
        self.number == number && self.kinds.iter().any(|it| it == kind)
    }

    fn add(&mut self, number: i64, kind: &str) {
        if self.number != number {
            (self.number, self.kinds) = (number, Vec::new());
        }
        self.kinds.push(kind.to_owned());
    }
}

impl Tx {
    /// Writes down that the event at `seq` is of `kind`.
    pub(super) fn note_kind(&mut self, seq: i64, kind: &str) -> Result<()> {
        let block = seq / BLOCK;
        if !self.last.block.has(block, kind) {
            let note = statement("INSERT OR IGNORE INTO event_kinds (kind, block) VALUES (?, ?)");
            note.bind(kind).bind(block).write(self)?;
            self.last.block.add(block, kind);
        }
        Ok(())
    }

    /// Writes down of which types the events after `seq` are, which another connection has put there.
    pub(super) fn note_kinds_after(&mut self, seq: i64) -> Result<()> {
        let note = statement(
            "INSERT OR IGNORE INTO event_kinds SELECT DISTINCT kind, seq / 64 FROM events WHERE seq > ?",
        );
        note.bind(seq).write(self).map(drop)
    }

    /// The last place before the newest block of which a type is written down.
    pub(super) fn last_known_kind(&self) -> Result<i64> {
        let newest = statement("SELECT coalesce(max(block), 0) FROM event_kinds").number(self)?;
        Ok(newest.unwrap_or_default() * BLOCK - 1)
    }

    /// Events of these places and types are gone: forgets of their blocks what is not there any more.
    pub(super) fn forget_kinds(&mut self, gone: &[(i64, &str)]) -> Result<()> {
        let mut blocks: Vec<(i64, &str)> = gone.iter().map(|(seq, kind)| (seq / BLOCK, *kind)).collect();
        blocks.sort_unstable();
        blocks.dedup();
        // One by one: a list of pairs is looked up by the type alone, in all of its blocks.
        for (block, kind) in blocks {
            let (first, last) = (block * BLOCK, block * BLOCK + BLOCK - 1);
            statement(FORGET).bind(kind).bind(block).bind(first).bind(last).write(self)?;
        }
        self.last.block = NewestBlock::default();
        Ok(())
    }
}

impl Reader {
    /// The first type by name on one side of `from` and before `end`.
    pub(super) fn next_kind(&mut self, side: &str, from: &str, end: &str) -> Result<Option<String>> {
        let next = statement::<Text>(format!(
            "SELECT kind FROM event_kinds WHERE kind {side} ? AND kind < ? ORDER BY kind LIMIT 1"
        ));
        let found: Vec<String> = next.bind(from).bind(end).load(&mut self.conn).or_fail()?;
        Ok(found.into_iter().next())
    }

    /// The next `limit` blocks with an event of one of `kinds`, of those that have places between the two (exclusive).
    pub(super) fn blocks_of_kinds(
        &mut self,
        kinds: &[String],
        (after, before): (i64, i64),
        newest_first: bool,
        limit: usize,
    ) -> Result<Vec<i64>> {
        let order = if newest_first { "DESC" } else { "ASC" };
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut blocks = Vec::new();
        for kind in kinds {
            let of_kind = statement::<BigInt>(format!(
                "SELECT block FROM event_kinds WHERE kind = ? AND block BETWEEN ? AND ? ORDER BY block {order} LIMIT ?"
            ));
            let (first, last) = ((after + 1) / BLOCK, (before - 1) / BLOCK);
            let of_kind = of_kind.bind(kind.as_str()).bind(first).bind(last).bind(most);
            let found: Vec<i64> = of_kind.load(&mut self.conn).or_fail()?;
            blocks.extend(found);
        }
        blocks.sort_unstable();
        blocks.dedup();
        if newest_first {
            blocks.reverse();
        }
        blocks.truncate(limit);
        Ok(blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{event, options, store};
    use super::super::{Store, Tx};
    use super::*;
    use crate::error::Error;

    #[test]
    fn a_type_is_forgotten_by_a_look_at_its_one_block() {
        let (_folder, store) = store();
        let forget = statement::<()>(FORGET).bind("a").bind(1_i64).bind(64_i64).bind(127_i64);
        let plan = store.read(|reader| Ok(forget.explained(reader))).unwrap();
        let has = |part| plan.iter().any(|it| it.contains(part));
        assert!(has("event_kinds USING PRIMARY KEY (kind=? AND block=?)"), "{plan:?}");
        assert!(has("events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"), "{plan:?}");
    }

    #[test]
    fn types_that_another_connection_has_written_are_known_whatever_failed_before_or_after() {
        let (folder, store) = store();
        let put = |store: &Store, id: &'static str| {
            store.write_blocking(move |tx| Ok(tx.insert_event(&event(id, None))?.seq)).unwrap();
        };
        let fail = |store: &Store| {
            let failed = |tx: &mut Tx| {
                tx.insert_event(&event("lost", None))?;
                Err::<(), _>(Error::internal("taken back"))
            };
            store.write_blocking(failed).unwrap_err();
        };
        let path = options(&folder).path;
        let write = |id: &str| {
            let other = Reader::open_writer(&path).unwrap();
            let copy = "INSERT INTO events SELECT (SELECT max(seq) FROM events) + 1, ?, ?, source, subject, time, data, \
                        correlation_id, causation_id, priority, depth, expires_at, plugins, traceparent FROM events LIMIT 1";
            statement::<()>(copy).bind(id).bind(id).write(&other).unwrap();
        };
        put(&store, "a");
        write("then.a.failure");
        fail(&store);
        put(&store, "b");
        fail(&store);
        write("after.a.failure");
        put(&store, "c");
        drop(store);
        write("while.stopped");
        let store = Store::open(&options(&folder)).unwrap();
        put(&store, "d");
        let kinds = statement::<Text>("SELECT kind FROM event_kinds WHERE kind <> 'test' ORDER BY kind");
        let kinds: Vec<String> = store.read(|it| kinds.load(&mut it.conn).or_fail()).unwrap();
        let theirs: Vec<_> =
            kinds.iter().filter(|it| it.contains(".a.") || it.starts_with("while")).collect();
        assert_eq!(theirs, ["after.a.failure", "then.a.failure", "while.stopped"], "{kinds:?}");
    }
}
