//! What plugins keep for clients: names, hashes, sizes.

use std::collections::HashSet;

use diesel::dsl::{count_star, sql};
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::error::Result;
use crate::model::asset::Asset;
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::failure::OrFail;
use super::schema::plugin_assets as assets;
use super::tx::Tx;

type Row = (String, String, String, String, i64, i64);

fn asset_of((_, name, mime, sha256, size, created_at): Row) -> Asset {
    Asset { name, mime, sha256, size, created_at: Timestamp(created_at) }
}

impl Tx {
    /// Stores an asset in place of the one of its name; the hash of the former one when nobody else has it.
    ///
    /// # Errors
    /// The database's.
    pub fn put_asset(&mut self, plugin: &str, asset: &Asset) -> Result<Option<String>> {
        let former = self.asset_hash(plugin, &asset.name)?;
        let values = (
            assets::plugin.eq(plugin),
            assets::name.eq(&asset.name),
            assets::mime.eq(&asset.mime),
            assets::sha256.eq(&asset.sha256),
            assets::size.eq(asset.size),
            assets::created_at.eq(asset.created_at.0),
        );
        diesel::replace_into(assets::table).values(values).execute(&mut self.conn).or_fail()?;
        self.orphan(plugin, former)
    }

    /// Removes an asset: whether it was there, and its hash when nobody else has it.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_asset(&mut self, plugin: &str, name: &str) -> Result<(bool, Option<String>)> {
        let former = self.asset_hash(plugin, name)?;
        let was_there = former.is_some();
        diesel::delete(assets::table.find((plugin, name))).execute(&mut self.conn).or_fail()?;
        Ok((was_there, self.orphan(plugin, former)?))
    }

    /// Removes all assets of a plugin.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_assets(&mut self, plugin: &str) -> Result<()> {
        diesel::delete(assets::table.filter(assets::plugin.eq(plugin)))
            .execute(&mut self.conn)
            .or_fail()
            .map(drop)
    }

    fn asset_hash(&mut self, plugin: &str, name: &str) -> Result<Option<String>> {
        assets::table.find((plugin, name)).select(assets::sha256).first(&mut self.conn).optional().or_fail()
    }

    fn orphan(&mut self, plugin: &str, hash: Option<String>) -> Result<Option<String>> {
        let Some(hash) = hash else { return Ok(None) };
        let same = assets::table.filter(assets::plugin.eq(plugin)).filter(assets::sha256.eq(&hash));
        let left: i64 = same.count().get_result(&mut self.conn).or_fail()?;
        Ok((left == 0).then_some(hash))
    }
}

impl Reader {
    /// One asset.
    ///
    /// # Errors
    /// The database's.
    pub fn asset(&mut self, plugin: &str, name: &str) -> Result<Option<Asset>> {
        let row: Option<Row> =
            assets::table.find((plugin, name)).first(&mut self.conn).optional().or_fail()?;
        Ok(row.map(asset_of))
    }

    /// The hashes of all bytes that a plugin's assets have.
    ///
    /// # Errors
    /// The database's.
    pub fn asset_hashes(&mut self, plugin: &str) -> Result<HashSet<String>> {
        let hashes: Vec<String> = assets::table
            .filter(assets::plugin.eq(plugin))
            .select(assets::sha256)
            .load(&mut self.conn)
            .or_fail()?;
        Ok(hashes.into_iter().collect())
    }

    /// The assets of a plugin, by name; at most `limit` after `after`.
    ///
    /// # Errors
    /// The database's.
    pub fn list_assets(&mut self, plugin: &str, after: &str, limit: i64) -> Result<Vec<Asset>> {
        let rows: Vec<Row> = assets::table
            .filter(assets::plugin.eq(plugin))
            .filter(assets::name.gt(after))
            .order(assets::name)
            .limit(limit)
            .load(&mut self.conn)
            .or_fail()?;
        Ok(rows.into_iter().map(asset_of).collect())
    }

    /// How many assets a plugin has, and their bytes.
    ///
    /// # Errors
    /// The database's.
    pub fn asset_usage(&mut self, plugin: &str) -> Result<(i64, i64)> {
        let own = assets::table.filter(assets::plugin.eq(plugin));
        own.select((count_star(), sql::<BigInt>("COALESCE(SUM(size), 0)"))).first(&mut self.conn).or_fail()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::store;
    use super::*;

    #[test]
    fn a_hash_is_an_orphan_once_nobody_has_it() {
        let (_folder, store) = store();
        let asset = |name: &str, hash: &str, size| Asset {
            name: name.into(),
            mime: "image/png".into(),
            sha256: hash.into(),
            size,
            created_at: Timestamp(1),
        };
        let put = |it: Asset| store.write_blocking(move |tx| tx.put_asset("p", &it)).unwrap();
        assert_eq!(put(asset("a", "1", 10)), None);
        assert_eq!(put(asset("b", "1", 10)), None);
        assert_eq!(put(asset("a", "2", 20)), None, "b has it still");
        assert_eq!(put(asset("b", "2", 20)), Some("1".to_owned()));
        assert_eq!(store.read(|it| it.asset_usage("p")).unwrap(), (2, 40));
        let gone = store.write_blocking(|tx| tx.delete_asset("p", "a")).unwrap();
        assert_eq!(gone, (true, None));
        let gone = store.write_blocking(|tx| tx.delete_asset("p", "b")).unwrap();
        assert_eq!(gone, (true, Some("2".to_owned())));
        assert!(store.read(|it| it.list_assets("p", "", 10)).unwrap().is_empty());
    }
}
