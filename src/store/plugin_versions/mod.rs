//! The versions of plugins' files: rows here, bytes in `blobs`.

mod blobs;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use diesel::dsl::max;
use diesel::prelude::*;

use crate::error::{Error, Result};
use crate::model::kept_version::{NewVersion, RolledBack, VersionFile, VersionRow};
use crate::model::page::Window;
use crate::model::plugin_version::VersionOrigin;
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::failure::OrFail;
use super::schema::{plugin_blobs, plugin_version_files as files, plugin_versions as versions};
use super::tx::Tx;

pub use blobs::packed;

#[derive(Queryable, Selectable)]
#[diesel(table_name = versions)]
struct Row {
    id: i64,
    plugin_id: i64,
    number: i64,
    hash: String,
    generation: i64,
    origin: String,
    author: String,
    note: Option<String>,
    at: i64,
    restores: Option<i64>,
    files: i64,
    bytes: i64,
    rolled_back_at: Option<i64>,
    rolled_back_why: Option<String>,
}

const ORIGINS: [VersionOrigin; 4] =
    [VersionOrigin::Disk, VersionOrigin::Api, VersionOrigin::Rollback, VersionOrigin::AutomaticRollback];

fn version_of(row: Row) -> Result<VersionRow> {
    let origin = ORIGINS.into_iter().find(|it| it.as_str() == row.origin);
    let origin = origin.ok_or_else(|| Error::internal(format!("a version's origin is `{}`", row.origin)))?;
    let rolled_back = row
        .rolled_back_at
        .map(|at| RolledBack { at: Timestamp(at), why: row.rolled_back_why.unwrap_or_default() });
    Ok(VersionRow {
        id: row.id,
        plugin_id: row.plugin_id,
        number: row.number,
        hash: row.hash,
        generation: u64::try_from(row.generation).unwrap_or_default(),
        origin,
        author: row.author,
        note: row.note,
        at: Timestamp(row.at),
        restores: row.restores,
        files: row.files,
        bytes: row.bytes,
        rolled_back,
    })
}

impl Tx {
    /// Keeps a version under the plugin's next number; none is made when its last one has the same files. A rollback
    /// marks the last one as gone back from. Beyond `most` the plugin's oldest ones go, never the last two and never the last good one before the last.
    ///
    /// # Errors
    /// The database's.
    pub fn keep_version(&mut self, new: &NewVersion, most: i64) -> Result<VersionRow> {
        let last = self.last_version(new.plugin_id)?;
        let number = match last {
            Some(last) if last.hash == *new.hash => return Ok(last),
            Some(last) => last.number + 1,
            None => 1,
        };
        let by = &new.authorship;
        let restores = match by.origin {
            VersionOrigin::Rollback | VersionOrigin::AutomaticRollback => {
                let why = by.note.clone().unwrap_or_else(|| format!("by {}", by.author));
                self.mark_rolled_back(new.plugin_id, number - 1, new.at, &why)?;
                self.version_with_hash(new.plugin_id, &new.hash)?.map(|it| it.number)
            }
            _ => None,
        };
        let bytes: i64 = new.files.iter().map(|(_, blob)| blob.size).sum();
        let row = diesel::insert_into(versions::table)
            .values((
                versions::plugin_id.eq(new.plugin_id),
                versions::number.eq(number),
                versions::hash.eq(&*new.hash),
                versions::generation.eq(i64::try_from(new.generation).unwrap_or(i64::MAX)),
                versions::origin.eq(new.authorship.origin.as_str()),
                versions::author.eq(&new.authorship.author),
                versions::note.eq(&new.authorship.note),
                versions::at.eq(new.at.0),
                versions::restores.eq(restores),
                versions::files.eq(i64::try_from(new.files.len()).unwrap_or(i64::MAX)),
                versions::bytes.eq(bytes),
            ))
            .returning(Row::as_returning())
            .get_result(&mut self.conn)
            .or_fail()?;
        for (path, blob) in &new.files {
            self.keep_blob(blob)?;
            let file = (files::version_id.eq(row.id), files::path.eq(path), files::blob.eq(&blob.hash));
            diesel::insert_into(files::table).values(file).execute(&mut self.conn).or_fail()?;
        }
        self.drop_old_versions(new.plugin_id, number, most)?;
        version_of(row)
    }

    /// Notes that a version was gone back from.
    fn mark_rolled_back(&mut self, plugin: i64, number: i64, at: Timestamp, why: &str) -> Result<()> {
        let row = versions::table.filter(versions::plugin_id.eq(plugin)).filter(versions::number.eq(number));
        let said = (versions::rolled_back_at.eq(at.0), versions::rolled_back_why.eq(why));
        diesel::update(row).set(said).execute(&mut self.conn).or_fail().map(drop)
    }

    /// Removes all versions of a plugin, and the bytes that nobody else has.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_versions(&mut self, plugin: i64) -> Result<()> {
        let ids = versions::table.filter(versions::plugin_id.eq(plugin)).select(versions::id);
        let ids: Vec<i64> = ids.load(&mut self.conn).or_fail()?;
        self.drop_versions(&ids)
    }

    fn drop_old_versions(&mut self, plugin: i64, last: i64, most: i64) -> Result<()> {
        let own = || versions::table.filter(versions::plugin_id.eq(plugin));
        let count: i64 = own().count().get_result(&mut self.conn).or_fail()?;
        let over = count - most.max(1);
        if over <= 0 {
            return Ok(());
        }
        let good = own()
            .filter(versions::number.lt(last))
            .filter(versions::rolled_back_at.is_null())
            .select(max(versions::number));
        let good: Option<i64> = good.get_result(&mut self.conn).or_fail()?;
        let old = own()
            .filter(versions::number.lt(last - 1))
            .filter(versions::number.ne(good.unwrap_or_default()))
            .order(versions::number)
            .limit(over)
            .select(versions::id);
        let old: Vec<i64> = old.load(&mut self.conn).or_fail()?;
        self.drop_versions(&old)
    }

    fn drop_versions(&mut self, ids: &[i64]) -> Result<()> {
        let mut had = std::collections::BTreeSet::new();
        for id in ids {
            let own = files::table.filter(files::version_id.eq(id)).select(files::blob);
            had.extend(own.load::<String>(&mut self.conn).or_fail()?);
            diesel::delete(versions::table.find(id)).execute(&mut self.conn).or_fail()?;
        }
        had.into_iter().try_for_each(|hash| self.drop_orphan(&hash))
    }
}

impl Reader {
    /// The last version of a plugin.
    ///
    /// # Errors
    /// The database's.
    pub fn last_version(&mut self, plugin: i64) -> Result<Option<VersionRow>> {
        let own = versions::table.filter(versions::plugin_id.eq(plugin)).order(versions::number.desc());
        own.select(Row::as_select()).first(&mut self.conn).optional().or_fail()?.map(version_of).transpose()
    }

    /// The last version of every plugin that has one, by the plugin's number.
    ///
    /// # Errors
    /// The database's.
    pub fn last_versions(&mut self) -> Result<BTreeMap<i64, VersionRow>> {
        let last = versions::table.group_by(versions::plugin_id).select(max(versions::id));
        let last: Vec<Option<i64>> = last.load(&mut self.conn).or_fail()?;
        let mut found = BTreeMap::new();
        // A list of names in SQL has a limit.
        for ids in last.chunks(500) {
            let rows = versions::table.filter(versions::id.nullable().eq_any(ids)).select(Row::as_select());
            for row in rows.load(&mut self.conn).or_fail()? {
                found.insert(row.plugin_id, version_of(row)?);
            }
        }
        Ok(found)
    }

    /// A plugin's version by its number.
    ///
    /// # Errors
    /// The database's.
    pub fn version(&mut self, plugin: i64, number: i64) -> Result<Option<VersionRow>> {
        let own = versions::table.filter(versions::plugin_id.eq(plugin)).filter(versions::number.eq(number));
        own.select(Row::as_select()).first(&mut self.conn).optional().or_fail()?.map(version_of).transpose()
    }

    /// A plugin's newest version with these files.
    ///
    /// # Errors
    /// The database's.
    pub fn version_with_hash(&mut self, plugin: i64, hash: &str) -> Result<Option<VersionRow>> {
        let own = versions::table.filter(versions::plugin_id.eq(plugin)).filter(versions::hash.eq(hash));
        let own = own.order(versions::number.desc()).select(Row::as_select());
        own.first(&mut self.conn).optional().or_fail()?.map(version_of).transpose()
    }

    /// The newest version before `number` that has other files, and that no automatic rollback has gone back from.
    ///
    /// # Errors
    /// The database's.
    pub fn version_before(&mut self, plugin: i64, number: i64, hash: &str) -> Result<Option<VersionRow>> {
        let former = versions::table
            .filter(versions::plugin_id.eq(plugin))
            .filter(versions::number.lt(number))
            .filter(versions::hash.ne(hash))
            .order(versions::number.desc())
            .select(Row::as_select());
        let former: Vec<VersionRow> =
            former.load(&mut self.conn).or_fail()?.into_iter().map(version_of).collect::<Result<_>>()?;
        for version in former {
            let next = self.version(plugin, version.number + 1)?;
            let failed = version.rolled_back.is_some()
                && next.is_some_and(|it| it.origin == VersionOrigin::AutomaticRollback);
            if !failed {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    /// A window of a plugin's versions, newest first, and how many there are.
    ///
    /// # Errors
    /// The database's.
    pub fn list_versions(&mut self, plugin: i64, window: Window) -> Result<(Vec<VersionRow>, i64)> {
        let own = versions::table.filter(versions::plugin_id.eq(plugin));
        let total: i64 = own.count().get_result(&mut self.conn).or_fail()?;
        let rows = own
            .order(versions::number.desc())
            .offset(window.offset)
            .limit(window.limit)
            .select(Row::as_select())
            .load(&mut self.conn)
            .or_fail()?;
        Ok((rows.into_iter().map(version_of).collect::<Result<_>>()?, total))
    }

    /// The files of a version, by path.
    ///
    /// # Errors
    /// The database's.
    pub fn version_files(&mut self, id: i64) -> Result<Vec<VersionFile>> {
        let rows: Vec<(String, String, i64)> = files::table
            .inner_join(plugin_blobs::table)
            .filter(files::version_id.eq(id))
            .order(files::path)
            .select((files::path, files::blob, plugin_blobs::size))
            .load(&mut self.conn)
            .or_fail()?;
        Ok(rows.into_iter().map(|(path, hash, size)| VersionFile { path, hash, size }).collect())
    }
}
