//! What was set in the config of plugins over HTTP.

use std::borrow::Cow;

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as Db};

use crate::error::{Code, Error, Result};
use crate::model::plugin::{SEALED, StoredConfig, StoredValue};
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::failure::{OrFail, failed};
use super::json::{from_text, to_text};
use super::schema::plugin_configurations as configurations;
use super::tx::Tx;

type Row = (i64, String, String, i64, i64);

const COLUMNS: (
    configurations::id,
    configurations::key,
    configurations::value,
    configurations::created_at,
    configurations::updated_at,
) = (
    configurations::id,
    configurations::key,
    configurations::value,
    configurations::created_at,
    configurations::updated_at,
);

fn config_of((id, key, value, created_at, updated_at): Row) -> Result<StoredConfig> {
    let value = match value.starts_with(SEALED) {
        true => StoredValue::Sealed(value),
        false => StoredValue::Plain(from_text(&value)?),
    };
    Ok(StoredConfig { id, key, value, created_at: Timestamp(created_at), updated_at: Timestamp(updated_at) })
}

/// The column's text: JSON, or what only the server's key opens.
fn text_of(value: &StoredValue) -> Result<Cow<'_, str>> {
    match value {
        StoredValue::Plain(value) => to_text(value).map(Cow::Owned),
        StoredValue::Sealed(text) => Ok(Cow::Borrowed(text)),
    }
}

impl Tx {
    /// Adds a value to a plugin's config.
    ///
    /// # Errors
    /// `KeyExists` when the plugin has a value for the key, `PluginNotFound` when there is no such plugin.
    pub fn insert_config(
        &mut self,
        plugin_id: i64,
        key: &str,
        value: &StoredValue,
        now: Timestamp,
    ) -> Result<StoredConfig> {
        let row = (
            configurations::plugin_id.eq(plugin_id),
            configurations::key.eq(key),
            configurations::value.eq(text_of(value)?),
            configurations::created_at.eq(now.0),
            configurations::updated_at.eq(now.0),
        );
        diesel::insert_into(configurations::table)
            .values(row)
            .returning(COLUMNS)
            .get_result(&mut self.conn)
            .map_err(|error| match error {
                Db::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => {
                    Error::new(Code::KeyExists, format!("The plugin has a value for {key:?}."))
                }
                Db::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _) => {
                    Error::new(Code::PluginNotFound, format!("There is no plugin {plugin_id}."))
                }
                other => failed(other),
            })
            .and_then(config_of)
    }

    /// From here on what is deleted or overwritten leaves no trace in the file; `false` goes back to what is usual.
    ///
    /// # Errors
    /// The database's.
    pub fn leave_no_trace(&mut self, wanted: bool) -> Result<()> {
        self.execute(if wanted { "PRAGMA secure_delete = ON" } else { "PRAGMA secure_delete = OFF" })
    }

    /// Changes a value of a plugin's config.
    ///
    /// # Errors
    /// `ConfigNotFound`.
    pub fn update_config(
        &mut self,
        plugin_id: i64,
        id: i64,
        value: &StoredValue,
        now: Timestamp,
    ) -> Result<StoredConfig> {
        let row = configurations::table.find(id).filter(configurations::plugin_id.eq(plugin_id));
        diesel::update(row)
            .set((configurations::value.eq(text_of(value)?), configurations::updated_at.eq(now.0)))
            .returning(COLUMNS)
            .get_result(&mut self.conn)
            .optional()
            .or_fail()?
            .map(config_of)
            .unwrap_or_else(|| {
                Err(Error::new(Code::ConfigNotFound, format!("The plugin has no config row {id}.")))
            })
    }

    /// Removes a value of a plugin's config; false when there was none.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_config(&mut self, plugin_id: i64, id: i64) -> Result<bool> {
        let row = configurations::table.find(id).filter(configurations::plugin_id.eq(plugin_id));
        Ok(diesel::delete(row).execute(&mut self.conn).or_fail()? == 1)
    }

    /// Removes all values of a plugin's config; how many.
    ///
    /// # Errors
    /// The database's.
    pub fn clear_config(&mut self, plugin_id: i64) -> Result<usize> {
        let rows = configurations::table.filter(configurations::plugin_id.eq(plugin_id));
        diesel::delete(rows).execute(&mut self.conn).or_fail()
    }
}

impl Reader {
    /// One value of a plugin's config.
    ///
    /// # Errors
    /// The database's.
    pub fn config(&mut self, plugin_id: i64, id: i64) -> Result<Option<StoredConfig>> {
        configurations::table
            .find(id)
            .filter(configurations::plugin_id.eq(plugin_id))
            .select(COLUMNS)
            .first(&mut self.conn)
            .optional()
            .or_fail()?
            .map(config_of)
            .transpose()
    }

    /// All values of a plugin's config by key.
    ///
    /// # Errors
    /// The database's.
    pub fn configs(&mut self, plugin_id: i64) -> Result<Vec<StoredConfig>> {
        let rows: Vec<Row> = configurations::table
            .filter(configurations::plugin_id.eq(plugin_id))
            .order(configurations::key)
            .select(COLUMNS)
            .load(&mut self.conn)
            .or_fail()?;
        rows.into_iter().map(config_of).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::super::testing::store;
    use super::*;
    use crate::model::plugin::PluginRow;

    fn plain(value: Value) -> StoredValue {
        StoredValue::Plain(value)
    }

    fn plugin(name: &str) -> PluginRow {
        PluginRow {
            id: 0,
            name: name.to_owned(),
            display_name: None,
            description: None,
            version: Some("1.0.0".into()),
            author: None,
            plugin_type: "lua".into(),
            entry_point: None,
            install_path: None,
            enabled: None,
            registered: true,
            metadata: Map::new(),
            created_at: Timestamp(1),
            updated_at: Timestamp(1),
            version_count: 1,
        }
    }

    #[test]
    fn a_key_has_one_value_per_plugin_and_goes_with_the_plugin() {
        let (_folder, store) = store();
        let at = Timestamp(9);
        let (one, two) = store
            .write_blocking(move |tx| {
                let (one, two) = (tx.insert_plugin(&plugin("one"))?, tx.insert_plugin(&plugin("two"))?);
                tx.insert_config(one, "k", &plain(json!({"b": 1, "a": 2})), at)?;
                tx.insert_config(two, "k", &plain(json!(null)), at)?;
                Ok((one, two))
            })
            .unwrap();
        let again =
            store.write_blocking(move |tx| tx.insert_config(one, "k", &plain(json!(1)), at)).unwrap_err();
        assert_eq!(again.code, Code::KeyExists);
        let nobody =
            store.write_blocking(move |tx| tx.insert_config(99, "k", &plain(json!(1)), at)).unwrap_err();
        assert_eq!(nobody.code, Code::PluginNotFound);
        assert!(store.write_blocking(move |tx| tx.delete_plugin(one)).unwrap());
        assert!(store.read(|reader| reader.configs(one)).unwrap().is_empty());
        assert_eq!(store.read(|reader| reader.configs(two)).unwrap()[0].value, plain(json!(null)));
    }

    #[test]
    fn a_config_row_of_another_plugin_is_not_there() {
        let (_folder, store) = store();
        let done = store.write_blocking(|tx| {
            let (one, two) = (tx.insert_plugin(&plugin("one"))?, tx.insert_plugin(&plugin("two"))?);
            let row = tx.insert_config(one, "k", &plain(json!(1)), Timestamp(1))?;
            assert!(!tx.delete_config(two, row.id)?);
            tx.update_config(two, row.id, &plain(json!(2)), Timestamp(2))
        });
        assert_eq!(done.unwrap_err().code, Code::ConfigNotFound);
    }

    #[test]
    fn storing_a_plugin_under_a_known_name_keeps_its_number_and_counts_the_version() {
        let (_folder, store) = store();
        let (first, second) = store
            .write_blocking(|tx| {
                let first = tx.upsert_plugin(&plugin("one"))?;
                let changed =
                    PluginRow { author: Some("me".into()), created_at: Timestamp(5), ..plugin("one") };
                Ok((first, tx.upsert_plugin(&changed)?))
            })
            .unwrap();
        assert_eq!((second.id, second.version_count, second.created_at), (first.id, 2, Timestamp(1)));
        let taken = store.write_blocking(|tx| tx.insert_plugin(&plugin("one"))).unwrap_err();
        assert_eq!(taken.code, Code::PluginExists);
    }
}
