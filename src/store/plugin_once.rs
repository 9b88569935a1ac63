//! What plugins did once for an id.

use diesel::prelude::*;
use serde_json::Value;

use crate::error::Result;
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::failure::OrFail;
use super::json::{from_text, to_text};
use super::schema::plugin_once as once;
use super::tx::Tx;

impl Tx {
    /// Notes that it was done.
    ///
    /// # Errors
    /// The database's.
    pub fn put_once(&mut self, plugin: &str, id: &str, result: &Value, now: Timestamp) -> Result<()> {
        let values =
            (once::plugin.eq(plugin), once::id.eq(id), once::result.eq(to_text(result)?), once::at.eq(now.0));
        diesel::replace_into(once::table).values(values).execute(&mut self.conn).or_fail().map(drop)
    }

    /// Forgets at most `batch` of those done before `before`.
    ///
    /// # Errors
    /// The database's.
    pub fn sweep_once(&mut self, before: Timestamp, batch: i64) -> Result<usize> {
        let old: Vec<(String, String)> = once::table
            .filter(once::at.lt(before.0))
            .select((once::plugin, once::id))
            .limit(batch)
            .load(&mut self.conn)
            .or_fail()?;
        for (plugin, id) in &old {
            diesel::delete(once::table.find((plugin, id))).execute(&mut self.conn).or_fail()?;
        }
        Ok(old.len())
    }

    /// Forgets everything a plugin did once.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_once(&mut self, plugin: &str) -> Result<()> {
        diesel::delete(once::table.filter(once::plugin.eq(plugin)))
            .execute(&mut self.conn)
            .or_fail()
            .map(drop)
    }
}

impl Reader {
    /// What came of it, when it was done.
    ///
    /// # Errors
    /// The database's.
    pub fn once(&mut self, plugin: &str, id: &str) -> Result<Option<Value>> {
        let found: Option<String> =
            once::table.find((plugin, id)).select(once::result).first(&mut self.conn).optional().or_fail()?;
        found.map(|it| from_text(&it)).transpose()
    }

    /// How many a plugin has done.
    ///
    /// # Errors
    /// The database's.
    pub fn count_once(&mut self, plugin: &str) -> Result<i64> {
        once::table.filter(once::plugin.eq(plugin)).count().get_result(&mut self.conn).or_fail()
    }
}
