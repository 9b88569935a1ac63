//! Opening one connection: the settings that hold for every one of them, and the opaque handle.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};

use crate::error::{Error, Result};

use super::clip_totals::ClipTotals;
use super::direct::{self, Direct};
use super::failure::OrFail;
use super::gather;

/// A connection that reads. No type of the database's driver leaves the store.
pub struct Reader {
    /// A second way to a connection that writes; it comes first, to end first.
    direct: Option<Direct>,
    pub(super) conn: SqliteConnection,
    /// Where what it counts is remembered, unless it may see what is not committed.
    pub(super) clip_totals: Option<ClipTotals>,
}

/// `busy_timeout` comes first: the statements after it may already meet a lock.
const EVERYWHERE: &str = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; \
     PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;";
/// An answer to a client is a promise that survives a power cut: hence FULL. The log is worked into the file beside the
/// writer (`checkpoint.rs`); where that does not keep up, the writer does it at 192 MiB.
/// It keeps few pages (4 MiB): at most commits all that are kept are looked through, since a page was moved. Changed ones are
/// written at the commit alone (no `cache_spill`): what is gathered (`gather.rs`) is of one commit, and fails with it.
const WRITER: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864; \
     PRAGMA wal_autocheckpoint = 48000; PRAGMA cache_size = -4096; PRAGMA cache_spill = OFF;";
const READER: &str = "PRAGMA query_only = ON;";

impl Reader {
    /// The one connection that writes.
    pub(super) fn open_writer(path: &Path) -> Result<Self> {
        direct::establish(&gather::address(path)?)?.set_up(WRITER)
    }

    /// Over a connection and the second way to it.
    pub(super) fn both_ways(direct: Direct, conn: SqliteConnection) -> Self {
        Reader { direct: Some(direct), conn, clip_totals: None }
    }

    /// The second way, if it writes.
    pub(super) fn direct(&self) -> Result<&Direct> {
        self.direct.as_ref().ok_or_else(|| Error::internal("this connection only reads"))
    }

    /// From now on changes are answered before they are on the disk.
    pub(super) fn forgo_durability(&mut self) -> Result<()> {
        self.conn.batch_execute("PRAGMA synchronous = OFF").or_fail()
    }

    /// A connection that cannot write.
    pub(super) fn open_reader(path: &Path) -> Result<Self> {
        let path = path.to_str().ok_or_else(|| Error::internal("the database's path is not UTF-8"))?;
        let conn = SqliteConnection::establish(path).map_err(Error::internal)?;
        Reader { direct: None, conn, clip_totals: None }.set_up(READER)
    }

    fn set_up(mut self, own: &str) -> Result<Self> {
        self.conn.batch_execute(EVERYWHERE).or_fail()?;
        self.conn.batch_execute(own).or_fail()?;
        Ok(self)
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}
