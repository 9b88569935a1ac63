//! What admins have granted to plugins.

use diesel::prelude::*;

use crate::error::Result;
use crate::model::plugin::GrantRow;
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::failure::OrFail;
use super::json::{from_text, to_text};
use super::schema::plugin_grants as grants;
use super::tx::Tx;

impl Tx {
    /// Stores what a plugin is granted, in place of what it was.
    ///
    /// # Errors
    /// The database's.
    pub fn put_grant(&mut self, row: &GrantRow) -> Result<()> {
        let values = (
            grants::plugin.eq(&row.plugin),
            grants::permissions.eq(to_text(&row.permissions)?),
            grants::manifest_hash.eq(&row.manifest_hash),
            grants::granted_by.eq(&row.granted_by),
            grants::granted_at.eq(row.granted_at.0),
        );
        diesel::replace_into(grants::table).values(values).execute(&mut self.conn).or_fail().map(drop)
    }

    /// Takes back everything a plugin was granted.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_grant(&mut self, plugin: &str) -> Result<()> {
        diesel::delete(grants::table.find(plugin)).execute(&mut self.conn).or_fail().map(drop)
    }
}

impl Reader {
    /// Every grant.
    ///
    /// # Errors
    /// The database's.
    pub fn list_grants(&mut self) -> Result<Vec<GrantRow>> {
        let rows: Vec<(String, String, String, String, i64)> =
            grants::table.load(&mut self.conn).or_fail()?;
        let rows = rows.into_iter().map(|(plugin, permissions, manifest_hash, granted_by, granted_at)| {
            let permissions = from_text(&permissions)?;
            Ok(GrantRow { plugin, permissions, manifest_hash, granted_by, granted_at: Timestamp(granted_at) })
        });
        rows.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::store;
    use super::*;

    #[test]
    fn a_grant_is_replaced_and_taken_back() {
        let (_folder, store) = store();
        let row = |http: &str| GrantRow {
            plugin: "quiet".into(),
            permissions: json!({"http": [http]}),
            manifest_hash: "h".into(),
            granted_by: "key/1".into(),
            granted_at: Timestamp(7),
        };
        let (first, second) = (row("a.example"), row("b.example"));
        store.write_blocking(move |tx| tx.put_grant(&first)).unwrap();
        let kept = second.clone();
        store.write_blocking(move |tx| tx.put_grant(&kept)).unwrap();
        assert_eq!(store.read(|it| it.list_grants()).unwrap(), [second]);
        store.write_blocking(|tx| tx.delete_grant("quiet")).unwrap();
        assert!(store.read(|it| it.list_grants()).unwrap().is_empty());
    }
}
